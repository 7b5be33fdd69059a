//! Passes over rows for models with one output and few columns; each vector lane takes a row.
//!
//! Rows are stored by columns in blocks of `ROWS`: `[blocks][D][ROWS]`, padded with zero rows of zero weight. Then outputs,
//! weights, gradient, Gram matrix and leverages are all loops over lanes of rows, for any D; a library's product would spend
//! its time on the edges of such small matrices. `pass` uses this where `fits` and `serves` allow it.

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

/// The rows of a pass by columns, with outputs, scores, weights and their slopes for each.
#[derive(Debug, Default)]
pub struct Columns {
    /// Features, `[blocks][D][ROWS]`; not used when a pass takes all rows from the `Source`.
    x: Vec<f32>,
    y: Vec<f32>,
    trials: Vec<f32>,
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
    x: Vec<f32>,
    y: Vec<f32>,
    trials: Vec<f32>,
}

impl Source {
    /// Converts row-major features `[N,D]`, responses `[N]` and trials `[N]`.
    pub fn new(likelihood: Likelihood, x: &[f32], y: &[f32], trials: &[f32]) -> Source {
        let (n, d) = (y.len(), x.len() / y.len());
        let mut c = Columns::default();
        c.gather((x, y, trials), d, n, |j| j);
        Source {
            likelihood,
            n,
            d,
            x: c.x,
            y: c.y,
            trials: c.trials,
        }
    }
}

impl Columns {
    /// Chooses the rows of the next pass: all, or `count` rows by `rule`.
    pub fn select(&mut self, data: &Source, x: &[f32], rule: BatchRows, count: usize) {
        self.all = matches!(rule, BatchRows::All);
        if self.all {
            self.resize(data.n, data.d, false);
            return;
        }
        let mut rows = std::mem::take(&mut self.rows);
        rows.resize(count, 0);
        rule.fill(&mut rows);
        self.gather((x, &data.y, &data.trials), data.d, count, |j| {
            rows[j] as usize
        });
        self.rows = rows;
    }

    fn resize(&mut self, count: usize, d: usize, own: bool) {
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
        if own {
            self.x.resize(padded * d, 0.0);
            self.y.resize(padded, 0.0);
            self.trials.resize(padded, 0.0);
        }
    }

    fn gather(
        &mut self,
        (x, y, trials): (&[f32], &[f32], &[f32]),
        d: usize,
        count: usize,
        row: impl Fn(usize) -> usize,
    ) {
        self.resize(count, d, true);
        for b in 0..self.blocks {
            let block = &mut self.x[b * d * ROWS..(b + 1) * d * ROWS];
            let m = ROWS.min(count - b * ROWS);
            for j in 0..m {
                let i = row(b * ROWS + j);
                let from = &x[i * d..(i + 1) * d];
                for (e, &v) in from.iter().enumerate() {
                    block[e * ROWS + j] = v;
                }
                self.y[b * ROWS + j] = y[i];
                self.trials[b * ROWS + j] = trials[i];
            }
            for j in m..ROWS {
                for e in 0..d {
                    block[e * ROWS + j] = 0.0;
                }
                self.y[b * ROWS + j] = 0.0;
                self.trials[b * ROWS + j] = 0.0;
            }
        }
    }

    fn view<'a>(&'a self, data: &'a Source) -> (&'a [f32], &'a [f32], &'a [f32]) {
        if self.all {
            (&data.x, &data.y, &data.trials)
        } else {
            (&self.x, &self.y, &self.trials)
        }
    }

    /// Computes outputs, scores, weights and their slopes at ω `[D]`; returns Σ ln p in nats where `log_lik` asks for it, else 0.
    pub fn evaluate(&mut self, data: &Source, omega: &[f32], log_lik: bool) -> f64 {
        let mut eta = std::mem::take(&mut self.eta);
        let mut score = std::mem::take(&mut self.score);
        let mut weight = std::mem::take(&mut self.weight);
        let mut slope = std::mem::take(&mut self.slope);
        let (x, y, trials) = self.view(data);
        let total = pulp::Arch::new().dispatch(Evaluate {
            x,
            y,
            trials,
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
        let total = if log_lik {
            match total {
                Some(t) => t,
                None => (0..self.count)
                    .map(|j| {
                        let obs = Observed {
                            y: y[j],
                            trials: trials[j],
                        };
                        let ll = data
                            .likelihood
                            .log_lik_and_score(&eta[j..=j], obs, &mut [0.0]);
                        f64::from(ll)
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
        let (x, ..) = self.view(data);
        pulp::Arch::new().dispatch(Transposed {
            x,
            c: &self.score,
            out,
        });
    }

    /// Writes the lower triangle of Σ w·xxᵀ, `[D,D]` column-major, w the weights or the squared scores.
    pub fn gram(&self, data: &Source, squared_scores: bool, out: &mut [f32]) {
        let (x, ..) = self.view(data);
        let w = if squared_scores {
            &self.score
        } else {
            &self.weight
        };
        pulp::Arch::new().dispatch(Gram {
            x,
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
        let (x, ..) = self.view(data);
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
    x: &'a [f32],
    y: &'a [f32],
    trials: &'a [f32],
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
        for (eta, x) in self
            .eta
            .chunks_exact_mut(ROWS)
            .zip(self.x.chunks_exact(d * ROWS))
        {
            let (eta, _) = S::as_mut_simd_f32s(eta);
            for (v, out) in eta.iter_mut().enumerate() {
                let mut acc = simd.splat_f32s(0.0);
                for (column, &w) in x.chunks_exact(ROWS).zip(self.omega) {
                    let (column, _) = S::as_simd_f32s(column);
                    acc = simd.mul_add_f32s(simd.splat_f32s(w), column[v], acc);
                }
                *out = acc;
            }
        }
        let likelihood = &self.likelihood;
        if let Likelihood::Binomial(Link::Logit) = likelihood {
            let all = self.eta.iter().zip(self.y).zip(self.trials);
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
            let obs = Observed {
                y: self.y[j],
                trials: self.trials[j],
            };
            let eta = &self.eta[j..=j];
            let ll = likelihood.log_lik_and_score(eta, obs, &mut self.score[j..=j]);
            // Rows behind the last are padding and no part of the sum. Their companion is 0, but so may that of a row be.
            if j < self.count {
                total += f64::from(ll);
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
