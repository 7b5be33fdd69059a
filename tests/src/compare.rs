//! Compares draws with a reference: errors of means in sds, of sds in percent, both with their Monte Carlo errors.

use crate::cases::Case;
use crate::drive::Draws;

/// Comparison of one parameter.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// Error of the mean: (mean − reference)/reference sd.
    pub mean_error: f64,
    /// Error of the sd: sd/reference sd − 1.
    pub sd_error: f64,
    /// Monte Carlo standard error of `mean_error`.
    pub mean_mcse: f64,
    /// Monte Carlo standard error of `sd_error`.
    pub sd_mcse: f64,
}

/// Comparison of all parameters of a case.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// One row per parameter, in the reference's order.
    pub rows: Vec<Row>,
}

impl Comparison {
    /// Largest |error of a mean|, in reference sds.
    pub fn worst_mean(&self) -> f64 {
        self.rows
            .iter()
            .map(|r| r.mean_error.abs())
            .fold(0.0, f64::max)
    }

    /// Largest |error of an sd|, relative to the reference sd.
    pub fn worst_sd(&self) -> f64 {
        self.rows
            .iter()
            .map(|r| r.sd_error.abs())
            .fold(0.0, f64::max)
    }

    /// Largest |z| of means and sds: error divided by its Monte Carlo error.
    pub fn worst_z(&self) -> f64 {
        self.rows
            .iter()
            .map(|r| {
                (r.mean_error / r.mean_mcse)
                    .abs()
                    .max((r.sd_error / r.sd_mcse).abs())
            })
            .fold(0.0, f64::max)
    }
}

/// Mean, sd and the standard errors of both from the spread between chains: chains are independent, so no
/// autocorrelation estimate is needed.
pub fn moments(chains: &[Vec<f64>]) -> (f64, f64, f64, f64) {
    let total: usize = chains.iter().map(Vec::len).sum();
    let mean = chains.iter().flatten().sum::<f64>() / total as f64;
    let var_of =
        |c: &[f64]| c.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / c.len() as f64;
    let variances: Vec<f64> = chains.iter().map(|c| var_of(c)).collect();
    let means: Vec<f64> = chains
        .iter()
        .map(|c| c.iter().sum::<f64>() / c.len() as f64)
        .collect();
    let var = variances.iter().sum::<f64>() / chains.len() as f64;
    let sd = var.sqrt();
    let error = |v: &[f64], centre: f64| {
        let n = v.len() as f64;
        (v.iter().map(|x| (x - centre) * (x - centre)).sum::<f64>() / (n * (n - 1.0))).sqrt()
    };
    (
        mean,
        sd,
        error(&means, mean),
        error(&variances, var) / (2.0 * sd),
    )
}

/// Compares draws with a case's reference.
pub fn against(case: &Case, draws: &Draws) -> Comparison {
    let rows = case
        .index
        .iter()
        .enumerate()
        .map(|(r, &i)| {
            let (mean, sd, mean_se, sd_se) = moments(&draws.chains_of(i));
            let (m, s) = (case.reference.mean[r], case.reference.sd[r]);
            let reference_error = case.reference.mean_error.get(r).copied().unwrap_or(0.0);
            Row {
                mean_error: (mean - m) / s,
                sd_error: sd / s - 1.0,
                mean_mcse: (mean_se * mean_se + reference_error * reference_error).sqrt() / s,
                sd_mcse: sd_se / s,
            }
        })
        .collect();
    Comparison { rows }
}

/// Checks mean and sd of draws against the true values: 4.5 Monte Carlo errors, plus `bias` sds for an unadjusted step.
pub fn assert_moments(what: &str, chains: &[Vec<f64>], mean: f64, sd: f64, bias: f64) {
    let (m, s, m_se, s_se) = moments(chains);
    assert!(
        (m - mean).abs() < 4.5 * m_se + bias * sd,
        "{what}: mean {m} ± {m_se}, truth {mean}"
    );
    assert!(
        (s - sd).abs() < 4.5 * s_se + bias * sd,
        "{what}: sd {s} ± {s_se}, truth {sd}"
    );
}
