//! Remainders of a tile of rows for sixteen chains at once, or of sixteen rows for one chain: Δη becomes r in place.

use super::lanes::{LANES, Lane};
use crate::scalar::Scalar;
use pulp::{Simd, WithSimd};
use sngd_core::expansion::RowLayout;
use sngd_core::likelihood::remainder::{LogitRow, LogitRows, logit_few, poisson};
use sngd_core::likelihood::{Likelihood, Link};

/// Rows per tile.
pub const TILE: usize = 96;

/// Remainders of `rows` `[m, RowLayout::width]`: replaces Δη in `delta` `[H][TILE][16]` by r, and adds Σ ρ to `rest`, in nats.
pub fn remainders<T: Scalar>(
    likelihood: &Likelihood,
    rows: &[f32],
    layout: RowLayout,
    delta: &mut [Lane<T>],
    rest: &mut [f64; LANES],
) {
    pulp::Arch::new().dispatch(Remainders {
        likelihood,
        rows,
        layout,
        delta,
        rest,
    });
}

struct Remainders<'a, T> {
    likelihood: &'a Likelihood,
    rows: &'a [f32],
    layout: RowLayout,
    delta: &'a mut [Lane<T>],
    rest: &'a mut [f64; LANES],
}

impl<T: Scalar> WithSimd for Remainders<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let len = self.layout.width();
        let mut sum = [T::zero(); LANES];
        let rows = self.rows.chunks_exact(len);
        match self.likelihood {
            Likelihood::Gaussian { .. } => {
                let delta = &mut self.delta[..rows.len()];
                delta.iter_mut().for_each(|d| *d = [T::zero(); LANES]);
            }
            Likelihood::Binomial(Link::Logit) => {
                for (row, d) in rows.zip(self.delta.iter_mut()) {
                    let at = LogitRow::new(row);
                    if at.few {
                        lanes(d, &mut sum, |d| logit_few(&at, d));
                    } else {
                        each(self.likelihood, row, d, &mut sum);
                    }
                }
            }
            Likelihood::Poisson => {
                for (row, d) in rows.zip(self.delta.iter_mut()) {
                    let mean = T::of(f64::from(row[self.layout.information()]));
                    lanes(d, &mut sum, |d| poisson(mean, d));
                }
            }
            Likelihood::Softmax { baseline, .. } => {
                for (i, row) in rows.enumerate() {
                    softmax(row, self.layout, *baseline, &mut self.delta[i..], &mut sum);
                }
            }
            other if self.layout.outputs == 1 => {
                for (row, d) in rows.zip(self.delta.iter_mut()) {
                    each(other, row, d, &mut sum);
                }
            }
            other => {
                let h = self.layout.outputs;
                let mut room = vec![T::zero(); 3 * h];
                for (i, row) in rows.enumerate() {
                    let (eta, own) = room.split_at_mut(h);
                    let (moved, r) = own.split_at_mut(h);
                    for l in 0..LANES {
                        for k in 0..h {
                            moved[k] = self.delta[k * TILE + i][l];
                        }
                        sum[l] += other.remainder(row, moved, eta, r);
                        for k in 0..h {
                            self.delta[k * TILE + i][l] = r[k];
                        }
                    }
                }
            }
        }
        for (rest, sum) in self.rest.iter_mut().zip(sum) {
            *rest += sum.to64();
        }
    }
}

/// Remainders of sixteen rows, a lane for each: replaces Δη in `delta` `[H][16]` by r, and returns ρ of each row.
#[inline(always)]
pub fn remainders_of_rows<T: Scalar>(
    likelihood: &Likelihood,
    rows: &[&[f32]; LANES],
    delta: &mut [Lane<T>],
    room: &mut [T],
) -> Lane<T> {
    let mut rho = [T::zero(); LANES];
    match likelihood {
        Likelihood::Gaussian { .. } => delta[0] = [T::zero(); LANES],
        Likelihood::Binomial(Link::Logit) => {
            let at = LogitRows::new(rows);
            if at.few {
                for l in 0..LANES {
                    (rho[l], delta[0][l]) = logit_few(&at.row(l), delta[0][l]);
                }
            } else {
                row_by_row(likelihood, rows, delta, room, &mut rho);
            }
        }
        Likelihood::Poisson => {
            let place = RowLayout { outputs: 1 }.information();
            let mut mean = [T::zero(); LANES];
            for l in 0..LANES {
                mean[l] = T::of(f64::from(rows[l][place]));
            }
            for l in 0..LANES {
                (rho[l], delta[0][l]) = poisson(mean[l], delta[0][l]);
            }
        }
        _ => row_by_row(likelihood, rows, delta, room, &mut rho),
    }
    rho
}

