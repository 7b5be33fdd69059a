//! Reports on a plan: the work of a step, and the ledger of its target.

use super::{CorrectionPlan, Metric, Plan, RFD_STEP};
use crate::config::{Gradient, Noise};

impl Plan {
    /// Floating-point operations of one step of one chain, as a mean over steps: gradient, metric, factor and correction.
    pub fn flops_per_chain_step(&self) -> f64 {
        let (each, afresh) = self.flops();
        each + afresh / f64::from(self.refresh)
    }

    /// Floating-point operations of every step of one chain, and what a step adds that computes the metric afresh.
    pub fn flops(&self) -> (f64, f64) {
        let (b, r, p) = (
            self.batch as f64,
            self.metric_row_count() as f64,
            self.p as f64,
        );
        let (d, h, k) = (self.d as f64, self.h as f64, self.k as f64);
        if self.metric == Metric::Mode {
            // Outputs and gradient of each row, and the two triangles where the design is not whitened.
            let whitened = self.expansion.as_ref().is_some_and(|e| e.whitened);
            let columns = if whitened { p } else { d * k };
            let triangles = if whitened { 0.0 } else { 2.0 * p * p };
            return (4.0 * b * columns + triangles + 10.0 * p, 0.0);
        }
        let network = self.network.is_some();
        let gradient = if network {
            6.0 * b * p
        } else {
            4.0 * b * d * k
        };
        let dense = self.metric == Metric::Fisher;
        let per_metric = if dense && network {
            // For each row and output, one row of the root: a backward pass, then its outer product with itself.
            r * h * (4.0 * p + self.blocks.len as f64)
        } else if dense && !self.blocks.is_full() {
            r * self.blocks.len as f64
        } else if dense {
            r * d * d * h * (h + 1.0) / 2.0
        } else {
            2.0 * r * d * k
        };
        let factors = if self.noise == Noise::Residual {
            2.0
        } else {
            1.0
        };
        // The metric is computed once more, and factored again where the target has a volume.
        let (again, factored) = match self.correction {
            CorrectionPlan::FiniteDifference => (1.0, f64::from(self.kappa > 0.0)),
            _ => (0.0, 0.0),
        };
        let factor = if dense {
            let cubes = self.blocks.blocks.iter().map(|b| (b.size as f64).powi(3));
            cubes.sum::<f64>() / 3.0 + 2.0 * self.blocks.len as f64
        } else {
            p
        };
        let correction = match self.correction {
            CorrectionPlan::ClosedForm if dense => {
                r * d * d * h * (h + 1.0) / 2.0 + p * p * p / 3.0
            }
            CorrectionPlan::Probe(q) => f64::from(q) * (4.0 * r * d * k + p * p),
            _ => 0.0,
        };
        let afresh = per_metric * (factors + again) + factor * (factors + factored) + correction;
        (gradient, afresh)
    }

