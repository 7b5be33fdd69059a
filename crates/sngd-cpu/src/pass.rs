//! One pass over rows: outputs, log-likelihood, gradient, Fisher and second-moment sums, in blocks that stay in cache.

use crate::columns::Columns;
use crate::linear::{BLOCK, add_diagonal, add_transposed, add_weighted, outer, outputs};
use crate::network::{NetworkPass, network_numbers};
use crate::resident::Resident;
use crate::scalar::{Scalar, counted};
use faer::Par;
use sngd_core::batch::BatchRows;
use sngd_core::config::FisherKind;
use sngd_core::likelihood::{Observed, packed};
use sngd_core::philox::{Stream, at, normals_f64, uniform};
use sngd_core::plan::{CorrectionPlan, Plan};

/// Which sums a pass computes.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted {
    /// Σ w·ln p into `log_lik`, w how often each row counts.
    pub log_lik: bool,
    /// Σ g into `gradient`, g = w·Jᵀs the gradient of a row.
    pub gradient: bool,
    /// Σ w·JᵀWJ into `fisher`, with this kind of W.
    pub fisher: Option<FisherKind>,
    /// Σ ggᵀ into `second`: w² times what one observation of the row has.
    pub second: bool,
    /// The diagonal of Σ JᵀWJ alone, into `diagonal`, in place of the dense sum.
    pub diagonal_only: bool,
}

/// Philox address of the Monte Carlo labels.
#[derive(Debug, Clone, Copy)]
pub struct LabelAddress {
    /// Seed: the key of every random stream.
    pub seed: u64,
    /// Index of the chain.
    pub chain: u32,
    /// Index of the step.
    pub step: u32,
    /// Labels per row.
    pub labels: u32,
}

/// Buffers of one chain's passes, and the sums from the last pass.
#[derive(Debug)]
pub struct Pass<T> {
    /// Indices of the rows of the last pass, `[r]`; empty for all rows.
    pub rows: Vec<u32>,
    /// Outputs η of the last pass, offsets included, `[r,H]`.
    pub eta: Vec<T>,
    /// Σ w·ln p without `Problem::log_norm`, in nats.
    pub log_lik: f64,
    /// Gradient of the log likelihood in ω, Σ w·Jᵀs, `[P]`.
    pub gradient: Vec<T>,
    /// Fisher information Σ w·JᵀWJ in the layout's blocks, column-major lower.
    pub fisher: Vec<T>,
    /// Second moment of the gradients of single rows, Σ ggᵀ with g = w·Jᵀs, stored the same way.
    pub second: Vec<T>,
    /// Diagonal of Σ JᵀWJ, `[P]`.
    pub diagonal: Vec<T>,
    /// Buffers for the prior's gradient.
    pub prior: PriorWork,
    pub(crate) block: BlockBuffers<T>,
    pub(crate) columns: Option<Columns>,
    network: Option<Box<NetworkPass<T>>>,
}

/// Buffers in which the prior's gradient is computed, in f64, `[P]` each.
#[derive(Debug)]
pub struct PriorWork {
    /// Internal parameters ω.
    pub omega: Vec<f64>,
    /// Natural parameters θ.
    pub theta: Vec<f64>,
    /// Gradient of the prior's cost, ∂(−ln prior)/∂ω.
    pub gradient: Vec<f64>,
}

/// Buffers for one block of rows.
#[derive(Debug)]
pub(crate) struct BlockBuffers<T> {
    pub x: Vec<T>,
    pub scaled: Vec<T>,
    pub score: Vec<T>,
    weight: Vec<T>,
    pub wide: Vec<T>,
    pub lever: Vec<T>,
}

