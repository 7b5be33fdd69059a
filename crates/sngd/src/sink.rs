//! Where blocks of draws go: a trace on disk, memory, any `sngd_core::trace::Sink`, several at once.

use crate::error::Error;
use crate::event::{Ending, Outcome};
use crate::facts::Facts;
use crate::predict::{Predictions, RowTerms, Scores};
use crate::prepare::Prepared;
use crate::schema;
use crate::summary::{Report, summarize};
use sngd_core::engine::EngineInfo;
use sngd_core::stat::Stat;
use sngd_core::trace::{DrawBlock, Sink};
use sngd_store::{OldTrace, TraceWriter};
use std::path::Path;
use std::time::{Duration, Instant};

/// Takes the blocks of a run in order, and is informed how the run ended.
pub trait RunSink {
    /// Takes one block.
    ///
    /// # Errors
    /// Whatever stops it from taking more: the run then stops.
    fn block(&mut self, block: &DrawBlock) -> Result<(), Error>;
    /// Called once, also after an interruption or a fault; `why` is the message of the fault.
    ///
    /// # Errors
    /// As [`RunSink::block`].
    fn finish(&mut self, outcome: &Outcome, why: Option<&str>) -> Result<(), Error>;
}

/// Uses any `Sink` as a [`RunSink`].
#[derive(Debug)]
pub struct Plain<S>(pub S);

impl<S: Sink> RunSink for Plain<S> {
    fn block(&mut self, block: &DrawBlock) -> Result<(), Error> {
        self.0.block(block).map_err(|e| Error::Sink(Box::new(e)))
    }

    fn finish(&mut self, _: &Outcome, _: Option<&str>) -> Result<(), Error> {
        self.0.finish().map_err(|e| Error::Sink(Box::new(e)))
    }
}

/// Writes the draws to a Zarr trace on disk.
#[derive(Debug)]
pub struct TraceSink {
    writer: TraceWriter,
    predictions: Option<Predictions>,
    row_terms: Option<RowTerms>,
    flushed: Instant,
}

/// Longest time until draws become visible to readers.
const FLUSH_EVERY: Duration = Duration::from_secs(5);

impl TraceSink {
    /// Creates the trace of a run; with `force` it replaces an old one, which is set aside until the new one is complete. A
    /// run that ends before its first stored draw puts the old one back; one that ends later without being complete keeps
    /// both, as does a killed program. [`TraceSink::old_trace`] says which.
    ///
    /// # Errors
    /// [`Error::Store`], as [`TraceWriter::create`].
    pub fn create(
        path: &Path,
        prepared: &Prepared,
        engine: &EngineInfo,
        force: bool,
    ) -> Result<TraceSink, Error> {
        let asked = prepared.config.output.log_likelihood;
        let mut writer = TraceWriter::create(path, schema::trace(prepared, engine), force)?;
        if asked {
            writer = writer.with_row_terms(prepared.problem.rows())?;
        }
        Ok(TraceSink {
            writer,
            predictions: Predictions::new(prepared),
            row_terms: asked.then(|| RowTerms::new(prepared)),
            flushed: Instant::now(),
        })
    }

    /// What happened to the old trace that the new one replaces.
    pub fn old_trace(&self) -> &OldTrace {
        self.writer.old_trace()
    }

    /// Whether readers can see a draw, of the warm-up or a kept one.
    pub fn shows_draws(&self) -> bool {
        self.writer.shows_draws()
    }
}

impl RunSink for TraceSink {
    fn block(&mut self, block: &DrawBlock) -> Result<(), Error> {
        self.writer.block(block)?;
        if let Some(p) = &mut self.predictions {
            p.block(block)?;
        }
        if let Some(terms) = self.row_terms.as_mut().filter(|_| !block.warmup) {
            self.writer.row_terms(&terms.of(block))?;
        }
        if self.flushed.elapsed() > FLUSH_EVERY {
            self.writer.flush()?;
            self.flushed = Instant::now();
        }
        Ok(())
    }

    fn finish(&mut self, outcome: &Outcome, why: Option<&str>) -> Result<(), Error> {
        self.writer.finish()?;
        let mut last = vec![
            ("status".to_string(), outcome.ending.name().to_string()),
            (
                "outcome".to_string(),
                serde_json::to_string(outcome).unwrap_or_default(),
            ),
            (
                "sampling_time".to_string(),
                format!("{:.6}", outcome.seconds),
            ),
        ];
        let scores = self.predictions.as_ref().and_then(Predictions::scores);
        last.extend(scores.and_then(|s| {
            let text = serde_json::to_string(&s).ok()?;
            Some(("sngd_predictions".to_string(), text))
        }));
        last.extend(why.map(|w| ("fault".to_string(), w.to_string())));
        self.writer.set_attributes(&last)?;
        self.writer
            .conclude(outcome.ending == Ending::Complete && why.is_none());
        Ok(())
    }
}

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

    /// The summary: a row per parameter, and the thermometers.
    pub fn summary(&self) -> Report {
        summarize(self)
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
