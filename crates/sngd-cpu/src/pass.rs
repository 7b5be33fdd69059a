//! One pass over rows: outputs, log-likelihood, gradient, Fisher and second-moment sums, in blocks that stay in cache.

use crate::columns::Columns;
use crate::dense::{Block, Factor, add_gram};
use crate::resident::{Resident, Scalar};
use faer::Par;
use sngd_core::batch::BatchRows;
use sngd_core::config::FisherKind;
use sngd_core::likelihood::{Observed, packed};
use sngd_core::philox::{Stream, at, normals_f64, uniform};

/// Rows a block: 256 rows of 64 columns are 64 KiB in f32.
const BLOCK: usize = 256;

/// Which sums a pass makes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Σ ln p into `log_lik`.
    pub log_lik: bool,
    /// Σ Jᵀs into `gradient`.
    pub gradient: bool,
    /// Σ JᵀWJ into `fisher`, with this W.
    pub fisher: Option<FisherKind>,
    /// Σ ggᵀ into `second`.
    pub second: bool,
    /// The diagonals of `fisher` and of its W alone, into `diagonal`, in place of the dense sum.
    pub diagonal_only: bool,
}

/// Address of the Monte Carlo labels.
#[derive(Debug, Clone, Copy)]
pub struct LabelAddress {
    /// Key.
    pub seed: u64,
    /// Chain.
    pub chain: u32,
    /// Step.
    pub step: u32,
    /// Labels a row.
    pub labels: u32,
}

/// Buffers of one chain's passes and the sums that the last pass left.
#[derive(Debug)]
pub struct Pass<T> {
    /// Row numbers of the last pass, `[r]`; empty for all rows.
    pub rows: Vec<u32>,
    /// Outputs of the last pass, `[r,H]`.
    pub eta: Vec<T>,
    /// Σ ln p without log_norm.
    pub log_lik: f64,
    /// Σ Jᵀs, `[P]`.
    pub gradient: Vec<T>,
    /// Σ JᵀWJ, `[P,P]` column-major lower.
    pub fisher: Vec<T>,
    /// Σ ggᵀ, `[P,P]` column-major lower.
    pub second: Vec<T>,
    /// Diagonal of Σ JᵀWJ, `[P]`.
    pub diagonal: Vec<T>,
    /// Room for the prior's gradient.
    pub prior: PriorWork,
    block: BlockBuffers<T>,
    columns: Option<Columns>,
}

/// Where the prior's gradient is computed, in f64, `[P]` each.
#[derive(Debug)]
pub struct PriorWork {
    /// ω.
    pub omega: Vec<f64>,
    /// θ.
    pub theta: Vec<f64>,
    /// ∂(−ln prior)/∂ω.
    pub gradient: Vec<f64>,
}

/// Scratch of one block of rows.
#[derive(Debug)]
struct BlockBuffers<T> {
    x: Vec<T>,
    scaled: Vec<T>,
    score: Vec<T>,
    weight: Vec<T>,
    wide: Vec<T>,
    lever: Vec<T>,
}

impl<T: Scalar> Pass<T> {
    /// Buffers for up to `rows` rows; matrices only where `dense`; column-wise where the plan's passes allow it.
    pub fn new(data: &Resident<T>, rows: usize, dense: bool, columns: bool) -> Pass<T> {
        let (p, h, d) = (data.p, data.h, data.d);
        let square = if dense { p * p } else { 0 };
        let zeros = |n| vec![T::zero(); n];
        Pass {
            rows: Vec::with_capacity(rows),
            eta: zeros(rows * h),
            log_lik: 0.0,
            gradient: zeros(p),
            columns: (columns && data.columns.is_some()).then(Columns::default),
            fisher: zeros(square),
            second: zeros(square),
            diagonal: zeros(p),
            prior: PriorWork {
                omega: vec![0.0; p],
                theta: vec![0.0; p],
                gradient: vec![0.0; p],
            },
            block: BlockBuffers {
                x: zeros(BLOCK * d),
                scaled: zeros(BLOCK * d),
                score: zeros(BLOCK * h),
                weight: zeros(BLOCK * h * (h + 1) / 2),
                wide: zeros(if dense { BLOCK * p } else { 0 }),
                lever: zeros(BLOCK * h * (h + 1) / 2),
            },
        }
    }