impl<T: Scalar> Pass<T> {
    /// Buffers for up to `rows` rows: matrices only where `dense`, second moments only where `second`. With `columns`, passes read
    /// the data by columns, where they are stored so.
    pub fn new(
        data: &Resident<T>,
        rows: usize,
        dense: bool,
        second: bool,
        columns: bool,
    ) -> Pass<T> {
        let (p, h, d) = (data.p, data.h, data.d);
        // The diagonal of a network's metric is a layout of blocks of order one.
        let square = match (dense, &data.network) {
            (true, _) => data.layout.len,
            (false, Some(_)) => data.single.len,
            (false, None) => 0,
        };
        let zeros = |n| vec![T::zero(); n];
        let linear = data.network.is_none();
        Pass {
            rows: Vec::with_capacity(rows),
            eta: zeros(rows * h),
            log_lik: 0.0,
            gradient: zeros(p),
            columns: (columns && data.columns.is_some()).then(Columns::default),
            network: data.network.as_ref().map(|net| {
                let layout = if dense { &data.layout } else { &data.single };
                Box::new(NetworkPass::new(net, layout, h, BLOCK))
            }),
            fisher: zeros(square),
            second: zeros(if second { square } else { 0 }),
            diagonal: zeros(p),
            prior: PriorWork {
                omega: vec![0.0; p],
                theta: vec![0.0; p],
                gradient: vec![0.0; p],
            },
            block: BlockBuffers {
                // A network copies rows into the buffer of its first layer.
                x: zeros(if linear { BLOCK * d } else { 0 }),
                scaled: zeros(if linear { BLOCK * d } else { 0 }),
                score: zeros(BLOCK * h),
                weight: zeros(BLOCK * h * (h + 1) / 2),
                wide: zeros(if dense && linear { BLOCK * p } else { 0 }),
                lever: zeros(BLOCK * h * (h + 1) / 2),
            },
        }
    }

    /// Count of numbers in the buffers of a step's passes, matrices and vectors apart: outputs of the rows of batch and metric, and of a
    /// network's layers.
    pub fn numbers(plan: &Plan) -> u64 {
        let passes = match plan.correction {
            CorrectionPlan::FiniteDifference => 3,
            _ => 2,
        };
        let outputs = (plan.batch + plan.metric_row_count()) * plan.h;
        outputs as u64 + passes * network_numbers(plan)
    }

    /// Chooses the rows of the next pass: all, or `count` rows by `rule`.
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

    /// Computes the wanted sums by columns, where the rows are stored so; says whether it did.
    fn run_by_columns(&mut self, data: &Resident<T>, omega: &[T], wanted: Wanted) -> bool {
        let (Some(columns), Some(source), Some(omega)) =
            (&mut self.columns, &data.columns, T::as_f32(omega))
        else {
            return false;
        };
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
        true
    }

