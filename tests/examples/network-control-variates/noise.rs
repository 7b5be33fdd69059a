//! The gradient noise of single rows, measured in the metric that a step uses.

use faer::Par;
use sngd_core::batch::{BatchRows, Batches};
use sngd_core::plan::{JITTER_FIRST, JITTER_RETRIES, Plan};
use sngd_core::problem::Problem;
use sngd_cpu::dense::Factor;
use sngd_cpu::pass::{LabelAddress, Pass, Wanted};
use sngd_cpu::resident::Resident;

const LABEL: LabelAddress = LabelAddress {
    seed: 1,
    chain: 0,
    step: 0,
    labels: 1,
};

/// A metric M in the plan's blocks, factored: offset and Cholesky factor of each block.
pub struct Metric(Vec<(usize, Factor<f64>)>);

impl Metric {
    /// Multiplies each row of `[n,P]` by L⁻¹, in place.
    pub fn whiten(&self, rows: &mut [f64], p: usize) {
        for (offset, factor) in &self.0 {
            let at = *offset..offset + factor.p;
            let own = rows.chunks(p).flat_map(|r| &r[at.clone()]);
            let mut part: Vec<f64> = own.copied().collect();
            factor.solve_lower_many(&mut part, Par::Seq);
            for (row, own) in rows.chunks_mut(p).zip(part.chunks(factor.p)) {
                row[at.clone()].copy_from_slice(own);
            }
        }
    }

    /// Squared length of δ in the metric, |Lᵀδ|².
    pub fn square(&self, delta: &[f64]) -> f64 {
        let blocks = self.0.iter().map(|(offset, factor)| {
            let mut out = vec![0.0; factor.p];
            factor.times_l_transposed(&delta[*offset..offset + factor.p], &mut out);
            dot(&out, &out)
        });
        blocks.sum()
    }
}

/// Noise of one row in the metric. The noise of a batch gradient, scaled up to all N, is N²/B times it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Noise {
    /// Mean over rows of |L⁻¹(g_i − ḡ)|²/P.
    pub mean: f64,
    /// Standard error of that mean.
    pub error: f64,
    /// Largest eigenvalue of the covariance of L⁻¹g_i.
    pub top: f64,
}

impl Noise {
    /// The noise of the gradients `[n,P]` of n rows.
    pub fn of(mut rows: Vec<f64>, p: usize, metric: &Metric) -> Noise {
        let n = (rows.len() / p) as f64;
        let mut mean = vec![0.0; p];
        rows.chunks(p).for_each(|r| add(&mut mean, 1.0 / n, r));
        rows.chunks_mut(p).for_each(|r| add(r, -1.0, &mean));
        metric.whiten(&mut rows, p);
        let squares: Vec<f64> = rows.chunks(p).map(|r| dot(r, r) / p as f64).collect();
        let (mean, error) = mean_and_error(&squares);
        // Fifteen steps of the power method, from the largest row.
        let order = |a: &&[f64], b: &&[f64]| dot(a, a).total_cmp(&dot(b, b));
        let mut v = rows.chunks(p).max_by(order).expect("a row").to_vec();
        let mut top = 0.0;
        for _ in 0..15 {
            let length = dot(&v, &v).sqrt().max(f64::MIN_POSITIVE);
            v.iter_mut().for_each(|x| *x /= length);
            let mut next = vec![0.0; p];
            rows.chunks(p).for_each(|r| add(&mut next, dot(r, &v), r));
            top = dot(&next, &v) / (n - 1.0);
            v = next;
        }
        Noise {
            mean: mean * n / (n - 1.0),
            error,
            top,
        }
    }
}

/// Computes gradients and metrics of a plan, in f64.
pub struct Ruler<'a> {
    plan: &'a Plan,
    data: Resident<f64>,
    pass: Pass<f64>,
    /// The rows over which the noise is measured.
    rows: Vec<u32>,
}

