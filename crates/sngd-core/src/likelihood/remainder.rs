//! The part of ln p of a row beyond second order about the mode: see `crate::expansion`.

use super::{Likelihood, Link, Observed, packed};
use crate::expansion::RowLayout;
use crate::real::Real;

/// Largest number of trials for which ln p and its value at the mode may be subtracted in single precision.
const FEW_TRIALS: f64 = 64.0;

impl Likelihood {
    /// Returns ρ = w(ln p(η*+Δ) − ln p(η*)) − s*ᵀΔ + ½ΔᵀA*Δ, in nats, and writes r = w·s(η*+Δ) − s* + A*Δ into `r` `[H]`, for
    /// a row of `Expansion::rows` (where s* and A* are multiplied by the row's weight w already). `eta` is a buffer of `[H]`.
    #[inline]
    pub fn remainder<T: Real>(&self, row: &[f32], delta: &[T], eta: &mut [T], r: &mut [T]) -> T {
        let of = |i: usize| T::of(f64::from(row[i]));
        match *self {
            Likelihood::Gaussian { .. } => {
                r[0] = T::zero();
                T::zero()
            }
            Likelihood::Binomial(Link::Logit) => {
                let (rho, slope) = logit(&LogitRow::new(row), delta[0]);
                r[0] = slope;
                rho
            }
            Likelihood::Poisson => {
                let (rho, slope) = poisson(of(RowLayout { outputs: 1 }.information()), delta[0]);
                r[0] = slope;
                rho
            }
            _ => {
                let h = delta.len();
                let layout = RowLayout { outputs: h };
                for k in 0..h {
                    eta[k] = of(RowLayout::ETA + k) + delta[k];
                }
                let observed = Observed {
                    y: of(RowLayout::Y),
                    trials: of(RowLayout::TRIALS),
                };
                let weight = of(RowLayout::WEIGHT);
                let log_lik = self.log_lik_and_score(&eta[..h], observed, r);
                let mut rho = weight * (log_lik - of(RowLayout::LOG_LIK));
                for k in 0..h {
                    let mut pull = T::zero();
                    for l in 0..h {
                        pull += of(layout.information() + packed(k, l)) * delta[l];
                    }
                    let score = of(layout.score() + k);
                    rho += delta[k] * (T::of(0.5) * pull - score);
                    r[k] = weight * r[k] - score + pull;
                }
                rho
            }
        }
    }
}

/// The numbers of a row under the logit link, multiplied by its weight.
#[derive(Debug, Clone, Copy)]
pub struct LogitRow<T> {
    y: T,
    trials: T,
    eta: T,
    score: T,
    information: T,
    log_lik: T,
    /// Whether trials are few enough to subtract ln p from its value at the mode.
    pub few: bool,
}

impl<T: Real> LogitRow<T> {
    /// Reads a row of `Expansion::rows`.
    #[inline(always)]
    pub fn new(row: &[f32]) -> LogitRow<T> {
        let of = |i: usize| T::of(f64::from(row[i]));
        let (weight, eta) = (of(RowLayout::WEIGHT), of(RowLayout::ETA));
        let layout = RowLayout { outputs: 1 };
        LogitRow {
            y: weight * of(RowLayout::Y),
            trials: weight * of(RowLayout::TRIALS),
            eta,
            score: of(layout.score()),
            information: of(layout.information()),
            log_lik: weight * of(RowLayout::LOG_LIK),
            few: f64::from(row[RowLayout::TRIALS] * row[RowLayout::WEIGHT]) <= FEW_TRIALS,
        }
    }
}

/// As many rows as a vector has lanes, with the same number of each row side by side.
#[derive(Debug, Clone, Copy)]
pub struct LogitRows<T, const L: usize> {
    y: [T; L],
    trials: [T; L],
    eta: [T; L],
    score: [T; L],
    information: [T; L],
    log_lik: [T; L],
    /// Whether trials are few enough in all rows to subtract ln p from its value at the mode.
    pub few: bool,
}

impl<T: Real, const L: usize> LogitRows<T, L> {
    /// Reads rows of `Expansion::rows`.
    #[inline(always)]
    pub fn new(rows: &[&[f32]; L]) -> LogitRows<T, L> {
        let zero = [T::zero(); L];
        let (y, trials, eta, score, information, log_lik) = (zero, zero, zero, zero, zero, zero);
        let mut out = LogitRows {
            y,
            trials,
            eta,
            score,
            information,
            log_lik,
            few: true,
        };
        for l in 0..L {
            let row = LogitRow::new(rows[l]);
            out.y[l] = row.y;
            out.trials[l] = row.trials;
            out.eta[l] = row.eta;
            out.score[l] = row.score;
            out.information[l] = row.information;
            out.log_lik[l] = row.log_lik;
            out.few &= row.few;
        }
        out
    }

