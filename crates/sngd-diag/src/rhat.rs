//! R-hat: do the chains agree, and each half of a chain with the other?

use crate::Draws;
use crate::pool::Pool;
use crate::rank::Order;
use crate::slices::{centre, variance};

/// Rank-normalised split R-hat, 1 when the chains agree; above 1.01 they do not yet.
///
/// Vehtari et al. (2021), section 4: chains are split in two, pooled, replaced by normal scores of
/// their ranks, and R-hat is the root of (pooled variance estimate / mean within-chain variance).
/// The larger of two is given: of the scores (do locations agree?) and of the scores of distances
/// from the median (do scales agree?).
///
/// NaN where [`Draws::fault`] has a reason, and with one chain.
#[must_use]
pub fn rhat(draws: &Draws<'_>) -> f64 {
    if draws.chains() < 2 {
        return f64::NAN;
    }
    Pool::checked(draws).map_or(f64::NAN, |pool| {
        let split = pool.split();
        let order = Order::of(&split.values);
        let bulk = plain(&split.with(order.scores()));
        bulk.max(plain(&split.with(order.folded().scores())))
    })
}

/// R-hat of chains taken as they are.
pub(crate) fn plain(pool: &Pool) -> f64 {
    let draws = pool.draws as f64;
    let (means, variances): (Vec<_>, Vec<_>) = (0..pool.chains)
        .map(|c| (centre(pool.chain(c)), variance(pool.chain(c))))
        .unzip();
    let between = draws * variance(&means);
    let within = centre(&variances);
    ((between / within + draws - 1.0) / draws).sqrt()
}
