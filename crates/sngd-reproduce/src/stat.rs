//! Estimates with Monte Carlo errors. Chains are independent, so their spread needs no estimate of autocorrelation.

use crate::error::Error;
use crate::sample::Sampled;
use faer::Par;
use sngd_core::draws::Draws;
use sngd_cpu::dense::Factor;
use sngd_cpu::map::Mode;

/// Number of points at which the quantiles of two distributions are compared.
pub const QUANTILES: usize = 1000;
/// Number of random splits into halves that a floor is averaged over.
const SPLITS: usize = 24;

/// An estimated number and its standard error.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The estimated number.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
}

impl Estimate {
    /// The estimate divided by a constant.
    pub fn over(self, by: f64) -> Estimate {
        Estimate {
            value: self.value / by,
            se: self.se / by.abs(),
        }
    }

    /// self − other, for independent estimates.
    pub fn minus(self, other: Estimate) -> Estimate {
        Estimate {
            value: self.value - other.value,
            se: self.se.hypot(other.se),
        }
    }

    /// Distance from `truth` in standard errors.
    pub fn z(self, truth: f64) -> f64 {
        (self.value - truth) / self.se
    }
}

/// Extrapolates to ε = 0: 2·half − full removes an error linear in ε.
pub fn richardson(full: Estimate, half: Estimate) -> Estimate {
    Estimate {
        value: 2.0 * half.value - full.value,
        se: (2.0 * half.se).hypot(full.se),
    }
}

/// Mean of one number per chain.
pub fn over_chains(v: &[f64]) -> Estimate {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    let squares: f64 = v.iter().map(|x| (x - mean) * (x - mean)).sum();
    Estimate {
        value: mean,
        se: (squares / (n * (n - 1.0))).sqrt(),
    }
}

/// Mean and sd of the pooled draws, with errors from the spread between chains.
pub fn mean_sd(chains: &[Vec<f64>]) -> (Estimate, Estimate) {
    let mean = |c: &[f64]| c.iter().sum::<f64>() / c.len() as f64;
    let means: Vec<f64> = chains.iter().map(|c| mean(c)).collect();
    let centre = over_chains(&means);
    let variances: Vec<f64> = chains
        .iter()
        .map(|c| {
            let squares = c.iter().map(|x| (x - centre.value).powi(2));
            squares.sum::<f64>() / c.len() as f64
        })
        .collect();
    let var = over_chains(&variances);
    let sd = var.value.sqrt();
    let sd = Estimate {
        value: sd,
        se: var.se / (2.0 * sd),
    };
    (centre, sd)
}

/// Temperature T̂ = tr(Σ̂_ω·M)/P about the pooled mean, M at the mode.
pub fn temperature(Sampled { draws, mode }: &Sampled) -> Estimate {
    let (p, c) = (draws.p, draws.chains);
    let mut mean = vec![0.0; p];
    for w in draws.internal.chunks(p) {
        mean.iter_mut().zip(w).for_each(|(m, x)| *m += x);
    }
    let total = (draws.n * c) as f64;
    mean.iter_mut().for_each(|m| *m /= total);
    let mut energy = vec![0.0; c];
    let mut away = vec![0.0; p];
    for (k, w) in draws.internal.chunks(p).enumerate() {
        for i in 0..p {
            away[i] = w[i] - mean[i];
        }
        let q: f64 = (0..p)
            .map(|i| {
                let row = &mode.metric[i * p..(i + 1) * p];
                away[i] * row.iter().zip(&away).map(|(m, a)| m * a).sum::<f64>()
            })
            .sum();
        energy[k % c] += q / (p * draws.n) as f64;
    }
    over_chains(&energy)
}

/// Ratio tr(F⁻¹Σ_g)/P at the mode: the factor by which minibatch noise exceeds the law's.
pub fn noise_ratio(mode: &Mode) -> Result<f64, Error> {
    let p = mode.omega.len();
    let fisher = factor(&mode.fisher, p)?;
    let mut trace = 0.0;
    for j in 0..p {
        let mut column: Vec<f64> = (0..p).map(|i| mode.sigma_g[i * p + j]).collect();
        fisher.solve(&mut column);
        trace += column[j];
    }
    Ok(trace / p as f64)
}

/// The draws of all chains in ascending order.
pub fn pooled(chains: &[Vec<f64>]) -> Vec<f64> {
    let mut all: Vec<f64> = chains.iter().flatten().copied().collect();
    all.sort_by(f64::total_cmp);
    all
}

/// Quantiles at (i + ½)/m of sorted values, `[m]`.
pub fn quantiles(sorted: &[f64], m: usize) -> Vec<f64> {
    let last = sorted.len().saturating_sub(1);
    (0..m)
        .map(|i| {
            let at = ((i as f64 + 0.5) / m as f64 * sorted.len() as f64 - 0.5).max(0.0);
            let low = (at.floor() as usize).min(last);
            let high = (low + 1).min(last);
            sorted[low] + (at - low as f64).min(1.0) * (sorted[high] - sorted[low])
        })
        .collect()
}

/// Wasserstein-1 distance of two distributions, from their quantiles at the same points.
pub fn wasserstein(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).abs()).sum::<f64>() / a.len() as f64
}

