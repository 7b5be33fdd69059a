//! Which device computes the steps, as a run file or a program says.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Device that computes the steps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum Device {
    /// A real GPU if there is one, else the CPU engine.
    #[default]
    Auto,
    /// The CPU engine.
    Cpu,
    /// A GPU, chosen by the selector.
    Gpu(DeviceSelector),
}

/// Which adapter to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSelector {
    /// The first real GPU, discrete before integrated; never a software driver.
    Auto,
    /// The first software driver.
    Software,
    /// The first adapter whose name contains this text, of any type; case does not matter.
    Named(String),
}

impl DeviceSelector {
    /// Reads `auto` or `gpu`, `software`, or part of a name.
    pub fn parse(text: &str) -> DeviceSelector {
        match text {
            "auto" | "gpu" | "" => DeviceSelector::Auto,
            "software" => DeviceSelector::Software,
            name => DeviceSelector::Named(name.to_string()),
        }
    }
}

impl Device {
    /// Reads the text of a run file or of `--device`: `auto`, `cpu`, `gpu`, `software` or part of an adapter's name.
    pub fn parse(text: &str) -> Device {
        match text {
            "auto" | "" => Device::Auto,
            "cpu" => Device::Cpu,
            other => Device::Gpu(DeviceSelector::parse(other)),
        }
    }
}

/// The text that `parse` reads.
impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Device::Auto => "auto",
            Device::Cpu => "cpu",
            Device::Gpu(DeviceSelector::Auto) => "gpu",
            Device::Gpu(DeviceSelector::Software) => "software",
            Device::Gpu(DeviceSelector::Named(name)) => name,
        })
    }
}

impl From<&str> for Device {
    fn from(text: &str) -> Device {
        Device::parse(text)
    }
}

impl From<String> for Device {
    fn from(text: String) -> Device {
        Device::parse(&text)
    }
}

impl From<Device> for String {
    fn from(device: Device) -> String {
        device.to_string()
    }
}