    /// The target ledger: which density the draws follow, and how.
    pub fn ledger(&self) -> Vec<(String, String)> {
        let mut out: Vec<(String, String)> = Vec::new();
        let mut say = |k: &str, v: String| out.push((k.to_string(), v));
        let e = self.step_size.initial();
        say(
            "method",
            match self.direct {
                true => "independent draws, without steps".into(),
                false => format!("{:?}", self.method).to_lowercase(),
            },
        );
        say(
            "density",
            match (self.noise, self.kappa == 1.0, self.correction) {
                (Noise::None, ..) => "none promised: minibatch noise alone; near a minimum of a well-specified model the posterior at the law's temperature".into(),
                (_, true, _) if self.metric == Metric::Fisher && !self.blocks.is_full() => "exp(-C/T)·|M|^{1/2} with M the block-diagonal metric: the volume of the blocks, which is not Jeffreys' prior and depends on the parameterisation".into(),
                (_, true, _) => "exp(-C/T)·|M|^{1/2}: the cost over the Riemannian volume, M = N·F + Λ without damping (Jeffreys' prior when the priors are flat)".into(),
                _ => "exp(-C/T) over the parameters as written".into(),
            },
        );
        say(
            "temperature",
            if self.noise == Noise::None {
                format!("{:.6} (the law)", self.law_temperature())
            } else {
                format!("{}", self.temperature)
            },
        );
        if let Some(f) = self.frequencies {
            say(
                "weights",
                format!(
                    "{} rows count as {} observations; a batch takes rows whole",
                    self.n, f.total
                ),
            );
        }
        say("kappa", format!("{}", self.kappa));
        say(
            "log_scale_jacobian",
            if self.jacobian {
                "included: draws follow the density over (β, σ)"
            } else {
                "left out: the volume carries the measure"
            }
            .into(),
        );
        say(
            "metric",
            match self.metric {
                Metric::Fisher => format!("N·F + Λ{}, {:?} Fisher over {} rows, refreshed every {} steps, damping {}", match self.blocks.blocks.len() { 1 => String::new(), n => format!(" in {n} diagonal blocks of at most {}", self.blocks.largest()) }, self.fisher, self.metric_row_count(), self.refresh, self.damping),
                Metric::FisherDiagonal => format!("diagonal of N·F + Λ, {:?} Fisher over {} rows, damping {}", self.fisher, self.metric_row_count(), self.damping),
                Metric::Identity => "N·I in internal (centred and scaled) coordinates: step_size/N in the units of SGLD's literature".into(),
                Metric::Mode => format!("JᵀAJ + Λ at the posterior's mode, constant and shared by all chains, A the {} information", match self.expansion.as_ref().is_some_and(|e| e.observed_information) { true => "observed", false => "Fisher" }),
                Metric::RmsProp => "N·(λ + √V), RMSProp in internal (centred and scaled) coordinates".into(),
            },
        );
        if self.metric == Metric::Mode && !self.direct {
            say(
                "gradient",
                match self.gradient {
                    Gradient::Plain => "over all rows".into(),
                    Gradient::ControlVariates => format!(
                        "control variates of second order at the mode, {} rows per step drawn by influence",
                        self.batch
                    ),
                },
            );
        }
        say(
            "correction",
            if self.direct {
                "none needed: there are no steps".into()
            } else if self.metric == Metric::Mode {
                match self.metropolis {
                    true => "none needed: a constant metric and a Metropolis test".into(),
                    false => "none needed: a constant metric".into(),
                }
            } else if self.metropolis {
                "none needed: Metropolis test".into()
            } else {
                let how = match self.correction {
                    CorrectionPlan::Off => "off".into(),
                    CorrectionPlan::ClosedForm => "closed form, exact leverages".into(),
                    CorrectionPlan::Probe(q) => format!("{q} random probes a time"),
                    CorrectionPlan::FiniteDifference => {
                        format!("random finite difference, δ = {RFD_STEP} posterior sds")
                    }
                };
                match (self.correction, self.refresh) {
                    (CorrectionPlan::Off, _) | (_, 1) => how,
                    (_, m) => {
                        format!("{how}; kept with the metric for {m} steps, a bias of order {m}·ε")
                    }
                }
            },
        );
        say("noise", {
            let text = format!("{:?}, {:?} budget at ε = {e}", self.noise, self.integrator);
            let blocked = self.metric == Metric::Fisher && !self.blocks.is_full();
            text.to_lowercase()
                + match (blocked, self.noise) {
                    (true, Noise::Residual) => {
                        ", deducted within blocks: what the minibatch brings between blocks stays, of order ε²; the ou budget is exact on a Gaussian for a full metric only"
                    }
                    (true, _) => "; the ou budget is exact on a Gaussian for a full metric only",
                    _ => "",
                }
        });
        if let Some(b) = self.metric_bias() {
            say(
                "metric_bias",
                format!(
                    "the inverse of a metric over {} rows is too large by a factor of about {b:.3}",
                    self.metric_row_count()
                ),
            );
        }
        out
    }
}
