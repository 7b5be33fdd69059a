//! The log likelihood expanded to second order at the posterior's mode. A sampler whose metric is fixed there reads this
//! in place of the data.
//!
//! With M = JᵀA*J + Λ = LLᵀ at the mode ω* (A* the negative second derivative of ln p in a row's outputs, Λ the information
//! of the prior) and u = Lᵀ(ω − ω*), the cost is
//!
//! ```text
//! C(ω) = C(ω*) + cᵀu + ½|u|² − Σᵢ ρᵢ + prior remainder,     c = L⁻¹∇C(ω*) ≈ 0,
//! ```
//!
//! where ρᵢ is what ln p of row i has beyond second order in Δηᵢ = Jᵢ(ω − ω*). So a Gaussian posterior is standard normal in u and
//! every row's remainder is 0; for N rows they are of order (P/N)^{3/2} each. Two things follow. Sums over rows contain small numbers
//! only, so that f32 is precise enough for any N. And a few rows, drawn by their influence, estimate the gradient of the remainder
//! well enough (control variates of second order).
//!
//! With one linear output the design is kept *whitened*, x̃ = L⁻¹x: then Δη = x̃ᵀu, gradients come out in u, and a step has no solve.

use crate::philox::{Stream, at};
use crate::problem::Problem;
use std::fmt;
use std::sync::Arc;

/// See the module text. Shared by all chains; no chain changes it.
#[derive(Clone, PartialEq)]
pub struct Expansion {
    /// The mode ω*, internal coordinates, `[P]`.
    pub omega: Vec<f64>,
    /// Cost at the mode, C(ω*), in nats: without `Problem::log_norm`, prior constants included.
    pub cost: f64,
    /// Cholesky factor L of M at the mode, `[P,P]` column-major lower; the upper triangle is 0.
    pub chol: Vec<f64>,
    /// Gradient at the mode in u, c = L⁻¹∇C(ω*), `[P]`: no more than rounding, where the search for the mode has converged.
    pub slope: Vec<f64>,
    /// Whether A* is the observed information. Else it is the Fisher information, since the observed one was not positive definite.
    pub observed_information: bool,
    /// Whether `x` is the whitened design L⁻¹x, `[N,P]`; else it is the internal design, `[N,D]`.
    pub whitened: bool,
    /// Columns of `x`: P if whitened, else D.
    pub columns: usize,
    /// The design, whitened or internal, `[N,columns]`, row-major; shared with the problem where that holds the same numbers.
    pub x: Arc<Vec<f32>>,
    /// The numbers kept of each row, `[N, RowLayout::width]`.
    pub rows: Vec<f32>,
    /// Positions of the numbers in a row of `rows`.
    pub layout: RowLayout,
    /// Whether −ln prior has no terms beyond second order: so it is where all priors are normal or flat.
    pub quadratic_prior: bool,
    /// How minibatch rows are drawn; `None` where every step takes all rows.
    pub influence: Option<AliasTable>,
}

/// Positions of the numbers that are kept of a row: y, trials, weight, ln p at η*, 1/(probability of being drawn), then η* `[H]`,
/// the scores there `[H]` and A* packed `[H(H+1)/2]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowLayout {
    /// Number of outputs, H.
    pub outputs: usize,
}

impl RowLayout {
    /// Response, in internal units.
    pub const Y: usize = 0;
    /// Trials, or the companion column of a custom likelihood.
    pub const TRIALS: usize = 1;
    /// How often the row counts.
    pub const WEIGHT: usize = 2;
    /// ln p(y|η*) in nats, without terms that do not depend on η.
    pub const LOG_LIK: usize = 3;
    /// 1/q, where q is the probability that a draw from `Expansion::influence` is this row.
    pub const INVERSE_Q: usize = 4;
    /// First of the outputs at the mode, η* `[H]`.
    pub const ETA: usize = 5;

    /// Position of the first score, `[H]`.
    pub const fn score(self) -> usize {
        Self::ETA + self.outputs
    }

    /// Position of the first number of A*, packed `[H(H+1)/2]`.
    pub const fn information(self) -> usize {
        Self::ETA + 2 * self.outputs
    }

    /// Numbers kept per row.
    pub const fn width(self) -> usize {
        Self::ETA + 2 * self.outputs + self.outputs * (self.outputs + 1) / 2
    }
}

impl Expansion {
    /// Number of data rows, N.
    pub fn row_count(&self) -> usize {
        self.rows.len() / self.layout.width()
    }

