//! Effective sample size: how many independent draws would estimate as well.
//!
//! All of these split each chain in two and estimate the autocorrelation from within-chain
//! autocovariance and between-chain variance together, so that chains which disagree have few
//! effective draws (Vehtari et al. 2021, section 3.2). The sum over lags stops where Geyer's
//! (1992) pair sums stop being positive, and is made monotone. As in `ArviZ` it can exceed the
//! number of draws S when they are antithetic, up to S log10(S).
//!
//! Chains of fewer than ten draws have halves too short to show a correlation: the result is then
//! that bound, whatever the draws (in `ArviZ` too), and says nothing. Use [`crate::nested_rhat`].
//!
//! NaN where [`Draws::fault`] has a reason. `ArviZ` gives S for values whose range is below 1e-15;
//! here a quantity measured in small units is measured like any other.

use crate::Draws;
use crate::autocov::mean_autocovariance;
use crate::pool::Pool;
use crate::rank::Order;
use crate::slices::{centre, quantile_sorted, variance};

/// Effective sample size for the bulk of the distribution: that of the rank-normalised split
/// chains. It exists for heavy tails too.
#[must_use]
pub fn ess_bulk(draws: &Draws<'_>) -> f64 {
    Pool::checked(draws).map_or(f64::NAN, |pool| {
        let split = pool.split();
        ess(&split.with(Order::of(&split.values).scores()))
    })
}

/// Effective sample size for the tails: the smaller of those of the 5% and the 95% quantile.
///
/// A quantile that is the largest draw carries no information and is skipped; if both are, the result
/// is NaN ([`crate::Reason::FlatTails`]). `ArviZ` uses the number of draws in place of either.
#[must_use]
pub fn ess_tail(draws: &Draws<'_>) -> f64 {
    Pool::checked(draws).map_or(f64::NAN, |pool| tail(&pool, &pool.sorted()))
}

/// Effective sample size for estimating quantile `prob` in [0, 1]: that of the indicator of a draw
/// not above it.
///
/// NaN also when no draw is above it, and when `prob` is not in [0, 1].
#[must_use]
pub fn ess_quantile(draws: &Draws<'_>, prob: f64) -> f64 {
    Pool::checked(draws).map_or(f64::NAN, |pool| {
        below(&pool, quantile_sorted(&pool.sorted(), prob))
    })
}

/// Effective sample size for the mean: that of the draws as they are. Needs a finite variance.
#[must_use]
pub fn ess_mean(draws: &Draws<'_>) -> f64 {
    Pool::checked(draws).map_or(f64::NAN, |pool| ess(&pool.split()))
}

/// Effective sample size for the standard deviation: that of the squared distances from the
/// pooled mean. Needs a finite fourth moment.
#[must_use]
pub fn ess_sd(draws: &Draws<'_>) -> f64 {
    Pool::checked(draws).map_or(f64::NAN, |pool| ess(&pool.squares().split()))
}

/// Tail ESS of a pool whose sorted values are given.
pub(crate) fn tail(pool: &Pool, sorted: &[f64]) -> f64 {
    // `f64::min` skips a NaN: if no draw exceeds one quantile, the other alone counts.
    below(pool, quantile_sorted(sorted, 0.05)).min(below(pool, quantile_sorted(sorted, 0.95)))
}

fn below(pool: &Pool, quantile: f64) -> f64 {
    ess(&pool.map(|x| if x <= quantile { 1.0 } else { 0.0 }).split())
}

/// Effective sample size of chains taken as they are (split beforehand).
pub(crate) fn ess(pool: &Pool) -> f64 {
    let low = pool.values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = pool
        .values
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    if low == high {
        return f64::NAN;
    }
    // On [0, 1] no square can overflow or vanish.
    let pool = &pool.map(|x| (x - low) / (high - low));
    let draws = pool.draws as f64;
    let total = pool.chains as f64 * draws;
    let autocov = mean_autocovariance(pool);

    let within = autocov[0] * draws / (draws - 1.0);
    let mut overall = autocov[0];
    if pool.chains > 1 {
        let means: Vec<_> = (0..pool.chains).map(|c| centre(pool.chain(c))).collect();
        overall += variance(&means);
    }
    let correlation = |lag: usize| 1.0 - (within - autocov[lag]) / overall;

    let time = initial_monotone_sum(pool.draws, correlation).max(1.0 / total.log10());
    total / time
}

/// The autocorrelation time -1 + 2 (sum of correlations), truncated by Geyer's initial positive
/// sequence and made non-increasing by his initial monotone one.
///
/// Lags go in pairs (0, 1), (2, 3), ... The even lag of the first pair with a sum that is not
/// positive still counts once if it is positive itself, which makes the estimate less noisy for
/// antithetic chains.
fn initial_monotone_sum(draws: usize, correlation: impl Fn(usize) -> f64) -> f64 {
    let (mut even, mut odd) = (1.0, correlation(1));
    let mut pairs = vec![(even, odd)];
    let mut lag = 1;
    while lag + 3 < draws && even + odd > 0.0 {
        even = correlation(lag + 1);
        odd = correlation(lag + 2);
        // A NaN ends the sequence too: the comparison above is then false.
        pairs.push((even, odd));
        lag += 2;
    }
    // The last pair is the one that stopped the sum, or where the draws ran out; of it the even
    // lag alone is kept, unless the pair and it are negative.
    pairs.pop();
    let last = if even > 0.0 || even + odd >= 0.0 {
        even
    } else {
        0.0
    };

    let mut bound = f64::INFINITY;
    let mut sum = 0.0;
    for (even, odd) in pairs {
        bound = bound.min(even + odd);
        sum += bound;
    }
    -1.0 + 2.0 * sum + last
}
