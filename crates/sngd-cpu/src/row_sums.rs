//! Sums over all rows of a linear predictor in f64, in chunks over the threads, for the search for the mode. The problem's design is
//! read block by block, without a copy of the whole. Chunks depend on N, P and the sums alone: sums have the same bits for any number of threads.

use crate::linear::{add_transposed, add_weighted, outer, outputs};
use crate::scalar::counted;
use faer::Par;
use rayon::prelude::*;
use sngd_core::blocks::Layout;
use sngd_core::differences::slopes;
use sngd_core::likelihood::{Likelihood, packed};
use sngd_core::problem::Problem;

/// Rows whose products are computed together.
const BLOCK: usize = 256;
/// Rows per chunk; with fewer rows than this one thread takes all of them.
const CHUNK: usize = 4096;
/// Largest number of chunks; each has a copy of every matrix that is summed.
const MOST_CHUNKS: usize = 16;

/// The curvature W of a row in Σ JᵀWJ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curvature {
    /// None: no matrix is computed.
    No,
    /// The Fisher information of the row's outputs.
    Fisher,
    /// The observed information, −∂²ln p/∂η².
    Observed,
}

/// Sums over all rows at one point.
#[derive(Debug, Clone)]
pub struct RowSums {
    /// Log likelihood Σ w·ln p in nats, w the row weights, without `Problem::log_norm`.
    pub log_lik: f64,
    /// Gradient of the log likelihood in ω, Σ w·Jᵀs, `[P]`.
    pub gradient: Vec<f64>,
    /// Information Σ w·JᵀWJ, `[P,P]` column-major lower; empty where not asked for.
    pub matrix: Vec<f64>,
    /// Second moment of the gradients of single rows, Σ ggᵀ with g = w·Jᵀs, stored the same way.
    pub second: Vec<f64>,
}

impl RowSums {
    fn zeros(p: usize, matrix: bool, second: bool) -> RowSums {
        RowSums {
            log_lik: 0.0,
            gradient: vec![0.0; p],
            matrix: vec![0.0; if matrix { p * p } else { 0 }],
            second: vec![0.0; if second { p * p } else { 0 }],
        }
    }

    fn add(&mut self, other: &RowSums) {
        self.log_lik += other.log_lik;
        for (to, from) in [
            (&mut self.gradient, &other.gradient),
            (&mut self.matrix, &other.matrix),
            (&mut self.second, &other.second),
        ] {
            to.iter_mut().zip(from).for_each(|(t, f)| *t += f);
        }
    }
}

/// Whether the observed information equals the Fisher information, for any labels.
pub fn canonical(likelihood: &Likelihood) -> bool {
    use sngd_core::likelihood::Link;
    matches!(
        likelihood,
        Likelihood::Gaussian { .. }
            | Likelihood::Binomial(Link::Logit)
            | Likelihood::Poisson
            | Likelihood::Softmax { .. }
    )
}

/// Terms of row i at outputs `eta` `[H]`, multiplied by its weight: returns ln p in nats, writes scores into `score` `[H]` and the
/// curvature into `w` `[H(H+1)/2]`. `room` is a buffer of `[3H]`.
pub fn row_terms(
    problem: &Problem,
    i: usize,
    eta: &[f64],
    curvature: Curvature,
    score: &mut [f64],
    w: &mut [f64],
    room: &mut [f64],
) -> f64 {
    let (likelihood, observed) = (&problem.likelihood, problem.observed(i));
    let weight = problem.weights.get(i).copied().unwrap_or(1.0);
    let log_lik = likelihood.log_lik_and_score(eta, observed, score);
    match curvature {
        Curvature::No => {}
        Curvature::Observed if !canonical(likelihood) => {
            // Central differences of the scores; entry (k, l) is the mean over both orders, so that W is symmetric.
            w.fill(0.0);
            let score = |eta: &[f64], s: &mut [f64]| {
                likelihood.log_lik_and_score(eta, observed, s);
            };
            let step = |eta: f64| 1e-5 * (1.0 + eta.abs());
            slopes(score, eta, step, room, |l, slope| {
                for (k, slope) in slope.iter().enumerate() {
                    w[packed(k, l)] -= if k == l { *slope } else { 0.5 * slope };
                }
            });
        }
        _ => likelihood.fisher(eta, observed.trials, w),
    }
    if weight != 1.0 {
        score.iter_mut().for_each(|s| *s = counted(weight, *s));
        if curvature != Curvature::No {
            w.iter_mut().for_each(|w| *w = counted(weight, *w));
        }
    }
    counted(weight, log_lik)
}

