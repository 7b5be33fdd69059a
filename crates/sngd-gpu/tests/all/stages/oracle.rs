//! The formulas of a step in f64, as plain loops, each with a bound on the rounding errors of f32.
//!
//! U is half an f32 ulp of 1. A sum of n products is off by n·U of Σ|terms| at worst and by √n·U in the mean; with a
//! factor of 4 the latter fails by chance less than once in a thousand, and then only where the sum of moduli is the
//! root of their squares (Higham and Mary 2019).

use sngd_core::likelihood::{Likelihood, Observed, packed};
use sngd_core::problem::Problem;

/// Unit roundoff of f32.
pub const U: f64 = f32::EPSILON as f64 / 2.0;
/// Relative error of a likelihood's function at one point: about ten operations, of which Vulkan rounds a division to 2.5 ulp.
const EVAL: f64 = 32.0 * U;

/// Bound on the rounding error of a sum of n products, relative to Σ|terms|.
pub fn gamma(n: usize) -> f64 {
    4.0 * U * ((n + 4) as f64).sqrt()
}

/// The number rounded to f32.
pub fn narrow(v: f64) -> f64 {
    f64::from(v as f32)
}

/// The design as the device stores it, and which of its columns belongs to parameter p.
pub struct Design {
    x: Vec<f64>,
    pub d: usize,
    pub k: usize,
    pub p: usize,
}

impl Design {
    pub fn new(problem: &Problem) -> Design {
        Design {
            x: problem.x.map(narrow),
            d: problem.design_columns(),
            k: problem.likelihood.linear_outputs(),
            p: problem.parameters(),
        }
    }

    /// The output that parameter p belongs to.
    pub fn output(&self, p: usize) -> usize {
        if p < self.k * self.d {
            p / self.d
        } else {
            self.k + p - self.k * self.d
        }
    }

    /// ∂η/∂ω_p of row i for each parameter p, with η the output of p.
    pub fn row(&self, i: usize) -> Vec<f64> {
        (0..self.p)
            .map(|p| {
                if p < self.k * self.d {
                    self.x[i * self.d + p % self.d]
                } else {
                    1.0
                }
            })
            .collect()
    }
}

/// Values of a likelihood at one row, with a bound on the f32 error of each.
pub struct Row {
    pub ll: f64,
    pub ll_error: f64,
    pub score: Vec<f64>,
    pub score_error: Vec<f64>,
    pub weight: Vec<f64>,
    pub weight_error: Vec<f64>,
    /// Bound on the error of a contraction of ∂W/∂η, relative to Σ|h|.
    pub slope_error: f64,
}

pub fn observed(problem: &Problem, i: usize) -> Observed<f64> {
    let o = problem.observed(i);
    Observed {
        y: narrow(o.y),
        trials: narrow(o.trials),
    }
}

/// The likelihood at η, which f32 represents exactly. Where a value is a difference, its error is relative to its terms.
pub fn evaluate(l: &Likelihood, eta: &[f64], o: Observed<f64>) -> Row {
    let h = eta.len();
    let mut score = vec![0.0; h];
    let mut weight = vec![0.0; h * (h + 1) / 2];
    let ll = l.log_lik_and_score(eta, o, &mut score);
    l.fisher(eta, o.trials, &mut weight);
    let largest = eta.iter().fold(0.0f64, |m, e| m.max(e.abs()));
    let (ll_error, score_error, weight_error, slope_error) = match l {
        Likelihood::Binomial(_) => (
            EVAL * o.trials * (1.0 + largest),
            vec![EVAL * o.trials],
            vec![EVAL * weight[0]],
            EVAL * weight[0],
        ),
        // Exponents are differences of η, so their rounding errors are relative to the η.
        Likelihood::Softmax { .. } => {
            let e = EVAL * (1.0 + largest);
            (e, vec![e; h], vec![e; weight.len()], 4.0 * e)
        }
        Likelihood::GaussianUnknownScale => {
            let w = weight[0];
            let r = (o.y - eta[0]).abs();
            (
                EVAL * (largest + r * r * w),
                vec![EVAL * r * w, EVAL * (1.0 + r * r * w)],
                vec![EVAL * w, EVAL, EVAL],
                2.0 * EVAL * w,
            )
        }
        other => panic!("no errors stated for {other:?}"),
    };
    Row {
        ll,
        ll_error,
        score,
        score_error,
        weight,
        weight_error,
        slope_error,
    }
}

