//! Draws into a trace on disk.

use crate::checkpoint::{self, Checkpoint, Header, Origin, RunState};
use crate::error::Error;
use crate::event::{Ending, Outcome};
use crate::predict::{Predictions, RowTerms};
use crate::prepare::Prepared;
use crate::schema;
use crate::sink::RunSink;
use sngd_core::engine::EngineInfo;
use sngd_core::trace::{DrawBlock, Sink};
use sngd_store::{OldTrace, TraceReader, TraceWriter};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Writes the draws to a Zarr trace on disk.
#[derive(Debug)]
pub struct TraceSink {
    writer: TraceWriter,
    predictions: Option<Predictions>,
    row_terms: Option<RowTerms>,
    flushed: Instant,
    keeper: Option<Keeper>,
}

/// Where checkpoints go, and what all of them say.
#[derive(Debug)]
struct Keeper {
    trace: PathBuf,
    header: Header,
    /// Whether checkpoints of a trace that was here before still have this trace's name.
    first: bool,
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
            keeper: None,
        })
    }

    /// Keeps checkpoints beside the trace, from which [`TraceSink::resume`] goes on.
    #[must_use]
    pub fn with_checkpoints(
        mut self,
        path: &Path,
        origin: Origin,
        prepared: &Prepared,
        engine: &EngineInfo,
    ) -> TraceSink {
        let created = self.writer.attribute("created_at").unwrap_or_default();
        let header = Header::new(origin, created, prepared, engine);
        self.keeper = Some(Keeper {
            trace: path.to_path_buf(),
            header,
            first: true,
        });
        self
    }

    /// Goes on with the trace of a run that ended at a checkpoint.
    ///
    /// # Errors
    /// [`Error::Store`], as [`TraceWriter::reopen`]; [`Error::Input`] if the checkpoint is of another trace.
    pub fn resume(
        path: &Path,
        prepared: &Prepared,
        engine: &EngineInfo,
        from: &Checkpoint,
    ) -> Result<TraceSink, Error> {
        let header = &from.header;
        // Before anything of the trace is changed.
        if TraceReader::open(path)?.attribute("created_at") != Some(header.trace.as_str()) {
            return Err(Error::Input(format!(
                "{}: found a checkpoint of another trace, expected that of this one; start the run again with `sngd sample`",
                checkpoint::path(path).display()
            )));
        }
        let counts = (from.run.warmup_draws as usize, from.run.draws as usize);
        let writer = TraceWriter::reopen(path, schema::trace(prepared, engine), counts)?;
        let mut predictions = Predictions::new(prepared);
        if let (Some(now), Some(sums)) = (&mut predictions, &from.predictions) {
            now.sums = sums.clone();
        }
        Ok(TraceSink {
            writer,
            predictions,
            row_terms: None,
            flushed: Instant::now(),
            keeper: Some(Keeper {
                trace: path.to_path_buf(),
                header: Header::new(header.origin.clone(), &header.trace, prepared, engine),
                first: false,
            }),
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

    fn checkpoint(&mut self, state: &RunState) -> Result<(), Error> {
        let Some(keeper) = &mut self.keeper else {
            return Ok(());
        };
        if std::mem::take(&mut keeper.first) {
            match self.writer.old_trace() {
                OldTrace::SetAside(aside) => Checkpoint::rename(&keeper.trace, aside),
                _ => Checkpoint::remove(&keeper.trace),
            }
        }
        // Draws come before the checkpoint that counts them.
        self.writer.flush()?;
        self.flushed = Instant::now();
        Checkpoint {
            header: keeper.header.clone(),
            run: state.clone(),
            predictions: self.predictions.as_ref().map(|p| p.sums.clone()),
        }
        .write(&keeper.trace)
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
        let aside = match self.writer.old_trace() {
            OldTrace::SetAside(aside) => Some(aside.clone()),
            _ => None,
        };
        let whole = outcome.ending == Ending::Complete && why.is_none();
        let old = self.writer.conclude(whole);
        if let (Some(aside), Some(keeper)) = (aside, &self.keeper) {
            match old {
                OldTrace::Removed => Checkpoint::remove(&aside),
                OldTrace::PutBack if !keeper.first => {
                    Checkpoint::remove(&keeper.trace);
                    Checkpoint::rename(&aside, &keeper.trace);
                }
                _ => {}
            }
        }
        Ok(())
    }
}