    /// Chooses the rows of the next pass: all, or `count` by rule.
    pub fn select(&mut self, data: &Resident<T>, rule: BatchRows, count: usize) {
        if let (Some(columns), Some(source), Some(x)) =
            (&mut self.columns, &data.columns, T::as_f32(&data.x))
        {
            self.rows.clear();
            if !matches!(rule, BatchRows::All) {
                self.rows.resize(count, 0);
            }
            columns.select(source, x, rule, count);
            return;
        }
        if matches!(rule, BatchRows::All) {
            self.rows.clear();
        } else {
            self.rows.resize(count, 0);
            rule.fill(&mut self.rows);
        }
    }

    /// Goes over the selected rows at ω.
    pub fn run(
        &mut self,
        data: &Resident<T>,
        omega: &[T],
        wanted: Wanted,
        label: LabelAddress,
        par: Par,
    ) {
        let (d, h, k, p) = (data.d, data.h, data.k, data.p);
        let hh = h * (h + 1) / 2;
        let count = if self.rows.is_empty() {
            data.n
        } else {
            self.rows.len()
        };
        self.log_lik = 0.0;
        self.gradient.fill(T::zero());
        if let (Some(columns), Some(source), Some(omega)) =
            (&mut self.columns, &data.columns, T::as_f32(omega))
        {
            self.log_lik = columns.evaluate(source, omega, wanted.log_lik);
            if let (true, Some(out)) = (wanted.gradient, T::as_f32_mut(&mut self.gradient)) {
                columns.add_gradient(source, out);
            }
            if let (true, Some(out)) = (wanted.fisher.is_some(), T::as_f32_mut(&mut self.fisher)) {
                columns.gram(source, false, out);
            }
            if let (true, Some(out)) = (wanted.second, T::as_f32_mut(&mut self.second)) {
                columns.gram(source, true, out);
            }
            return;
        }
        self.diagonal.fill(T::zero());
        let dense = !wanted.diagonal_only;
        if wanted.fisher.is_some() && dense {
            self.fisher.fill(T::zero());
        }
        if wanted.second {
            self.second.fill(T::zero());
        }
        let buffers = &mut self.block;
        let mut start = 0;
        while start < count {
            let m = BLOCK.min(count - start);
            let all = self.rows.is_empty();
            let index = |j: usize| {
                if all {
                    start + j
                } else {
                    self.rows[start + j] as usize
                }
            };
            let x: &[T] = if all {
                &data.x[start * d..(start + m) * d]
            } else {
                for j in 0..m {
                    let i = index(j);
                    buffers.x[j * d..(j + 1) * d].copy_from_slice(&data.x[i * d..(i + 1) * d]);
                }
                &buffers.x[..m * d]
            };
            let eta = &mut self.eta[start * h..(start + m) * h];
            outputs(x, omega, eta, d, k, h);
            for j in 0..m {
                let e = &eta[j * h..(j + 1) * h];
                let obs = data.observed[index(j)];
                let s = &mut buffers.score[j * h..(j + 1) * h];
                self.log_lik += data.likelihood.log_lik_and_score(e, obs, s).to64();
                if let Some(kind) = wanted.fisher {
                    let w = &mut buffers.weight[j * hh..(j + 1) * hh];
                    match kind {
                        FisherKind::Exact => data.likelihood.fisher(e, obs.trials, w),
                        FisherKind::Empirical => outer(s, w),
                        FisherKind::MonteCarlo => {
                            monte_carlo(data, e, obs, label, (start + j) as u32, w);
                        }
                    }
                }
            }
            if wanted.gradient {
                add_transposed(x, &buffers.score[..m * h], &mut self.gradient, d, k, h);
            }
            if wanted.fisher.is_some() {
                let w = &buffers.weight[..m * hh];
                if dense {
                    add_weighted(
                        x,
                        w,
                        &mut self.fisher,
                        &mut buffers.scaled,
                        (d, k, h, p),
                        par,
                    );
                } else {
                    add_diagonal(x, w, &mut self.diagonal, d, k, h);
                }
            }
            if wanted.second {
                for j in 0..m {
                    let s = &buffers.score[j * h..(j + 1) * h];
                    outer(s, &mut buffers.weight[j * hh..(j + 1) * hh]);
                }
                let w = &buffers.weight[..m * hh];
                add_weighted(
                    x,
                    w,
                    &mut self.second,
                    &mut buffers.scaled,
                    (d, k, h, p),
                    par,
                );
            }
            start += m;
        }
    }

