//! Highest density interval.

use crate::Draws;
use crate::moments::finite;

/// The share of the draws that [`hdi`] covers by default.
pub const DEFAULT_HDI_PROB: f64 = 0.94;

/// The narrowest interval that spans the share `prob` in (0, 1] of all draws of all chains, as
/// (low, high) in the units of the quantity.
///
/// Both ends are draws, floor(prob S) places apart in the order of the S draws; of equally narrow
/// intervals the lowest. One interval even if the distribution has two modes. NaN if a draw is not
/// finite, there are none, or `prob` is not in (0, 1].
#[must_use]
pub fn hdi(draws: &Draws<'_>, prob: f64) -> (f64, f64) {
    finite(draws).map_or((f64::NAN, f64::NAN), |pool| narrowest(&pool.sorted(), prob))
}

/// The narrowest interval of sorted values.
pub(crate) fn narrowest(sorted: &[f64], prob: f64) -> (f64, f64) {
    if sorted.is_empty() || !(prob > 0.0 && prob <= 1.0) {
        return (f64::NAN, f64::NAN);
    }
    let span = ((prob * sorted.len() as f64).floor() as usize).min(sorted.len() - 1);
    let mut best = (sorted[0], sorted[span]);
    for (&low, &high) in sorted.iter().zip(&sorted[span..]) {
        if high - low < best.1 - best.0 {
            best = (low, high);
        }
    }
    best
}