    /// Internal to whitened coordinates: u = Lᵀ(ω − ω*), both `[P]`.
    pub fn whiten(&self, omega: &[f64], u: &mut [f64]) {
        let p = omega.len();
        for j in 0..p {
            let column = &self.chol[j * p..(j + 1) * p];
            u[j] = (j..p).map(|i| column[i] * (omega[i] - self.omega[i])).sum();
        }
    }

    /// Whitened to internal coordinates: ω = ω* + L⁻ᵀu, in place, `[P]`.
    pub fn to_internal(&self, u: &mut [f64]) {
        let p = u.len();
        for j in (0..p).rev() {
            let column = &self.chol[j * p..(j + 1) * p];
            let known: f64 = (j + 1..p).map(|i| column[i] * u[i]).sum();
            u[j] = (u[j] - known) / column[j];
        }
        u.iter_mut().zip(&self.omega).for_each(|(u, w)| *u += w);
    }

    /// Solves with the metric: M⁻¹b, in place, `[P]`.
    pub fn solve(&self, b: &mut [f64]) {
        let p = b.len();
        for j in 0..p {
            let column = &self.chol[j * p..(j + 1) * p];
            b[j] /= column[j];
            let y = b[j];
            for (b, l) in b[j + 1..].iter_mut().zip(&column[j + 1..]) {
                *b -= l * y;
            }
        }
        for j in (0..p).rev() {
            let column = &self.chol[j * p..(j + 1) * p];
            let known: f64 = (j + 1..p).map(|i| column[i] * b[i]).sum();
            b[j] = (b[j] - known) / column[j];
        }
    }

    /// Turns a gradient in u into one in ω: L·g, in place, `[P]`.
    pub fn gradient_to_internal(&self, g: &mut [f64]) {
        let p = g.len();
        for i in (0..p).rev() {
            g[i] = (0..=i).map(|j| self.chol[j * p + i] * g[j]).sum();
        }
    }

    /// The part of −ln prior beyond second order at ω* + `delta`, in nats; its gradient in ω goes to `gradient` `[P]`. Both are 0 for
    /// a quadratic prior. `reference` is the prior at ω*.
    pub fn prior_remainder(
        &self,
        problem: &Problem,
        reference: &PriorReference,
        delta: &[f64],
        work: &mut PriorWork,
        gradient: &mut [f64],
    ) -> f64 {
        let p = delta.len();
        for ((at, w), d) in work.omega.iter_mut().zip(&self.omega).zip(delta) {
            *at = w + d;
        }
        let cost = problem.prior_cost(&work.omega, true, &mut work.theta, gradient);
        let mut rest = cost - reference.cost;
        for i in 0..p {
            let row = &reference.lambda[i * p..(i + 1) * p];
            let pull: f64 = row.iter().zip(delta).map(|(l, d)| l * d).sum();
            rest -= (reference.gradient[i] + 0.5 * pull) * delta[i];
            gradient[i] -= reference.gradient[i] + pull;
        }
        rest
    }
}

/// The prior at ω*, from which its remainder is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct PriorReference {
    /// −ln prior(ω*) in nats, the log-Jacobian of log σ included.
    pub cost: f64,
    /// Gradient of `cost` in ω, `[P]`.
    pub gradient: Vec<f64>,
    /// Information of the prior, Λ `[P,P]`, symmetric.
    pub lambda: Vec<f64>,
}

impl PriorReference {
    /// The prior at ω `[P]`.
    pub fn at(problem: &Problem, omega: &[f64]) -> PriorReference {
        let p = omega.len();
        let mut gradient = vec![0.0; p];
        let cost = problem.prior_cost(omega, true, &mut vec![0.0; p], &mut gradient);
        PriorReference {
            cost,
            gradient,
            lambda: problem.prior_information(),
        }
    }
}

/// Buffers for one evaluation of the prior.
#[derive(Debug, Clone)]
pub struct PriorWork {
    omega: Vec<f64>,
    theta: Vec<f64>,
}

impl PriorWork {
    /// Buffers for P parameters.
    pub fn new(p: usize) -> PriorWork {
        PriorWork {
            omega: vec![0.0; p],
            theta: vec![0.0; p],
        }
    }
}

impl fmt::Debug for Expansion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expansion")
            .field("rows", &self.row_count())
            .field("parameters", &self.omega.len())
            .field("whitened", &self.whitened)
            .field("cost", &self.cost)
            .finish_non_exhaustive()
    }
}

