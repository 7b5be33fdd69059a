//! Makes the expansion at a mode, and measures what decides how it is best used.

use super::data::{ModeData, inverse_factor, zero_lane};
use super::group::{Group, start};
use super::lanes::LaneKernels;
use super::lanes::{LANES, Lane};
use super::pass::{Pass, Sums};
use super::tile::{TILE, remainders};
use crate::dense::Factor;
use crate::map::{Found, check_still};
use crate::row_sums::{Curvature, canonical, row_outputs, row_sums, row_terms};
use faer::{MatMut, MatRef, Par};
use half::{bf16, f16};
use rayon::prelude::*;
use sngd_core::config::Storage;
use sngd_core::error::CheckError;
use sngd_core::expansion::{AliasTable, Expansion, RowLayout};
use sngd_core::features::{Features, Numbers, Whitened};
use sngd_core::likelihood::packed;
use sngd_core::normals::fill_normals;
use sngd_core::philox::Stream;
use sngd_core::plan::Plan;
use sngd_core::prior::Prior;
use sngd_core::problem::Problem;
use std::sync::Arc;

/// Share of the sampling probability that is the same for all rows, so that no row's 1/q exceeds N/0.3.
const UNIFORM_SHARE: f64 = 0.3;
/// Floating-point operations that the measurement may take.
const MEASURE_FLOPS: f64 = 4e9;
/// Rows that are whitened together.
const BLOCK: usize = 256;

/// Measurements at the mode from draws of the Laplace approximation N(ω*, M⁻¹).
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Number of data rows, N.
    pub rows: usize,
    /// Number of parameters, P.
    pub parameters: usize,
    /// Number of Laplace draws.
    pub draws: usize,
    /// Largest leverage of a row, no unit.
    pub largest_leverage: f64,
    /// Standard deviation of the log importance weights, in nats; 0 for a Gaussian posterior.
    pub log_weight_sd: f64,
    /// Pareto shape k̂ of those weights; `None` from fewer than 64 draws.
    pub pareto_k: Option<f64>,
    /// Σ over rows of E‖L⁻¹Jᵀr‖²/q. Divided by B it is the variance that a batch adds to a gradient in u, summed over all parameters.
    pub noise: f64,
    /// Positions of the Laplace draws, `[draws,P]` in u.
    pub laplace: Vec<f64>,
}

impl Measured {
    /// Share of the noise budget that the minibatch noise of `b` rows takes at step size ε, no unit.
    pub fn noise_share(&self, b: usize, epsilon: f64, temperature: f64) -> f64 {
        let budget = (2.0 * epsilon - epsilon * epsilon) * temperature * self.parameters as f64;
        epsilon * epsilon * self.noise / (b as f64 * budget)
    }
}

fn not_positive(problem: &Problem, pivot: usize) -> CheckError {
    CheckError::improper(
        &problem.source,
        format!(
            "found an information matrix that is not positive definite at {}, expected one that is; give that parameter a proper prior such as \"default\"",
            problem.parameter_names()[pivot]
        ),
    )
}

