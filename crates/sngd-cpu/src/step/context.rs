//! What a step of any kind gets and gives.

use crate::resident::Resident;
use faer::Par;
use sngd_core::plan::Plan;
use sngd_core::stat::StatRow;

/// Outcome of a step, besides the new position.
#[derive(Debug, Clone, Copy)]
pub struct StepInfo {
    /// Statistics at the state before the update; the two norms are NaN unless the step is kept.
    pub stats: StatRow,
    /// Whether the residual noise was replaced by full noise.
    pub fell_back: bool,
}

/// Data and settings of one step, and which step of which chain it is.
pub struct Context<'a, T> {
    /// Data that all chains read.
    pub data: &'a Resident<T>,
    /// The plan of the run.
    pub plan: &'a Plan,
    /// Index of the chain.
    pub chain: u32,
    /// Index of the step.
    pub t: u32,
    /// Whether the statistics of this step are kept.
    pub keep: bool,
    /// Threads that the linear algebra of this chain may use.
    pub par: Par,
}
