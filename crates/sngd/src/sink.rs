//! Where blocks of draws go: any `sngd_core::trace::Sink`, or a sink that learns how the run ended.

use crate::checkpoint::RunState;
use crate::error::Error;
use crate::event::Outcome;
use sngd_core::trace::{DrawBlock, Sink};

/// Takes the blocks of a run in order, and is informed how the run ended.
pub trait RunSink {
    /// Takes one block.
    ///
    /// # Errors
    /// Whatever stops it from taking more: the run then stops.
    fn block(&mut self, block: &DrawBlock) -> Result<(), Error>;
    /// Called when everything taken so far should be kept with `state`, from which the run can go on.
    ///
    /// # Errors
    /// As [`RunSink::block`].
    fn checkpoint(&mut self, state: &RunState) -> Result<(), Error> {
        let _ = state;
        Ok(())
    }
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
