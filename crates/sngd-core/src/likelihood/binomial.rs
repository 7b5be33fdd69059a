//! Successes out of trials, under three links; a Bernoulli response has one trial.

use super::family::Family;
use super::row::Observed;
use crate::real::Real;
use serde::{Deserialize, Serialize};
use statrs::distribution::{ContinuousCDF, Normal};

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

impl Link {
    /// The linear predictor η at which a success has the probability `mu`, strictly between 0 and 1.
    pub fn of_mean(self, mu: f64) -> f64 {
        match self {
            Link::Logit => (mu / (1.0 - mu)).ln(),
            Link::Probit => Normal::standard().inverse_cdf(mu),
            Link::Cloglog => (-(-mu).ln_1p()).ln(),
        }
    }
}

/// y successes of t trials with mean μ(η) each.
pub(super) struct Binomial(pub(super) Link);

impl Family for Binomial {
    #[inline]
    fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        let (ll, s) = binomial_score(self.0, eta[0], obs.y, obs.trials);
        score[0] = s;
        ll
    }

    #[inline]
    fn fisher<T: Real>(&self, eta: &[T], trials: T, w: &mut [T]) {
        w[0] = binomial_weight(self.0, eta[0], trials).0;
    }

    #[inline]
    fn contract<T: Real>(
        &self,
        eta: &[T],
        trials: T,
        h: &[T],
        volume: &mut [T],
        divergence: &mut [T],
    ) {
        volume[0] = binomial_weight(self.0, eta[0], trials).1 * h[0];
        divergence[0] = volume[0];
    }

    fn draw_label<T: Real>(
        &self,
        eta: &[T],
        trials: T,
        u: f64,
        z: f64,
        more: &mut dyn FnMut() -> f64,
    ) -> T {
        let mu = mean_of(self.0, eta[0]).to64();
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

    fn log_norm(&self, obs: Observed<f64>) -> f64 {
        let (y, t) = (obs.y, obs.trials);
        libm::lgamma(t + 1.0) - libm::lgamma(y + 1.0) - libm::lgamma(t - y + 1.0)
    }

    fn mean(&self, eta: &[f64], trials: f64) -> Option<f64> {
        Some(trials * mean_of(self.0, eta[0]))
    }
}

/// Mean μ of one trial.
pub(super) fn mean_of<T: Real>(link: Link, eta: T) -> T {
    match link {
        Link::Logit => T::one() / (T::one() + (-eta).exp()),
        Link::Probit => ln_phi(eta).exp(),
        Link::Cloglog => -(-eta.exp()).exp_m1(),
    }
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
