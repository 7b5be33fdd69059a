//! Nested R-hat, for many chains that are short.

use crate::pool::Pool;
use crate::rank::Order;
use crate::slices::{centre, variance};
use crate::{DiagError, Draws, Reason};

/// Rank-normalised nested R-hat of many short chains, 1 when the superchains agree.
///
/// A superchain is a group of chains that started at one point; here each consists of the same number
/// of consecutive chains. R-hat needs chains long enough to forget their start; nested R-hat only
/// needs the *groups* to have forgotten it, which many chains show after few draws. It is
/// [`nested_rhat_raw`] of normal scores of ranks, and of distances from the median, whichever is
/// larger; chains of four draws or more are split in two, shorter ones are taken whole.
///
/// From four draws on this is `arviz.rhat_nested` with method "rank".
///
/// # Errors
/// [`DiagError::Superchains`] unless `superchains` is at least 2 and divides the chains, and
/// [`DiagError::Draws`] if a draw is not finite, there are none, or all are equal. A single
/// chain that does not move is no error: over one to three draws that is ordinary.
pub fn nested_rhat(draws: &Draws<'_>, superchains: usize) -> Result<f64, DiagError> {
    let pool = deal(draws, superchains)?;
    // Splitting gives all first halves, then all second ones: both halves of a chain stay in
    // its superchain when the groups are read as (half, superchain, chain).
    let (pool, halves) = if pool.draws >= Draws::MIN {
        (pool.split(), 2)
    } else {
        (pool, 1)
    };
    let order = Order::of(&pool.values);
    let bulk = nested(&pool.with(order.scores()), superchains, halves);
    let folded = nested(&pool.with(order.folded().scores()), superchains, halves);
    Ok(bulk.max(folded))
}

/// Nested R-hat of the draws as they are: equations 4 to 8 of Margossian et al. (2024).
///
/// With K superchains of M chains, it is the root of 1 + B / W, where B is the variance of the K
/// superchain means and W the mean over superchains of (variance of its M chain means, 0 if
/// M = 1) + (mean variance within its chains, 0 with one draw). Needs a finite variance; defined
/// from one draw on if M > 1. This is `arviz.rhat_nested` with method "identity".
///
/// # Errors
/// As [`nested_rhat`].
pub fn nested_rhat_raw(draws: &Draws<'_>, superchains: usize) -> Result<f64, DiagError> {
    Ok(nested(&deal(draws, superchains)?, superchains, 1))
}

fn deal(draws: &Draws<'_>, superchains: usize) -> Result<Pool, DiagError> {
    let chains = draws.chains();
    if superchains < 2 || !chains.is_multiple_of(superchains) {
        return Err(DiagError::Superchains {
            chains,
            superchains,
        });
    }
    if draws.draws() == 0 {
        return Err(DiagError::Draws(Reason::TooFewDraws { draws: 0 }));
    }
    if let Some(reason) = draws.non_finite().or_else(|| draws.constant()) {
        return Err(DiagError::Draws(reason));
    }
    if draws.draws() == 1 && chains == superchains {
        // With one draw of one chain in each superchain there is no variance to compare with.
        return Err(DiagError::Draws(Reason::TooFewDraws { draws: 1 }));
    }
    Ok(Pool::gather(draws))
}

fn nested(pool: &Pool, superchains: usize, halves: usize) -> f64 {
    let whole = pool.chains / halves;
    let size = whole / superchains;
    let (means, withins): (Vec<_>, Vec<_>) = (0..superchains)
        .map(|k| {
            let chains = (0..halves).flat_map(|h| (0..size).map(move |m| h * whole + k * size + m));
            let (means, variances): (Vec<_>, Vec<_>) = chains
                .map(|c| (centre(pool.chain(c)), zero_of_one(pool.chain(c))))
                .unzip();
            (centre(&means), zero_of_one(&means) + centre(&variances))
        })
        .unzip();
    (1.0 + variance(&means) / centre(&withins)).sqrt()
}

fn zero_of_one(values: &[f64]) -> f64 {
    if values.len() == 1 {
        0.0
    } else {
        variance(values)
    }
}
