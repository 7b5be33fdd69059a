//! Passes over rows for models with one output and few columns; each vector lane takes a row.
//!
//! Rows are stored by columns in blocks of `ROWS`: `[blocks][D][ROWS]`, padded with zero rows of zero weight. Then outputs,
//! weights, gradient, Gram matrix and leverages are all loops over lanes of rows, for any D; a library's product would spend
//! its time on the edges of such small matrices. `pass` uses this where `fits` and `serves` allow it.

use crate::resident::counted;
use pulp::{Simd, WithSimd};
use sngd_core::batch::BatchRows;
use sngd_core::likelihood::{Likelihood, Link, Observed};
use sngd_core::plan::Plan;
use sngd_core::real::Real;

/// Rows per block.
pub const ROWS: usize = 64;
/// Number of columns beyond which the library's product is faster.
const MAX_COLUMNS: usize = 96;

/// Whether a problem of this shape can use this layout.
pub fn fits(outputs: usize, columns: usize) -> bool {
    outputs == 1 && columns <= MAX_COLUMNS
}

/// Rows of a problem, one after another.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Features, `[N,D]`.
    pub x: &'a [f32],
    /// Responses, `[N]`.
    pub y: &'a [f32],
    /// Trials, `[N]`.
    pub trials: &'a [f32],
    /// Number added to the output, `[N]`; empty where there is no offset.
    pub offset: &'a [f32],
    /// How often each row counts, `[N]`; empty where every row counts once.
    pub weights: &'a [f32],
}

/// The same by columns, in whole blocks.
#[derive(Debug, Default)]
struct Lanes {
    /// Features, `[blocks][D][ROWS]`.
    x: Vec<f32>,
    y: Vec<f32>,
    trials: Vec<f32>,
    offset: Vec<f32>,
    weights: Vec<f32>,
}

impl Lanes {
    #[inline(always)]
    fn observed(&self, j: usize) -> Observed<f32> {
        Observed {
            y: self.y[j],
            trials: self.trials[j],
        }
    }

    /// What row j adds to Σ ln p, of which one observation is `log_lik`.
    #[inline(always)]
    fn share(&self, j: usize, log_lik: f32) -> f64 {
        let log_lik = f64::from(log_lik);
        let times = self.weights.get(j);
        times.map_or(log_lik, |&w| counted(f64::from(w), log_lik))
    }

    fn gather(&mut self, from: Rows<'_>, d: usize, count: usize, row: impl Fn(usize) -> usize) {
        let blocks = count.div_ceil(ROWS);
        self.x.resize(blocks * ROWS * d, 0.0);
        for (to, column) in [
            (&mut self.y, from.y),
            (&mut self.trials, from.trials),
            (&mut self.offset, from.offset),
            (&mut self.weights, from.weights),
        ] {
            if column.is_empty() {
                continue;
            }
            to.resize(blocks * ROWS, 0.0);
            (to.iter_mut().take(count).enumerate()).for_each(|(j, v)| *v = column[row(j)]);
            to[count..].fill(0.0);
        }
        for b in 0..blocks {
            let block = &mut self.x[b * d * ROWS..(b + 1) * d * ROWS];
            let m = ROWS.min(count - b * ROWS);
            for j in 0..m {
                let i = row(b * ROWS + j);
                for (e, &v) in from.x[i * d..(i + 1) * d].iter().enumerate() {
                    block[e * ROWS + j] = v;
                }
            }
            for j in m..ROWS {
                for e in 0..d {
                    block[e * ROWS + j] = 0.0;
                }
            }
        }
    }
}

/// The rows of a pass by columns, with outputs, scores, weights and their slopes for each.
#[derive(Debug, Default)]
pub struct Columns {
    /// The rows; not used when a pass takes all of them from the `Source`.
    own: Lanes,
    eta: Vec<f32>,
    score: Vec<f32>,
    weight: Vec<f32>,
    slope: Vec<f32>,
    rows: Vec<u32>,
    factor_rows: Vec<f32>,
    all: bool,
    blocks: usize,
    count: usize,
}

/// All data by columns, converted once; for f32 engines only.
#[derive(Debug)]
pub struct Source {
    likelihood: Likelihood,
    n: usize,
    d: usize,
    lanes: Lanes,
}

impl Source {
    /// Converts the rows of D features each.
    pub fn new(likelihood: Likelihood, rows: Rows<'_>, d: usize) -> Source {
        let n = rows.y.len();
        let mut lanes = Lanes::default();
        lanes.gather(rows, d, n, |j| j);
        Source {
            likelihood,
            n,
            d,
            lanes,
        }
    }
}

