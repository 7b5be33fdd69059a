//! A whole run in memory: one span after another, for programs that need neither a trace nor a way to stop.

use crate::engine::{Engine, EngineError, Fault};
use crate::plan::Plan;
use crate::problem::Problem;
use crate::span::Cursor;
use crate::stat::Stat;

/// Most kept draws per chain in a span.
const SPAN: u32 = 64;

/// Draws of a run, with statistics and faults.
#[derive(Debug, Clone)]
pub struct Draws {
    /// Kept draws per chain, n.
    pub n: usize,
    /// Number of chains, C.
    pub chains: usize,
    /// Number of parameters, P.
    pub p: usize,
    /// Draws on the natural scale, `[n, C, P]`.
    pub values: Vec<f64>,
    /// The same draws in internal coordinates ω, `[n, C, P]`.
    pub internal: Vec<f64>,
    /// Statistics of each draw, `[n, C, Stat::COUNT]`.
    pub stats: Vec<f64>,
    /// Faults that ended the run; empty if none did.
    pub faults: Vec<Fault>,
    /// Steps of all chains whose noise fell back to full noise, warm-up included.
    pub fallbacks: u64,
}

impl Draws {
    /// Runs an engine through warm-up and draws. A fault ends the run; the draws of the spans before it are kept.
    ///
    /// # Errors
    /// Those of the engine's device.
    pub fn of(
        engine: &mut dyn Engine,
        problem: &Problem,
        plan: &Plan,
    ) -> Result<Draws, EngineError> {
        let (c, p) = (plan.chains, plan.p);
        let mut out = Draws {
            n: plan.draws,
            chains: c,
            p,
            values: Vec::with_capacity(plan.draws * c * p),
            internal: Vec::with_capacity(plan.draws * c * p),
            stats: Vec::with_capacity(plan.draws * c * Stat::COUNT),
            faults: Vec::new(),
            fallbacks: 0,
        };
        let mut theta = vec![0.0; p];
        let mut cursor = Cursor::new(plan, false);
        while let Some(span) = cursor.next(SPAN * plan.thin as u32, SPAN) {
            engine.enqueue(span)?;
            let block = engine.collect()?;
            out.fallbacks += block.fallbacks;
            if !block.faults.is_empty() {
                out.faults = block.faults;
                out.n = out.values.len() / (c * p);
                return Ok(out);
            }
            if span.warmup {
                continue;
            }
            for w in block.omega.chunks(p) {
                problem.report(w, &mut theta);
                out.values.extend_from_slice(&theta);
            }
            out.internal.extend_from_slice(&block.omega);
            out.stats.extend_from_slice(&block.stats);
        }
        Ok(out)
    }

    /// The function `f` of the natural parameters of each draw, chain by chain: `[C][n]`.
    pub fn map(&self, f: impl Fn(&[f64]) -> f64) -> Vec<Vec<f64>> {
        self.by_chain(&self.values, f)
    }

    /// Values of parameter i on the natural scale, chain by chain: `[C][n]`.
    pub fn chains_of(&self, i: usize) -> Vec<Vec<f64>> {
        self.map(|theta| theta[i])
    }

    /// Internal parameter ω_i of each draw, chain by chain: `[C][n]`.
    pub fn internal_of(&self, i: usize) -> Vec<Vec<f64>> {
        self.by_chain(&self.internal, |omega| omega[i])
    }

    /// Values of one statistic for all draws and chains, `[n, C]`.
    pub fn stat(&self, stat: Stat) -> Vec<f64> {
        let rows = self.stats.chunks_exact(Stat::COUNT);
        rows.map(|row| row[stat.at()]).collect()
    }

    fn by_chain(&self, values: &[f64], f: impl Fn(&[f64]) -> f64) -> Vec<Vec<f64>> {
        let chain = |c| {
            values
                .chunks(self.p)
                .skip(c)
                .step_by(self.chains)
                .map(&f)
                .collect()
        };
        (0..self.chains).map(chain).collect()
    }
}
