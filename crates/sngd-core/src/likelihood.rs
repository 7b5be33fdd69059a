//! Likelihoods over H outputs per row: K linear predictors and A auxiliary parameters.
//!
//! An auxiliary parameter (log σ) is an output whose design row is the single number 1, so that gradients,
//! Fisher blocks and corrections need no second path: with J the row's [H,P] Jacobian, the gradient is
//! Jᵀs, the Fisher information JᵀWJ. Symmetric [H,H] arrays are packed lower, `at(k, l)`, k ≥ l.

mod custom;
pub mod remainder;

pub use custom::{Custom, LikelihoodBody, MAX_OUTPUTS, WgslBody, check_shape, difference};

use crate::real::Real;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Index of (k, l) in the packed lower triangle of a symmetric matrix.
#[inline]
pub const fn packed(k: usize, l: usize) -> usize {
    if k >= l {
        k * (k + 1) / 2 + l
    } else {
        l * (l + 1) / 2 + k
    }
}

/// Link of a Bernoulli or binomial mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// μ = 1/(1 + e^−η), canonical.
    Logit,
    /// μ = Φ(η).
    Probit,
    /// μ = 1 − exp(−e^η).
    Cloglog,
}

/// The likelihoods, each in internal units.
#[derive(Debug, Clone, PartialEq)]
pub enum Likelihood {
    /// y ∼ N(η, σ²), σ known.
    Gaussian {
        /// σ in internal units.
        scale: f64,
    },
    /// y ∼ N(η₀, e^{2η₁}): η₁ = log σ is auxiliary.
    GaussianUnknownScale,
    /// y successes of t trials (t = 1: Bernoulli).
    Binomial(Link),
    /// y ∼ Poisson(e^η).
    Poisson,
    /// y ∈ {0, …, classes−1}; with `baseline` class 0 has the logit 0 and no parameters.
    Softmax {
        /// Number of classes.
        classes: usize,
        /// Whether class 0 is fixed.
        baseline: bool,
    },
    /// A user-defined likelihood.
    Custom(Arc<Custom>),
}

/// The response of one row: y and the binomial's trials (1 elsewhere).
#[derive(Debug, Clone, Copy)]
pub struct Observed<T> {
    /// Response; a class index for softmax.
    pub y: T,
    /// Trials of a binomial, or the companion column of a custom likelihood.
    pub trials: T,
}

impl Likelihood {
    /// Number of linear outputs, K.
    pub fn linear_outputs(&self) -> usize {
        match *self {
            Likelihood::Softmax { classes, baseline } => classes - usize::from(baseline),
            Likelihood::Custom(ref own) => own.linear_outputs,
            _ => 1,
        }
    }

    /// Number of auxiliary outputs, A.
    pub fn aux_outputs(&self) -> usize {
        usize::from(self.auxiliary().is_some())
    }

    /// Name of the auxiliary parameter as reported, on its natural positive scale.
    pub fn auxiliary(&self) -> Option<&str> {
        match self {
            Likelihood::GaussianUnknownScale => Some("scale"),
            Likelihood::Custom(own) => own.auxiliary.as_deref(),
            _ => None,
        }
    }

    /// Number of outputs, H = K + A.
    pub fn outputs(&self) -> usize {
        self.linear_outputs() + self.aux_outputs()
    }