    /// Computes the wanted sums over the selected rows at ω `[P]`.
    pub fn run(
        &mut self,
        data: &Resident<T>,
        omega: &[T],
        wanted: Wanted,
        label: LabelAddress,
        par: Par,
    ) {
        let (d, h, k) = (data.d, data.h, data.k);
        let hh = h * (h + 1) / 2;
        let count = row_count(data, &self.rows);
        self.log_lik = 0.0;
        self.gradient.fill(T::zero());
        if self.run_by_columns(data, omega, wanted) {
            return;
        }
        self.diagonal.fill(T::zero());
        let dense = !wanted.diagonal_only;
        if wanted.fisher.is_some() {
            self.fisher.fill(T::zero());
        }
        if wanted.second {
            self.second.fill(T::zero());
        }
        let buffers = &mut self.block;
        let mut start = 0;
        while start < count {
            let m = BLOCK.min(count - start);
            let eta = &mut self.eta[start * h..(start + m) * h];
            let x = match &mut self.network {
                Some(net) => {
                    let places = (start..start + m).map(|j| row_at(&self.rows, j));
                    net.forward(places.map(|i| &data.x[i * d..][..d]), omega, eta, par);
                    &[]
                }
                None => {
                    let x = block_of(data, &self.rows, start, m, &mut buffers.x);
                    outputs(x, omega, eta, d, k, h);
                    x
                }
            };
            if !data.offset.is_empty() {
                for (j, e) in eta.chunks_exact_mut(h).enumerate() {
                    e[0] += data.offset[row_at(&self.rows, start + j)];
                }
            }
            for j in 0..m {
                let e = &eta[j * h..(j + 1) * h];
                let i = row_at(&self.rows, start + j);
                let obs = data.observed[i];
                let s = &mut buffers.score[j * h..(j + 1) * h];
                let ll = data.likelihood.log_lik_and_score(e, obs, s);
                let w = &mut buffers.weight[j * hh..(j + 1) * hh];
                if let Some(kind) = wanted.fisher {
                    match kind {
                        FisherKind::Exact => data.likelihood.fisher(e, obs.trials, w),
                        FisherKind::Empirical => outer(s, w),
                        FisherKind::MonteCarlo => {
                            monte_carlo(data, e, obs, label, (start + j) as u32, w);
                        }
                    }
                }
                let Some(&times) = data.weights.get(i) else {
                    self.log_lik += ll.to64();
                    continue;
                };
                self.log_lik += counted(times.to64(), ll.to64());
                s.iter_mut().for_each(|s| *s = counted(times, *s));
                if wanted.fisher.is_some() {
                    w.iter_mut().for_each(|w| *w = counted(times, *w));
                }
            }
            let (scores, weights) = (&buffers.score[..m * h], &buffers.weight[..m * hh]);
            if let Some(net) = &mut self.network {
                if wanted.gradient || wanted.second {
                    net.add_gradient(
                        omega,
                        scores,
                        wanted.gradient.then_some(&mut self.gradient[..]),
                        wanted.second.then_some(&mut self.second[..]),
                        par,
                    );
                }
                if wanted.fisher.is_some() {
                    net.add_fisher(omega, weights, &mut self.fisher, par);
                }
                start += m;
                continue;
            }
            if wanted.gradient {
                add_transposed(x, scores, &mut self.gradient, d, k, h);
            }
            let layout = &data.layout;
            if wanted.fisher.is_some() {
                if dense {
                    let scaled = &mut buffers.scaled;
                    add_weighted(x, weights, &mut self.fisher, scaled, (d, k, h), layout, par);
                } else {
                    add_diagonal(x, weights, &mut self.diagonal, d, k, h);
                }
            }
            if wanted.second {
                for j in 0..m {
                    let s = &buffers.score[j * h..(j + 1) * h];
                    outer(s, &mut buffers.weight[j * hh..(j + 1) * hh]);
                }
                let (w, scaled) = (&buffers.weight[..m * hh], &mut buffers.scaled);
                add_weighted(x, w, &mut self.second, scaled, (d, k, h), layout, par);
            }
            start += m;
        }
        if self.network.is_some() && wanted.fisher.is_some() && !dense {
            self.diagonal.copy_from_slice(&self.fisher);
        }
    }
}

/// Number of rows in a pass; an empty list means all rows.
pub(crate) fn row_count<T>(data: &Resident<T>, rows: &[u32]) -> usize {
    if rows.is_empty() { data.n } else { rows.len() }
}

/// Index of the data row at a place of a pass.
pub(crate) fn row_at(rows: &[u32], place: usize) -> usize {
    rows.get(place).map_or(place, |&r| r as usize)
}

/// Features `[m,D]` of places start..start+m: a slice of the design where a pass goes over all rows, else gathered.
pub(crate) fn block_of<'a, T: Scalar>(
    data: &'a Resident<T>,
    rows: &[u32],
    start: usize,
    m: usize,
    gathered: &'a mut [T],
) -> &'a [T] {
    let d = data.d;
    if rows.is_empty() {
        return &data.x[start * d..(start + m) * d];
    }
    for (to, &i) in gathered.chunks_exact_mut(d).zip(&rows[start..start + m]) {
        to.copy_from_slice(&data.x[i as usize * d..(i as usize + 1) * d]);
    }
    &gathered[..m * d]
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