impl Columns {
    /// Chooses the rows of the next pass: all, or `count` rows by `rule`.
    pub fn select(&mut self, data: &Source, x: &[f32], rule: BatchRows, count: usize) {
        self.all = matches!(rule, BatchRows::All);
        if self.all {
            self.resize(data.n);
            return;
        }
        self.resize(count);
        self.rows.resize(count, 0);
        rule.fill(&mut self.rows);
        let Lanes {
            y,
            trials,
            offset,
            weights,
            ..
        } = &data.lanes;
        let from = Rows {
            x,
            y,
            trials,
            offset,
            weights,
        };
        let rows = &self.rows;
        self.own.gather(from, data.d, count, |j| rows[j] as usize);
    }

    fn resize(&mut self, count: usize) {
        self.count = count;
        self.blocks = count.div_ceil(ROWS);
        let padded = self.blocks * ROWS;
        for v in [
            &mut self.eta,
            &mut self.score,
            &mut self.weight,
            &mut self.slope,
        ] {
            v.resize(padded, 0.0);
        }
    }

    fn view<'a>(&'a self, data: &'a Source) -> &'a Lanes {
        if self.all { &data.lanes } else { &self.own }
    }

    /// Computes outputs, scores, weights and their slopes at ω `[D]`, all but the outputs times how often the row counts; returns
    /// Σ ln p in nats where `log_lik` asks for it, else 0.
    pub fn evaluate(&mut self, data: &Source, omega: &[f32], log_lik: bool) -> f64 {
        let mut eta = std::mem::take(&mut self.eta);
        let mut score = std::mem::take(&mut self.score);
        let mut weight = std::mem::take(&mut self.weight);
        let mut slope = std::mem::take(&mut self.slope);
        let lanes = self.view(data);
        let total = pulp::Arch::new().dispatch(Evaluate {
            lanes,
            omega,
            count: self.count,
            likelihood: data.likelihood.clone(),
            eta: &mut eta,
            score: &mut score,
            weight: &mut weight,
            slope: &mut slope,
        });
        for j in self.count..eta.len() {
            (score[j], weight[j], slope[j]) = (0.0, 0.0, 0.0);
        }
        for (j, &times) in lanes.weights.iter().enumerate().take(self.count) {
            for v in [&mut score[j], &mut weight[j], &mut slope[j]] {
                *v = counted(times, *v);
            }
        }
        let total = if log_lik {
            match total {
                Some(t) => t,
                None => (0..self.count)
                    .map(|j| {
                        let at = &eta[j..=j];
                        let ll =
                            (data.likelihood).log_lik_and_score(at, lanes.observed(j), &mut [0.0]);
                        lanes.share(j, ll)
                    })
                    .sum(),
            }
        } else {
            0.0
        };
        (self.eta, self.score, self.weight, self.slope) = (eta, score, weight, slope);
        total
    }

    /// Adds the gradient Σ s·x to `out` `[D]`, s the scores.
    pub fn add_gradient(&self, data: &Source, out: &mut [f32]) {
        pulp::Arch::new().dispatch(Transposed {
            x: &self.view(data).x,
            c: &self.score,
            out,
        });
    }

    /// Writes the lower triangle of Σ w·xxᵀ, `[D,D]` column-major, w the weights or the squared scores.
    pub fn gram(&self, data: &Source, squared_scores: bool, out: &mut [f32]) {
        let w = if squared_scores {
            &self.score
        } else {
            &self.weight
        };
        pulp::Arch::new().dispatch(Gram {
            x: &self.view(data).x,
            w,
            square: squared_scores,
            d: data.d,
            out,
        });
    }

    /// Adds Σ share·slope·h·x to `out` `[D]`, h = xᵀM⁻¹x and L = `factor`, column-major: the correction of one output, for which volume
    /// and divergence are the same.
    pub fn correction(&mut self, data: &Source, factor: &[f32], share: f64, out: &mut [f32]) {
        let d = data.d;
        // L by rows, with the inverse of its diagonal.
        let mut l = std::mem::take(&mut self.factor_rows);
        l.resize(d * d, 0.0);
        for i in 0..d {
            for j in 0..i {
                l[i * d + j] = factor[j * d + i];
            }
            l[i * d + i] = 1.0 / factor[i * d + i];
        }
        let mut c = std::mem::take(&mut self.score);
        let x = &self.view(data).x;
        let share = share as f32;
        pulp::Arch::new().dispatch(Leverage {
            x,
            l: &l,
            slope: &self.slope,
            share,
            d,
            c: &mut c,
        });
        pulp::Arch::new().dispatch(Transposed { x, c: &c, out });
        self.score = c;
        self.factor_rows = l;
    }
}