    /// Row l alone.
    #[inline(always)]
    pub fn row(&self, l: usize) -> LogitRow<T> {
        LogitRow {
            y: self.y[l],
            trials: self.trials[l],
            eta: self.eta[l],
            score: self.score[l],
            information: self.information[l],
            log_lik: self.log_lik[l],
            few: self.few,
        }
    }
}

/// The remainders (ρ, r) of a binomial row under the logit link.
#[inline(always)]
pub fn logit<T: Real>(row: &LogitRow<T>, delta: T) -> (T, T) {
    if row.few {
        return logit_few(row, delta);
    }
    // Both differences are computed from the change in exp, since trials times a rounding error would exceed the remainder.
    let e = T::exp_lane(-row.eta.abs());
    let small = e / (T::one() + e);
    let mean = if row.eta >= T::zero() {
        T::one() - small
    } else {
        small
    };
    let grown = delta.exp_m1();
    let inner = mean * grown;
    let spread = mean * (T::one() - mean);
    let half = T::of(0.5) * spread * delta * delta;
    let rho = -row.trials * (inner.ln_1p() - mean * delta - half);
    let slope = -row.trials * (spread * grown / (T::one() + inner) - spread * delta);
    (rho, slope)
}

/// The same for few trials, in a form that vectorises.
#[inline(always)]
pub fn logit_few<T: Real>(row: &LogitRow<T>, delta: T) -> (T, T) {
    let eta = row.eta + delta;
    let e = T::exp_lane(-eta.abs());
    let inv = T::one() / (T::one() + e);
    let mu = if eta >= T::zero() { inv } else { e * inv };
    let positive = if eta >= T::zero() { eta } else { T::zero() };
    let softplus = positive + T::ln_1p_lane(e);
    let pull = row.information * delta;
    let slope = (row.y - row.trials * mu) - row.score + pull;
    let change = (row.y * eta - row.trials * softplus) - row.log_lik;
    let rho = change + delta * (T::of(0.5) * pull - row.score);
    (rho, slope)
}