/// Expands a linear predictor's log likelihood at the mode `found`, and measures it with draws keyed by `seed`. With `reuse`, a whitened design
/// takes the place of the problem's own in memory, where both are f32; the problem's rows are then read from that.
///
/// # Errors
/// [`CheckError::Improper`] where ω* is no mode, or the information matrix there is not positive definite.
pub fn expand(
    problem: &mut Problem,
    found: &Found,
    storage: Storage,
    seed: u64,
    reuse: bool,
) -> Result<(Expansion, Measured), CheckError> {
    let (n, p) = (problem.rows(), problem.parameters());
    let omega = found.omega.as_slice();
    let mut curvature = Curvature::Observed;
    let mut sums = row_sums(problem, omega, curvature, false);
    let lambda = problem.prior_information();
    let par = if p > 256 { Par::rayon(0) } else { Par::Seq };
    let mut factor = Factor::new(p);
    let metric =
        |matrix: &[f64]| -> Vec<f64> { matrix.iter().zip(&lambda).map(|(m, l)| m + l).collect() };
    if let Err(e) = factor.factor(&metric(&sums.matrix), 0.0, 0, par) {
        if canonical(&problem.likelihood) {
            return Err(not_positive(problem, e.pivot));
        }
        curvature = Curvature::Fisher;
        sums = row_sums(problem, omega, curvature, false);
        let again = factor.factor(&metric(&sums.matrix), 0.0, 0, par);
        again.map_err(|e| not_positive(problem, e.pivot))?;
    }
    let mut step = vec![0.0; p];
    problem.prior_cost(omega, true, &mut vec![0.0; p], &mut step);
    step.iter_mut()
        .zip(&sums.gradient)
        .for_each(|(g, s)| *g -= s);
    factor.solve(&mut step);
    if !found.marginal {
        check_still(problem, omega, &step)?;
    }
    let mut chol = factor.l;
    for j in 0..p {
        chol[j * p..j * p + j].fill(0.0);
    }
    let mut slope = vec![0.0; p];
    let prior = problem.prior_cost(omega, true, &mut vec![0.0; p], &mut slope);
    slope
        .iter_mut()
        .zip(&sums.gradient)
        .for_each(|(g, s)| *g -= s);
    lower_solve(&chol, p, &mut slope);
    let layout = RowLayout {
        outputs: problem.likelihood.outputs(),
    };
    let whitened = problem.likelihood.linear_outputs() == 1;
    let columns = if whitened {
        p
    } else {
        problem.design_columns()
    };
    // The design comes last, since it may take the place of the problem's own.
    let rows = rows(problem, omega, curvature, layout);
    let x = if whitened {
        whitened_design(problem, &chol, storage, reuse)
    } else {
        internal_design(problem, storage)
    };
    let mut expansion = Expansion {
        omega: omega.to_vec(),
        cost: prior - sums.log_lik,
        slope,
        observed_information: curvature == Curvature::Observed,
        whitened,
        columns,
        x,
        rows,
        layout,
        quadratic_prior: quadratic(problem),
        influence: None,
        chol,
    };
    let measured = measure(problem, &mut expansion, n, seed);
    Ok((expansion, measured))
}

/// Whether −ln prior has no terms beyond second order.
fn quadratic(problem: &Problem) -> bool {
    let plain = |prior: &Prior| matches!(prior, Prior::Flat | Prior::Normal(..));
    let scale = problem
        .scale_prior
        .is_none_or(|s| s == sngd_core::prior::ScalePrior::Flat);
    scale && problem.priors.iter().all(plain)
}

/// Solves b ← L⁻¹b in place, for one or more b `[m,P]`.
fn lower_solve(chol: &[f64], p: usize, b: &mut [f64]) {
    let l = MatRef::from_column_major_slice(chol, p, p);
    let m = b.len() / p;
    let rhs = MatMut::from_column_major_slice_mut(b, p, m);
    faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, rhs, Par::Seq);
}

/// A number as `storage` keeps it.
fn stored(storage: Storage, v: f64) -> f32 {
    match storage {
        Storage::F32 => v as f32,
        Storage::F16 => f16::from_f64(v).to_f32(),
        Storage::Bf16 => bf16::from_f64(v).to_f32(),
    }
}

/// The design in internal coordinates, `[N,D]`: the problem's own where that has the same numbers.
fn internal_design(problem: &Problem, storage: Storage) -> Arc<Vec<f32>> {
    match problem.x.as_f32() {
        Some(own) if storage == Storage::F32 => Arc::clone(own),
        _ => Arc::new(problem.x.map(|v| stored(storage, v))),
    }
}