/// The same for any likelihood, one row at a time; `room` is `[3H]`.
#[inline(always)]
fn row_by_row<T: Scalar>(
    likelihood: &Likelihood,
    rows: &[&[f32]; LANES],
    delta: &mut [Lane<T>],
    room: &mut [T],
    rho: &mut Lane<T>,
) {
    let h = delta.len();
    let (eta, rest) = room.split_at_mut(h);
    let (moved, r) = rest.split_at_mut(h);
    for l in 0..LANES {
        for k in 0..h {
            moved[k] = delta[k][l];
        }
        rho[l] = likelihood.remainder(rows[l], moved, eta, r);
        for k in 0..h {
            delta[k][l] = r[k];
        }
    }
}

/// One output, by a formula that vectorises. The slices have no fixed length, so that the loop is vectorised as a loop.
#[inline(always)]
fn lanes<T: Scalar>(d: &mut [T], sum: &mut [T], at: impl Fn(T) -> (T, T)) {
    for (d, sum) in d.iter_mut().zip(sum) {
        let (rho, r) = at(*d);
        *sum += rho;
        *d = r;
    }
}

/// One output of any likelihood.
#[inline(always)]
fn each<T: Scalar>(likelihood: &Likelihood, row: &[f32], d: &mut [T], sum: &mut [T]) {
    let (mut eta, mut r) = ([T::zero()], [T::zero()]);
    for (d, sum) in d.iter_mut().zip(sum) {
        *sum += likelihood.remainder(row, &[*d], &mut eta, &mut r);
        *d = r[0];
    }
}

