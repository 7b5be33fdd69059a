//! From a few lines of a run file and a table to draws on the CPU engine. An experiment adds a model by its
//! `[model]` and `[prior]` lines: nothing here depends on the predictor.

use crate::error::Error;
use sngd_core::config::{Config, Precision};
use sngd_core::engine::Engine;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::span::Cursor;
use sngd_core::table::Table;
use sngd_cpu::CpuEngine;
use sngd_cpu::map::{self, Mode};

/// Largest share of steps whose residual noise may fall back to full noise, as in `sngd sample`.
const MAX_FALLBACKS: f64 = 0.01;
/// Draws per block.
const BLOCK: u32 = 128;

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

/// Draws of a run, with its plan and mode.
pub struct Draws {
    /// Draws per chain, n.
    pub n: usize,
    /// Number of chains, C.
    pub chains: usize,
    /// Number of parameters, P.
    pub p: usize,
    /// Draws on the natural scale, `[n, C, P]`.
    pub values: Vec<f64>,
    /// The same draws in internal coordinates ω, `[n, C, P]`.
    pub internal: Vec<f64>,
    /// The mode of the target.
    pub mode: Mode,
    /// The plan of the run.
    pub plan: Plan,
    /// Steps that fell back to full noise, over all chains.
    pub fallbacks: u64,
}

impl Draws {
    /// The function `f` of the natural parameters of each draw, chain by chain.
    pub fn map(&self, f: impl Fn(&[f64]) -> f64) -> Vec<Vec<f64>> {
        (0..self.chains)
            .map(|c| {
                (0..self.n)
                    .map(|d| {
                        let at = (d * self.chains + c) * self.p;
                        f(&self.values[at..at + self.p])
                    })
                    .collect()
            })
            .collect()
    }

    /// Internal parameter ω_i of each draw, chain by chain.
    pub fn internal_of(&self, i: usize) -> Vec<Vec<f64>> {
        (0..self.chains)
            .map(|c| {
                (0..self.n)
                    .map(|d| self.internal[(d * self.chains + c) * self.p + i])
                    .collect()
            })
            .collect()
    }
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
    pub fn sample(&self, sampler: &str, length: Length, seed: u64) -> Result<Draws, Error> {
        let (plan, mode) = self.prepare(sampler, length, seed)?;
        let near = |c| mode.near(1.0, plan.seed, c);
        let init: Vec<f64> = (0..plan.chains as u32).flat_map(near).collect();
        let mut engine = CpuEngine::new(Precision::F32, &self.problem, &plan, &init, None)?;
        let p = plan.p;
        let size = plan.draws * plan.chains * p;
        let mut out = Draws {
            n: plan.draws,
            chains: plan.chains,
            p,
            values: Vec::with_capacity(size),
            internal: Vec::with_capacity(size),
            mode,
            plan,
            fallbacks: 0,
        };
        let mut theta = vec![0.0; p];
        let mut cursor = Cursor::new(&out.plan, false);
        while let Some(span) = cursor.next(BLOCK * out.plan.thin as u32, BLOCK) {
            engine.enqueue(span)?;
            let block = engine.collect()?;
            if let Some(fault) = block.faults.first() {
                return Err(Error::RanAway {
                    chain: fault.chain,
                    step: fault.step,
                    sampler: sampler.replace('\n', ", "),
                });
            }
            out.fallbacks += block.fallbacks;
            if span.warmup {
                continue;
            }
            for w in block.omega.chunks(p) {
                self.problem.report(w, &mut theta);
                out.values.extend_from_slice(&theta);
            }
            out.internal.extend_from_slice(&block.omega);
        }
        let steps = out.plan.steps() * out.chains;
        if out.fallbacks as f64 > MAX_FALLBACKS * steps as f64 {
            return Err(Error::Numbers(format!(
                "{} of {steps} steps had a minibatch hotter than the target under {}",
                out.fallbacks,
                sampler.replace('\n', ", ")
            )));
        }
        Ok(out)
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
