//! Which engine runs: a GPU if one answers, else the CPU engine; a software driver only if it is named.

use crate::error::Error;
use crate::memory;
use crate::prepare::Prepared;
use crate::start;
use crate::vetted;
use sngd_core::config::{Device, DeviceSelector, Precision};
use sngd_core::engine::{Engine, EngineError};
use sngd_core::likelihood::Likelihood;
use sngd_cpu::CpuEngine;
use sngd_gpu::{Gpu, GpuEngine};

pub use sngd_gpu::AdapterInfo;

/// An open engine with the problem loaded.
pub struct Opened {
    /// The engine.
    pub engine: Box<dyn Engine>,
    /// Which device was chosen and why, in one line.
    pub note: String,
}

/// Every adapter that can compute.
pub fn adapters() -> Vec<AdapterInfo> {
    sngd_gpu::adapters()
}

/// Opens the engine that `config.run.device` names and puts the chains at their starting points. What it uses of a GPU's
/// kernels is tested before, once per adapter and driver.
///
/// # Errors
/// [`Error::Engine`] if no such device answers, it fails the self-test, or the run does not fit it.
pub fn open(prepared: &Prepared) -> Result<Opened, Error> {
    let run = &prepared.config.run;
    let selector = match run.device.clone() {
        Device::Cpu => return cpu(prepared, "as asked"),
        Device::Auto if run.precision == Precision::F64 => {
            return cpu(prepared, "since precision = \"f64\"");
        }
        Device::Auto if without_wgsl(prepared) => {
            return cpu(prepared, "since the likelihood has no WGSL body");
        }
        Device::Auto => {
            let found = adapters();
            if found.iter().all(|a| a.software) {
                let why = match found.first() {
                    None => "since no GPU answers".to_string(),
                    Some(a) => format!(
                        "since the only adapter, \"{}\", is a software driver (name it to use it)",
                        a.name
                    ),
                };
                return cpu(prepared, &why);
            }
            DeviceSelector::Auto
        }
        Device::Gpu(selector) => selector,
    };
    let gpu = Gpu::open(&selector)?;
    vetted::check(&gpu, &prepared.plan)?;
    let init = start::positions(prepared);
    let engine = GpuEngine::new(gpu, &prepared.problem, &prepared.plan, &init)?;
    let note = format!("{} ({})", engine.info().device, engine.info().driver);
    Ok(Opened {
        engine: Box::new(engine),
        note,
    })
}

fn without_wgsl(prepared: &Prepared) -> bool {
    matches!(&prepared.problem.likelihood, Likelihood::Custom(own) if own.wgsl.is_none())
}

fn cpu(prepared: &Prepared, why: &str) -> Result<Opened, Error> {
    // Before the starts of all chains take memory themselves.
    memory::cpu_fits(prepared).map_err(EngineError::DoesNotFit)?;
    let (problem, plan, run) = (&prepared.problem, &prepared.plan, &prepared.config.run);
    let init = start::positions(prepared);
    let engine = CpuEngine::new(run.precision, problem, plan, &init, run.threads)?;
    let note = format!("{}, {why}", engine.info().device);
    Ok(Opened {
        engine: Box::new(engine),
        note,
    })
}
