//! Adapters and the device: which adapters exist, which one to open, and errors of the open device.

use sngd_core::config::DeviceSelector;
use sngd_core::engine::EngineError;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Number of loop iterations per thread and dispatch that is safe with a software driver: llvmpipe counts all loops of a
/// shader together and ends them without an error after 65,535.
pub(crate) const SOFTWARE_ITERATIONS: u32 = 60_000;

/// How long a submission may take, beside what its price adds.
const PATIENCE: Duration = Duration::from_secs(10);
/// What the first use of kernels adds, in which drivers compile them: seconds each on a software driver.
const COMPILING: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(180));
/// Operations per second of devices that are of hardly any use: a GPU, and a software driver on one slow core.
const SLOW: (f64, f64) = (1e10, 1e8);
/// Longest time in seconds that a price adds.
const LONGEST: f64 = 3600.0;
/// Variable of the environment that sets another time, in seconds.
const PATIENCE_VARIABLE: &str = "SNGD_PATIENCE";

/// What an adapter reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Name of the device, as the driver gives it.
    pub name: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Graphics API: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Type of the device: `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub device_type: &'static str,
    /// Whether it is a software driver, which computes on the CPU.
    pub software: bool,
    /// Names of the features that sngd can use.
    pub features: Vec<&'static str>,
    /// Smallest and largest subgroup size, in threads.
    pub subgroup: (u32, u32),
    /// Most storage buffers per shader stage.
    pub storage_buffers: u32,
    /// Largest storage binding in bytes.
    pub storage_binding_bytes: u64,
    /// Largest buffer in bytes.
    pub buffer_bytes: u64,
    /// Most shared memory per workgroup, in bytes.
    pub shared_bytes: u32,
    /// Most threads per workgroup.
    pub workgroup_threads: u32,
}

/// Which of the two forms of the kernels runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// Shared memory and many workgroups: for GPUs.
    Hardware,
    /// Straight from memory, few workgroups: for software drivers, where shared memory costs more than it saves.
    Software,
}

/// An open device.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// Which form of the kernels runs; `open` chooses by the adapter's type.
    pub tuning: Tuning,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    /// What the adapter reports about itself.
    pub info: AdapterInfo,
    trouble: Arc<Mutex<Option<Trouble>>>,
}

/// What went wrong first, as a sentence.
#[derive(Debug, Clone)]
enum Trouble {
    Failed(String),
    Overdue(String),
}

fn instance() -> wgpu::Instance {
    let mut desc = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    desc.flags |= wgpu::InstanceFlags::ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER;
    wgpu::Instance::new(desc)
}

fn enumerate() -> Vec<wgpu::Adapter> {
    let found = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::PRIMARY));
    found
        .into_iter()
        .filter(|a| {
            a.get_downlevel_capabilities()
                .flags
                .contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        })
        .collect()
}

fn describe(
    info: &wgpu::AdapterInfo,
    features: wgpu::Features,
    limits: &wgpu::Limits,
) -> AdapterInfo {
    let known = [
        (wgpu::Features::SUBGROUP, "subgroups"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamp queries"),
        (wgpu::Features::PIPELINE_CACHE, "pipeline cache"),
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::SHADER_F64, "f64"),
    ];
    AdapterInfo {
        name: info.name.clone(),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_string(),
        backend: info.backend.to_string(),
        device_type: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        software: info.device_type == wgpu::DeviceType::Cpu,
        features: known
            .iter()
            .filter(|(f, _)| features.contains(*f))
            .map(|(_, n)| *n)
            .collect(),
        subgroup: (info.subgroup_min_size, info.subgroup_max_size),
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        storage_binding_bytes: limits.max_storage_buffer_binding_size,
        buffer_bytes: limits.max_buffer_size,
        shared_bytes: limits.max_compute_workgroup_storage_size,
        workgroup_threads: limits.max_compute_invocations_per_workgroup,
    }
}

fn rank(info: &AdapterInfo) -> u32 {
    match info.device_type {
        "discrete" => 0,
        "virtual" => 1,
        "integrated" => 2,
        "other" => 3,
        _ => 4,
    }
}

/// Every adapter that can compute.
pub fn adapters() -> Vec<AdapterInfo> {
    enumerate()
        .iter()
        .map(|a| describe(&a.get_info(), a.features(), &a.limits()))
        .collect()
}

impl Gpu {
    /// Opens the adapter that the selector names.
    pub fn open(selector: &DeviceSelector) -> Result<Gpu, EngineError> {
        let mut found: Vec<(AdapterInfo, wgpu::Adapter)> = enumerate()
            .into_iter()
            .map(|a| (describe(&a.get_info(), a.features(), &a.limits()), a))
            .collect();
        found.sort_by_key(|(info, _)| rank(info));
        let wanted = |info: &AdapterInfo| match selector {
            DeviceSelector::Auto => !info.software,
            DeviceSelector::Software => info.software,
            DeviceSelector::Named(part) => info.name.to_lowercase().contains(&part.to_lowercase()),
        };
        let names: Vec<String> = found
            .iter()
            .map(|(i, _)| format!("\"{}\"", i.name))
            .collect();
        let Some((_, adapter)) = found.into_iter().find(|(info, _)| wanted(info)) else {
            return Err(EngineError::NoDevice(no_device(selector, &names)));
        };
        let desc = wgpu::DeviceDescriptor {
            label: Some("sngd"),
            // only to time stages with; no step needs a feature
            required_features: adapter.features() & wgpu::Features::TIMESTAMP_QUERY,
            required_limits: adapter_limits(&adapter.limits()),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&desc)).map_err(|e| {
            EngineError::NoDevice(format!(
                "the adapter \"{}\" was found but gave no device: {e}",
                adapter.get_info().name
            ))
        })?;
        let mut gpu = Gpu::from_device(device, queue);
        gpu.info = describe(
            &adapter.get_info(),
            adapter.features(),
            &gpu.device.limits(),
        );
        Ok(gpu)
    }

    /// Uses a device that the caller opened, with the limits that it has.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Gpu {
        let trouble = Arc::new(Mutex::new(None));
        let note = |slot: &Arc<Mutex<Option<Trouble>>>, text: String| {
            let mut first = slot.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(Trouble::Failed(text));
        };
        let slot = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            note(&slot, format!("the device reported an error: {e}"));
        }));
        let slot = Arc::clone(&trouble);
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(&slot, format!("the device was lost ({reason:?}): {text}"));
            }
        });
        let info = describe(&device.adapter_info(), device.features(), &device.limits());
        let tuning = if info.software {
            Tuning::Software
        } else {
            Tuning::Hardware
        };
        Gpu {
            tuning,
            device,
            queue,
            info,
            trouble,
        }
    }

    /// Bytes that are allocated on the device now; `None` where the backend does not count them.
    pub fn allocated(&self) -> Option<u64> {
        let report = self.device.generate_allocator_report()?;
        Some(report.total_allocated_bytes)
    }

    /// Fails with the first uncaught error of the device, or with its loss, if there was one.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        match &*self.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(Trouble::Failed(text)) => Err(EngineError::Device(text.clone())),
            Some(Trouble::Overdue(text)) => Err(EngineError::Overdue(text.clone())),
            None => Ok(()),
        }
    }

    /// How long a submission of so many floating-point operations may take. `first`: its kernels have not run before.
    pub(crate) fn patience(&self, price: f64, first: bool) -> Duration {
        let (slow, compiling) = match self.info.software {
            true => (SLOW.1, COMPILING.1),
            false => (SLOW.0, COMPILING.0),
        };
        let work = Duration::from_secs_f64((price / slow).min(LONGEST));
        PATIENCE + work + if first { compiling } else { Duration::ZERO }
    }

    /// Waits for one submission, or for all. After `patience` the device is given up: nobody can stop its work.
    pub(crate) fn wait_for(
        &self,
        until: Option<wgpu::SubmissionIndex>,
        patience: Duration,
        what: &str,
    ) -> Result<(), EngineError> {
        self.check()?;
        let patience = asked_patience().unwrap_or(patience);
        let polled = self.device.poll(wgpu::PollType::Wait {
            submission_index: until,
            timeout: Some(patience),
        });
        self.check()?;
        match polled {
            Ok(_) => Ok(()),
            Err(wgpu::PollError::Timeout) => Err(self.give_up(patience, what)),
            Err(e) => Err(EngineError::Device(format!(
                "waiting for the device failed: {e}"
            ))),
        }
    }

    /// Leaves the device as it is, for ever: closing it would wait for its work.
    fn give_up(&self, patience: Duration, what: &str) -> EngineError {
        let sentence = format!(
            "the device \"{}\" has not finished {what} after {} s and is given up; fit fewer chains or rows, shorten loops of a likelihood of your own, set run.device = \"cpu\", or {PATIENCE_VARIABLE} to the seconds to wait",
            self.info.name,
            patience.as_secs_f64().round()
        );
        let mut first = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(Trouble::Overdue(sentence.clone()));
        std::mem::forget((self.device.clone(), self.queue.clone()));
        EngineError::Overdue(sentence)
    }
}

/// The time to wait that the environment asks for.
fn asked_patience() -> Option<Duration> {
    let seconds: f64 = std::env::var(PATIENCE_VARIABLE).ok()?.parse().ok()?;
    (seconds > 0.0)
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

fn no_device(selector: &DeviceSelector, names: &[String]) -> String {
    let there = if names.is_empty() {
        "no adapter answers".to_string()
    } else {
        format!("found {}", names.join(", "))
    };
    match selector {
        DeviceSelector::Auto => format!(
            "no GPU: {there}; install a driver, or use run.device = \"cpu\" (or \"software\" for a software driver)"
        ),
        DeviceSelector::Software => {
            format!(
                "no software driver: {there}; install mesa-vulkan-drivers, or use run.device = \"cpu\""
            )
        }
        DeviceSelector::Named(n) => format!(
            "no adapter's name contains \"{n}\": {there}; use part of one of these names, or run.device = \"cpu\""
        ),
    }
}

/// WebGPU's default limits, raised to the adapter's where kernels or data can use more.
fn adapter_limits(have: &wgpu::Limits) -> wgpu::Limits {
    let floor = wgpu::Limits::defaults();
    wgpu::Limits {
        max_storage_buffer_binding_size: have.max_storage_buffer_binding_size,
        max_buffer_size: have.max_buffer_size,
        max_storage_buffers_per_shader_stage: have
            .max_storage_buffers_per_shader_stage
            .min(floor.max_storage_buffers_per_shader_stage),
        ..floor.or_worse_values_from(have)
    }
}