impl<'a> Ruler<'a> {
    /// Measures over `rows` rows of the data, drawn once, or over all if there are fewer.
    pub fn new(problem: &Problem, plan: &'a Plan, rows: usize) -> Ruler<'a> {
        let data = Resident::new(problem, plan.storage, &plan.blocks);
        let mut chosen = vec![0; plan.n.min(rows)];
        BatchRows::fisher_rows(plan.n, 7, 0, 0).fill(&mut chosen);
        Ruler {
            plan,
            pass: Pass::new(&data, plan.n, false, false, false),
            data,
            rows: chosen,
        }
    }

    /// Σ g over the rows that the pass has selected, `[P]`.
    fn sum(&mut self, omega: &[f64]) -> &[f64] {
        let wanted = Wanted {
            gradient: true,
            ..Wanted::default()
        };
        self.pass.run(&self.data, omega, wanted, LABEL, Par::Seq);
        &self.pass.gradient
    }

    /// Gradient g_i of each measured row, `[n,P]`.
    pub fn by_row(&mut self, omega: &[f64]) -> Vec<f64> {
        let mut out = Vec::with_capacity(self.rows.len() * self.plan.p);
        for k in 0..self.rows.len() {
            self.pass.rows.clear();
            self.pass.rows.push(self.rows[k]);
            out.extend_from_slice(self.sum(omega));
        }
        out
    }

    /// The metric that step t of a chain uses at ω.
    pub fn metric(&self, omega: &[f64], chain: u32, t: u32) -> Metric {
        let plan = self.plan;
        let rows = plan.rows().metric();
        let (rule, count) = (rows.at(plan, chain, t), rows.count);
        let mut pass = Pass::new(&self.data, count, true, false, false);
        pass.select(&self.data, rule, count);
        let wanted = Wanted {
            fisher: Some(plan.fisher),
            ..Wanted::default()
        };
        pass.run(&self.data, omega, wanted, LABEL, Par::Seq);
        let n = plan.n as f64;
        let scaled = pass.fisher.iter().map(|f| f * n / count as f64);
        let mut m: Vec<f64> = scaled.collect();
        self.data.lambda.add_to(&plan.blocks, &mut m);
        let blocks = plan.blocks.blocks.iter().map(|b| {
            let square = &mut m[b.at..b.at + b.size * b.size];
            (0..b.size).for_each(|i| square[i * (b.size + 1)] += n * plan.damping);
            let mut factor = Factor::new(b.size);
            let done = factor.factor(square, JITTER_FIRST, JITTER_RETRIES, Par::Seq);
            done.expect("a metric that is positive definite");
            (b.offset, factor)
        });
        Metric(blocks.collect())
    }

    /// The mean noise of a row and its standard error from the spread of `count` batches of b rows over all data: of g_i(ω), and
    /// of g_i(ω) − g_i(ω̃). It differs from [`Noise::of`] in the rows, in their summation and in the mean that is subtracted.
    pub fn by_batches(
        &mut self,
        metric: &Metric,
        omega: &[f64],
        reference: &[f64],
        (count, b): (u32, usize),
    ) -> [(f64, f64); 2] {
        let (n, p) = (self.plan.n, self.plan.p);
        let mut all = [vec![], vec![]];
        let mut squares = [vec![], vec![]];
        for k in 0..=count {
            // The first pass is over all rows.
            let (rule, rows) = if k == 0 {
                (BatchRows::All, n)
            } else {
                let rule = BatchRows::new(Batches::WithReplacement, n, b, 77, 0, k);
                (rule, b)
            };
            self.pass.select(&self.data, rule, rows);
            let mut plain = self.sum(omega).to_vec();
            let mut less = plain.clone();
            add(&mut less, -1.0, self.sum(reference));
            for (i, g) in [&mut plain, &mut less].into_iter().enumerate() {
                g.iter_mut().for_each(|g| *g /= rows as f64);
                if k == 0 {
                    all[i].clone_from(g);
                    continue;
                }
                add(g, -1.0, &all[i]);
                metric.whiten(g, p);
                squares[i].push(dot(g, g) * b as f64 / p as f64);
            }
        }
        squares.map(|s| mean_and_error(&s))
    }
}

/// Mean of independent numbers and its standard error.
pub fn mean_and_error(v: &[f64]) -> (f64, f64) {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    let square: f64 = v.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, (square / (n * (n - 1.0))).sqrt())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Adds: to += scale·from.
pub fn add(to: &mut [f64], scale: f64, from: &[f64]) {
    to.iter_mut().zip(from).for_each(|(t, f)| *t += scale * f);
}
