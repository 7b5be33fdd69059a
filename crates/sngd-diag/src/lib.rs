//! Convergence diagnostics: R-hat, ESS, MCSE, HDI, thermometers.
//!
//! Every function here is a pure function of draws. [`Draws`] is a view of one scalar quantity,
//! chains x draws, in a larger block of numbers; [`summarize`] computes the row that a table prints;
//! [`temperature_covariance`] and its neighbours measure the actual temperature of a run.
//!
//! On draws that have diagnostics the numbers are those of `ArviZ` 1.3 (`arviz-stats` 1.3.3), to
//! rounding. Where `ArviZ` would invent a number (constant draws get an effective sample size equal to
//! the number of draws there), this crate gives NaN and a [`Reason`].
//!
//! ```
//! use sngd_diag::{Draws, Reason, summarize};
//!
//! // Two chains of four draws, the second of which never moved.
//! let values = [0.1, -0.3, 0.7, 0.2, 1.0, 1.0, 1.0, 1.0];
//! let row = summarize(&Draws::chain_major(&values, 2, 4)?);
//! assert!(row.ess_bulk.is_nan());
//! assert!(matches!(row.reason, Some(Reason::Stuck { chain: 1, .. })));
//! # Ok::<(), sngd_diag::DiagError>(())
//! ```

mod autocov;
mod draws;
mod error;
mod ess;
mod hdi;
mod linalg;
mod mcse;
mod mismatch;
mod moments;
mod nested;
mod pareto;
mod pool;
mod rank;
mod reason;
mod rhat;
mod slices;
mod summary;
mod thermometer;

pub use draws::{Draws, Values};
pub use error::DiagError;
pub use ess::{ess_bulk, ess_mean, ess_quantile, ess_sd, ess_tail};
pub use hdi::{DEFAULT_HDI_PROB, hdi};
pub use mcse::{mcse_mean, mcse_sd};
pub use mismatch::{FisherMismatch, fisher_mismatch};
pub use moments::{mean, quantile, sd};
pub use nested::{nested_rhat, nested_rhat_raw};
pub use pareto::pareto_k;
pub use reason::Reason;
pub use rhat::rhat;
pub use summary::{Summary, summarize, summarize_block, summarize_with};
pub use thermometer::{
    Temperature, law_temperature, small_step_temperature, temperature_cost, temperature_covariance,
};
