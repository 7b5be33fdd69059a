//! From a few lines of a run file and a table to draws on the CPU engine. An experiment adds a model by its
//! `[model]` and `[prior]` lines: nothing here depends on the predictor.

use crate::error::Error;
use sngd_core::config::{Config, Precision};
use sngd_core::draws::Draws;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::Table;
use sngd_cpu::CpuEngine;
use sngd_cpu::map::{self, Mode};

/// Largest share of steps whose residual noise may fall back to full noise, as in `sngd sample`.
const MAX_FALLBACKS: f64 = 0.01;

/// Data, with the run file's lines for model and prior.
pub struct Model {
    lines: String,
    problem: Problem,
    starts: u64,
}

/// Length of a run.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Number of chains, C.
    pub chains: usize,
    /// Steps per chain before the first draw.
    pub warmup: usize,
    /// Draws per chain.
    pub draws: usize,
    /// Steps per draw.
    pub thin: usize,
}

impl Length {
    /// A run that keeps every step.
    pub fn new(chains: usize, warmup: usize, draws: usize) -> Length {
        Length {
            chains,
            warmup,
            draws,
            thin: 1,
        }
    }

    /// As many steps, but only one in `thin` is kept.
    pub fn thinned(self, thin: usize) -> Length {
        Length {
            draws: self.draws / thin,
            thin,
            ..self
        }
    }
}

/// Draws of a run, and the mode that its chains started around.
pub struct Sampled {
    /// The draws.
    pub draws: Draws,
    /// The mode of the target.
    pub mode: Mode,
}

impl Model {
    /// A model from the `[model]` and `[prior]` lines of a run file and a table.
    pub fn new(lines: &str, table: Table) -> Result<Model, Error> {
        let config = parse(lines, "", Length::new(1, 0, 1), 1)?;
        Ok(Model {
            lines: lines.into(),
            problem: Problem::build(&config, table)?,
            starts: 1,
        })
    }

    /// Searches for the mode from so many standard starts of a network, the same in every run, and takes the lowest.
    pub fn with_starts(self, starts: u64) -> Model {
        Model { starts, ..self }
    }

    /// The problem: data, likelihood and priors.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Plan and mode for the keys of `[sampler]`.
    pub fn prepare(&self, sampler: &str, length: Length, seed: u64) -> Result<(Plan, Mode), Error> {
        let config = parse(&self.lines, sampler, length, seed)?;
        let plan = Plan::check(&config, &self.problem)?;
        let mode = self.mode(&plan)?;
        Ok((plan, mode))
    }

    fn mode(&self, plan: &Plan) -> Result<Mode, Error> {
        if self.starts == 1 {
            return Ok(map::find(&self.problem, plan)?);
        }
        let mut best: Option<Mode> = None;
        for seed in 0..self.starts {
            let from = Plan {
                seed,
                ..plan.clone()
            };
            let mode = map::find(&self.problem, &from)?;
            if best.as_ref().is_none_or(|b| mode.cost < b.cost) {
                best = Some(mode);
            }
        }
        best.ok_or_else(|| Error::Numbers("a mode was asked for from no start".into()))
    }

    /// Samples; `sampler` gives the keys of `[sampler]`. Chains start one posterior sd around the mode.
    pub fn sample(&self, sampler: &str, length: Length, seed: u64) -> Result<Sampled, Error> {
        let (plan, mode) = self.prepare(sampler, length, seed)?;
        let near = |c| mode.near(1.0, plan.seed, c);
        let init: Vec<f64> = (0..plan.chains as u32).flat_map(near).collect();
        let mut engine = CpuEngine::new(Precision::F32, &self.problem, &plan, &init, None)?;
        let mut draws = Draws::of(&mut engine, &self.problem, &plan)?;
        // No experiment reads them, and some keep several runs.
        draws.stats = Vec::new();
        if let Some(fault) = draws.faults.first() {
            return Err(Error::RanAway {
                chain: fault.chain,
                step: fault.step,
                sampler: sampler.replace('\n', ", "),
            });
        }
        let steps = plan.steps() * plan.chains;
        if draws.fallbacks as f64 > MAX_FALLBACKS * steps as f64 {
            return Err(Error::Numbers(format!(
                "{} of {steps} steps had a minibatch hotter than the target under {}",
                draws.fallbacks,
                sampler.replace('\n', ", ")
            )));
        }
        Ok(Sampled { draws, mode })
    }
}

fn parse(lines: &str, sampler: &str, length: Length, seed: u64) -> Result<Config, Error> {
    let Length {
        chains,
        warmup,
        draws,
        thin,
    } = length;
    Ok(toml::from_str(&format!(
        "seed = {seed}\n[data]\npath = \"-\"\nresponse = \"y\"\n{lines}\n[sampler]\n{sampler}\n[run]\nchains = {chains}\nwarmup = {warmup}\ndraws = {draws}\nthin = {thin}\n"
    ))?)
}
