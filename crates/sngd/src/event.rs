//! What a run says while it goes on.

use crate::gauges::Gauges;
use serde::Serialize;

/// Told to the caller of a run, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The engine is open.
    Started {
        /// The engine and why it was chosen.
        note: String,
        /// Chains.
        chains: usize,
        /// Steps of each.
        steps: u64,
    },
    /// A block is done.
    Progress(Progress),
    /// The run is over.
    Finished(Outcome),
}

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Progress {
    /// Whether warm-up goes on.
    pub warmup: bool,
    /// Steps done of each chain, warm-up included.
    pub steps: u64,
    /// Steps there will be.
    pub steps_total: u64,
    /// Kept draws per chain so far.
    pub draws: u64,
    /// Steps a second of each chain, lately.
    pub steps_per_second: f64,
    /// Seconds to go.
    pub eta_seconds: f64,
    /// T̂ so far: 2(mean C − C(ω*))/P, or near a Gaussian mode the mean of (ω−ω*)ᵀM(ω−ω*)/P; NaN without draws or mode.
    pub temperature: f64,
    /// Draws marked as diverging.
    pub divergences: u64,
    /// Steps of all chains after warm-up whose residual noise fell back to full noise.
    pub fallbacks: u64,
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Every draw was taken.
    Complete,
    /// It was asked to stop; the draws until then are whole.
    Interrupted,
    /// A chain could not go on; the draws until then are whole.
    Failed,
}

impl Ending {
    /// `complete`, `interrupted` or `failed`.
    pub fn name(self) -> &'static str {
        match self {
            Ending::Complete => "complete",
            Ending::Interrupted => "interrupted",
            Ending::Failed => "failed",
        }
    }
}

/// What a run did.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Outcome {
    /// How it ended.
    pub ending: Ending,
    /// Kept draws per chain.
    pub draws: u64,
    /// Steps a chain.
    pub steps: u64,
    /// Wall time of the steps.
    pub seconds: f64,
    /// Draws marked as diverging.
    pub divergences: u64,
    /// Steps of all chains after warm-up whose residual noise fell back to full noise.
    pub fallbacks: u64,
    /// The same as a share of those steps.
    pub fallback_share: f64,
    /// What was measured on the way; `None` where there were too few draws.
    pub gauges: Option<Gauges>,
}
