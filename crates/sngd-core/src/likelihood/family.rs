//! What the file of each likelihood provides; [`super::Likelihood`] calls it.

use super::row::Observed;
use crate::real::Real;

/// A likelihood in internal units. The methods are those of [`super::Likelihood`], which says what they compute.
pub(super) trait Family {
    fn linear_outputs(&self) -> usize {
        1
    }

    fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T;

    fn fisher<T: Real>(&self, eta: &[T], trials: T, w: &mut [T]);

    fn contract<T: Real>(
        &self,
        eta: &[T],
        trials: T,
        h: &[T],
        volume: &mut [T],
        divergence: &mut [T],
    );

    fn draw_label<T: Real>(
        &self,
        eta: &[T],
        trials: T,
        u: f64,
        z: f64,
        more: &mut dyn FnMut() -> f64,
    ) -> T;

    fn log_norm(&self, obs: Observed<f64>) -> f64;

    fn mean(&self, eta: &[f64], trials: f64) -> Option<f64>;

    fn cdf(&self, _eta: &[f64], _obs: Observed<f64>) -> Option<f64> {
        None
    }
}
