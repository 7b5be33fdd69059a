//! The results of one chain of one step on the device, and checks of its sums over rows against f64.

use super::oracle::{Design, Matrix, Row, U, evaluate, gamma, observed, weighted};
use sngd_core::config::{FisherKind, Integrator};
use sngd_core::engine::RawBlock;
use sngd_core::plan::{MetricRows, Plan};
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_gpu::{Buffer, GpuEngine};
use std::collections::BTreeMap;

/// The largest error of each stage in units of its bound, with its place and the number of comparisons.
#[derive(Default)]
pub struct Held {
    pub place: String,
    pub worst: BTreeMap<&'static str, (f64, String, usize)>,
}

impl Held {
    pub fn is(&mut self, stage: &'static str, got: f64, want: f64, bound: f64) {
        let error = (got - want).abs();
        // The smallest positive number keeps 0/0 away: an error of 0 with a bound of 0 passes.
        let ratio = error / (bound + f64::MIN_POSITIVE);
        let ratio = if ratio.is_nan() { f64::INFINITY } else { ratio };
        let told = || {
            format!(
                "{}: {got:e} for {want:e}, off by {error:.1e} where {bound:.1e} is rounding",
                self.place
            )
        };
        let w = self
            .worst
            .entry(stage)
            .or_insert_with(|| (-1.0, String::new(), 0));
        if ratio > w.0 {
            (w.0, w.1) = (ratio, told());
        }
        w.2 += 1;
    }

    /// Prints the largest error of each stage, and fails if any is above its bound.
    pub fn close(self) {
        let mut wrong = Vec::new();
        for (stage, (ratio, told, count)) in &self.worst {
            println!("{stage}: {ratio:.3} of the bound at worst of {count}; {told}");
            if *ratio > 1.0 {
                wrong.push(format!("{stage}, {told}"));
            }
        }
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

/// Rows of a pass of one chain: design, likelihood in f64 at the device's η, and the device's scores and weights.
pub struct Pass {
    pub z: Vec<Vec<f64>>,
    pub eta: Vec<Vec<f64>>,
    pub row: Vec<Row>,
    /// The device's scores, or those in f64 where the device does not store them.
    pub score: Vec<Vec<f64>>,
    /// Bound on the difference between `score` and the scores that the device summed.
    pub score_error: Vec<Vec<f64>>,
    pub weight: Vec<Vec<f64>>,
    pub weight_error: Vec<Vec<f64>>,
}

/// One chain of one step on the device.
pub struct Step<'a> {
    pub problem: &'a Problem,
    pub plan: &'a Plan,
    pub design: Design,
    pub engine: GpuEngine,
    pub block: RawBlock,
    pub omega: Vec<f64>,
    /// Whether one thread computed all sums of a pass and stored no scores.
    pub small: bool,
    pub chain: usize,
    pub held: &'a mut Held,
}

/// The buffer of that name.
fn buffer(name: &str) -> Buffer {
    Buffer::named(name).unwrap_or_else(|| panic!("no buffer is named \"{name}\""))
}

impl Step<'_> {
    pub fn all(&mut self, name: &str) -> Vec<f64> {
        let words = self.engine.inspect(buffer(name)).unwrap();
        words.into_iter().map(f64::from).collect()
    }

    /// The chain's part of a buffer with `each` numbers per chain.
    pub fn own(&mut self, name: &str, each: usize) -> Vec<f64> {
        self.all(name)[self.chain * each..(self.chain + 1) * each].to_vec()
    }

    /// The chain's `each` numbers summed over splits, and the sums of their absolute values. Padding is 0.
    pub fn summed(&mut self, name: &str, each: usize) -> Vec<(f64, f64)> {
        let mut out = vec![(0.0, 0.0); each];
        let first = self.chain * each;
        for split in self.all(name).chunks_exact(self.plan.chains * each) {
            for (o, v) in out.iter_mut().zip(&split[first..]) {
                *o = (o.0 + v, o.1 + v.abs());
            }
        }
        out
    }

