//! Likelihoods over H outputs per row: K linear predictors and A auxiliary parameters.
//!
//! An auxiliary parameter (log σ) is an output whose design row is the single number 1, so that gradients,
//! Fisher blocks and corrections need no second path: with J the row's `[H,P]` Jacobian, the gradient is
//! Jᵀs, the Fisher information JᵀWJ. Symmetric `[H,H]` arrays are packed lower, `at(k, l)`, k ≥ l.

mod binomial;
mod custom;
mod family;
mod gaussian;
mod poisson;
pub mod remainder;
mod row;
mod softmax;

pub use binomial::Link;
pub use custom::{
    Custom, LikelihoodBody, MAX_OUTPUTS, WgslBody, check_shape, declares, difference,
};
pub use row::{Observed, packed};

use self::binomial::Binomial;
use self::family::Family;
use self::gaussian::{Gaussian, GaussianUnknownScale};
use self::poisson::Poisson;
use self::softmax::Softmax;
use crate::real::Real;
use std::sync::Arc;

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

/// Calls a method of the likelihood's own file.
macro_rules! family {
    ($likelihood:expr, $method:ident ( $($argument:expr),* )) => {
        match *$likelihood {
            Likelihood::Gaussian { scale } => Gaussian { scale }.$method($($argument),*),
            Likelihood::GaussianUnknownScale => GaussianUnknownScale.$method($($argument),*),
            Likelihood::Binomial(link) => Binomial(link).$method($($argument),*),
            Likelihood::Poisson => Poisson.$method($($argument),*),
            Likelihood::Softmax { classes, baseline } => {
                Softmax { classes, baseline }.$method($($argument),*)
            }
            Likelihood::Custom(ref own) => Family::$method(&**own, $($argument),*),
        }
    };
}

impl Likelihood {
    /// Number of linear outputs, K.
    pub fn linear_outputs(&self) -> usize {
        family!(self, linear_outputs())
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

    /// ln p(y|η) in nats, without terms that do not depend on η; writes the scores s = ∂ ln p/∂η into `score` `[H]`.
    #[inline]
    pub fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        family!(self, log_lik_and_score(eta, obs, score))
    }

    /// Writes the exact Fisher information of the outputs, W = E[s sᵀ] over the labels of the model, packed [H(H+1)/2].
    #[inline]
    pub fn fisher<T: Real>(&self, eta: &[T], trials: T, w: &mut [T]) {
        family!(self, fisher(eta, trials, w))
    }

    /// Contracts the derivative of the exact W with a symmetric packed h [H(H+1)/2]:
    /// `volume[m]` = Σ_kl ∂W_kl/∂η_m h_kl and `divergence[k]` = Σ_lm ∂W_kl/∂η_m h_lm. With h = J M⁻¹ Jᵀ, summed over
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
        family!(self, contract(eta, trials, h, volume, divergence))
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
        family!(self, draw_label(eta, trials, u, z, &mut more))
    }

    /// The terms of ln p(y|·) that `log_lik_and_score` leaves out, for one row, in nats.
    pub fn log_norm(&self, obs: Observed<f64>) -> f64 {
        family!(self, log_norm(obs))
    }

    /// Mean E[y|η] of the response at outputs `eta` `[H]`, in internal units. `None` for classes, and for a user-defined likelihood
    /// without such a function.
    pub fn mean(&self, eta: &[f64], trials: f64) -> Option<f64> {
        family!(self, mean(eta, trials))
    }

    /// Probability P(Y ≤ y|η) of a continuous response; `None` for counts and classes, and for a user-defined likelihood without such
    /// a function.
    pub fn cdf(&self, eta: &[f64], obs: Observed<f64>) -> Option<f64> {
        family!(self, cdf(eta, obs))
    }

    /// Whether [`Likelihood::mean`] and whether [`Likelihood::cdf`] has values.
    pub fn predicts(&self) -> (bool, bool) {
        let eta = vec![0.0; self.outputs()];
        let obs = Observed {
            y: 1.0,
            trials: 1.0,
        };
        let (mean, cdf) = (self.mean(&eta, 1.0), self.cdf(&eta, obs));
        (mean.is_some(), cdf.is_some())
    }

    /// Writes the probabilities of all classes of a categorical response into `out` `[classes]`: of softmax, or of 0 and 1 for a
    /// Bernoulli response. Other likelihoods have no classes.
    pub fn class_probabilities(&self, eta: &[f64], out: &mut [f64]) {
        match *self {
            Likelihood::Binomial(link) => {
                out[1] = binomial::mean_of(link, eta[0]);
                out[0] = 1.0 - out[1];
            }
            Likelihood::Softmax { baseline, .. } => {
                let log_sum =
                    softmax::probabilities(eta, baseline, &mut out[usize::from(baseline)..]);
                if baseline {
                    out[0] = (-log_sum).exp();
                }
            }
            _ => out.fill(f64::NAN),
        }
    }
}

#[cfg(test)]
#[path = "likelihood_tests.rs"]
mod tests;