    /// Σ Jᵀc over the rows of the last pass, c = (κ/2)·volume − divergence at h = J M⁻¹ Jᵀ: exact leverages.
    pub fn correction_exact(
        &mut self,
        data: &Resident<T>,
        factor: &Factor<T>,
        inverse: &mut [T],
        how: Derivative,
        out: &mut [T],
        par: Par,
    ) {
        let (d, h, k, p) = (data.d, data.h, data.k, data.p);
        if let (Some(columns), Some(source), Some(l), Some(out)) = (
            &mut self.columns,
            &data.columns,
            T::as_f32(&factor.l),
            T::as_f32_mut(out),
        ) {
            let share = 0.5 * how.kappa - f64::from(u8::from(how.divergence));
            columns.correction(source, l, share, out);
            return;
        }
        // One output: ‖L⁻¹x‖² is a triangular solve; more: xᵀ(M⁻¹)_{kl}x shares the inverse among all pairs.
        let by_solve = h == 1;
        if !by_solve {
            factor.inverse(inverse, par);
        }
        self.each_block(data, how, out, |x, m, lever, buffers| {
            let hh = h * (h + 1) / 2;
            if by_solve {
                buffers.wide[..m * d].copy_from_slice(x);
                factor.solve_lower_many(&mut buffers.wide[..m * d], par);
                for j in 0..m {
                    lever[j] = buffers.wide[j * d..(j + 1) * d]
                        .iter()
                        .map(|&v| v * v)
                        .sum();
                }
                return;
            }
            for a in 0..k {
                for b in 0..=a {
                    multiply(
                        x,
                        &inverse[b * d * p + a * d..],
                        p,
                        &mut buffers.scaled[..m * d],
                        d,
                        par,
                    );
                    for j in 0..m {
                        lever[j * hh + packed(a, b)] = x[j * d..(j + 1) * d]
                            .iter()
                            .zip(&buffers.scaled[j * d..(j + 1) * d])
                            .map(|(&u, &v)| u * v)
                            .sum();
                    }
                }
            }
            for a in k..h {
                let col = k * d + a - k;
                for j in 0..m {
                    for b in 0..k {
                        lever[j * hh + packed(a, b)] = x[j * d..(j + 1) * d]
                            .iter()
                            .zip(&inverse[col * p + b * d..])
                            .map(|(&u, &v)| u * v)
                            .sum();
                    }
                    for b in k..=a {
                        lever[j * hh + packed(a, b)] = inverse[col * p + k * d + b - k];
                    }
                }
            }
        });
    }

    /// The same with one probe u ∼ N(0, M⁻¹): h = (Ju)(Ju)ᵀ. Adds `share` times the sum to `out`.
    pub fn correction_probe(
        &mut self,
        data: &Resident<T>,
        u: &[T],
        how: Derivative,
        out: &mut [T],
    ) {
        let (d, h, k) = (data.d, data.h, data.k);
        let hh = h * (h + 1) / 2;
        self.each_block(data, how, out, |x, m, lever, buffers| {
            // H ≤ P, so that the wide scratch holds the outputs of a block.
            let ju = &mut buffers.wide[..m * h];
            outputs(x, u, ju, d, k, h);
            for j in 0..m {
                outer(&ju[j * h..(j + 1) * h], &mut lever[j * hh..(j + 1) * hh]);
            }
        });
    }

