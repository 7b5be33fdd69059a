//! Monte Carlo standard errors: how far an estimate may lie from what endless draws would give.

use crate::Draws;
use crate::ess::ess;
use crate::pool::Pool;
use crate::slices::{centre, variance};

/// Standard error of the mean, in the units of the quantity: pooled sd / sqrt(ESS of the mean).
///
/// NaN where [`Draws::fault`] has a reason.
#[must_use]
pub fn mcse_mean(draws: &Draws<'_>) -> f64 {
    Pool::checked(draws).map_or(f64::NAN, |pool| of_mean(&pool))
}

/// Standard error of the standard deviation, in the units of the quantity.
///
/// The variance s^2 is the mean of squared distances d from the pooled mean; its error has
/// variance (mean d^2 - (mean d)^2) / (ESS of d), and the delta method divides by 4 s^2 for the
/// root (Kenney and Keeping 1951; Vehtari et al. 2021, section 4.4). Exact for no shape of
/// distribution, sound for any with a fourth moment.
///
/// 0 if all draws lie equally far from the mean, as balanced draws of two values do. NaN where
/// [`Draws::fault`] has a reason.
#[must_use]
pub fn mcse_sd(draws: &Draws<'_>) -> f64 {
    Pool::checked(draws).map_or(f64::NAN, |pool| of_sd(&pool))
}

pub(crate) fn of_mean(pool: &Pool) -> f64 {
    (variance(&pool.values) / ess(&pool.split())).sqrt()
}

pub(crate) fn of_sd(pool: &Pool) -> f64 {
    let squares = pool.squares();
    let mean = centre(&squares.values);
    // The spread of d relative to its mean, so that no fourth power is ever formed.
    let spread = centre(&squares.map(|d| (d / mean - 1.0) * (d / mean - 1.0)).values);
    if spread == 0.0 {
        return 0.0;
    }
    (spread / ess(&squares.split()) * mean / 4.0).sqrt()
}
