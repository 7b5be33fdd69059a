//! Mean, standard deviation and quantiles of the pooled draws.

use crate::Draws;
use crate::pool::Pool;
use crate::slices::{centre, quantile_sorted, variance};

/// Mean of all draws of all chains, in the units of the quantity. NaN if a draw is not finite or
/// there are none.
#[must_use]
pub fn mean(draws: &Draws<'_>) -> f64 {
    finite(draws).map_or(f64::NAN, |pool| centre(&pool.values))
}

/// Standard deviation of all draws of all chains about their common mean, with divisor `C n - 1`,
/// in the units of the quantity. NaN if a draw is not finite or there are fewer than two.
#[must_use]
pub fn sd(draws: &Draws<'_>) -> f64 {
    finite(draws).map_or(f64::NAN, |pool| variance(&pool.values).sqrt())
}

/// Quantile `prob` in [0, 1] of all draws of all chains, in the units of the quantity: linear
/// interpolation between order statistics, type 7 of Hyndman and Fan (1996). NaN if a draw is not
/// finite, there are none, or `prob` is not in [0, 1].
#[must_use]
pub fn quantile(draws: &Draws<'_>, prob: f64) -> f64 {
    finite(draws).map_or(f64::NAN, |pool| quantile_sorted(&pool.sorted(), prob))
}

pub(crate) fn finite(draws: &Draws<'_>) -> Option<Pool> {
    let pool = Pool::gather(draws);
    (!pool.values.is_empty() && pool.view().non_finite().is_none()).then_some(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `numpy.quantile` keeps the digits of the nearer end, where low + (high - low) share gives -2.
    #[test]
    fn a_quantile_keeps_the_digits_of_the_nearer_end() {
        let near = quantile_sorted(&[-1e16, 1.0], 1.0 - f64::EPSILON / 2.0);
        assert!(
            (near - (1.0 - 1e16 * f64::EPSILON / 2.0)).abs() < 1e-12,
            "{near}"
        );
    }
}