    pub fn triangle(&mut self, name: &str) -> Matrix {
        let p = self.plan.p;
        Matrix::lower(p, &self.own(name, p * p))
    }

    pub fn epsilon(&self) -> f64 {
        self.plan.step_size.initial()
    }

    /// Noise budget, (2ε − ε²)T or 2εT.
    pub fn budget(&self) -> f64 {
        let e = self.epsilon();
        let square = if self.plan.integrator == Integrator::Ou {
            e * e
        } else {
            0.0
        };
        self.plan.temperature * (2.0 * e - square)
    }

    /// Variance of the noise that damping adds, T·ε²·N·damping.
    pub fn ridge(&self) -> f64 {
        let e = self.epsilon();
        self.plan.temperature * e * e * self.plan.n as f64 * self.plan.damping
    }

    /// Checks rows.wgsl, small_pass.wgsl: row numbers, η, scores, weights, Σ ln p.
    pub fn pass(&mut self, set: &str, rows: &[u32]) -> Pass {
        let (r, h, chain) = (rows.len(), self.plan.h, self.chain);
        let hh = h * (h + 1) / 2;
        let index = self
            .engine
            .inspect(buffer(&format!("{set}_index")))
            .unwrap();
        let eta = self.own(&format!("{set}_eta"), r * h);
        let omega = &self.omega[chain * self.plan.p..][..self.plan.p];
        let mut pass = Pass {
            z: vec![],
            eta: eta.chunks(h).map(<[f64]>::to_vec).collect(),
            row: vec![],
            score: vec![],
            score_error: vec![],
            weight: vec![],
            weight_error: vec![],
        };
        for (j, &i) in rows.iter().enumerate() {
            let got = f64::from(index[chain * r + j].to_bits());
            self.held.is("rows: index", got, f64::from(i), 0.0);
            let z = self.design.row(i as usize);
            for a in 0..h {
                let terms = (0..z.len()).filter(|&p| self.design.output(p) == a);
                let (sum, size) = terms.fold((0.0, 0.0), |(s, t), p| {
                    (s + z[p] * omega[p], t + (z[p] * omega[p]).abs())
                });
                let bound = gamma(self.design.d) * size;
                self.held.is("rows: eta", pass.eta[j][a], sum, bound);
            }
            pass.z.push(z);
            let o = observed(self.problem, i as usize);
            pass.row
                .push(evaluate(&self.problem.likelihood, &pass.eta[j], o));
        }
        let lik = self.summed_lik(set);
        let (ll, size, error) = pass.row.iter().fold((0.0, 0.0, 0.0), |t, w| {
            (t.0 + w.ll, t.1 + w.ll.abs(), t.2 + w.ll_error)
        });
        self.held
            .is("rows: log-likelihood", lik, ll, gamma(r) * size + error);
        let weighed = self.plan.metric_row_count() == r && self.metric_set() == set;
        if self.small {
            pass.score = pass.row.iter().map(|w| w.score.clone()).collect();
            pass.score_error = pass.row.iter().map(|w| w.score_error.clone()).collect();
            pass.weight = pass.row.iter().map(|w| w.weight.clone()).collect();
            pass.weight_error = pass.row.iter().map(|w| w.weight_error.clone()).collect();
            return pass;
        }
        let score = self.own(&format!("{set}_scores"), r * h);
        for (w, got) in pass.row.iter().zip(score.chunks(h)) {
            for a in 0..h {
                self.held
                    .is("rows: scores", got[a], w.score[a], w.score_error[a]);
            }
            pass.score.push(got.to_vec());
            pass.score_error.push(vec![0.0; h]);
        }
        if weighed && self.plan.fisher == FisherKind::Exact {
            let weight = self.own(&format!("{set}_weight"), r * hh);
            for (w, got) in pass.row.iter().zip(weight.chunks(hh)) {
                for a in 0..hh {
                    self.held
                        .is("rows: weights", got[a], w.weight[a], w.weight_error[a]);
                }
                pass.weight.push(got.to_vec());
                pass.weight_error.push(vec![0.0; hh]);
            }
        }
        pass
    }

