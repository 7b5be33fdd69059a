//! What a run reports while it goes on.

use crate::gauges::Gauges;
use serde::Serialize;

/// An event of a run, reported to the caller in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The engine is open.
    Started {
        /// Which engine was chosen, and why.
        note: String,
        /// Number of chains, C.
        chains: usize,
        /// Steps per chain, warm-up included.
        steps: u64,
    },
    /// A block of draws is done.
    Progress(Progress),
    /// The run is over.
    Finished(Outcome),
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Progress {
    /// Whether the run is still in its warm-up.
    pub warmup: bool,
    /// Steps done per chain, warm-up included.
    pub steps: u64,
    /// Steps per chain in all, warm-up included.
    pub steps_total: u64,
    /// Kept draws per chain so far.
    pub draws: u64,
    /// Steps per second of each chain, averaged over recent blocks.
    pub steps_per_second: f64,
    /// Estimated seconds until the end.
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
    /// It was asked to stop; the draws until then are complete.
    Interrupted,
    /// A chain could not go on; the draws until then are complete.
    Failed,
}

impl Ending {
    /// The word in traces and JSON: `complete`, `interrupted` or `failed`.
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
    /// Steps per chain, warm-up included.
    pub steps: u64,
    /// Wall time of the steps, in seconds.
    pub seconds: f64,
    /// Draws marked as diverging.
    pub divergences: u64,
    /// Steps of all chains after warm-up whose residual noise fell back to full noise.
    pub fallbacks: u64,
    /// `fallbacks` as a share of those steps.
    pub fallback_share: f64,
    /// Of a network: nats per row by which the last draws make the fitted rows more likely than outputs that are the same for all rows.
    pub gain: Option<f64>,
    /// What the run measured on the way; `None` if there were too few draws.
    pub gauges: Option<Gauges>,
}