    /// The same for a diagonal metric with inverse `inv` [P]: `volume` gets ∇ln|M|, `own` gets ∂ᵢMᵢᵢ.
    pub fn correction_diagonal(
        &mut self,
        data: &Resident<T>,
        inv: &[T],
        how: FisherKind,
        volume: &mut [T],
        own: &mut [T],
    ) {
        let (d, h, k) = (data.d, data.h, data.k);
        let hh = h * (h + 1) / 2;
        let volume_only = Derivative {
            kappa: 2.0,
            divergence: false,
            kind: how,
        };
        volume.fill(T::zero());
        self.each_block(data, volume_only, volume, |x, m, lever, _| {
            lever.fill(T::zero());
            for j in 0..m {
                for a in 0..h {
                    lever[j * hh + packed(a, a)] = if a < k {
                        x[j * d..(j + 1) * d]
                            .iter()
                            .zip(&inv[a * d..])
                            .map(|(&u, &v)| u * u * v)
                            .sum()
                    } else {
                        inv[k * d + a - k]
                    };
                }
            }
        });
        // ∂M_ii/∂ω_i for i = (a, e) is Σ ∂W_aa/∂η_a·x_e³.
        own.fill(T::zero());
        let likelihood = data.likelihood;
        let (mut vol, mut div, mut unit) =
            (vec![T::zero(); h], vec![T::zero(); h], vec![T::zero(); hh]);
        let count = if self.rows.is_empty() {
            data.n
        } else {
            self.rows.len()
        };
        for j in 0..count {
            let i = if self.rows.is_empty() {
                j
            } else {
                self.rows[j] as usize
            };
            let eta = &self.eta[j * h..(j + 1) * h];
            for a in 0..h {
                unit.fill(T::zero());
                unit[packed(a, a)] = T::one();
                derivative(
                    &likelihood,
                    eta,
                    data.observed[i],
                    &unit,
                    how,
                    &mut vol,
                    &mut div,
                );
                if a < k {
                    for e in 0..d {
                        let x = data.x[i * d + e];
                        own[a * d + e] += vol[a] * x * x * x;
                    }
                } else {
                    own[k * d + a - k] += vol[a];
                }
            }
        }
    }

    /// Blocks of the last pass's rows: `levers` fills h for each row, the contraction and Σ Jᵀc follow.
    fn each_block(
        &mut self,
        data: &Resident<T>,
        how: Derivative,
        out: &mut [T],
        mut levers: impl FnMut(&[T], usize, &mut [T], &mut BlockBuffers<T>),
    ) {
        let (d, h, k) = (data.d, data.h, data.k);
        let hh = h * (h + 1) / 2;
        let count = if self.rows.is_empty() {
            data.n
        } else {
            self.rows.len()
        };
        let mut lever = std::mem::take(&mut self.block.lever);
        let mut gathered = std::mem::take(&mut self.block.x);
        let (mut vol, mut div) = (vec![T::zero(); h], vec![T::zero(); h]);
        let half_kappa = T::of(0.5 * how.kappa);
        let mut start = 0;
        while start < count {
            let m = BLOCK.min(count - start);
            let all = self.rows.is_empty();
            let index = |j: usize| {
                if all {
                    start + j
                } else {
                    self.rows[start + j] as usize
                }
            };
            let x: &[T] = if all {
                &data.x[start * d..(start + m) * d]
            } else {
                for j in 0..m {
                    let i = index(j);
                    gathered[j * d..(j + 1) * d].copy_from_slice(&data.x[i * d..(i + 1) * d]);
                }
                &gathered[..m * d]
            };
            levers(x, m, &mut lever[..m * hh], &mut self.block);
            for j in 0..m {
                let eta = &self.eta[(start + j) * h..(start + j + 1) * h];
                let obs = data.observed[index(j)];
                let hj = &lever[j * hh..(j + 1) * hh];
                derivative(&data.likelihood, eta, obs, hj, how.kind, &mut vol, &mut div);
                let c = &mut self.block.score[j * h..(j + 1) * h];
                for a in 0..h {
                    let minus = if how.divergence { div[a] } else { T::zero() };
                    c[a] = half_kappa * vol[a] - minus;
                }
            }
            add_transposed(x, &self.block.score[..m * h], out, d, k, h);
            start += m;
        }
        self.block.lever = lever;
        self.block.x = gathered;
    }
}