    /// ln p(y|η) in nats, without terms that do not depend on η; writes the scores s = ∂ ln p/∂η into `score` [H].
    #[inline]
    pub fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        let (y, t) = (obs.y, obs.trials);
        match *self {
            Likelihood::Gaussian { scale } => {
                let w = T::of(1.0 / (scale * scale));
                let r = y - eta[0];
                score[0] = r * w;
                T::of(-0.5) * r * r * w
            }
            Likelihood::GaussianUnknownScale => {
                let w = (T::of(-2.0) * eta[1]).exp();
                let r = y - eta[0];
                score[0] = r * w;
                score[1] = r * r * w - T::one();
                -eta[1] - T::of(0.5) * r * r * w
            }
            Likelihood::Binomial(link) => {
                let (ll, s) = binomial_score(link, eta[0], y, t);
                score[0] = s;
                ll
            }
            Likelihood::Poisson => {
                let mu = eta[0].exp();
                score[0] = y - mu;
                y * eta[0] - mu
            }
            Likelihood::Softmax {
                classes: _,
                baseline,
            } => {
                let log_sum = probabilities(eta, baseline, score);
                score.iter_mut().for_each(|p| *p = -*p);
                // With a baseline, class 0 is the logit that is fixed at 0.
                let class = y.to64() as usize;
                match class.checked_sub(usize::from(baseline)) {
                    Some(own) if own < eta.len() => {
                        score[own] += T::one();
                        eta[own] - log_sum
                    }
                    _ => -log_sum,
                }
            }
            Likelihood::Custom(ref own) => own.log_lik_and_score(eta, obs, score),
        }
    }

    /// Writes the exact Fisher information of the outputs, W = E[s sᵀ] over the labels of the model, packed [H(H+1)/2].
    #[inline]
    pub fn fisher<T: Real>(&self, eta: &[T], trials: T, w: &mut [T]) {
        match *self {
            Likelihood::Gaussian { scale } => w[0] = T::of(1.0 / (scale * scale)),
            Likelihood::GaussianUnknownScale => {
                w[0] = (T::of(-2.0) * eta[1]).exp();
                w[1] = T::zero();
                w[2] = T::of(2.0);
            }
            Likelihood::Binomial(link) => w[0] = binomial_weight(link, eta[0], trials).0,
            Likelihood::Poisson => w[0] = eta[0].exp(),
            Likelihood::Softmax { baseline, .. } => {
                // The probabilities are stored in the last row of W until that row is computed.
                let first = packed(eta.len() - 1, 0);
                probabilities(eta, baseline, &mut w[first..]);
                for k in 0..eta.len() {
                    let pk = w[first + k];
                    for l in 0..k {
                        w[packed(k, l)] = -pk * w[first + l];
                    }
                    w[packed(k, k)] = pk * (T::one() - pk);
                }
            }
            Likelihood::Custom(ref own) => own.fisher(eta, trials, w),
        }
    }

    /// Contracts the derivative of the exact W with a symmetric packed h [H(H+1)/2]:
    /// volume[m] = Σ_kl ∂W_kl/∂η_m h_kl and divergence[k] = Σ_lm ∂W_kl/∂η_m h_lm. With h = J M⁻¹ Jᵀ, summed over
    /// rows, ∇ln|M| = Σ Jᵀ·volume and Γ = −M⁻¹ Σ Jᵀ·divergence, for any linear predictor.
    #[inline]
    pub fn contract<T: Real>(
        &self,
        eta: &[T],
        trials: T,
        h: &[T],
        volume: &mut [T],
        divergence: &mut [T],
    ) {
        match *self {
            Likelihood::Gaussian { .. } => {
                volume[0] = T::zero();
                divergence[0] = T::zero();
            }
            Likelihood::GaussianUnknownScale => {
                let dw = T::of(-2.0) * (T::of(-2.0) * eta[1]).exp();
                volume[0] = T::zero();
                volume[1] = dw * h[packed(0, 0)];
                divergence[0] = dw * h[packed(1, 0)];
                divergence[1] = T::zero();
            }
            Likelihood::Binomial(link) => {
                volume[0] = binomial_weight(link, eta[0], trials).1 * h[0];
                divergence[0] = volume[0];
            }
            Likelihood::Poisson => {
                volume[0] = eta[0].exp() * h[0];
                divergence[0] = volume[0];
            }
            Likelihood::Softmax { baseline, .. } => {
                // Third cumulant of a one-hot vector: p_m (f_m − Σ_c p_c f_c), f_c = h_cc − 2(hp)_c (+ pᵀhp, which cancels).
                let k = eta.len();
                let p = &mut volume[..k];
                probabilities(eta, baseline, p);
                let mut mean = T::zero();
                for c in 0..k {
                    let mut hp = T::zero();
                    for l in 0..k {
                        hp += h[packed(c, l)] * p[l];
                    }
                    divergence[c] = h[packed(c, c)] - T::of(2.0) * hp;
                    mean += p[c] * divergence[c];
                }
                for c in 0..k {
                    p[c] *= divergence[c] - mean;
                }
                divergence[..k].copy_from_slice(&volume[..k]);
            }
            Likelihood::Custom(ref own) => own.contract(eta, trials, h, volume, divergence),
        }
    }

    /// A label drawn from the model, for the Monte Carlo Fisher. `u` is uniform in (0,1), `z` normal, `more`
    /// gives further uniforms. Counts with a mean above 64 take a real-valued label μ + sd·z: only its first two
    /// moments enter the Fisher matrix.
    pub fn draw_label<T: Real>(
        &self,
        eta: &[T],
        trials: T,
        u: f64,
        z: f64,
        mut more: impl FnMut() -> f64,
    ) -> T {
        match *self {
            Likelihood::Gaussian { scale } => eta[0] + T::of(scale * z),
            Likelihood::GaussianUnknownScale => eta[0] + eta[1].exp() * T::of(z),
            Likelihood::Binomial(link) => {
                let mu = binomial_mean(link, eta[0]).to64();
                let t = trials.to64();
                if t > 64.0 {
                    return T::of(t * mu + (t * mu * (1.0 - mu)).sqrt() * z);
                }
                let mut y = f64::from(u8::from(u < mu));
                for _ in 1..t as usize {
                    y += f64::from(u8::from(more() < mu));
                }
                T::of(y)
            }
            Likelihood::Poisson => {
                let mu = eta[0].exp().to64();
                if mu > 64.0 {
                    return T::of(mu + mu.sqrt() * z);
                }
                let (mut y, mut p, mut left) = (0.0, (-mu).exp(), u);
                while left > p && y < 1024.0 {
                    left -= p;
                    y += 1.0;
                    p *= mu / y;
                }
                T::of(y)
            }
            Likelihood::Softmax { baseline, .. } => {
                let (max, sum) = softmax_normaliser(eta, baseline);
                let mut left = u;
                if baseline {
                    left -= ((-max).exp() / sum).to64();
                    if left <= 0.0 {
                        return T::zero();
                    }
                }
                let offset = usize::from(baseline);
                for (j, &e) in eta.iter().enumerate() {
                    left -= ((e - max).exp() / sum).to64();
                    if left <= 0.0 {
                        return T::of((j + offset) as f64);
                    }
                }
                T::of((eta.len() - 1 + offset) as f64)
            }
            Likelihood::Custom(ref own) => own.draw_label(eta, trials, u, z, &mut more),
        }
    }

    /// The terms of ln p(y|·) that `log_lik_and_score` leaves out, for one row, in nats.
    pub fn log_norm(&self, obs: Observed<f64>) -> f64 {
        let ln_gamma = libm::lgamma;
        let half_ln_tau = 0.5 * std::f64::consts::TAU.ln();
        match *self {
            Likelihood::Gaussian { scale } => -half_ln_tau - scale.ln(),
            Likelihood::GaussianUnknownScale => -half_ln_tau,
            Likelihood::Binomial(_) => {
                let (y, t) = (obs.y, obs.trials);
                ln_gamma(t + 1.0) - ln_gamma(y + 1.0) - ln_gamma(t - y + 1.0)
            }
            Likelihood::Poisson => -ln_gamma(obs.y + 1.0),
            Likelihood::Softmax { .. } => 0.0,
            // A user-defined log density leaves out no terms.
            Likelihood::Custom(_) => 0.0,
        }
    }
}