/// The distance of `chains` from their unknown distribution that Monte Carlo error alone gives, and its spread. Half of the
/// distance between random halves of the chains: that is twice the distance of all chains from their distribution.
pub fn floor(chains: &[Vec<f64>]) -> Estimate {
    let distances: Vec<f64> = (0..SPLITS)
        .map(|split| {
            let mut order: Vec<usize> = (0..chains.len()).collect();
            // A fixed shuffle per split: no estimate depends on the order of the chains.
            let key = |c: usize| {
                let x = ((c as u64 + 1) << 32 | split as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
                (x ^ (x >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9)
            };
            order.sort_by_key(|&c| key(c));
            let half = |which: &[usize]| {
                let part: Vec<Vec<f64>> = which.iter().map(|&c| chains[c].clone()).collect();
                quantiles(&pooled(&part), QUANTILES)
            };
            let (a, b) = order.split_at(order.len() / 2);
            0.5 * wasserstein(&half(a), &half(b))
        })
        .collect();
    let n = distances.len() as f64;
    let mean = distances.iter().sum::<f64>() / n;
    let var = distances.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    Estimate {
        value: mean,
        se: var.sqrt(),
    }
}

/// The Cholesky factor of a symmetric matrix.
pub fn factor(a: &[f64], p: usize) -> Result<Factor<f64>, Error> {
    let mut f = Factor::new(p);
    match f.factor(a, 0.0, 0, Par::Seq) {
        Ok(()) => Ok(f),
        Err(_) => Err(Error::Numbers(
            "a covariance has no Cholesky factor; the run is too short".into(),
        )),
    }
}

/// The inverse A⁻¹ of a positive definite matrix, `[P,P]`.
pub fn inverse(a: &[f64], p: usize) -> Result<Vec<f64>, Error> {
    let mut out = vec![0.0; p * p];
    factor(a, p)?.inverse(&mut out, Par::Seq);
    Ok(out)
}

/// A Gaussian distribution.
pub struct Gauss {
    /// Mean, `[P]`.
    pub mean: Vec<f64>,
    /// Covariance, `[P,P]`.
    pub cov: Vec<f64>,
    log_det: f64,
}

impl Gauss {
    /// From a mean and a covariance.
    pub fn new(mean: Vec<f64>, cov: Vec<f64>) -> Result<Gauss, Error> {
        let log_det = factor(&cov, mean.len())?.log_det;
        Ok(Gauss { mean, cov, log_det })
    }

    /// Has the mean and the covariance of the draws' ω.
    pub fn fit(draws: &Draws) -> Result<Gauss, Error> {
        let p = draws.p;
        let total = (draws.n * draws.chains) as f64;
        let (mut mean, mut cov) = (vec![0.0; p], vec![0.0; p * p]);
        for w in draws.internal.chunks(p) {
            mean.iter_mut().zip(w).for_each(|(m, x)| *m += x / total);
        }
        for w in draws.internal.chunks(p) {
            for i in 0..p {
                for j in 0..p {
                    cov[i * p + j] += (w[i] - mean[i]) * (w[j] - mean[j]) / total;
                }
            }
        }
        Gauss::new(mean, cov)
    }

    /// KL divergence KL(self ‖ other) in nats.
    pub fn kl(&self, other: &Gauss) -> Result<f64, Error> {
        let p = self.mean.len();
        let inverse = inverse(&other.cov, p)?;
        let away: Vec<f64> = (0..p).map(|i| other.mean[i] - self.mean[i]).collect();
        let mut twice = other.log_det - self.log_det - p as f64;
        for i in 0..p {
            for j in 0..p {
                twice += inverse[i * p + j] * (self.cov[j * p + i] + away[i] * away[j]);
            }
        }
        Ok(0.5 * twice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chains of independent uniforms.
    fn uniforms(chains: usize, n: usize, shift: f64) -> Vec<Vec<f64>> {
        let mut dice = crate::data::Dice::new(7, 1);
        (0..chains)
            .map(|_| (0..n).map(|_| dice.uniform() + shift).collect())
            .collect()
    }

    #[test]
    fn a_shift_is_its_wasserstein_distance() {
        let q = |shift| quantiles(&pooled(&uniforms(8, 500, shift)), QUANTILES);
        assert!((wasserstein(&q(0.0), &q(0.25)) - 0.25).abs() < 1e-12);
    }

    /// The floor is the average distance to the true distribution: 0.32 n^−½ for uniforms (E|Brownian bridge| = √(π/32)).
    #[test]
    fn the_floor_is_what_monte_carlo_error_gives() {
        let (chains, n) = (64, 500);
        let floor = floor(&uniforms(chains, n, 0.0));
        let expected = (std::f64::consts::PI / 32.0).sqrt() / ((chains * n) as f64).sqrt();
        assert!(
            (floor.value / expected - 1.0).abs() < 0.35,
            "{floor:?} {expected}"
        );
    }

    #[test]
    fn kl_of_gaussians_is_the_textbook_value() {
        let a = Gauss::new(vec![0.0, 0.0], vec![1.0, 0.0, 0.0, 1.0]).unwrap();
        let b = Gauss::new(vec![1.0, 0.0], vec![4.0, 0.0, 0.0, 1.0]).unwrap();
        let expected = 0.5 * (0.25 + 1.0 + 0.25 - 2.0 + 4f64.ln());
        assert!((a.kl(&b).unwrap() - expected).abs() < 1e-12);
        assert!(a.kl(&a).unwrap().abs() < 1e-12);
    }

    #[test]
    fn an_error_linear_in_the_step_is_extrapolated_away() {
        let at = |e: f64| Estimate {
            value: 3.0 + 2.0 * e,
            se: 0.1,
        };
        let limit = richardson(at(0.2), at(0.1));
        assert!((limit.value - 3.0).abs() < 1e-12);
        assert!((limit.se - 0.05f64.sqrt()).abs() < 1e-12);
    }
}
