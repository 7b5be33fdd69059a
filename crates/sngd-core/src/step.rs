//! What a step with the metric at the state of each chain is, decided once: the rows of its passes and its numbers. Both engines,
//! the checks before a run and the tests read them here.

use crate::batch::{BatchRows, Batches};
use crate::config::{Noise, NoiseRows};
use crate::plan::{MetricRows, Plan};

/// How the rows of a pass are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowRule {
    /// All data rows in order.
    All,
    /// A batch of independent uniform draws.
    WithReplacement,
    /// A batch without replacement.
    WithoutReplacement,
    /// A batch that is the next part of a reshuffled epoch.
    Epochs,
    /// A sample without replacement for the metric alone.
    Sample,
}

/// The rows of one pass over the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PassRows {
    /// How they are drawn.
    pub rule: RowRule,
    /// Number of rows, R.
    pub count: usize,
}

impl PassRows {
    /// The rows of `chain` at step `t`.
    pub fn at(self, plan: &Plan, chain: u32, t: u32) -> BatchRows {
        match self.rule {
            RowRule::All => BatchRows::All,
            RowRule::Sample => BatchRows::fisher_rows(plan.n, plan.seed, chain, t),
            _ => BatchRows::new(plan.batches, plan.n, plan.batch, plan.seed, chain, t),
        }
    }
}

/// The rows of the passes of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepRows {
    /// Rows of the gradient.
    pub batch: PassRows,
    /// Rows of the metric; `None` where they are those of the gradient, so that one pass serves both.
    pub metric: Option<PassRows>,
    /// The pass over whose rows V̂, the covariance of the minibatch gradient, is measured.
    pub covariance: PassName,
}

/// The two passes that a step may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PassName {
    /// That of the gradient.
    Batch,
    /// That of the metric.
    Metric,
}

impl StepRows {
    /// The rows of the metric, which may be those of the gradient.
    pub fn metric(&self) -> PassRows {
        self.metric.unwrap_or(self.batch)
    }

    /// The rows over which V̂ is measured.
    pub fn covariance_rows(&self) -> PassRows {
        match self.covariance {
            PassName::Batch => self.batch,
            PassName::Metric => self.metric(),
        }
    }
}

/// The numbers of one step, in internal coordinates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepNumbers {
    /// Step size ε, no unit.
    pub step_size: f64,
    /// Factor of the correction v in M⁻¹v: εT times the correction's weight at this step.
    pub correction: f64,
    /// Factor of M in the covariance of all noise that a step should have: (2ε − ε²)T or 2εT. 0 where no noise is added.
    pub budget: f64,
    /// Factor ρε²N/B of the minibatch noise of true labels: its covariance is this times N·F.
    pub minibatch: f64,
    /// Variance per parameter of the noise that damping adds: T·ε²·N·damping under `ou`, and with nominal noise the damping's part of
    /// what was deducted (N counts observations).
    pub ridge: f64,
    /// ε² times the factor that takes Σ(g−ḡ)(g−ḡ)ᵀ over [`StepRows::covariance_rows`] to V̂; 0 unless the noise is residual.
    pub covariance: f64,
    /// Temperature that the statistics report.
    pub temperature: f64,
}

impl Plan {
    /// Which rows the passes of a step take.
    pub fn rows(&self) -> StepRows {
        let batch = PassRows {
            rule: match (self.full_batch, self.batches) {
                (true, _) => RowRule::All,
                (_, Batches::WithReplacement) => RowRule::WithReplacement,
                (_, Batches::WithoutReplacement) => RowRule::WithoutReplacement,
                (_, Batches::Epochs) => RowRule::Epochs,
            },
            count: self.batch,
        };
        let metric = match self.metric_rows {
            MetricRows::Batch => None,
            MetricRows::Full if self.full_batch => None,
            MetricRows::Full => Some(PassRows {
                rule: RowRule::All,
                count: self.n,
            }),
            MetricRows::Sample(count) => Some(PassRows {
                rule: RowRule::Sample,
                count,
            }),
        };
        let covariance = match self.noise_rows {
            NoiseRows::Fisher if metric.is_some() => PassName::Metric,
            _ => PassName::Batch,
        };
        StepRows {
            batch,
            metric,
            covariance,
        }
    }

    /// The numbers of step `t`.
    pub fn step(&self, t: u32) -> StepNumbers {
        let e = self.step_size.at(t);
        let minibatch = self.minibatch_share(e);
        let mut ridge = self.ridge_variance(e);
        if self.noise == Noise::Nominal {
            ridge += minibatch * self.observations() * self.damping;
        }
        StepNumbers {
            step_size: e,
            correction: e * self.temperature * self.correction_weight(t),
            budget: match self.noise {
                Noise::None => 0.0,
                _ => self.budget(e) * self.temperature,
            },
            minibatch,
            ridge,
            covariance: match self.noise {
                Noise::Residual => e * e * self.covariance_share(),
                _ => 0.0,
            },
            temperature: self.reported_temperature(),
        }
    }

    /// Factor ρε²N/B of N·F in the covariance of the minibatch noise at step size ε, where predictions match the labels.
    pub fn minibatch_share(&self, epsilon: f64) -> f64 {
        self.rho() * epsilon * epsilon * self.n as f64 / self.batch as f64
    }

