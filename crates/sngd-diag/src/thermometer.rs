//! Thermometers: the actual temperature of a run, to compare with the one that the law predicts.
//!
//! Temperature has no unit; 1 is the Bayesian posterior. Both measured ones are valid near a Gaussian
//! mode: there the draws have covariance T M^-1, and their cost exceeds the mode's by T P / 2 on
//! average.

use rayon::prelude::*;

use crate::linalg::dot;
use crate::mismatch::check_lower;
use crate::moments::finite;
use crate::slices::centre;
use crate::{DiagError, Draws, Reason, Values, mcse_mean};

/// Number of draws whose energies are computed in one pass over the metric.
const GROUP: usize = 8;

/// A measured temperature and its Monte Carlo standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Temperature {
    /// The temperature; 1 is the posterior's.
    pub value: f64,
    /// Its Monte Carlo standard error; NaN if `reason` is given.
    pub mcse: f64,
    /// Why the error, or both, are NaN.
    pub reason: Option<Reason>,
}

/// The temperature of the draws' spread: tr(S M) / P.
///
/// `block[n, C, P]` are the parameters, row-major, n draws of C chains; S is their pooled
/// covariance with divisor `C n - 1`. `metric[P, P]` is M at the mean, row-major, in units of the
/// summed cost (N F + prior precision); only its lower triangle is read.
///
/// The trace is C n / (C n - 1) times the mean over draws of q = (w - mean)' M (w - mean) / P, a
/// scalar series, so the standard error is that of a mean: sd(q) / sqrt(ESS of q), which includes the
/// chains' autocorrelation. Measuring about the estimated mean makes the value too small by
/// a share of about 1 / ESS. Costs C n P^2 / 2 multiplications.
///
/// # Errors
/// [`DiagError::Empty`] with no chains or parameters, [`DiagError::Length`] if the shapes do not
/// fit, [`DiagError::NonFinite`] for the metric. A draw that is not finite is no error: it gives NaN
/// and the reason.
pub fn temperature_covariance<'a>(
    block: impl Into<Values<'a>>,
    draws: usize,
    chains: usize,
    p: usize,
    metric: &[f64],
) -> Result<Temperature, DiagError> {
    let block = block.into();
    check_lower("the metric [P, P]", metric, p)?;
    if chains == 0 {
        return Err(DiagError::Empty { axis: "chains" });
    }
    let total = draws.saturating_mul(chains);
    let expected = total.saturating_mul(p);
    if block.len() != expected {
        let what = "the block of draws [n, C, P]";
        return Err(DiagError::Length {
            what,
            expected,
            got: block.len(),
        });
    }
    let nan = |reason| Temperature {
        value: f64::NAN,
        mcse: f64::NAN,
        reason: Some(reason),
    };
    if total < 2 {
        return Ok(nan(Reason::TooFewDraws { draws }));
    }
    if let Some(at) = (0..block.len()).find(|&at| !block.get(at).is_finite()) {
        let (draw, chain) = (at / (chains * p), at / p % chains);
        return Ok(nan(Reason::NonFinite {
            chain,
            draw,
            value: block.get(at),
        }));
    }

    let mut mean = vec![0.0; p];
    let mut column = Vec::with_capacity(total);
    for (k, mean) in mean.iter_mut().enumerate() {
        column.clear();
        column.extend((0..total).map(|row| block.get(row * p + k)));
        *mean = centre(&column);
    }

    // The metric is large, so a few draws share each pass over it.
    let energies: Vec<f64> = (0..total.div_ceil(GROUP))
        .into_par_iter()
        .flat_map_iter(|group| {
            let rows = group * GROUP..total.min((group + 1) * GROUP);
            let away: Vec<Vec<f64>> = rows
                .map(|row| (0..p).map(|k| block.get(row * p + k) - mean[k]).collect())
                .collect();
            let mut energies = vec![0.0; away.len()];
            for i in 0..p {
                let row = &metric[i * p..=i * p + i];
                for (energy, d) in energies.iter_mut().zip(&away) {
                    *energy += d[i] * (2.0 * dot(&row[..i], &d[..i]) + row[i] * d[i]) / p as f64;
                }
            }
            energies
        })
        .collect();

    let bessel = total as f64 / (total as f64 - 1.0);
    let series = Draws::from_block(&energies, draws, chains, 1, 0)?;
    Ok(Temperature {
        value: bessel * centre(&energies),
        mcse: bessel * mcse_mean(&series),
        reason: series.fault(),
    })
}

/// The temperature of the mean cost: 2 (mean cost - cost at the mode) / P.
///
/// `costs` are the full-data costs C (summed negative log-likelihood and prior, at temperature 1)
/// of the draws; `cost_at_mode` is C at the minimum, in the same units. The standard error is
/// 2 / P times that of the mean cost; `cost_at_mode` is taken as exact.
///
/// # Errors
/// [`DiagError::Empty`] if `p` is 0, [`DiagError::NonFinite`] for the cost at the mode.
pub fn temperature_cost(
    costs: &Draws<'_>,
    cost_at_mode: f64,
    p: usize,
) -> Result<Temperature, DiagError> {
    if p == 0 {
        return Err(DiagError::Empty { axis: "parameters" });
    }
    if !cost_at_mode.is_finite() {
        let what = "the cost at the mode";
        return Err(DiagError::NonFinite {
            what,
            index: 0,
            value: cost_at_mode,
        });
    }
    let scale = 2.0 / p as f64;
    let excess = finite(costs).map_or(f64::NAN, |pool| {
        // Subtract first: costs are large numbers, their differences are not.
        centre(&pool.map(|c| c - cost_at_mode).values)
    });
    Ok(Temperature {
        value: scale * excess,
        mcse: scale * mcse_mean(costs),
        reason: costs.fault(),
    })
}

/// The temperature of minibatch natural gradient descent: rho eps N / (B (2 - eps)).
///
/// Exact on a quadratic with additive gradient noise of covariance rho N^2 / B F. `epsilon` is the
/// step size (1 reaches the minimum of a quadratic), `n` the rows of data, `b` those of a minibatch; `rho`
/// is 1 for rows drawn with replacement and (N - B) / (N - 1) without. Infinite at a step size of 2,
/// where the chain stops contracting; NaN outside [0, 2], without data or without a batch.
#[must_use]
pub fn law_temperature(epsilon: f64, n: usize, b: usize, rho: f64) -> f64 {
    if !(0.0..=2.0).contains(&epsilon) || n == 0 || b == 0 {
        return f64::NAN;
    }
    rho * epsilon * n as f64 / (b as f64 * (2.0 - epsilon))
}

/// The same for small steps and rows drawn with replacement: eps N / (2 B), the law as the paper
/// on natural gradient sampling states it.
///
/// NaN for a negative step, without data or without a batch.
#[must_use]
pub fn small_step_temperature(epsilon: f64, n: usize, b: usize) -> f64 {
    if epsilon.is_nan() || epsilon < 0.0 || n == 0 || b == 0 {
        return f64::NAN;
    }
    epsilon * n as f64 / (2.0 * b as f64)
}