/// The whitened design L⁻¹(x, 0), `[N,P]`.
fn whitened_design(
    problem: &mut Problem,
    chol: &[f64],
    storage: Storage,
    reuse: bool,
) -> Arc<Vec<f32>> {
    let (n, p, d) = (
        problem.rows(),
        problem.parameters(),
        problem.design_columns(),
    );
    let whiten = |block: &mut [f64], out: &mut [f32]| {
        lower_solve(chol, p, block);
        let both = out.iter_mut().zip(&*block);
        both.for_each(|(o, &v)| *o = stored(storage, v));
    };
    if reuse
        && storage == Storage::F32
        && let Some(own) = problem.x.take_f32()
    {
        let mut own = Features::new(d, own);
        if p > d {
            own.insert_column(d, 0.0, n);
        }
        let mut x = own.take_f32().unwrap_or_default();
        x.par_chunks_mut(BLOCK * p).for_each(|out| {
            let mut block: Vec<f64> = out.iter().map(|&v| f64::from(v)).collect();
            whiten(&mut block, out);
        });
        let white = Whitened {
            x: Arc::new(x),
            factor: Arc::new(chol.to_vec()),
            columns: p,
        };
        let x = Arc::clone(&white.x);
        problem.x = Features::new(d, Numbers::Whitened(white));
        return x;
    }
    let mut out = vec![0.0f32; n * p];
    out.par_chunks_mut(BLOCK * p)
        .enumerate()
        .for_each_init(Vec::new, |wide, (b, out)| {
            let x = problem.x.rows(b * BLOCK, out.len() / p, wide);
            let mut block = vec![0.0; out.len()];
            for (row, x) in block.chunks_exact_mut(p).zip(x.chunks_exact(d)) {
                row[..d].copy_from_slice(x);
            }
            whiten(&mut block, out);
        });
    Arc::new(out)
}

/// The numbers kept of each row (`RowLayout`); 1/q is set later.
fn rows(problem: &Problem, omega: &[f64], curvature: Curvature, layout: RowLayout) -> Vec<f32> {
    let (n, len, h) = (problem.rows(), layout.width(), layout.outputs);
    let mut out = vec![0.0f32; n * len];
    out.par_chunks_mut(BLOCK * len)
        .enumerate()
        .for_each_init(Vec::new, |wide, (b, out)| {
            let m = out.len() / len;
            let mut eta = vec![0.0; m * h];
            let x = problem.x.rows(b * BLOCK, m, wide);
            row_outputs(problem, omega, b * BLOCK, x, &mut eta);
            // ln p, scores and A* are computed at the outputs after rounding to f32, since steps read those.
            eta.iter_mut().for_each(|e| *e = f64::from(*e as f32));
            let (mut score, mut w) = (vec![0.0; h], vec![0.0; h * (h + 1) / 2]);
            let mut room = vec![0.0; 3 * h];
            for (j, row) in out.chunks_exact_mut(len).enumerate() {
                let i = b * BLOCK + j;
                let eta = &eta[j * h..][..h];
                let observed = problem.observed(i);
                row_terms(problem, i, eta, curvature, &mut score, &mut w, &mut room);
                let log_lik = problem
                    .likelihood
                    .log_lik_and_score(eta, observed, &mut room[..h]);
                row[RowLayout::Y] = observed.y as f32;
                row[RowLayout::TRIALS] = observed.trials as f32;
                row[RowLayout::WEIGHT] = problem.weights.get(i).map_or(1.0, |w| *w as f32);
                row[RowLayout::LOG_LIK] = log_lik as f32;
                row[RowLayout::INVERSE_Q] = n as f32;
                let parts = eta.iter().chain(&score).chain(&w);
                row[RowLayout::ETA..]
                    .iter_mut()
                    .zip(parts)
                    .for_each(|(to, &v)| *to = v as f32);
            }
        });
    out
}

