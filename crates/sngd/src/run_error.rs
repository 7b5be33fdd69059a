//! How the numbers of a run can fail.

use sngd_core::engine::FaultKind;
use thiserror::Error;

/// Share of steps whose residual noise may fall back to full noise before the run counts as failed. A fallback adds
/// the minibatch noise once more, so that the temperature is off by about this share of it.
pub const MAX_FALLBACK_SHARE: f64 = 0.01;

/// The numbers of the run failed. The draws before the fault were passed on.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum RunError {
    /// One chain cannot go on.
    #[error("{sentence}")]
    Numbers {
        /// Number of the chain, from 0.
        chain: u32,
        /// Step of the fault, counted from the start of warm-up.
        step: u32,
        /// What happened.
        kind: FaultKind,
        /// The whole message, with the remedy.
        sentence: String,
    },
    /// A likelihood that is written in WGSL could not be evaluated on the CPU at a state of a chain.
    #[error("{sentence}")]
    Unevaluable {
        /// The whole message, with file and line.
        sentence: String,
    },
    /// A chain ran far from the posterior, though its numbers stayed finite.
    #[error("{sentence}")]
    RanAway {
        /// Number of the chain, from 0.
        chain: u32,
        /// The whole message, with the remedy.
        sentence: String,
    },
    /// Residual noise fell back to full noise too often.
    #[error("{sentence}")]
    Fallbacks {
        /// Share of the steps that fell back.
        share: f64,
        /// The whole message, with the remedy.
        sentence: String,
    },
}