/// Writes the probabilities of the classes, except a baseline's, into `p` [K]; returns the logarithm of the normaliser Σ e^η.
#[inline]
fn probabilities<T: Real>(eta: &[T], baseline: bool, p: &mut [T]) -> T {
    let start = if baseline {
        T::zero()
    } else {
        T::neg_infinity()
    };
    let max = eta.iter().fold(start, |m, &e| m.max(e));
    let mut sum = if baseline {
        T::exp_lane(-max)
    } else {
        T::zero()
    };
    (p.iter_mut().zip(eta)).for_each(|(p, &e)| *p = T::exp_lane(e - max));
    p[..eta.len()].iter().for_each(|&p| sum += p);
    let inverse = T::one() / sum;
    p[..eta.len()].iter_mut().for_each(|p| *p *= inverse);
    max + sum.ln()
}

/// max η and Σ exp(η − max), the fixed zero logit of a baseline included.
#[inline]
fn softmax_normaliser<T: Real>(eta: &[T], baseline: bool) -> (T, T) {
    let start = if baseline {
        T::zero()
    } else {
        T::neg_infinity()
    };
    let max = eta.iter().fold(start, |m, &e| m.max(e));
    let fixed = if baseline { (-max).exp() } else { T::zero() };
    (max, eta.iter().fold(fixed, |s, &e| s + (e - max).exp()))
}