/// Leverages ‖L⁻¹Jᵀe_k‖² of each row and linear output, `[N,K]`, and of the auxiliary output.
fn leverages(expansion: &Expansion, k: usize) -> (Vec<f32>, f64) {
    let (p, n) = (expansion.omega.len(), expansion.columns);
    let last = expansion.chol[p * p - 1];
    if expansion.whitened {
        let norm = |x: &[f32]| x.iter().map(|v| v * v).sum::<f32>();
        return (
            expansion.x.par_chunks(n).map(norm).collect(),
            1.0 / (last * last),
        );
    }
    // The block of M⁻¹ = L⁻ᵀL⁻¹ that belongs to the output: ‖(L⁻¹'s columns of that block) times x‖².
    let inverse = inverse_factor(&expansion.chol, p);
    let blocks: Vec<Vec<f32>> = (0..k)
        .map(|b| {
            let mut square = vec![0.0; n * n];
            let columns =
                MatRef::from_column_major_slice(&inverse[b * n * p..(b + 1) * n * p], p, n);
            faer::linalg::matmul::matmul(
                MatMut::from_column_major_slice_mut(&mut square, n, n),
                faer::Accum::Replace,
                columns.transpose(),
                columns,
                1.0,
                Par::rayon(0),
            );
            let mut factor = Factor::<f64>::new(n);
            // A diagonal block of a positive definite matrix is positive definite.
            if factor.factor(&square, 1e-12, 5, Par::Seq).is_err() {
                return vec![0.0; n * n];
            }
            // Lᵀ by rows is L by columns.
            factor.l.iter().map(|v| *v as f32).collect()
        })
        .collect();
    let row = |x: &[f32]| -> Vec<f32> {
        let of = |block: &Vec<f32>| {
            (0..n)
                .map(|j| {
                    let column = &block[j * n + j..(j + 1) * n];
                    let y: f32 = column.iter().zip(&x[j..]).map(|(a, x)| a * x).sum();
                    y * y
                })
                .sum::<f32>()
        };
        blocks.iter().map(of).collect()
    };
    let all: Vec<f32> = expansion.x.par_chunks(n).flat_map_iter(row).collect();
    (all, 1.0 / (last * last))
}

/// Measures with Laplace draws how Gaussian the posterior is, and how much each row adds to its terms beyond second order.
fn measure(problem: &Problem, expansion: &mut Expansion, n: usize, seed: u64) -> Measured {
    let p = expansion.omega.len();
    let k = problem.likelihood.linear_outputs();
    let h = expansion.layout.outputs;
    let per_group = 4.0 * (n * expansion.columns * k * LANES) as f64;
    let groups = ((MEASURE_FLOPS / per_group) as usize).clamp(1, 16);
    let draws = groups * LANES;
    let mut laplace = vec![0.0; draws * p];
    for (i, u) in laplace.chunks_exact_mut(p).enumerate() {
        fill_normals(u, seed, Stream::Pilot, i as u32, u32::MAX);
    }
    let shared = Arc::new(std::mem::replace(expansion, empty(expansion)));
    let data = ModeData::<f32>::new(problem, Arc::clone(&shared));
    let mut chains: Vec<Group<f32>> = laplace
        .chunks(p * LANES)
        .map(|u| Group::new(p, 0, u))
        .collect();
    let mut pass = Pass::new(&data, chains.len());
    start(&data, &mut chains, &mut pass);
    let log_weights: Vec<f64> = chains
        .iter()
        .flat_map(|g| (0..LANES).map(|l| g.rest(l)))
        .collect();
    let squares = squares(&data, &chains[0].sums);
    let (levers, aux_lever) = leverages(&shared, k);
    drop((data, chains, pass));
    *expansion = Arc::try_unwrap(shared).unwrap_or_else(|shared| (*shared).clone());
    let len = expansion.layout.width();
    let information = expansion.layout.information();
    let mut influence = vec![0.0f64; n];
    let mut largest_leverage = 0.0f64;
    for i in 0..n {
        let row = &expansion.rows[i * len..][..len];
        let (mut u, mut leverage) = (0.0, 0.0);
        for out in 0..h {
            let lever = match out < k {
                true => f64::from(levers[i * k + out]),
                false => aux_lever,
            };
            u += f64::from(squares[i * h + out]) * lever;
            leverage += f64::from(row[information + packed(out, out)]) * lever;
        }
        // If a row overflows at a Laplace draw, all that is known is that the row has influence: it gets the largest number.
        influence[i] = if u.is_finite() {
            u.sqrt()
        } else {
            f64::from(f32::MAX)
        };
        largest_leverage = largest_leverage.max(leverage);
    }
    let total: f64 = influence.iter().sum();
    let uniform = if total > 0.0 { UNIFORM_SHARE } else { 1.0 };
    let share = |u: f64| uniform / n as f64 + (1.0 - uniform) * u / total.max(f64::MIN_POSITIVE);
    let q: Vec<f64> = influence.iter().map(|&u| share(u)).collect();
    let noise = influence.iter().zip(&q).map(|(u, q)| u * u / q).sum();
    for (row, q) in expansion.rows.chunks_exact_mut(len).zip(&q) {
        row[RowLayout::INVERSE_Q] = (1.0 / q) as f32;
    }
    expansion.influence = Some(AliasTable::new(&q));
    let mean = log_weights.iter().sum::<f64>() / draws as f64;
    let spread = log_weights.iter().map(|w| (w - mean).powi(2)).sum::<f64>();
    Measured {
        rows: n,
        parameters: p,
        draws,
        largest_leverage,
        log_weight_sd: (spread / (draws - 1) as f64).sqrt(),
        pareto_k: (draws >= 64).then(|| sngd_diag::pareto_k(&log_weights)),
        noise,
        laplace,
    }
}

