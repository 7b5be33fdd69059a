//! One row per quantity: what a table of a run prints.

use rayon::prelude::*;

use crate::ess::{ess, tail};
use crate::hdi::{DEFAULT_HDI_PROB, narrowest};
use crate::mcse::{of_mean, of_sd};
use crate::pool::Pool;
use crate::rank::Order;
use crate::rhat::plain;
use crate::slices::{centre, quantile_sorted, variance};
use crate::{DiagError, Draws, Reason, Values};

/// The diagnostics of one quantity. Moments and errors are in its units.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Summary {
    /// Mean of all draws.
    pub mean: f64,
    /// Standard deviation of all draws, divisor one less than their number.
    pub sd: f64,
    /// Monte Carlo standard error of the mean.
    pub mcse_mean: f64,
    /// Monte Carlo standard error of the standard deviation.
    pub mcse_sd: f64,
    /// Lower end of the highest density interval.
    pub hdi_low: f64,
    /// Upper end of the highest density interval.
    pub hdi_high: f64,
    /// Effective sample size of the bulk.
    pub ess_bulk: f64,
    /// Effective sample size of the tails.
    pub ess_tail: f64,
    /// Rank-normalised split R-hat.
    pub rhat: f64,
    /// Why some of the above are NaN; `None` if none is. If there are several reasons, the most serious one.
    pub reason: Option<Reason>,
}

/// The row of one quantity, with the interval that covers [`DEFAULT_HDI_PROB`] of the draws.
#[must_use]
pub fn summarize(draws: &Draws<'_>) -> Summary {
    summarize_with(draws, DEFAULT_HDI_PROB)
}

/// The row of one quantity, with the interval that covers the share `hdi_prob` in (0, 1].
///
/// Each number is that of the function with its name; computing them together sorts only once. With a
/// stuck chain, a constant quantity or fewer than four draws, the mean, the sd and the interval
/// still describe the draws and all else is NaN; with a draw that is not finite, everything is NaN.
#[must_use]
pub fn summarize_with(draws: &Draws<'_>, hdi_prob: f64) -> Summary {
    let nan = f64::NAN;
    let mut row = Summary {
        mean: nan,
        sd: nan,
        mcse_mean: nan,
        mcse_sd: nan,
        hdi_low: nan,
        hdi_high: nan,
        ess_bulk: nan,
        ess_tail: nan,
        rhat: nan,
        reason: None,
    };
    let pool = Pool::gather(draws);
    row.reason = pool.view().fault();
    if pool.values.is_empty() || matches!(row.reason, Some(Reason::NonFinite { .. })) {
        return row;
    }

    let sorted = pool.sorted();
    row.mean = centre(&pool.values);
    row.sd = variance(&pool.values).sqrt();
    (row.hdi_low, row.hdi_high) = narrowest(&sorted, hdi_prob);
    if row.reason.is_some() {
        return row;
    }

    let split = pool.split();
    let order = Order::of(&split.values);
    let scores = split.with(order.scores());
    row.mcse_mean = of_mean(&pool);
    row.mcse_sd = of_sd(&pool);
    row.ess_bulk = ess(&scores);
    row.ess_tail = tail(&pool, &sorted);
    if pool.chains > 1 {
        row.rhat = plain(&scores).max(plain(&split.with(order.folded().scores())));
    } else {
        row.reason = Some(Reason::OneChain);
    }
    if row.ess_tail.is_nan() {
        row.reason = Some(Reason::FlatTails {
            value: quantile_sorted(&sorted, 0.05),
        });
    }
    if ![row.mean, row.sd, row.mcse_mean, row.mcse_sd]
        .iter()
        .all(|x| x.is_finite())
    {
        let (low, high) = (sorted[0], sorted[sorted.len() - 1]);
        row.reason = Some(Reason::Overflow {
            value: if -low > high { low } else { high },
        });
    }
    row
}

/// The rows of all P quantities of a block `data[n, C, P]`, row-major, on all threads of rayon's
/// pool. The rows do not depend on the number of threads.
///
/// # Errors
/// [`DiagError::Length`] if the block does not contain `draws * chains * quantities` values,
/// [`DiagError::Empty`] with no chains.
pub fn summarize_block<'a>(
    data: impl Into<Values<'a>>,
    draws: usize,
    chains: usize,
    quantities: usize,
    hdi_prob: f64,
) -> Result<Vec<Summary>, DiagError> {
    let data = data.into();
    let expected = draws.saturating_mul(chains).saturating_mul(quantities);
    if data.len() != expected {
        return Err(DiagError::Length {
            what: "the block [n, C, P]",
            expected,
            got: data.len(),
        });
    }
    (0..quantities)
        .into_par_iter()
        .map(|p| {
            let column = Draws::from_block(data, draws, chains, quantities, p)?;
            Ok(summarize_with(&column, hdi_prob))
        })
        .collect()
}