/// Draws rows with given probabilities, each in constant time (Walker 1977; Vose's construction 1991).
#[derive(Debug, Clone, PartialEq)]
pub struct AliasTable {
    /// Columns of the table, `[N]`. A column gives the row of its own index when a random word is below its first number, and always when
    /// that number is u32::MAX; otherwise it gives the row that its second number names.
    pub columns: Vec<[u32; 2]>,
}

impl AliasTable {
    /// A table for the probabilities `q` `[N]`, which sum to 1.
    pub fn new(q: &[f64]) -> AliasTable {
        let n = q.len();
        let mut share: Vec<f64> = q.iter().map(|p| p * n as f64).collect();
        let mut columns: Vec<[u32; 2]> = (0..n as u32).map(|i| [u32::MAX, i]).collect();
        let (mut small, mut large): (Vec<u32>, Vec<u32>) =
            (0..n as u32).partition(|&i| share[i as usize] < 1.0);
        let mut fill = |s: u32, l: u32, share: &[f64]| {
            columns[s as usize] = [(share[s as usize] * f64::from(u32::MAX)) as u32, l];
        };
        let mut last = None;
        while let (Some(&s), Some(&l)) = (small.last(), large.last()) {
            small.pop();
            last = Some(l);
            // A row with less than one whole column is filled up by a row that has more than one.
            fill(s, l, &share);
            share[l as usize] -= 1.0 - share[s as usize];
            if share[l as usize] < 1.0 {
                large.pop();
                small.push(l);
            }
        }
        // Rounding may use up the large rows first. What then remains is a whole column, or one that must still be shared.
        for s in small.into_iter().filter(|&s| share[s as usize] < 0.999) {
            if let Some(l) = last {
                fill(s, l, &share);
            }
        }
        AliasTable { columns }
    }

    /// The row that two random words give: the first chooses a column, the second compares with its threshold.
    #[inline(always)]
    pub fn row(&self, column: u32, coin: u32) -> u32 {
        let i = ((u64::from(column) * self.columns.len() as u64) >> 32) as usize;
        let [keep, alias] = self.columns[i];
        if coin < keep || keep == u32::MAX {
            i as u32
        } else {
            alias
        }
    }

    /// Rows of `chain` at `step`: the words of block j/2, lanes 2(j%2) and 2(j%2)+1, give row j. Sixteen blocks are made at a time with
    /// their words side by side, so that the loops vectorise. The table is read afterwards, so that many of its columns are fetched from
    /// memory at once.
    #[inline(always)]
    pub fn fill(&self, out: &mut [u32], seed: u64, chain: u32, step: u32) {
        const BLOCKS: usize = 16;
        for (group, rows) in out.chunks_mut(2 * BLOCKS).enumerate() {
            let mut words = [[0; BLOCKS]; 4];
            for i in 0..BLOCKS {
                let index = (group * BLOCKS + i) as u32;
                let block = at(seed, Stream::Influence, chain, step, index);
                (0..4).for_each(|w| words[w][i] = block[w]);
            }
            for (j, row) in rows.iter_mut().enumerate() {
                let (i, half) = (j / 2, 2 * (j % 2));
                *row = self.row(words[half][i], words[half + 1][i]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frequencies of many draws against their probabilities: chi-square on a skewed table, zeros included.
    #[test]
    fn rows_come_as_often_as_they_should() {
        let weights: Vec<f64> = (0..101).map(|i| f64::from(i * i % 37)).collect();
        let total: f64 = weights.iter().sum();
        let q: Vec<f64> = weights.iter().map(|w| w / total).collect();
        let table = AliasTable::new(&q);
        let (steps, b) = (20_000u32, 16);
        let mut seen = vec![0f64; q.len()];
        let mut rows = vec![0; b];
        for step in 0..steps {
            table.fill(&mut rows, 5, 3, step);
            rows.iter().for_each(|&r| seen[r as usize] += 1.0);
        }
        let draws = f64::from(steps) * b as f64;
        let mut chi2 = 0.0;
        for (s, p) in seen.iter().zip(&q) {
            if *p == 0.0 {
                assert_eq!(*s, 0.0, "a row of probability 0 was drawn");
            } else {
                chi2 += (s - draws * p).powi(2) / (draws * p);
            }
        }
        // About 98 degrees of freedom; the 1e-6 quantile of chi-square(98) is 173.
        assert!(chi2 < 173.0, "{chi2}");
    }

    #[test]
    fn one_row_is_always_drawn() {
        let table = AliasTable::new(&[1.0]);
        assert_eq!(table.row(u32::MAX, u32::MAX), 0);
    }
}
