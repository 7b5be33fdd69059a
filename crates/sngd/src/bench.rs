//! Timing of the bench workloads: the steady rate of an engine, its stages on a device, and the ceiling set by a dense matrix product.

use crate::error::Error;
use sngd_core::config::{Config, Precision};
use sngd_core::engine::{Engine, EngineError, Span};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::workload::{Kernel, Workload};
use sngd_cpu::CpuEngine;
use sngd_cpu::map::{self, Mode};
use sngd_cpu::mode::settle;
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine, dispatches};
use std::time::Instant;

/// How fast an engine ran.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Chain-steps per second, summed over all chains (one chain-step is one step of one chain); the best of about ten blocks.
    pub chain_steps_per_second: f64,
    /// Dispatches per step of all chains; `None` on the CPU. Where one dispatch makes many steps, the smallest number.
    pub dispatches: Option<f64>,
}

/// The stages of a step on a device, each timed alone.
#[derive(Debug, Clone, PartialEq)]
pub struct Stages {
    /// Name of the device.
    pub device: String,
    /// Whether the device's own clock measured them (timestamp queries); else the CPU's, which counts submission too.
    pub timestamps: bool,
    /// The stages in the order of the step.
    pub stages: Vec<Stage>,
}

/// One stage of a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Stage {
    /// File name of its kernel, without folder and extension.
    pub name: String,
    /// Dispatches per step of all chains, as in [`Rate::dispatches`].
    pub dispatches: f64,
    /// Milliseconds of all its dispatches of one step, one after the other.
    pub ms: f64,
}

/// GFLOP/s of the f32 matrix product that the CPU engine is built on, n = 1024, all threads; the best of ten.
pub fn gemm_ceiling() -> f64 {
    sngd_cpu::dense::gemm_rate(1024, 10)
}

/// Times the CPU engine in f32 on all threads.
///
/// # Errors
/// If the workload or the engine cannot be built.
pub fn cpu(w: &Workload, seconds: f64) -> Result<Rate, Error> {
    let (config, mut problem) = w.build()?;
    let (plan, init) = plan(w, &config, &mut problem)?;
    let mut engine = CpuEngine::new(Precision::F32, &problem, &plan, &init, None)?;
    Ok(Rate {
        chain_steps_per_second: time(&mut engine, w, seconds)?,
        dispatches: None,
    })
}

/// Times the GPU engine on a named adapter, else on the first real one, else on a software one. Returns the adapter's name too.
///
/// # Errors
/// If no device answers, or the workload does not fit it.
pub fn gpu(w: &Workload, seconds: f64, device: Option<&str>) -> Result<(String, Rate), Error> {
    let gpu = open(device)?;
    let (config, mut problem) = w.build()?;
    let (plan, init) = plan(w, &config, &mut problem)?;
    let counted = dispatches(&plan, gpu.tuning).iter().map(|(_, n)| n).sum();
    let mut engine = GpuEngine::new(gpu, &problem, &plan, &init)?;
    let rate = Rate {
        chain_steps_per_second: time(&mut engine, w, seconds)?,
        dispatches: Some(counted),
    };
    Ok((engine.info().device.clone(), rate))
}

/// Times each stage of a workload's step alone, on the adapter that [`gpu`] takes: as a mean over the runs that fill `seconds`, from one to
/// 256 of each stage.
///
/// # Errors
/// If no device answers, or the workload does not fit it.
pub fn stages(w: &Workload, seconds: f64, device: Option<&str>) -> Result<Stages, Error> {
    let gpu = open(device)?;
    let (config, mut problem) = w.build()?;
    let (plan, init) = plan(w, &config, &mut problem)?;
    let counted = dispatches(&plan, gpu.tuning);
    let (device, timestamps) = (gpu.info.name.clone(), gpu.has_timestamps());
    let mut engine = GpuEngine::new(gpu, &problem, &plan, &init)?;
    let once: f64 = engine.time_stages(1)?.iter().map(|(_, ms)| ms).sum();
    let timed = engine.time_stages(((1e3 * seconds / once) as usize).clamp(1, 256))?;
    let of = |name: &str| counted.iter().find(|(n, _)| n == name).map_or(0.0, |c| c.1);
    let stages = timed
        .into_iter()
        .map(|(name, ms)| Stage {
            dispatches: of(&name),
            name,
            ms,
        })
        .collect();
    Ok(Stages {
        device,
        timestamps,
        stages,
    })
}

/// GFLOP/s of a plain f32 matrix product in WGSL, n = 1024, on the adapter that [`gpu`] takes; with the adapter's name.
///
/// # Errors
/// If no device answers, or its product is wrong.
pub fn gpu_ceiling(seconds: f64, device: Option<&str>) -> Result<(String, f64), Error> {
    let gpu = open(device)?;
    let rate = gpu.product_rate(seconds)?;
    Ok((gpu.info.name, rate))
}

fn open(device: Option<&str>) -> Result<Gpu, EngineError> {
    match device {
        Some(name) => Gpu::open(&DeviceSelector::parse(name)),
        None => Gpu::open(&DeviceSelector::Auto).or_else(|_| Gpu::open(&DeviceSelector::Software)),
    }
}

/// The plan of a workload, and where its chains start, `[C,P]`.
fn plan(w: &Workload, config: &Config, problem: &mut Problem) -> Result<(Plan, Vec<f64>), Error> {
    if matches!(w.kernel, Kernel::State | Kernel::Units { .. }) {
        let mut init = vec![0.0; w.c * w.p()];
        if let Some(network) = &problem.network {
            for (c, omega) in (0..).zip(init.chunks_mut(w.p())) {
                network.start(omega, config.seed, c);
            }
        }
        return Ok((Plan::check(config, problem)?, init));
    }
    let found = map::search(problem, 0.0, 1e-12)?;
    let plan = settle(config, problem, &found)?.plan;
    let mode = Mode::of_expansion(&plan);
    let init = (0..w.c as u32).flat_map(|c| mode.near(1.0, 1, c)).collect();
    Ok((plan, init))
}

/// Chain-steps per second: the best of blocks that each take a tenth of `seconds`. The first two set the length of a block and warm the caches.
fn time(engine: &mut dyn Engine, w: &Workload, seconds: f64) -> Result<f64, Error> {
    let mut step = 0;
    let mut block = |engine: &mut dyn Engine, steps: u32| -> Result<f64, Error> {
        let lap = Instant::now();
        engine.enqueue(Span {
            first_step: step,
            draws: 1,
            thin: steps,
            warmup: false,
        })?;
        engine.collect()?;
        step += steps;
        Ok(f64::from(steps) / lap.elapsed().as_secs_f64())
    };
    let first = block(engine, 2)?;
    let second = block(engine, ((first * 0.1 * seconds) as u32).max(2))?;
    let steps = ((second * 0.1 * seconds) as u32).max(1);
    let begun = Instant::now();
    let mut best = 0.0f64;
    while begun.elapsed().as_secs_f64() < seconds {
        best = best.max(block(engine, steps)?);
    }
    Ok(best * w.c as f64)
}