/// With p the probabilities at the mode, m = Σ pΔ and S = Σ p·e^Δ: ρ = w(m + ½Σ pΔ² − ½m² − ln S) and
/// r = w·p(1 + Δ − m − e^Δ/S). A baseline class has Δ = 0, and its probability is 1 minus that of the others.
#[inline(always)]
fn softmax<T: Scalar>(
    row: &[f32],
    layout: RowLayout,
    baseline: bool,
    delta: &mut [Lane<T>],
    sum: &mut Lane<T>,
) {
    let k = layout.outputs;
    let of = |i: usize| T::of(f64::from(row[i]));
    let weight = of(RowLayout::WEIGHT);
    if weight == T::zero() {
        (0..k).for_each(|c| delta[c * TILE] = [T::zero(); LANES]);
        return;
    }
    let class = row[RowLayout::Y] as usize;
    let own = class.wrapping_sub(usize::from(baseline));
    let probability = |c: usize| {
        let here = if c == own { T::one() } else { T::zero() };
        // Scores are multiplied by the row's weight already.
        here - of(layout.score() + c) / weight
    };
    let mut left = T::one();
    let floor = if baseline {
        T::zero()
    } else {
        T::neg_infinity()
    };
    let mut most = [floor; LANES];
    let (mut mean, mut square) = ([T::zero(); LANES], [T::zero(); LANES]);
    for c in 0..k {
        let p = probability(c);
        left -= p;
        let d = &delta[c * TILE];
        for l in 0..LANES {
            mean[l] += p * d[l];
            square[l] += p * d[l] * d[l];
            most[l] = if d[l] > most[l] { d[l] } else { most[l] };
        }
    }
    let mut total = [T::zero(); LANES];
    if baseline {
        let left = if left > T::zero() { left } else { T::zero() };
        for l in 0..LANES {
            total[l] = left * T::exp_lane(-most[l]);
        }
    }
    for c in 0..k {
        let p = probability(c);
        let d = &delta[c * TILE];
        for l in 0..LANES {
            total[l] += p * T::exp_lane(d[l] - most[l]);
        }
    }
    for c in 0..k {
        let p = probability(c);
        let d = &mut delta[c * TILE];
        for l in 0..LANES {
            let grown = T::exp_lane(d[l] - most[l]) / total[l];
            d[l] = weight * p * (T::one() + d[l] - mean[l] - grown);
        }
    }
    let half = T::of(0.5);
    for l in 0..LANES {
        let log = most[l] + T::ln_lane(total[l]);
        sum[l] += weight * (mean[l] + half * (square[l] - mean[l] * mean[l]) - log);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sngd_core::likelihood::{Observed, packed};

    /// Row i of `Expansion::rows`, made up.
    fn kept(likelihood: &Likelihood, i: usize, trials: f64) -> Vec<f32> {
        let h = likelihood.outputs();
        let eta: Vec<f64> = (0..h)
            .map(|k| f64::from((((i * 5 + k * 3) % 7) as f64 * 0.3 - 0.8) as f32))
            .collect();
        let y = if h > 2 { i % 4 } else { i % 2 } as f64;
        let mut score = vec![0.0; h];
        let mut w = vec![0.0; h * (h + 1) / 2];
        let log_lik = likelihood.log_lik_and_score(&eta, Observed { y, trials }, &mut score);
        likelihood.fisher(&eta, trials, &mut w);
        let weight = 1.0 + i as f64;
        let mut row: Vec<f32> = [y, trials, weight, log_lik, 1.0].map(|v| v as f32).into();
        row.extend(eta.iter().map(|v| *v as f32));
        row.extend(score.iter().map(|v| (weight * v) as f32));
        row.extend(w.iter().map(|v| (weight * v) as f32));
        assert_eq!(packed(h - 1, h - 1) + 1, w.len());
        row
    }

    fn likelihoods() -> [Likelihood; 7] {
        let softmax = |baseline| Likelihood::Softmax {
            classes: 4,
            baseline,
        };
        [
            Likelihood::Binomial(Link::Logit),
            Likelihood::Binomial(Link::Cloglog),
            Likelihood::Poisson,
            Likelihood::GaussianUnknownScale,
            softmax(false),
            softmax(true),
            Likelihood::Gaussian { scale: 0.7 },
        ]
    }

    /// Sixteen rows in lanes have the remainders that the likelihood computes one by one, in both precisions, for few and many trials.
    #[test]
    fn rows_in_lanes_agree_with_single_rows() {
        for (likelihood, trials) in likelihoods()
            .into_iter()
            .map(|l| (l, 1.0))
            .chain([(Likelihood::Binomial(Link::Logit), 50.0)])
        {
            let h = likelihood.outputs();
            let rows: Vec<Vec<f32>> = (0..LANES).map(|i| kept(&likelihood, i, trials)).collect();
            let known: [&[f32]; LANES] = std::array::from_fn(|l| rows[l].as_slice());
            let start: Vec<Lane<f64>> = (0..h)
                .map(|k| std::array::from_fn(|l| ((k * 3 + l * 7) % 13) as f64 * 0.1 - 0.6))
                .collect();
            let (mut r64, mut room) = (start.clone(), vec![0.0; 3 * h]);
            let rho64 = remainders_of_rows(&likelihood, &known, &mut r64, &mut room);
            let mut r32: Vec<Lane<f32>> = start.iter().map(|d| d.map(|x| x as f32)).collect();
            let mut room = vec![0.0f32; 3 * h];
            let rho32 = remainders_of_rows(&likelihood, &known, &mut r32, &mut room);
            for l in 0..LANES {
                let d: Vec<f64> = start.iter().map(|d| d[l]).collect();
                let (mut eta, mut r) = (vec![0.0; h], vec![0.0; h]);
                let rho = likelihood.remainder(&rows[l], &d, &mut eta, &mut r);
                // The bound is a rounding error of ln p, whose size is the weight times the trials.
                let bound = 2e-6 * trials * (1.0 + l as f64);
                assert!((rho64[l] - rho).abs() < 1e-9, "{likelihood:?}");
                assert!((f64::from(rho32[l]) - rho).abs() < bound, "{likelihood:?}");
                for k in 0..h {
                    assert!((r64[k][l] - r[k]).abs() < 1e-9, "{likelihood:?}");
                    assert!(
                        (f64::from(r32[k][l]) - r[k]).abs() < bound,
                        "{likelihood:?}"
                    );
                }
            }
        }
    }

    /// Every lane of every row has the remainder that the likelihood computes, in both precisions.
    #[test]
    fn tiles_agree_with_single_rows() {
        for likelihood in likelihoods() {
            let h = likelihood.outputs();
            let layout = RowLayout { outputs: h };
            let m = 7;
            let rows: Vec<f32> = (0..m).flat_map(|i| kept(&likelihood, i, 1.0)).collect();
            let start: Vec<Lane<f64>> = (0..h * TILE)
                .map(|i| std::array::from_fn(|l| ((i * 3 + l * 7) % 13) as f64 * 0.1 - 0.6))
                .collect();
            let (mut r64, mut rest) = (start.clone(), [0.0; LANES]);
            remainders(&likelihood, &rows, layout, &mut r64, &mut rest);
            let mut r32: Vec<Lane<f32>> = start.iter().map(|d| d.map(|x| x as f32)).collect();
            let mut rest32 = [0.0; LANES];
            remainders(&likelihood, &rows, layout, &mut r32, &mut rest32);
            for l in 0..LANES {
                let mut expected = 0.0;
                for (i, row) in rows.chunks(layout.width()).enumerate() {
                    let d: Vec<f64> = (0..h).map(|k| start[k * TILE + i][l]).collect();
                    let (mut eta, mut r) = (vec![0.0; h], vec![0.0; h]);
                    expected += likelihood.remainder(row, &d, &mut eta, &mut r);
                    for k in 0..h {
                        let got = (r64[k * TILE + i][l], f64::from(r32[k * TILE + i][l]));
                        assert!((got.0 - r[k]).abs() < 1e-5, "{likelihood:?} {got:?} {r:?}");
                        assert!((got.1 - r[k]).abs() < 2e-5, "{likelihood:?} {got:?} {r:?}");
                    }
                }
                assert!((rest[l] - expected).abs() < 3e-5, "{likelihood:?}");
                assert!((rest32[l] - expected).abs() < 1e-4, "{likelihood:?}");
            }
        }
    }
}
