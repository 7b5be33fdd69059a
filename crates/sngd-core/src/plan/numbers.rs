//! Numbers that follow from a plan: ρ, noise budgets, the temperature of the law.

use super::{Metric, MetricRows, Plan};
use crate::config::{FisherKind, Integrator, Noise};
use crate::error::CheckError;

impl Plan {
    /// Number of observations, Σw: the rows by how often each counts. N where every row counts once.
    pub fn observations(&self) -> f64 {
        self.frequencies.map_or(self.n as f64, |f| f.total)
    }

    /// Mean weight of the row that an observation is in, Σw²/Σw; 1 where every row counts once. Observations of one row come into a
    /// minibatch together, so that its noise is that many times as large as with as many rows of one observation each.
    pub fn clumping(&self) -> f64 {
        self.frequencies.map_or(1.0, |f| f.squares / f.total)
    }

    /// Whether the matrix N·F + Λ of the target's volume differs from the damped metric.
    pub fn split_volume(&self) -> bool {
        self.kappa > 0.0 && self.damping > 0.0
    }

    /// The finite-population factor ρ of the minibatch noise; 0 where a batch takes all rows.
    pub fn rho(&self) -> f64 {
        if self.full_batch {
            0.0
        } else {
            self.batches.rho(self.n, self.batch)
        }
    }

    /// Factor of T·M in the noise budget at step size ε: 2ε − ε² or 2ε.
    pub fn budget(&self, epsilon: f64) -> f64 {
        match self.integrator {
            Integrator::Ou => 2.0 * epsilon - epsilon * epsilon,
            Integrator::Euler => 2.0 * epsilon,
        }
    }

    /// What damping adds to the diagonal of the metric, N·damping with N observations.
    pub fn ridge(&self) -> f64 {
        self.observations() * self.damping
    }

    /// What a damped metric G = H + D, D = N·damping·I with N observations, adds to the budget: with step εG⁻¹ a Gaussian of precision
    /// H/T stays exact when Q = T(2εG − ε²H) = T((2ε − ε²)G + ε²D). This is T·ε²·N·damping, 0 under Euler.
    pub fn ridge_variance(&self, epsilon: f64) -> f64 {
        match self.integrator {
            Integrator::Ou => {
                self.temperature * epsilon * epsilon * self.observations() * self.damping
            }
            Integrator::Euler => 0.0,
        }
    }

    /// Weight of a correction at step t that was computed with the metric k steps before, 0 ≤ k < `refresh`. Γ corrects for what the
    /// metric knows of the present state. It was computed at a state that the chain has since forgotten by Π(1−ε) over k steps. With
    /// this weight the law of a Gaussian target is right to first order in the metric's variation, whatever k and ε. With κ = 1 the
    /// correction includes the gradient of the volume, which is part of the target and does not fade: then the weight is 1.
    pub fn correction_weight(&self, t: u32) -> f64 {
        if self.kappa != 0.0 || !self.metric.is_fisher() {
            return 1.0;
        }
        (t - t % self.refresh..t)
            .map(|at| 1.0 - self.step_size.at(at))
            .product()
    }

    /// `law_temperature` where the law applies: with natural gradients of minibatches.
    pub fn natural_law(&self) -> Option<f64> {
        // Control variates take nearly all of the minibatch noise away.
        let natural = self.metric.is_fisher() && self.metric != Metric::Mode;
        natural.then(|| self.law_temperature())
    }

    /// The temperature of minibatch noise alone: ρεN/(B(2−ε)), exact on a quadratic. Where rows count w times, Σw²/Σw times that: exact
    /// where all weights are equal, and right on average where they have nothing to do with the features.
    pub fn law_temperature(&self) -> f64 {
        let e = self.step_size.initial();
        self.rho() * e * self.n as f64 / (self.batch as f64 * (2.0 - e)) * self.clumping()
    }

    /// The temperature that draws are said to have: T, or where no noise is added that of the minibatch noise alone.
    pub fn reported_temperature(&self) -> f64 {
        match self.noise {
            Noise::None => self.law_temperature(),
            _ => self.temperature,
        }
    }