/// The remainders (ρ, r) of a Poisson row, where `mean` is its mean at the mode times its weight, in a form that vectorises:
/// ρ = −μ*(e^Δ − 1 − Δ − ½Δ²), r = −μ*(e^Δ − 1 − Δ), each summed without cancellation where Δ is small.
#[inline(always)]
pub fn poisson<T: Real>(mean: T, delta: T) -> (T, T) {
    let size = delta.abs();
    let e = T::exp_lane(-size);
    let grown = if delta > T::zero() { T::one() / e } else { e };
    let half = T::of(0.5) * delta * delta;
    let far = grown - T::one() - delta;
    // Δ³/3! + Δ⁴/4! + ... to Δ⁹/9!, whose next term is below a rounding of the first for |Δ| < ½.
    let mut near = T::one();
    for k in (4..=9).rev() {
        near = T::one() + near * delta * T::of(1.0 / f64::from(k));
    }
    near *= half * delta * T::of(1.0 / 3.0);
    let close = size < T::of(0.5);
    let cubic = if close { near } else { far - half };
    (-mean * cubic, -mean * (cubic + half))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A row at the mode as `Expansion::rows` keeps it.
    fn row(likelihood: &Likelihood, eta: &[f64], y: f64, trials: f64, weight: f64) -> Vec<f32> {
        let h = eta.len();
        let layout = RowLayout { outputs: h };
        let eta: Vec<f64> = eta.iter().map(|e| f64::from(*e as f32)).collect();
        let mut score = vec![0.0; h];
        let mut w = vec![0.0; h * (h + 1) / 2];
        let log_lik = likelihood.log_lik_and_score(&eta, Observed { y, trials }, &mut score);
        likelihood.fisher(&eta, trials, &mut w);
        let mut out = vec![0.0f32; layout.width()];
        out[RowLayout::Y] = y as f32;
        out[RowLayout::TRIALS] = trials as f32;
        out[RowLayout::WEIGHT] = weight as f32;
        out[RowLayout::LOG_LIK] = log_lik as f32;
        for k in 0..h {
            out[RowLayout::ETA + k] = eta[k] as f32;
            out[layout.score() + k] = (weight * score[k]) as f32;
        }
        for (k, w) in w.iter().enumerate() {
            out[layout.information() + k] = (weight * w) as f32;
        }
        out
    }

    /// In f64 the remainder is ln p and its scores minus their expansion; in f32 it is as near to that as single precision allows.
    #[test]
    fn remainders_are_the_rest_of_the_expansion() {
        let cases: [(Likelihood, Vec<f64>, f64, f64); 6] = [
            (Likelihood::Binomial(Link::Logit), vec![0.4], 1.0, 1.0),
            (Likelihood::Binomial(Link::Logit), vec![-1.3], 30.0, 200.0),
            (Likelihood::Binomial(Link::Probit), vec![0.7], 0.0, 1.0),
            (Likelihood::Poisson, vec![1.2], 4.0, 1.0),
            (Likelihood::GaussianUnknownScale, vec![0.3, -0.2], 1.1, 1.0),
            (
                Likelihood::Softmax {
                    classes: 3,
                    baseline: false,
                },
                vec![0.1, 0.8, -0.4],
                2.0,
                1.0,
            ),
        ];
        for (likelihood, eta, y, trials) in cases {
            let h = eta.len();
            let weight = 1.5;
            let kept = row(&likelihood, &eta, y, trials, weight);
            let layout = RowLayout { outputs: h };
            let at = |i: usize| f64::from(kept[i]);
            for scale in [-0.9, -0.05, 0.02, 0.7] {
                let delta: Vec<f64> = (0..h).map(|k| scale * (1.0 + 0.3 * k as f64)).collect();
                let (mut room, mut r) = (vec![0.0; h], vec![0.0; h]);
                let rho = likelihood.remainder(&kept, &delta, &mut room, &mut r);
                let moved: Vec<f64> = (0..h).map(|k| at(RowLayout::ETA + k) + delta[k]).collect();
                let mut score = vec![0.0; h];
                let observed = Observed { y, trials };
                let there = likelihood.log_lik_and_score(&moved, observed, &mut score);
                let here = likelihood.log_lik_and_score(
                    &kept[RowLayout::ETA..][..h]
                        .iter()
                        .map(|e| f64::from(*e))
                        .collect::<Vec<_>>(),
                    observed,
                    &mut vec![0.0; h],
                );
                let mut expected = weight * (there - here);
                for k in 0..h {
                    let mut pull = 0.0;
                    for l in 0..h {
                        pull += at(layout.information() + packed(k, l)) * delta[l];
                    }
                    expected += delta[k] * (0.5 * pull - at(layout.score() + k));
                    let slope = weight * score[k] - at(layout.score() + k) + pull;
                    // The numbers kept of a row are rounded to f32.
                    let bound = 3e-6 * weight * (1.0 + trials);
                    assert!(
                        (slope - r[k]).abs() < bound,
                        "{likelihood:?} r {slope} {r:?}"
                    );
                }
                let bound = 3e-6 * weight * (1.0 + trials);
                assert!(
                    (expected - rho).abs() < bound,
                    "{likelihood:?} {expected} {rho}"
                );
                let single: Vec<f32> = delta.iter().map(|d| *d as f32).collect();
                let (mut room, mut r32) = (vec![0.0; h], vec![0.0; h]);
                let rho32 = likelihood.remainder(&kept, &single, &mut room, &mut r32);
                assert!((f64::from(rho32) - rho).abs() < bound);
            }
        }
    }

    /// A count of 10⁹ in single precision: at a step of one posterior sd the remainder is right to a thousandth of its effect.
    #[test]
    fn large_counts_survive_single_precision() {
        let mean = 1e9f32;
        for sds in [-3.0f64, -1.0, 0.5, 2.0] {
            let delta = sds / f64::from(mean).sqrt();
            let (rho, slope) = poisson(mean, delta as f32);
            let truth = -1e9 * (delta.powi(2) / 2.0 + delta.powi(3) / 6.0);
            // r is compared with the scale of the posterior, 1/√mean in η and so √mean in the gradient.
            assert!((f64::from(slope) - truth).abs() < 1e-3 * 1e9f64.sqrt());
            assert!((f64::from(rho) + 1e9 * delta.powi(3) / 6.0).abs() < 1e-6);
        }
        let kept = row(&Likelihood::Binomial(Link::Logit), &[0.2], 5.5e6, 1e7, 1.0);
        let delta = 2.0 / (0.2475e7f64).sqrt();
        let (rho, _) = logit(&LogitRow::new(&kept), delta as f32);
        let (precise, _) = logit(&LogitRow::<f64>::new(&kept), delta);
        assert!((f64::from(rho) - precise).abs() < 2e-3, "{rho} {precise}");
    }
}
