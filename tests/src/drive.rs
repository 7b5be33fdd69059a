//! One way to drive any engine: mode, dispersed starts, warm-up, draws on the natural scale.

use sngd_core::config::{Config, Precision};
pub use sngd_core::draws::Draws;
use sngd_core::engine::{Engine, EngineError};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_cpu::CpuEngine;
use sngd_cpu::map::{self, Mode};
use sngd_cpu::mode::{Settled, settle};
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine};
use std::sync::OnceLock;

/// An engine of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CPU engine in double precision.
    Cpu64,
    /// CPU engine in single precision.
    Cpu32,
    /// GPU engine on the Vulkan device in use.
    Gpu,
}

/// The Vulkan device in use, software allowed; opened once. `None` and a printed line if no Vulkan device answers; a failure
/// if `SNGD_TEST_DRIVER` promises one.
pub fn gpu() -> Option<Gpu> {
    static DEVICE: OnceLock<Option<Gpu>> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let driver = std::env::var("SNGD_TEST_DRIVER").unwrap_or_default();
            if driver == "none" {
                eprintln!("SKIPPED: the GPU half of this suite, as SNGD_TEST_DRIVER = none asks");
                return None;
            }
            match Gpu::open(&DeviceSelector::Auto).or_else(|_| Gpu::open(&DeviceSelector::Software))
            {
                Ok(gpu) => Some(gpu),
                Err(e) => {
                    assert!(driver.is_empty(), "SNGD_TEST_DRIVER = {driver}, but {e}");
                    eprintln!(
                        "SKIPPED: the GPU half of this suite, no Vulkan device answers ({e})"
                    );
                    None
                }
            }
        })
        .clone()
}

/// The engines that suites run over: the f32 CPU engine always, the Vulkan device if one answers. On a second Vulkan
/// driver (`SNGD_TEST_DRIVER` other than the first) the CPU half would only repeat itself.
pub fn kinds() -> Vec<Kind> {
    let mut kinds = if second_driver() {
        vec![]
    } else {
        vec![Kind::Cpu32]
    };
    kinds.extend(gpu().map(|_| Kind::Gpu));
    kinds
}

/// Starting points at the mode with `scale` posterior sds of jitter, `[C,P]`.
pub fn dispersed(plan: &Plan, mode: &Mode, scale: f64) -> Vec<f64> {
    (0..plan.chains as u32)
        .flat_map(|c| mode.near(scale, plan.seed, c))
        .collect()
}

/// An engine of that kind, or `None` and a printed line if no Vulkan device answers.
pub fn engine(
    kind: Kind,
    problem: &Problem,
    plan: &Plan,
    init: &[f64],
) -> Result<Option<Box<dyn Engine>>, EngineError> {
    let cpu = |precision| -> Result<Option<Box<dyn Engine>>, EngineError> {
        Ok(Some(Box::new(CpuEngine::new(
            precision, problem, plan, init, None,
        )?)))
    };
    match kind {
        Kind::Cpu64 => cpu(Precision::F64),
        Kind::Cpu32 => cpu(Precision::F32),
        Kind::Gpu => match gpu() {
            Some(gpu) => Ok(Some(Box::new(GpuEngine::new(gpu, problem, plan, init)?))),
            None => Ok(None),
        },
    }
}

/// Whether this is a second Vulkan driver, where a few configurations are enough after the first driver's full tests. Never so in
/// `cargo xtask long`, which tests everything on each driver.
pub fn second_driver() -> bool {
    std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "swiftshader") && !long()
}

/// Whether every case is asked for, however long it takes: `cargo xtask long`.
pub fn long() -> bool {
    std::env::var_os("SNGD_TEST_LONG").is_some()
}

/// The configurations of a test: all, or one in four on a second driver. The parity suites show that it makes the same steps.
pub fn some<T>(all: &[T]) -> impl Iterator<Item = &T> {
    all.iter().step_by(if second_driver() { 4 } else { 1 })
}

/// A fifth of the draws on a device, and on a second driver a quarter of the chains, 24 at least: the suites' bounds scale
/// with their Monte Carlo error, and software devices are slow. The parity suites show that a second driver makes the same steps.
pub fn shortened(kind: Kind, config: &Config) -> Config {
    let mut config = config.clone();
    if kind == Kind::Gpu {
        config.run.draws = (config.run.draws / 5).max(config.run.draws.min(20));
        if second_driver() {
            config.run.chains = config.run.chains.map(|c| (c / 4).max(c.min(24)));
        }
    }
    config
}

/// Samples a run file with `shortened` lengths; `None` if the engine is not available.
pub fn sample(kind: Kind, config: &Config, problem: &Problem) -> Option<Draws> {
    sample_as_asked(kind, &shortened(kind, config), problem)
}

/// Like [`sample`], but with all the draws asked for, on any engine.
pub fn sample_as_asked(kind: Kind, config: &Config, problem: &Problem) -> Option<Draws> {
    let plan = Plan::check(config, problem).expect("the plan is sound");
    let mode = map::find(problem, &plan).expect("the mode exists");
    let init = dispersed(&plan, &mode, config.run.init_scale.unwrap_or(2.0));
    let mut engine = engine(kind, problem, &plan, &init).expect("the engine loads")?;
    Some(Draws::of(engine.as_mut(), problem, &plan).expect("the engine runs"))
}

/// The automatic settings for a run file of data, model and prior alone.
///
/// # Errors
/// The message if the run file is refused.
pub fn settled(config: &Config, problem: &Problem) -> Result<Settled, String> {
    let found = map::search(problem, 0.0, 1e-12).map_err(|e| e.to_string())?;
    settle(config, &mut problem.clone(), &found).map_err(|e| e.to_string())
}

/// Draws of a plan whose metric is at the mode; `None` if the engine is not available.
pub fn sample_settled(
    kind: Kind,
    config: &Config,
    plan: &Plan,
    problem: &Problem,
) -> Option<Draws> {
    let scale = config.run.init_scale.unwrap_or(1.0);
    let init = dispersed(plan, &Mode::of_expansion(plan), scale);
    let mut engine = engine(kind, problem, plan, &init).expect("the engine loads")?;
    Some(Draws::of(engine.as_mut(), problem, plan).expect("the engine runs"))
}
