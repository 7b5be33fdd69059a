//! Draws into a trace on disk.

use crate::error::Error;
use crate::event::{Ending, Outcome};
use crate::predict::{Predictions, RowTerms};
use crate::prepare::Prepared;
use crate::schema;
use crate::sink::RunSink;
use sngd_core::engine::EngineInfo;
use sngd_core::trace::{DrawBlock, Sink};
use sngd_store::{OldTrace, TraceWriter};
use std::path::Path;
use std::time::{Duration, Instant};

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
        self.writer.consolidate()?;
        self.writer
            .conclude(outcome.ending == Ending::Complete && why.is_none());
        Ok(())
    }
}