/// S = Σ over rows of z_p z_q W_{k(p), l(q)}, lower. `Matrix::size` bounds Σ|terms| by Cauchy and Schwarz: √(S_pp S_qq).
pub fn weighted(design: &Design, rows: &[Vec<f64>], weights: &[Vec<f64>]) -> Matrix {
    let p = design.p;
    let outputs: Vec<usize> = (0..p).map(|a| design.output(a)).collect();
    let mut s = Matrix::zeros(p);
    for (z, w) in rows.iter().zip(weights) {
        for a in 0..p {
            let out = &mut s.v[a * p..=a * p + a];
            for b in 0..=a {
                out[b] += w[packed(outputs[a], outputs[b])] * z[a] * z[b];
            }
        }
    }
    s
}

/// A lower triangle, row-major.
#[derive(Clone)]
pub struct Matrix {
    pub n: usize,
    pub v: Vec<f64>,
}

impl Matrix {
    pub fn zeros(n: usize) -> Matrix {
        Matrix {
            n,
            v: vec![0.0; n * n],
        }
    }

    /// The lower triangle of a matrix from the device.
    pub fn lower(n: usize, v: &[f64]) -> Matrix {
        let mut m = Matrix::zeros(n);
        for i in 0..n {
            m.v[i * n..=i * n + i].copy_from_slice(&v[i * n..=i * n + i]);
        }
        m
    }

    /// Entry (i, j) of the symmetric matrix with this lower triangle.
    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.v[i.max(j) * self.n + i.min(j)]
    }

    /// √(M_ii M_jj).
    pub fn size(&self, i: usize, j: usize) -> f64 {
        (self.at(i, i) * self.at(j, j)).abs().sqrt()
    }

    /// L·v and |L|·|v|.
    pub fn times(&self, v: &[f64]) -> Vec<(f64, f64)> {
        (0..self.n)
            .map(|i| {
                let row = &self.v[i * self.n..=i * self.n + i];
                row.iter()
                    .zip(v)
                    .fold((0.0, 0.0), |(s, a), (l, v)| (s + l * v, a + (l * v).abs()))
            })
            .collect()
    }

    /// Lᵀ·v and |L|ᵀ·|v|.
    pub fn transposed_times(&self, v: &[f64]) -> Vec<(f64, f64)> {
        (0..self.n)
            .map(|j| {
                (j..self.n).fold((0.0, 0.0), |(s, a), i| {
                    let t = self.v[i * self.n + j] * v[i];
                    (s + t, a + t.abs())
                })
            })
            .collect()
    }

    /// Each (i, j) of the lower triangle with entry and error scale of W M Wᵀ, where W is this triangle. With M = LLᵀ and
    /// A = |W||L|, which a condition number bounds, a factorisation is off by |L||Lᵀ| and its inverse by A: in all A Aᵀ + A + Aᵀ.
    pub fn whitened(&self, m: &Matrix) -> Vec<(usize, usize, f64, f64)> {
        let n = self.n;
        let l = m.cholesky();
        let product = |row: &dyn Fn(usize, usize) -> f64, other: &dyn Fn(usize) -> Vec<f64>| {
            let mut out = vec![0.0; n * n];
            for k in 0..n {
                let own = other(k);
                for i in k..n {
                    let (w, to) = (row(i, k), &mut out[i * n..(i + 1) * n]);
                    to.iter_mut().zip(&own).for_each(|(t, o)| *t += w * o);
                }
            }
            out
        };
        let wm = product(&|i, k| self.v[i * n + k], &|k| {
            (0..n).map(|j| m.at(k, j)).collect()
        });
        let a = product(&|i, k| self.v[i * n + k].abs(), &|k| {
            l.v[k * n..(k + 1) * n].iter().map(|v| v.abs()).collect()
        });
        let mut out = Vec::new();
        for i in 0..n {
            for j in 0..=i {
                let (mut sum, mut size) = (0.0, a[i * n + j]);
                for k in 0..=j {
                    sum += wm[i * n + k] * self.v[j * n + k];
                    size += a[i * n + k] * a[j * n + k];
                }
                out.push((i, j, sum, size));
            }
        }
        out
    }

    fn cholesky(&self) -> Matrix {
        let n = self.n;
        let mut l = Matrix::zeros(n);
        for i in 0..n {
            for j in 0..=i {
                let (a, b) = (&l.v[i * n..i * n + j], &l.v[j * n..j * n + j]);
                let v = self.at(i, j) - a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
                l.v[i * n + j] = if i == j { v.sqrt() } else { v / l.v[j * n + j] };
            }
        }
        l
    }
}