    /// Number of rows that the metric is summed over, r.
    pub fn metric_row_count(&self) -> usize {
        match self.metric_rows {
            MetricRows::Full => self.n,
            MetricRows::Batch => self.batch,
            MetricRows::Sample(r) => r,
        }
    }

    /// Total steps of the run; the last kept draw is the state before the last `thin` steps.
    pub fn steps(&self) -> usize {
        self.warmup + self.draws * self.thin
    }

    /// Whether the step computes the log density over all data at no extra cost.
    pub fn full_log_density(&self) -> bool {
        self.full_batch
            || (self.metric != Metric::Mode
                && self.metric_rows == MetricRows::Full
                && self.refresh == 1
                && self.metric.is_fisher())
    }

    pub(super) fn check_nominal(&self) -> Result<(), CheckError> {
        if self.frequencies.is_some() && self.rho() > 0.0 {
            return Err(CheckError::key(
                "sampler.noise",
                "found \"nominal\" beside data.weights and a batch of some of the rows, whose noise is no multiple of the metric where rows count w times, expected \"residual\", which measures it; change sampler.noise, or set sampler.batch_size = \"full\"",
            ));
        }
        let e = self.step_size.initial();
        let need = self.minibatch_share(e);
        let have = self.budget(e) * self.temperature;
        if have >= need {
            return Ok(());
        }
        // Rounded up, so that the temperature in the message is accepted.
        let t_min = (1e4 * need / self.budget(e)).ceil() / 1e4;
        let b_min = (need * self.batch as f64 / have).ceil();
        if self.temperature == 1.0 {
            return Err(CheckError::key(
                "sampler.batch_size",
                format!(
                    "found {} with step_size = {e}, whose minibatch noise alone is hotter than the posterior, expected more rows; set batch_size = \"full\", or {b_min:.0} or more, or lower step_size",
                    self.batch
                ),
            ));
        }
        Err(CheckError::key(
            "sampler.temperature",
            format!(
                "found {} with batch_size = {} and step_size = {e}, whose minibatch noise alone is hotter, expected at least {t_min:.4} at this batch; raise temperature to {t_min:.4} or batch_size to {b_min:.0}, or lower step_size",
                self.temperature, self.batch
            ),
        ))
    }

    /// Mean factor by which the inverse of a metric over few rows is too large: E[M̂⁻¹]/M⁻¹ ≈ r/(r − P − 1); `None` when small.
    pub fn metric_bias(&self) -> Option<f64> {
        let (r, p) = (self.metric_row_count() as f64, self.blocks.largest() as f64);
        let exact = self.metric_rows == MetricRows::Full && self.fisher != FisherKind::MonteCarlo;
        if exact || self.metric != Metric::Fisher || r >= 20.0 * p {
            return None;
        }
        Some(if r > p + 1.0 {
            r / (r - p - 1.0)
        } else {
            f64::INFINITY
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::config::Config;
    use crate::features::Features;
    use crate::plan::Plan;
    use crate::problem::Problem;
    use crate::table::{Response, Table};

    /// The values that the message of a refusal suggests are accepted, at steps whose bound has many digits.
    #[test]
    fn the_temperature_that_a_refusal_names_works() {
        let plan = |step: f64, temperature: &str| {
            let text = format!(
                r#"{{"data": {{"path": "none", "response": "y"}}, "model": {{"likelihood": "poisson"}}, "prior": {{"weights": "normal(0, 1)"}},
                    "sampler": {{"batch_size": 7, "noise": "nominal", "step_size": {step}, "temperature": {temperature}}}}}"#
            );
            let config: Config = serde_json::from_str(&text).unwrap();
            let table = Table::new(
                "test",
                vec!["x".into()],
                Features::new(
                    1,
                    (0..300).map(|i| f64::from(i * i % 17)).collect::<Vec<_>>(),
                ),
                Response::Numbers((0..300).map(|i| f64::from(i % 5)).collect()),
            );
            Plan::check(&config, &Problem::build(&config, table).unwrap())
        };
        for step in [0.11, 0.13, 0.17, 0.19, 0.23] {
            let message = plan(step, "0.5").unwrap_err().to_string();
            let (_, rest) = message.split_once("raise temperature to ").unwrap();
            let (named, _) = rest.split_once(' ').unwrap();
            plan(step, named).unwrap();
        }
    }
}