/// What the correction asks of the weights' derivative.
#[derive(Debug, Clone, Copy)]
pub struct Derivative {
    /// κ.
    pub kappa: f64,
    /// Whether −divergence is part (Γ).
    pub divergence: bool,
    /// Which W.
    pub kind: FisherKind,
}

/// Contracts ∂W/∂η with h. Monte Carlo labels use their expectation's derivative; the empirical ssᵀ has no closed
/// derivative in the contract, so it is differenced in η (step 1e-2, error of order 1e-4).
fn derivative<T: Scalar>(
    likelihood: &sngd_core::likelihood::Likelihood,
    eta: &[T],
    obs: Observed<T>,
    lever: &[T],
    kind: FisherKind,
    volume: &mut [T],
    divergence: &mut [T],
) {
    if kind != FisherKind::Empirical {
        likelihood.contract(eta, obs.trials, lever, volume, divergence);
        return;
    }
    let h = eta.len();
    let step = T::of(1e-2);
    let (mut e, mut up, mut down) = (eta.to_vec(), vec![T::zero(); h], vec![T::zero(); h]);
    volume.fill(T::zero());
    divergence.fill(T::zero());
    for m in 0..h {
        e[m] = eta[m] + step;
        likelihood.log_lik_and_score(&e, obs, &mut up);
        e[m] = eta[m] - step;
        likelihood.log_lik_and_score(&e, obs, &mut down);
        e[m] = eta[m];
        for a in 0..h {
            for b in 0..h {
                let dw = (up[a] * up[b] - down[a] * down[b]) / (step + step);
                volume[m] += dw * lever[packed(a, b)];
                divergence[a] += dw * lever[packed(b, m)];
            }
        }
    }
}

/// η = Jω for a block: `[m,H]` from x `[m,D]`.
fn outputs<T: Scalar>(x: &[T], omega: &[T], eta: &mut [T], d: usize, k: usize, h: usize) {
    for (row, e) in x.chunks_exact(d).zip(eta.chunks_exact_mut(h)) {
        for a in 0..k {
            e[a] = dot(row, &omega[a * d..(a + 1) * d]);
        }
        e[k..].copy_from_slice(&omega[k * d..]);
    }
}

