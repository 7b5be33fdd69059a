//! One way to drive any engine: mode, dispersed starts, warm-up, draws on the natural scale.

use sngd_core::config::{Config, Precision};
use sngd_core::engine::{Engine, EngineError, Fault};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::span::Cursor;
use sngd_core::stat::Stat;
use sngd_cpu::CpuEngine;
use sngd_cpu::map::{self, Mode};
use sngd_cpu::mode::{Settled, settle};
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine};
use std::sync::OnceLock;

/// The engines of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// CPU, double.
    Cpu64,
    /// CPU, single.
    Cpu32,
    /// The Vulkan device in force.
    Gpu,
}

/// Draws of a run: natural scale, `[n, C, P]`, with statistics and faults.
#[derive(Debug, Clone)]
pub struct Draws {
    /// Kept draws per chain.
    pub n: usize,
    /// Chains.
    pub chains: usize,
    /// Parameters.
    pub p: usize,
    /// `[n, C, P]`.
    pub values: Vec<f64>,
    /// ω, `[n, C, P]`.
    pub internal: Vec<f64>,
    /// `[n, C, Stat::COUNT]`.
    pub stats: Vec<f64>,
    /// Faults of the run.
    pub faults: Vec<Fault>,
    /// Warm-up steps whose noise fell back.
    pub fallbacks: u64,
}

/// The device in force, software allowed: opened once. `None` with one loud line where no Vulkan device answers; a failure
/// where `SNGD_TEST_DRIVER` promises one.
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

/// The engines that suites run over: the f32 CPU engine always, the Vulkan device where one answers. On a second Vulkan
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

impl Draws {
    /// Values of parameter i, chain by chain: `[C][n]`.
    pub fn chains_of(&self, i: usize) -> Vec<Vec<f64>> {
        (0..self.chains)
            .map(|c| {
                (0..self.n)
                    .map(|d| self.values[(d * self.chains + c) * self.p + i])
                    .collect()
            })
            .collect()
    }

    /// A statistic, all chains and draws.
    pub fn stat(&self, stat: Stat) -> Vec<f64> {
        let rows = self.stats.chunks_exact(Stat::COUNT);
        rows.map(|row| row[stat.at()]).collect()
    }
}

/// Starts at the mode with `scale` posterior sds of jitter, `[C,P]`.
pub fn dispersed(plan: &Plan, mode: &Mode, scale: f64) -> Vec<f64> {
    (0..plan.chains as u32)
        .flat_map(|c| mode.near(scale, plan.seed, c))
        .collect()
}

/// An engine of that kind, or `None` with a loud line where no Vulkan device answers.
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

/// Draws of a span.
const SPAN: u32 = 64;

/// Runs an engine through warm-up and draws.
pub fn run(engine: &mut dyn Engine, problem: &Problem, plan: &Plan) -> Result<Draws, EngineError> {
    let (c, p) = (plan.chains, plan.p);
    let mut out = Draws {
        n: plan.draws,
        chains: c,
        p,
        values: Vec::with_capacity(plan.draws * c * p),
        internal: Vec::with_capacity(plan.draws * c * p),
        stats: Vec::new(),
        faults: Vec::new(),
        fallbacks: 0,
    };
    let mut cursor = Cursor::new(plan, false);
    while let Some(span) = cursor.next(SPAN * plan.thin as u32, SPAN) {
        engine.enqueue(span)?;
        let block = engine.collect()?;
        out.fallbacks += block.fallbacks;
        if span.warmup && block.faults.is_empty() {
            continue;
        }
        if !block.faults.is_empty() {
            out.faults = block.faults;
            out.n = out.values.len() / (c * p);
            return Ok(out);
        }
        let mut theta = vec![0.0; p];
        for w in block.omega.chunks(p) {
            problem.report(w, &mut theta);
            out.values.extend_from_slice(&theta);
        }
        out.internal.extend_from_slice(&block.omega);
        out.stats.extend_from_slice(&block.stats);
    }
    Ok(out)
}

/// Whether this is a second Vulkan driver, on which what the first has shown need only be seen again; not in `cargo xtask long`, which
/// shows everything on each.
pub fn second_driver() -> bool {
    std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "swiftshader")
        && std::env::var_os("SNGD_TEST_LONG").is_none()
}

/// The configurations of a test: all of them, on a second driver one in four. That it makes the same steps is shown by the parity suites.
pub fn some<T>(all: &[T]) -> impl Iterator<Item = &T> {
    all.iter().step_by(if second_driver() { 4 } else { 1 })
}

/// A fifth of the draws on a device, and on a second driver a quarter of the chains, sixteen at least: the suites' bounds scale with their Monte Carlo error,
/// and software devices are slow. That a second driver makes the same steps is shown by the parity suites.
pub fn shortened(kind: Kind, config: &Config) -> Config {
    let mut config = config.clone();
    if kind == Kind::Gpu {
        config.run.draws = (config.run.draws / 5).max(config.run.draws.min(20));
        if second_driver() {
            config.run.chains = config.run.chains.map(|c| (c / 4).max(c.min(16)));
        }
    }
    config
}

/// From a run file to draws; `None` where the engine is not here.
pub fn sample(kind: Kind, config: &Config, problem: &Problem) -> Option<Draws> {
    sample_as_asked(kind, &shortened(kind, config), problem)
}

/// The same with all the draws asked for, on any engine.
pub fn sample_as_asked(kind: Kind, config: &Config, problem: &Problem) -> Option<Draws> {
    let plan = Plan::check(config, problem).expect("the plan is sound");
    let mode = map::find(problem, &plan).expect("the mode exists");
    let init = dispersed(&plan, &mode, config.run.init_scale.unwrap_or(2.0));
    let mut engine = engine(kind, problem, &plan, &init).expect("the engine loads")?;
    Some(run(engine.as_mut(), problem, &plan).expect("the engine runs"))
}

/// What a run file of data, model and prior alone becomes.
///
/// # Errors
/// The sentence of the refusal.
pub fn settled(config: &Config, problem: &Problem) -> Result<Settled, String> {
    let found = map::search(problem, 0.0, 1e-12).map_err(|e| e.to_string())?;
    settle(config, problem, &found.omega).map_err(|e| e.to_string())
}

/// Draws of a plan whose metric is at the mode; `None` where the engine is not here.
pub fn sample_settled(
    kind: Kind,
    config: &Config,
    plan: &Plan,
    problem: &Problem,
) -> Option<Draws> {
    let scale = config.run.init_scale.unwrap_or(1.0);
    let init = dispersed(plan, &Mode::of_expansion(plan), scale);
    let mut engine = engine(kind, problem, plan, &init).expect("the engine loads")?;
    Some(run(engine.as_mut(), problem, plan).expect("the engine runs"))
}
