//! What a step with the metric at the state of each chain is, decided once: the rows of its passes and its numbers. Both engines,
//! the checks before a run and the tests read them here.

use crate::batch::{BatchRows, Batches};
use crate::config::{Noise, NoiseRows};
use crate::plan::{MetricRows, Plan};

/// How the rows of a pass are drawn. The numbers are those of `ROWS` in the kernels (`lib/batch.wgsl`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum RowRule {
    /// All data rows in order.
    All = 0,
    /// A batch of independent uniform draws.
    WithReplacement = 1,
    /// A batch without replacement.
    WithoutReplacement = 2,
    /// A batch that is the next part of a reshuffled epoch.
    Epochs = 3,
    /// A sample without replacement for the metric alone.
    Sample = 4,
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
    /// Rows over which V̂, the covariance of the minibatch gradient, is measured.
    pub covariance: PassRows,
}

impl StepRows {
    /// The rows of the metric, which may be those of the gradient.
    pub fn metric(&self) -> PassRows {
        self.metric.unwrap_or(self.batch)
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
    /// what was deducted.
    pub ridge: f64,
    /// ε² times the factor that takes Σ(g−ḡ)(g−ḡ)ᵀ over [`StepRows::covariance`] to V̂; 0 unless the noise is residual.
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
            NoiseRows::Batch => batch,
            NoiseRows::Fisher => metric.unwrap_or(batch),
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
            ridge += minibatch * self.n as f64 * self.damping;
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

    /// The factor that takes Σ(g−ḡ)(g−ḡ)ᵀ over [`StepRows::covariance`] to V̂ = ρ(N²/B)·Σ_g: exact over all rows; from a sample of r
    /// rows unbiased with the normaliser r − 1, times (N−1)/N where the sample is without replacement.
    fn covariance_share(&self) -> f64 {
        let PassRows { rule, count } = self.rows().covariance;
        let n = self.n as f64;
        let v = self.rho() * n * n / self.batch as f64;
        match rule {
            RowRule::All => v / n,
            RowRule::WithReplacement => v / (count as f64 - 1.0),
            _ => v * (n - 1.0) / n / (count as f64 - 1.0),
        }
    }
}