/// A dot product in eight independent sums, which the compiler turns into vector code.
#[inline]
fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::zero(); 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: T = ca
        .remainder()
        .iter()
        .zip(cb.remainder())
        .map(|(&u, &v)| u * v)
        .sum();
    for (u, v) in ca.zip(cb) {
        for i in 0..8 {
            lanes[i] += u[i] * v[i];
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + tail
}

/// out += Σ Jᵀs, s `[m,H]`.
fn add_transposed<T: Scalar>(x: &[T], s: &[T], out: &mut [T], d: usize, k: usize, h: usize) {
    let (linear, aux) = out.split_at_mut(k * d);
    for (row, sj) in x.chunks_exact(d).zip(s.chunks_exact(h)) {
        for a in 0..k {
            let f = sj[a];
            for (o, &v) in linear[a * d..(a + 1) * d].iter_mut().zip(row) {
                *o += f * v;
            }
        }
        for (o, &v) in aux.iter_mut().zip(&sj[k..]) {
            *o += v;
        }
    }
}

/// w = ssᵀ, packed.
fn outer<T: Scalar>(s: &[T], w: &mut [T]) {
    for a in 0..s.len() {
        for b in 0..=a {
            w[packed(a, b)] = s[a] * s[b];
        }
    }
}

/// m += Σ JᵀWJ, lower triangle.
fn add_weighted<T: Scalar>(
    x: &[T],
    w: &[T],
    matrix: &mut [T],
    scaled: &mut [T],
    (d, k, h, p): (usize, usize, usize, usize),
    par: Par,
) {
    let m = x.len() / d;
    let hh = h * (h + 1) / 2;
    for a in 0..k {
        for b in 0..=a {
            let at = packed(a, b);
            for j in 0..m {
                let f = w[j * hh + at];
                for (o, &v) in scaled[j * d..(j + 1) * d]
                    .iter_mut()
                    .zip(&x[j * d..(j + 1) * d])
                {
                    *o = f * v;
                }
            }
            let block = Block {
                matrix: &mut *matrix,
                p,
                row: a * d,
                col: b * d,
            };
            add_gram(block, x, &scaled[..m * d], d, par);
        }
    }
    for a in k..h {
        let row = k * d + a - k;
        for j in 0..m {
            for b in 0..k {
                let f = w[j * hh + packed(a, b)];
                for e in 0..d {
                    matrix[(b * d + e) * p + row] += f * x[j * d + e];
                }
            }
            for b in k..=a {
                matrix[(k * d + b - k) * p + row] += w[j * hh + packed(a, b)];
            }
        }
    }
}

/// diagonal += diag Σ JᵀWJ.
fn add_diagonal<T: Scalar>(x: &[T], w: &[T], out: &mut [T], d: usize, k: usize, h: usize) {
    let hh = h * (h + 1) / 2;
    for (row, wj) in x.chunks_exact(d).zip(w.chunks_exact(hh)) {
        for a in 0..k {
            let f = wj[packed(a, a)];
            for (o, &v) in out[a * d..(a + 1) * d].iter_mut().zip(row) {
                *o += f * v * v;
            }
        }
        for a in k..h {
            out[k * d + a - k] += wj[packed(a, a)];
        }
    }
}

/// out `[m,d]` = X·A for the `[d,d]` block of a column-major matrix with stride p that starts at `a[0]`.
fn multiply<T: Scalar>(x: &[T], a: &[T], p: usize, out: &mut [T], d: usize, par: Par) {
    let m = x.len() / d;
    // Row-major [m,d] is column-major [d,m]: outᵀ = Aᵀ Xᵀ.
    let block = faer::MatRef::from_column_major_slice_with_stride(a, d, d, p).transpose();
    let xt = faer::MatRef::from_column_major_slice(x, d, m);
    let dst = faer::MatMut::from_column_major_slice_mut(out, d, m);
    faer::linalg::matmul::matmul(
        dst,
        faer::Accum::Replace,
        block,
        xt,
        faer::traits::math_utils::one::<T>(),
        par,
    );
}

/// W from labels drawn from the model: the mean of ssᵀ over the row's labels.
fn monte_carlo<T: Scalar>(
    data: &Resident<T>,
    eta: &[T],
    obs: Observed<T>,
    label: LabelAddress,
    position: u32,
    w: &mut [T],
) {
    let h = eta.len();
    let mut s = vec![T::zero(); h];
    w.fill(T::zero());
    let share = T::of(1.0 / f64::from(label.labels));
    for l in 0..label.labels {
        let index = position * label.labels + l;
        let bits = at(label.seed, Stream::Label, label.chain, label.step, index);
        let z = normals_f64([bits[2], bits[3], bits[2], bits[3]])[0];
        let mut i = 0;
        let more = || {
            let chain = label.chain ^ 0x8000_0000;
            let b = at(label.seed, Stream::Label, chain, label.step, index * 64 + i);
            i += 1;
            uniform(b[0])
        };
        let y = data
            .likelihood
            .draw_label(eta, obs.trials, uniform(bits[0]), z, more);
        data.likelihood.log_lik_and_score(
            eta,
            Observed {
                y,
                trials: obs.trials,
            },
            &mut s,
        );
        for a in 0..h {
            for b in 0..=a {
                w[packed(a, b)] += share * s[a] * s[b];
            }
        }
    }
}