/// Whether this layout has all sums that the plan's passes need.
pub fn serves(plan: &Plan) -> bool {
    use sngd_core::config::FisherKind;
    use sngd_core::plan::{CorrectionPlan, Metric};
    plan.fisher == FisherKind::Exact
        && plan.metric == Metric::Fisher
        && matches!(
            plan.correction,
            CorrectionPlan::Off | CorrectionPlan::ClosedForm
        )
}

struct Evaluate<'a> {
    lanes: &'a Lanes,
    omega: &'a [f32],
    /// Number of rows that are data; those behind them are padding.
    count: usize,
    likelihood: Likelihood,
    eta: &'a mut [f32],
    score: &'a mut [f32],
    weight: &'a mut [f32],
    slope: &'a mut [f32],
}

impl WithSimd for Evaluate<'_> {
    type Output = Option<f64>;
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<f64> {
        let d = self.omega.len();
        let lanes = self.lanes;
        for (b, (eta, x)) in self
            .eta
            .chunks_exact_mut(ROWS)
            .zip(lanes.x.chunks_exact(d * ROWS))
            .enumerate()
        {
            let (eta, _) = S::as_mut_simd_f32s(eta);
            let offset = lanes.offset.get(b * ROWS..(b + 1) * ROWS);
            let offset = offset.map(|o| S::as_simd_f32s(o).0);
            for (v, out) in eta.iter_mut().enumerate() {
                let mut acc = offset.map_or(simd.splat_f32s(0.0), |o| o[v]);
                for (column, &w) in x.chunks_exact(ROWS).zip(self.omega) {
                    let (column, _) = S::as_simd_f32s(column);
                    acc = simd.mul_add_f32s(simd.splat_f32s(w), column[v], acc);
                }
                *out = acc;
            }
        }
        let likelihood = &self.likelihood;
        if let Likelihood::Binomial(Link::Logit) = likelihood {
            let all = self.eta.iter().zip(&lanes.y).zip(&lanes.trials);
            let out = self
                .score
                .iter_mut()
                .zip(self.weight.iter_mut())
                .zip(self.slope.iter_mut());
            for (((&eta, &y), &t), ((s, w), v)) in all.zip(out) {
                let e = f32::exp_lane(-eta.abs());
                let inv = 1.0 / (1.0 + e);
                let small = e * inv;
                let mu = if eta >= 0.0 { inv } else { small };
                *s = y - t * mu;
                let weight = t * small * inv;
                *w = weight;
                *v = weight * (1.0 - mu - mu);
            }
            return None;
        }
        let mut total = 0.0;
        let (mut vol, mut div) = ([0.0], [0.0]);
        for j in 0..self.eta.len() {
            let obs = lanes.observed(j);
            let eta = &self.eta[j..=j];
            let ll = likelihood.log_lik_and_score(eta, obs, &mut self.score[j..=j]);
            // Rows behind the last are padding and no part of the sum. Their companion is 0, but so may that of a row be.
            if j < self.count {
                total += lanes.share(j, ll);
            }
            likelihood.fisher(eta, obs.trials, &mut self.weight[j..=j]);
            likelihood.contract(eta, obs.trials, &[1.0], &mut vol, &mut div);
            self.slope[j] = vol[0];
        }
        Some(total)
    }
}

struct Transposed<'a> {
    x: &'a [f32],
    c: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Transposed<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let d = self.out.len();
        for (c, x) in self.c.chunks_exact(ROWS).zip(self.x.chunks_exact(d * ROWS)) {
            let (c, _) = S::as_simd_f32s(c);
            for (o, column) in self.out.iter_mut().zip(x.chunks_exact(ROWS)) {
                let (column, _) = S::as_simd_f32s(column);
                let mut acc = simd.splat_f32s(0.0);
                for (&a, &b) in c.iter().zip(column) {
                    acc = simd.mul_add_f32s(a, b, acc);
                }
                *o += simd.reduce_sum_f32s(acc);
            }
        }
    }
}

