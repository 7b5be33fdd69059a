//! Classes.

use super::family::Family;
use super::row::{Observed, packed};
use crate::real::Real;

/// y ∈ {0, …, classes−1}; with `baseline` class 0 has the logit 0 and no parameters.
pub(super) struct Softmax {
    pub(super) classes: usize,
    pub(super) baseline: bool,
}

impl Family for Softmax {
    fn linear_outputs(&self) -> usize {
        self.classes - usize::from(self.baseline)
    }

    #[inline]
    fn log_lik_and_score<T: Real>(&self, eta: &[T], obs: Observed<T>, score: &mut [T]) -> T {
        let baseline = self.baseline;
        let log_sum = probabilities(eta, baseline, score);
        score.iter_mut().for_each(|p| *p = -*p);
        // With a baseline, class 0 is the logit that is fixed at 0.
        let class = obs.y.to64() as usize;
        match class.checked_sub(usize::from(baseline)) {
            Some(own) if own < eta.len() => {
                score[own] += T::one();
                eta[own] - log_sum
            }
            _ => -log_sum,
        }
    }

    #[inline]
    fn fisher<T: Real>(&self, eta: &[T], _: T, w: &mut [T]) {
        let baseline = self.baseline;
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

    #[inline]
    fn contract<T: Real>(&self, eta: &[T], _: T, h: &[T], volume: &mut [T], divergence: &mut [T]) {
        let baseline = self.baseline;
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

    fn draw_label<T: Real>(
        &self,
        eta: &[T],
        _: T,
        u: f64,
        _: f64,
        _: &mut dyn FnMut() -> f64,
    ) -> T {
        let baseline = self.baseline;
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

    fn log_norm(&self, _: Observed<f64>) -> f64 {
        0.0
    }

    fn mean(&self, _: &[f64], _: f64) -> Option<f64> {
        None
    }
}

/// Writes the probabilities of the classes, except a baseline's, into `p` [K]; returns the logarithm of the normaliser Σ e^η.
#[inline]
pub(super) fn probabilities<T: Real>(eta: &[T], baseline: bool, p: &mut [T]) -> T {
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
