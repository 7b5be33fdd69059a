//! Draws in memory.

use crate::error::Error;
use crate::event::Outcome;
use crate::facts::Facts;
use crate::predict::{Predictions, Scores};
use crate::prepare::Prepared;
use crate::schema;
use crate::sink::RunSink;
use sngd_core::stat::Stat;
use sngd_core::trace::DrawBlock;

/// All draws in memory.
#[derive(Debug)]
pub struct Samples {
    /// The facts of the run that a summary needs.
    pub facts: Facts,
    /// Name of each parameter, `[P]`, e.g. `weights[glucose]`.
    pub names: Vec<String>,
    /// Kept draws per chain, n.
    pub draws: usize,
    /// Draws on the natural scale, `[n, C, P]`.
    pub values: Vec<f64>,
    /// Statistics of each draw, `[n, C, Stat::COUNT]`.
    pub stats: Vec<f64>,
    /// How the run ended; `None` until then.
    pub outcome: Option<Outcome>,
    predictions: Option<Predictions>,
}

impl Samples {
    /// Empty, for the draws of a run.
    pub fn new(prepared: &Prepared) -> Samples {
        Samples {
            facts: Facts::of(prepared),
            names: schema::names(&prepared.problem),
            draws: 0,
            values: Vec::new(),
            stats: Vec::new(),
            outcome: None,
            predictions: Predictions::new(prepared),
        }
    }

    /// Scores of the ensemble on the held-out rows; `None` without such rows or before the first draw.
    pub fn predictions(&self) -> Option<Scores> {
        self.predictions.as_ref().and_then(Predictions::scores)
    }

    /// Number of chains, C.
    pub fn chains(&self) -> usize {
        self.facts.chains
    }

    /// All draws of one parameter, chain after chain, `[C, n]`; `None` if there is no such name.
    pub fn parameter(&self, name: &str) -> Option<Vec<f64>> {
        let i = self.names.iter().position(|n| n == name)?;
        let (c, p) = (self.facts.chains, self.facts.parameters);
        let value = |chain, draw| self.values[(draw * c + chain) * p + i];
        Some(
            (0..c)
                .flat_map(|k| (0..self.draws).map(move |d| value(k, d)))
                .collect(),
        )
    }
}

impl RunSink for Samples {
    fn block(&mut self, block: &DrawBlock) -> Result<(), Error> {
        if let Some(p) = &mut self.predictions {
            p.block(block)?;
        }
        if !block.warmup {
            let order = &self.facts.order;
            for row in block.values.chunks(order.len()) {
                self.values.extend(order.iter().map(|&i| row[i]));
            }
            self.stats.extend_from_slice(&block.stats);
            self.draws += block.len;
        }
        Ok(())
    }

    fn finish(&mut self, outcome: &Outcome, _: Option<&str>) -> Result<(), Error> {
        self.outcome = Some(outcome.clone());
        debug_assert_eq!(
            self.stats.len(),
            self.draws * self.facts.chains * Stat::COUNT
        );
        Ok(())
    }
}
