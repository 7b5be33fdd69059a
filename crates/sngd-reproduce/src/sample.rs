//! From a few lines of a run file and a table to draws on the CPU engine. A model joins the experiments by naming its
//! `[model]` and `[prior]` lines: nothing here knows which predictor it has.

use crate::error::Error;
use sngd_core::config::Config;
use sngd_core::engine::{Engine, Span};
use sngd_core::philox::{Stream, fill_normals};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::Table;
use sngd_cpu::CpuEngine;
use sngd_cpu::map::{self, Mode};

/// Largest share of steps whose residual noise may fall back, as in `sngd sample`.
const MAX_FALLBACKS: f64 = 0.01;
/// Draws a block.
const BLOCK: u32 = 128;

/// Data and the lines that say what is done with it.
pub struct Model {
    lines: String,
    problem: Problem,
}

/// Length of a run.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// Chains.
    pub chains: usize,
    /// Steps before the first draw.
    pub warmup: usize,
    /// Draws a chain.
    pub draws: usize,
    /// Steps a draw.
    pub thin: usize,
}

impl Length {
    /// Every step kept.
    pub fn new(chains: usize, warmup: usize, draws: usize) -> Length {
        Length {
            chains,
            warmup,
            draws,
            thin: 1,
        }
    }

    /// As many steps, one in `thin` kept.
    pub fn thinned(self, thin: usize) -> Length {
        Length {
            draws: self.draws / thin,
            thin,
            ..self
        }
    }
}

/// Draws of a run and what was known before it.
pub struct Draws {
    /// Draws a chain.
    pub n: usize,
    /// Chains.
    pub chains: usize,
    /// Parameters.
    pub p: usize,
    /// On the natural scale, `[n, C, P]`.
    pub values: Vec<f64>,
    /// ω, `[n, C, P]`.
    pub internal: Vec<f64>,
    /// The mode of the target.
    pub mode: Mode,
    /// The plan.
    pub plan: Plan,
    /// Steps that fell back to full noise.
    pub fallbacks: u64,
}

impl Draws {
    /// `f` of the natural parameters of each draw, chain by chain.
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

    /// ω_i, chain by chain.
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
    /// `lines` are `[model]` and `[prior]`.
    pub fn new(lines: &str, table: Table) -> Result<Model, Error> {
        let config = parse(lines, "", Length::new(1, 0, 1), 1)?;
        Ok(Model {
            lines: lines.into(),
            problem: Problem::build(&config, table)?,
        })
    }

    /// The problem.
    pub fn problem(&self) -> &Problem {
        &self.problem
    }

    /// Plan and mode of a sampler.
    pub fn prepare(&self, sampler: &str, length: Length, seed: u64) -> Result<(Plan, Mode), Error> {
        let config = parse(&self.lines, sampler, length, seed)?;
        let plan = Plan::check(&config, &self.problem)?;
        let mode = map::find(&self.problem, &plan)?;
        Ok((plan, mode))
    }

    /// Draws; `sampler` are the keys of `[sampler]`. Chains start one posterior sd around the mode.
    pub fn sample(&self, sampler: &str, length: Length, seed: u64) -> Result<Draws, Error> {
        let (plan, mode) = self.prepare(sampler, length, seed)?;
        let init = dispersed(&plan, &mode);
        let mut engine = CpuEngine::<f32>::new(&self.problem, &plan, &init, None)?;
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
        for span in spans(&out.plan) {
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

/// Warm-up in one-draw spans, then blocks.
fn spans(plan: &Plan) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut step = 0;
    let warm = plan.warmup as u32;
    while step < warm {
        let thin = BLOCK.min(warm - step);
        spans.push(Span {
            first_step: step,
            draws: 1,
            thin,
            warmup: true,
        });
        step += thin;
    }
    let (mut left, thin) = (plan.draws as u32, plan.thin as u32);
    while left > 0 {
        let draws = BLOCK.min(left);
        spans.push(Span {
            first_step: step,
            draws,
            thin,
            warmup: false,
        });
        step += draws * thin;
        left -= draws;
    }
    spans
}

/// ω* + L⁻ᵀz a chain.
fn dispersed(plan: &Plan, mode: &Mode) -> Vec<f64> {
    let p = plan.p;
    let mut out = Vec::with_capacity(plan.chains * p);
    let mut z = vec![0.0; p];
    for c in 0..plan.chains {
        fill_normals(&mut z, plan.seed, Stream::Init, c as u32, 0);
        for j in (0..p).rev() {
            let col = &mode.chol[j * p..(j + 1) * p];
            let dot: f64 = (j + 1..p).map(|i| col[i] * z[i]).sum();
            z[j] = (z[j] - dot) / col[j];
        }
        out.extend(mode.omega.iter().zip(&z).map(|(w, u)| w + u));
    }
    out
}