    /// The factor that takes Σ(g−ḡ)(g−ḡ)ᵀ over [`StepRows::covariance_rows`] to V̂ = ρ(N²/B)·Σ_g, g being w·Jᵀs where a row counts w times: exact over all rows; from a sample of r
    /// rows unbiased with the normaliser r − 1, times (N−1)/N where the sample is without replacement.
    fn covariance_share(&self) -> f64 {
        let PassRows { rule, count } = self.rows().covariance_rows();
        let n = self.n as f64;
        let v = self.rho() * n * n / self.batch as f64;
        match rule {
            RowRule::All => v / n,
            RowRule::WithReplacement => v / (count as f64 - 1.0),
            _ => v * (n - 1.0) / n / (count as f64 - 1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::features::Features;
    use crate::problem::Problem;
    use crate::table::{Response, Table};

    const N: usize = 6;

    fn plan(sampler: &str) -> Plan {
        let text = format!(
            r#"{{"data": {{"path": "none", "response": "y"}}, "model": {{"likelihood": "poisson"}}, "prior": {{"weights": "normal(0, 1)"}},
                "sampler": {{"method": "sngd", {sampler}}}}}"#
        );
        let config: Config = serde_json::from_str(&text).unwrap();
        let table = Table::new(
            "test",
            vec!["x".into()],
            Features::new(1, (0..N).map(|i| (i * i % 5) as f64).collect::<Vec<f64>>()),
            Response::Numbers((0..N).map(|i| (i % 4) as f64).collect()),
        );
        Plan::check(&config, &Problem::build(&config, table).unwrap()).unwrap()
    }

    #[test]
    fn one_pass_serves_where_the_rows_are_the_same() {
        use RowRule::*;
        for (sampler, batch, metric, covariance) in [
            (r#""batch_size": "full""#, All, None, PassName::Batch),
            (r#""fisher_labels": 2"#, All, None, PassName::Batch),
            (
                r#""batch_size": 6, "batches": "without_replacement""#,
                All,
                None,
                PassName::Batch,
            ),
            (
                r#""batch_size": 6"#,
                WithReplacement,
                Some((All, N)),
                PassName::Metric,
            ),
            (
                r#""batch_size": 2, "batches": "epochs""#,
                Epochs,
                Some((All, N)),
                PassName::Metric,
            ),
            (
                r#""batch_size": 2, "fisher_rows": "batch", "batches": "without_replacement""#,
                WithoutReplacement,
                None,
                PassName::Batch,
            ),
            (
                r#""batch_size": 2, "fisher_rows": 3, "batches": "without_replacement""#,
                WithoutReplacement,
                Some((Sample, 3)),
                PassName::Metric,
            ),
            (
                r#""batch_size": 2, "noise_rows": "batch""#,
                WithReplacement,
                Some((All, N)),
                PassName::Batch,
            ),
        ] {
            let rows = plan(sampler).rows();
            assert_eq!(rows.batch.rule, batch, "{sampler}");
            let found = rows.metric.map(|m| (m.rule, m.count));
            assert_eq!(found, metric, "{sampler}");
            assert_eq!(rows.covariance, covariance, "{sampler}");
        }
    }

    /// All ordered choices of b rows, with or without replacement.
    fn choices(b: usize, replaced: bool) -> Vec<Vec<usize>> {
        (0..b).fold(vec![vec![]], |all, _| {
            all.iter()
                .flat_map(|c| {
                    (0..N)
                        .filter(|i| replaced || !c.contains(i))
                        .map(|i| [c.as_slice(), &[i]].concat())
                        .collect::<Vec<_>>()
                })
                .collect()
        })
    }

    fn spread(g: &[f64]) -> f64 {
        let mean = g.iter().sum::<f64>() / g.len() as f64;
        g.iter().map(|g| (g - mean).powi(2)).sum()
    }

    /// Over all batches that may be drawn, the variance of (N/B)·Σg is what `covariance` makes of the spread of all rows, and on
    /// average of the spread of the rows that it is measured over.
    #[test]
    fn the_covariance_is_that_of_all_batches() {
        let g: Vec<f64> = (0..N).map(|i| (1.7 * i as f64).sin() + 0.1).collect();
        for (batches, replaced) in [("with_replacement", true), ("without_replacement", false)] {
            let of = |rows: &[usize]| rows.iter().map(|&i| g[i]).collect::<Vec<f64>>();
            for b in [2, 3] {
                let all = choices(b, replaced);
                let scale = N as f64 / b as f64;
                let sums: Vec<f64> = all
                    .iter()
                    .map(|c| scale * of(c).iter().sum::<f64>())
                    .collect();
                let truth = spread(&sums) / sums.len() as f64;
                for (rows, measured) in [
                    (r#""fisher_rows": "full""#, vec![g.clone()]),
                    (
                        r#""fisher_rows": "full", "noise_rows": "batch""#,
                        all.iter().map(|c| of(c)).collect(),
                    ),
                    (
                        r#""fisher_rows": 3"#,
                        choices(3, false).iter().map(|c| of(c)).collect(),
                    ),
                ] {
                    let plan = plan(&format!(
                        r#""batch_size": {b}, "batches": "{batches}", {rows}"#
                    ));
                    let now = plan.step(0);
                    let mean =
                        measured.iter().map(|m| spread(m)).sum::<f64>() / measured.len() as f64;
                    let found = now.covariance * mean / now.step_size.powi(2);
                    assert!(
                        (found - truth).abs() < 1e-12 * truth,
                        "{batches}, B = {b}, {rows}: {found} {truth}"
                    );
                }
            }
        }
    }
}