/// φ(x)/Φ(x), without cancellation in either tail.
#[inline]
fn mills<T: Real>(x: T) -> T {
    let z = x.abs() * T::of(std::f64::consts::FRAC_1_SQRT_2);
    let e = T::erfcx(z);
    let root = T::of((2.0 / std::f64::consts::PI).sqrt());
    if x < T::zero() {
        root / e
    } else {
        let density = (-z * z).exp();
        root * density / (T::of(2.0) - density * e)
    }
}

/// ln Φ(x), without cancellation in either tail.
#[inline]
fn ln_phi<T: Real>(x: T) -> T {
    let z = x.abs() * T::of(std::f64::consts::FRAC_1_SQRT_2);
    let e = T::erfcx(z);
    if x < T::zero() {
        (T::of(0.5) * e).ln() - z * z
    } else {
        (-T::of(0.5) * e * (-z * z).exp()).ln_1p()
    }
}

fn binomial_mean<T: Real>(link: Link, eta: T) -> T {
    match link {
        Link::Logit => T::one() / (T::one() + (-eta).exp()),
        Link::Probit => ln_phi(eta).exp(),
        Link::Cloglog => -(-eta.exp()).exp_m1(),
    }
}

/// ln p and its derivative in η, for a binomial row.
#[inline]
fn binomial_score<T: Real>(link: Link, eta: T, y: T, t: T) -> (T, T) {
    match link {
        Link::Logit => {
            let e = (-eta.abs()).exp();
            let softplus = eta.max(T::zero()) + e.ln_1p();
            let mu = if eta >= T::zero() { T::one() } else { e } / (T::one() + e);
            (y * eta - t * softplus, y - t * mu)
        }
        Link::Probit => {
            let ll = y * ln_phi(eta) + (t - y) * ln_phi(-eta);
            (ll, y * mills(eta) - (t - y) * mills(-eta))
        }
        Link::Cloglog => {
            let e = eta.exp();
            let ll = if y > T::zero() {
                // ln(1 − exp(−e)): each form cancels where the other does not.
                let small = e < T::of(std::f64::consts::LN_2);
                y * if small {
                    (-(-e).exp_m1()).ln()
                } else {
                    (-(-e).exp()).ln_1p()
                }
            } else {
                T::zero()
            };
            // e/(exp(e) − 1) is 1 at e = 0 and 0 for large e.
            let ratio = cloglog_ratio(e);
            (ll - (t - y) * e, y * ratio - (t - y) * e)
        }
    }
}

/// e/(exp(e) − 1), with its limits for small and large e.
#[inline]
fn cloglog_ratio<T: Real>(e: T) -> T {
    if e < T::of(1e-30) {
        T::one()
    } else if e > T::of(80.0) {
        T::zero()
    } else {
        e / e.exp_m1()
    }
}

/// The expected weight w(η) = t·μ′²/(μ(1−μ)) and its derivative.
#[inline]
fn binomial_weight<T: Real>(link: Link, eta: T, t: T) -> (T, T) {
    let two = T::of(2.0);
    match link {
        Link::Logit => {
            let e = (-eta.abs()).exp();
            let w = t * e / ((T::one() + e) * (T::one() + e));
            let tilt = (T::one() - e) / (T::one() + e);
            (
                w,
                if eta >= T::zero() {
                    -w * tilt
                } else {
                    w * tilt
                },
            )
        }
        Link::Probit => {
            let (a, b) = (mills(eta), mills(-eta));
            let w = t * a * b;
            (w, w * (b - a - two * eta))
        }
        Link::Cloglog => {
            let e = eta.exp();
            let ratio = cloglog_ratio(e);
            let w = t * e * ratio;
            // d ln w/dη = 2 − e/(1 − e^{−e}) = 2 − e − e/(e^e − 1).
            let slope = two - e - ratio;
            (w, if w > T::zero() { w * slope } else { T::zero() })
        }
    }
}

#[cfg(test)]
#[path = "likelihood_tests.rs"]
mod tests;
