//! Normal responses, with a known scale or with one that is estimated.

use super::family::Family;
use super::row::{Observed, packed};
use crate::real::Real;

/// ½ ln 2π.
fn half_ln_tau() -> f64 {
    0.5 * std::f64::consts::TAU.ln()
}

/// Φ(z).
fn normal_cdf(z: f64) -> f64 {
    0.5 * libm::erfc(-z * std::f64::consts::FRAC_1_SQRT_2)
}

/// y ∼ N(η, σ²), σ known.
pub(super) struct Gaussian {
    /// σ in internal units.
    pub(super) scale: f64,
}

impl Family for Gaussian {
    #[inline]
    fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        let w = T::of(1.0 / (self.scale * self.scale));
        let r = obs.y - eta[0];
        score[0] = r * w;
        T::of(-0.5) * r * r * w
    }

    #[inline]
    fn fisher<T: Real>(&self, _: &[T], _: T, w: &mut [T]) {
        w[0] = T::of(1.0 / (self.scale * self.scale));
    }

    #[inline]
    fn contract<T: Real>(&self, _: &[T], _: T, _: &[T], volume: &mut [T], divergence: &mut [T]) {
        volume[0] = T::zero();
        divergence[0] = T::zero();
    }

    fn draw_label<T: Real>(
        &self,
        eta: &[T],
        _: T,
        _: f64,
        z: f64,
        _: &mut dyn FnMut() -> f64,
    ) -> T {
        eta[0] + T::of(self.scale * z)
    }

    fn log_norm(&self, _: Observed<f64>) -> f64 {
        -half_ln_tau() - self.scale.ln()
    }

    fn mean(&self, eta: &[f64], _: f64) -> Option<f64> {
        Some(eta[0])
    }

    fn cdf(&self, eta: &[f64], obs: Observed<f64>) -> Option<f64> {
        Some(normal_cdf((obs.y - eta[0]) / self.scale))
    }
}

/// y ∼ N(η₀, e^{2η₁}): η₁ = log σ is auxiliary.
pub(super) struct GaussianUnknownScale;

impl Family for GaussianUnknownScale {
    #[inline]
    fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        let w = (T::of(-2.0) * eta[1]).exp();
        let r = obs.y - eta[0];
        score[0] = r * w;
        score[1] = r * r * w - T::one();
        -eta[1] - T::of(0.5) * r * r * w
    }

    #[inline]
    fn fisher<T: Real>(&self, eta: &[T], _: T, w: &mut [T]) {
        w[0] = (T::of(-2.0) * eta[1]).exp();
        w[1] = T::zero();
        w[2] = T::of(2.0);
    }

    #[inline]
    fn contract<T: Real>(&self, eta: &[T], _: T, h: &[T], volume: &mut [T], divergence: &mut [T]) {
        let dw = T::of(-2.0) * (T::of(-2.0) * eta[1]).exp();
        volume[0] = T::zero();
        volume[1] = dw * h[packed(0, 0)];
        divergence[0] = dw * h[packed(1, 0)];
        divergence[1] = T::zero();
    }

    fn draw_label<T: Real>(
        &self,
        eta: &[T],
        _: T,
        _: f64,
        z: f64,
        _: &mut dyn FnMut() -> f64,
    ) -> T {
        eta[0] + eta[1].exp() * T::of(z)
    }

    fn log_norm(&self, _: Observed<f64>) -> f64 {
        -half_ln_tau()
    }

    fn mean(&self, eta: &[f64], _: f64) -> Option<f64> {
        Some(eta[0])
    }

    fn cdf(&self, eta: &[f64], obs: Observed<f64>) -> Option<f64> {
        Some(normal_cdf((obs.y - eta[0]) * (-eta[1]).exp()))
    }
}