    pub fn metric_set(&self) -> &'static str {
        if self.plan.metric_rows == MetricRows::Batch {
            "batch"
        } else {
            "metric"
        }
    }

    pub fn summed_lik(&mut self, set: &str) -> f64 {
        let all = self.all(&format!("{set}_lik"));
        // Padding to 16 bytes is at the end.
        let sums = self.lik_sums(set, all.len());
        all[self.chain * sums..(self.chain + 1) * sums].iter().sum()
    }

    pub fn lik_sums(&self, set: &str, words: usize) -> usize {
        let c = self.plan.chains;
        let r = if set == "batch" {
            self.plan.batch
        } else {
            self.plan.metric_row_count()
        };
        if self.small {
            words / c
        } else {
            r.div_ceil(64)
        }
    }

    /// Checks gradient.wgsl: Σ Jᵀs, or Σ Jᵀc, of a pass.
    pub fn gradient(
        &mut self,
        stage: &'static str,
        name: &str,
        pass: &Pass,
        s: &[Vec<f64>],
        e: &[Vec<f64>],
    ) {
        let p = self.plan.p;
        for (a, (got, _)) in self.summed(name, p).into_iter().enumerate() {
            let k = self.design.output(a);
            let mut t = (0.0, 0.0, 0.0);
            for (j, z) in pass.z.iter().enumerate() {
                let v = s[j][k] * z[a];
                t = (t.0 + v, t.1 + v.abs(), t.2 + e[j][k] * z[a].abs());
            }
            self.held.is(stage, got, t.0, gamma(s.len()) * t.1 + t.2);
        }
    }

    /// Checks cost.wgsl: ∇C = −(N/B) Σ Jᵀs − ∇ln prior, and the three sums.
    pub fn cost(&mut self, batch: &Pass, full: Option<&Pass>) {
        let (p, d) = (self.plan.p, self.design.d);
        let problem = self.problem;
        let t = &problem.transform;
        let omega = self.omega[self.chain * p..][..p].to_vec();
        let (mut theta, mut grad) = (vec![0.0; p], vec![0.0; p]);
        let value = problem.prior_cost(&omega, self.plan.jacobian, &mut theta, &mut grad);
        let norm = problem.prior_norm;
        // Errors of θ, then of the prior's slope there (normal priors have curvature 1/s²), then of the gradient that A maps back.
        let mut slope_error = vec![0.0; p];
        let mut slope = vec![0.0; p];
        let mut cost_error = 0.0;
        for (a, q) in problem.priors.iter().enumerate() {
            let (k, j) = (a / d, a % d);
            let moved: f64 = (0..d).map(|b| (t.mean[b] * theta[k * d + b]).abs()).sum();
            let size = if Some(j) == t.pivot {
                gamma(d) * ((t.y_scale * omega[a]).abs() + t.y_mean.abs() + moved)
                    / t.pivot_value.abs()
            } else {
                4.0 * U * theta[a].abs()
            };
            let [_, m, _] = q.arguments();
            slope[a] = q.cost(theta[a]).1;
            slope_error[a] = q.information() * (size + 4.0 * U * (theta[a].abs() + m.abs()));
            cost_error += slope[a].abs() * size
                + 8.0 * U * (q.cost(theta[a]).0.abs() + slope[a].abs() * m.abs());
        }
        let sums = self.summed("batch_sum", p);
        let got = self.own("gradient", p);
        let share = self.plan.n as f64 / self.plan.batch as f64;
        for a in 0..p {
            let own = a < self.design.k * d;
            let error = if !own {
                32.0 * U * (1.0 + grad[a].abs() + theta[a].exp())
            } else if Some(a % d) == t.pivot {
                t.y_scale / t.pivot_value * (slope_error[a] + 4.0 * U * slope[a].abs())
            } else {
                let pivot = t.pivot.map(|q| a - a % d + q);
                let at = |v: &[f64]| pivot.map_or(0.0, |q| v[q].abs() / t.pivot_value);
                let moved = t.mean[a % d].abs();
                t.y_scale / t.scale[a % d]
                    * (slope_error[a]
                        + moved * at(&slope_error)
                        + 4.0 * U * (slope[a].abs() + moved * at(&slope)))
            };
            let want = grad[a] - share * sums[a].0;
            let bound = error + gamma(sums.len()) * share * sums[a].1 + 4.0 * U * want.abs();
            self.held.is("cost: gradient", got[a], want, bound);
        }
        if self.plan.h > self.plan.k {
            cost_error += 32.0 * U * (1.0 + theta[p - 1].abs() + theta[p - 1].exp());
        }
        let own = self.own("cost", 4);
        let prior = value - norm;
        let bound = cost_error + gamma(p) * (prior.abs() + cost_error);
        self.held.is("cost: prior", own[0], prior, bound);
        for (at, pass) in [(1, Some(batch)), (2, full)] {
            let Some(pass) = pass else { continue };
            let (ll, size, error) = pass.row.iter().fold((0.0, 0.0, 0.0), |t, w| {
                (t.0 + w.ll, t.1 + w.ll.abs(), t.2 + w.ll_error)
            });
            let bound = gamma(pass.row.len()) * size + error;
            self.held.is("cost: log-likelihood", own[at], ll, bound);
        }
        let density = if full.is_some() {
            own[2] - own[0] - norm
        } else {
            f64::NAN
        };
        let two = [density, share * own[1] - own[0] - norm];
        for (at, want) in [Stat::Lp, Stat::LpMinibatch]
            .into_iter()
            .zip(two)
            .filter(|(_, w)| !w.is_nan())
        {
            let got = self.block.stats[self.chain * Stat::COUNT + at.at()];
            let bound = 4.0 * U * (own.iter().fold(0.0f64, |m, v| m.max(v.abs())) * share);
            self.held.is("update: log density", got, want, bound);
        }
    }

    /// Checks fisher.wgsl or small_pass.wgsl, reduce.wgsl: N·F + Λ + damping, and the volume without damping where it is another
    /// matrix.
    pub fn metric(&mut self, pass: &Pass) {
        let p = self.plan.p;
        let share = self.plan.n as f64 / pass.z.len() as f64;
        let products = |s: &Vec<f64>| -> Vec<f64> {
            let h = s.len();
            (0..h)
                .flat_map(|a| (0..=a).map(move |b| (a, b)))
                .map(|(a, b)| s[a] * s[b])
                .collect()
        };
        let empirical = self.plan.fisher == FisherKind::Empirical;
        let weights: Vec<Vec<f64>> = if empirical {
            pass.score.iter().map(products).collect()
        } else {
            pass.weight.clone()
        };
        let sum = weighted(&self.design, &pass.z, &weights);
        // The small pass computes weights without storing them, and each has an error.
        let own = pass
            .weight_error
            .iter()
            .zip(&pass.row)
            .fold(0.0f64, |m, (e, w)| m.max(e[0] / w.weight[0]));
        let relative = gamma(pass.z.len()) + own;
        let ridge = self.plan.n as f64 * self.plan.damping;
        let lambda = self.problem.prior_information();
        let split = self.plan.kappa > 0.0 && self.plan.damping > 0.0;
        let mut check = |stage, name: &str, ridge: f64| {
            let got = self.triangle(name);
            for i in 0..p {
                for j in 0..=i {
                    let added = lambda[i * p + j] + if i == j { ridge } else { 0.0 };
                    let want = share * sum.at(i, j) + added;
                    let bound =
                        relative * share * sum.size(i, j) + 4.0 * U * (added.abs() + want.abs());
                    self.held.is(stage, got.at(i, j), want, bound);
                }
            }
        };
        check("fisher: metric", "fisher", ridge);
        if split {
            check("fisher: volume", "volume", 0.0);
        }
    }
}