struct Gram<'a> {
    x: &'a [f32],
    w: &'a [f32],
    square: bool,
    d: usize,
    out: &'a mut [f32],
}

/// Columns on each side of a Gram tile: sixteen vector sums at once.
const TILE: usize = 4;

impl WithSimd for Gram<'_> {
    type Output = ();
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let d = self.d;
        let vectors = ROWS / S::F32_LANES;
        for i in (0..d).step_by(TILE) {
            for j in (0..=i).step_by(TILE) {
                let mut acc = [[simd.splat_f32s(0.0); TILE]; TILE];
                // The last tile repeats columns, which avoids a branch; the repeated results are not written.
                let at = |c: usize| c.min(d - 1) * ROWS;
                for (w, x) in self.w.chunks_exact(ROWS).zip(self.x.chunks_exact(d * ROWS)) {
                    let (w, _) = S::as_simd_f32s(w);
                    let row: [&[S::f32s]; TILE] =
                        std::array::from_fn(|a| S::as_simd_f32s(&x[at(i + a)..][..ROWS]).0);
                    let col: [&[S::f32s]; TILE] =
                        std::array::from_fn(|b| S::as_simd_f32s(&x[at(j + b)..][..ROWS]).0);
                    for v in 0..vectors {
                        let f = if self.square {
                            simd.mul_f32s(w[v], w[v])
                        } else {
                            w[v]
                        };
                        let scaled: [S::f32s; TILE] =
                            std::array::from_fn(|b| simd.mul_f32s(f, col[b][v]));
                        for a in 0..TILE {
                            let r = row[a][v];
                            for b in 0..TILE {
                                acc[a][b] = simd.mul_add_f32s(r, scaled[b], acc[a][b]);
                            }
                        }
                    }
                }
                // Sums first, in loops of fixed length: a variable index would move the accumulators from registers to memory.
                let sums: [[f32; TILE]; TILE] = std::array::from_fn(|a| {
                    std::array::from_fn(|b| simd.reduce_sum_f32s(acc[a][b]))
                });
                for a in 0..TILE.min(d - i) {
                    for b in 0..TILE.min(d - j) {
                        if j + b <= i + a {
                            self.out[(j + b) * d + i + a] = sums[a][b];
                        }
                    }
                }
            }
        }
    }
}

struct Leverage<'a> {
    x: &'a [f32],
    l: &'a [f32],
    slope: &'a [f32],
    share: f32,
    d: usize,
    c: &'a mut [f32],
}

/// Vectors of rows in one triangular solve: each number of L is loaded once for all of them.
const CARRIED: usize = 4;

impl WithSimd for Leverage<'_> {
    type Output = ();
    /// Forward substitution; each lane takes a row.
    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let d = self.d;
        let zero = simd.splat_f32s(0.0);
        let mut solved = [[zero; CARRIED]; MAX_COLUMNS];
        let vectors = ROWS / S::F32_LANES;
        let share = simd.splat_f32s(self.share);
        let blocks = self
            .x
            .chunks_exact(d * ROWS)
            .zip(self.slope.chunks_exact(ROWS));
        for ((x, slope), c) in blocks.zip(self.c.chunks_exact_mut(ROWS)) {
            let (slope, _) = S::as_simd_f32s(slope);
            let (c, _) = S::as_mut_simd_f32s(c);
            for start in (0..vectors).step_by(CARRIED) {
                let mut total = [zero; CARRIED];
                for i in 0..d {
                    let (column, _) = S::as_simd_f32s(&x[i * ROWS..(i + 1) * ROWS]);
                    let mut acc: [S::f32s; CARRIED] = std::array::from_fn(|u| column[start + u]);
                    let row = &self.l[i * d..(i + 1) * d];
                    for (&f, y) in row[..i].iter().zip(&solved[..i]) {
                        let f = simd.splat_f32s(-f);
                        for u in 0..CARRIED {
                            acc[u] = simd.mul_add_f32s(f, y[u], acc[u]);
                        }
                    }
                    let inv = simd.splat_f32s(row[i]);
                    for u in 0..CARRIED {
                        acc[u] = simd.mul_f32s(acc[u], inv);
                        total[u] = simd.mul_add_f32s(acc[u], acc[u], total[u]);
                    }
                    solved[i] = acc;
                }
                for u in 0..CARRIED {
                    let at = start + u;
                    c[at] = simd.mul_f32s(share, simd.mul_f32s(slope[at], total[u]));
                }
            }
        }
    }
}
