//! Counts.

use super::family::Family;
use super::row::Observed;
use crate::real::Real;

/// y ∼ Poisson(e^η).
pub(super) struct Poisson;

impl Family for Poisson {
    #[inline]
    fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        let mu = eta[0].exp();
        score[0] = obs.y - mu;
        obs.y * eta[0] - mu
    }

    #[inline]
    fn fisher<T: Real>(&self, eta: &[T], _: T, w: &mut [T]) {
        w[0] = eta[0].exp();
    }

    #[inline]
    fn contract<T: Real>(&self, eta: &[T], _: T, h: &[T], volume: &mut [T], divergence: &mut [T]) {
        volume[0] = eta[0].exp() * h[0];
        divergence[0] = volume[0];
    }

    fn draw_label<T: Real>(
        &self,
        eta: &[T],
        _: T,
        u: f64,
        z: f64,
        _: &mut dyn FnMut() -> f64,
    ) -> T {
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

    fn log_norm(&self, obs: Observed<f64>) -> f64 {
        -libm::lgamma(obs.y + 1.0)
    }

    fn mean(&self, eta: &[f64], _: f64) -> Option<f64> {
        Some(eta[0].exp())
    }
}