/// Bytes of an expansion's rows: its design, unless the problem reads the same numbers, the terms of each row, and the table of their
/// influence.
pub(super) fn expansion_bytes(problem: &Problem, expansion: &Expansion) -> u64 {
    let design = match problem.x.shares(&expansion.x) {
        true => 0,
        false => expansion.x.len(),
    };
    let table = match &expansion.influence {
        Some(_) => 8 * problem.rows(),
        None => 0,
    };
    (4 * (design + expansion.rows.len()) + table) as u64
}

/// Bytes that [`measure`] takes beside the expansion: leverage and squared remainder of each output; influence, probability, and shares in
/// two lists.
pub(super) fn measure_bytes(plan: &Plan) -> u64 {
    (plan.n * (4 * (plan.k + plan.h) + 8 + 8 + 16)) as u64
}

/// Takes the place of an expansion while that is shared.
fn empty(like: &Expansion) -> Expansion {
    Expansion {
        omega: Vec::new(),
        chol: Vec::new(),
        slope: Vec::new(),
        x: Arc::default(),
        rows: Vec::new(),
        influence: None,
        ..*like
    }
}

/// Mean over sixteen draws of r², the squared remainder of the score, of each row and output, `[N,H]`.
fn squares(data: &ModeData<f32>, sums: &Sums<f32>) -> Vec<f32> {
    let h = data.k + data.aux;
    let (n, len) = (data.expansion.row_count(), data.expansion.layout.width());
    let mut out = vec![0.0f32; n * h];
    out.par_chunks_mut(TILE * h)
        .enumerate()
        .for_each(|(t, out)| {
            let (first, m) = (t * TILE, out.len() / h);
            let mut delta: Vec<Lane<f32>> = vec![zero_lane(); h * TILE];
            let x = data.design(first, m);
            for k in 0..data.k {
                f32::times(
                    x,
                    &sums.vector[k * x.n..][..x.n],
                    &mut delta[k * TILE..][..m],
                );
            }
            if data.aux == 1 {
                let last = sums.vector[data.p - 1].map(|v| v * data.aux_scale);
                delta[data.k * TILE..][..m].fill(last);
            }
            let rows = &data.expansion.rows[first * len..(first + m) * len];
            let layout = data.expansion.layout;
            remainders(
                &data.likelihood,
                rows,
                layout,
                &mut delta,
                &mut [0.0; LANES],
            );
            for (j, out) in out.chunks_exact_mut(h).enumerate() {
                for (k, out) in out.iter_mut().enumerate() {
                    let square: f32 = delta[k * TILE + j].iter().map(|r| r * r).sum();
                    *out = square / LANES as f32;
                }
            }
        });
    out
}