/// Outputs `[m,H]` of rows `first..first + m`, offsets included. `x` `[m,D]` is their design.
pub fn row_outputs(problem: &Problem, omega: &[f64], first: usize, x: &[f64], eta: &mut [f64]) {
    let (d, k, h) = (
        problem.design_columns(),
        problem.likelihood.linear_outputs(),
        problem.likelihood.outputs(),
    );
    let m = eta.len() / h;
    outputs(x, omega, eta, d, k, h);
    if let Some(offset) = problem.offset.get(first..first + m) {
        for (eta, o) in eta.chunks_exact_mut(h).zip(offset) {
            eta[..k].iter_mut().for_each(|e| *e += o);
        }
    }
}

/// Sums over all rows at ω `[P]`.
pub fn row_sums(problem: &Problem, omega: &[f64], curvature: Curvature, second: bool) -> RowSums {
    let (n, p) = (problem.rows(), problem.parameters());
    let matrix = curvature != Curvature::No;
    // With many parameters the matrices of many chunks would be most of the work.
    let most = if matrix || second {
        MOST_CHUNKS.min((n / p).max(1))
    } else {
        MOST_CHUNKS
    };
    let chunks = n.div_ceil(CHUNK).clamp(1, most);
    let size = n.div_ceil(chunks);
    let inner = if chunks == 1 && p > 256 {
        Par::rayon(0)
    } else {
        Par::Seq
    };
    let part = |c: usize| {
        let rows = c * size..((c + 1) * size).min(n);
        chunk(problem, omega, rows, curvature, second, inner)
    };
    let parts: Vec<RowSums> = if chunks == 1 {
        vec![part(0)]
    } else {
        (0..chunks).into_par_iter().map(part).collect()
    };
    let mut sums = RowSums::zeros(p, matrix, second);
    parts.iter().for_each(|part| sums.add(part));
    sums
}

fn chunk(
    problem: &Problem,
    omega: &[f64],
    rows: std::ops::Range<usize>,
    curvature: Curvature,
    second: bool,
    par: Par,
) -> RowSums {
    let (p, d) = (problem.parameters(), problem.design_columns());
    let (k, h) = (
        problem.likelihood.linear_outputs(),
        problem.likelihood.outputs(),
    );
    let hh = h * (h + 1) / 2;
    let layout = Layout::full(p);
    let matrix = curvature != Curvature::No;
    let mut sums = RowSums::zeros(p, matrix, second);
    let mut eta = vec![0.0; BLOCK * h];
    let (mut score, mut weight) = (vec![0.0; BLOCK * h], vec![0.0; BLOCK * hh]);
    let mut scaled = vec![0.0; BLOCK * d];
    let mut wide = Vec::new();
    let mut room = vec![0.0; 3 * h];
    let mut first = rows.start;
    while first < rows.end {
        let m = BLOCK.min(rows.end - first);
        let (eta, score) = (&mut eta[..m * h], &mut score[..m * h]);
        let x = problem.x.rows(first, m, &mut wide);
        row_outputs(problem, omega, first, x, eta);
        for j in 0..m {
            let (s, w) = (&mut score[j * h..][..h], &mut weight[j * hh..][..hh]);
            let e = &eta[j * h..][..h];
            sums.log_lik += row_terms(problem, first + j, e, curvature, s, w, &mut room);
        }
        add_transposed(x, score, &mut sums.gradient, d, k, h);
        let shape = (d, k, h);
        if matrix {
            let w = &weight[..m * hh];
            add_weighted(x, w, &mut sums.matrix, &mut scaled, shape, &layout, par);
        }
        if second {
            for j in 0..m {
                outer(&score[j * h..][..h], &mut weight[j * hh..][..hh]);
            }
            let w = &weight[..m * hh];
            add_weighted(x, w, &mut sums.second, &mut scaled, shape, &layout, par);
        }
        first += m;
    }
    sums
}
