//! What a summary needs besides the draws. Stored in the trace as the attribute `sngd_facts` (JSON); the metric is stored
//! as `metric` of `constant_data`.

use crate::prepare::{Prepared, THERMOMETER_PARAMETERS, target_metric};
use serde::{Deserialize, Serialize};
use sngd_core::problem::{Problem, StatedPrior};

/// What a summary must know of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// Seed: the key of every random stream.
    pub seed: u64,
    /// Number of chains, C.
    pub chains: usize,
    /// Number of parameters, P.
    pub parameters: usize,
    /// Number of data rows that were fitted, N.
    pub rows: usize,
    /// Rows of a minibatch, B.
    pub batch_size: usize,
    /// Step size ε, no unit; the largest one of a schedule.
    pub step_size: f64,
    /// Temperature T of the target, no unit.
    pub temperature: f64,
    /// κ: 0 for the posterior as the target, 1 for a target in Jeffreys' measure.
    pub kappa: f64,
    /// Temperature T of minibatch noise alone, ρεN/(B(2−ε)), with natural gradients.
    pub law_temperature: Option<f64>,
    /// Number of groups of chains that started together; 0 if there are none.
    pub superchains: usize,
    /// Whether `lp` is computed over all data.
    pub full_log_density: bool,
    /// Log posterior density `lp` at the mode, in nats.
    pub log_density_at_mode: Option<f64>,
    /// Root mean square of (eigenvalue of F⁻¹Σ_g − 1), its smallest and largest eigenvalue.
    pub fisher_mismatch: Option<[f64; 3]>,
    /// Why there is no `fisher_mismatch`.
    pub fisher_mismatch_reason: Option<String>,
    /// The priors in force, given or default.
    #[serde(default)]
    pub priors: Vec<StatedPrior>,
    /// Which density the draws follow, and how.
    pub ledger: Vec<(String, String)>,
    /// Position in the natural parameter vector of each stored parameter, `[P]`.
    pub order: Vec<usize>,
    /// Which stored parameter appears in `metric` by its logarithm.
    pub log_scale: Option<usize>,
    /// Metric M = N·F + Λ at the mode, without damping, over the stored parameters (log σ for a scale), `[P,P]`; only up to 512 parameters.
    #[serde(skip)]
    pub metric: Option<Vec<f64>>,
}

impl Facts {
    /// The facts of a run that is about to start.
    pub fn of(prepared: &Prepared) -> Facts {
        let (plan, problem) = (&prepared.plan, &prepared.problem);
        let order = order(problem);
        let mode = prepared.mode.as_deref();
        let mismatch = prepared.mismatch.as_ref();
        Facts {
            seed: plan.seed,
            chains: plan.chains,
            parameters: plan.p,
            rows: plan.n,
            batch_size: plan.batch,
            step_size: plan.step_size.initial(),
            temperature: plan.temperature,
            kappa: plan.kappa,
            law_temperature: plan.natural_law(),
            superchains: prepared.config.run.superchains,
            full_log_density: plan.full_log_density(),
            log_density_at_mode: mode.map(|m| problem.log_norm - m.cost),
            fisher_mismatch: mismatch.ok().map(|m| [m.frobenius, m.smallest, m.largest]),
            fisher_mismatch_reason: mismatch.err().cloned(),
            priors: problem.stated_priors.clone(),
            ledger: ledger(prepared),
            log_scale: (problem.transform.aux == 1)
                .then(|| order.iter().position(|&i| i == plan.p - 1))
                .flatten(),
            metric: (plan.p <= THERMOMETER_PARAMETERS)
                .then(|| target_metric(prepared))
                .flatten()
                .map(|m| natural_metric(problem, &m, &order)),
            order,
        }
    }
}

/// The plan's ledger, followed by the reasons for its settings.
pub(crate) fn ledger(prepared: &Prepared) -> Vec<(String, String)> {
    let mut out = prepared.plan.ledger();
    let reasons = prepared.reasons.iter().cloned();
    out.extend(reasons.map(|r| ("settings".to_string(), r)));
    out
}

/// Place in the natural parameter vector of each stored parameter, `[P]`: variables in order, row-major.
pub(crate) fn order(problem: &Problem) -> Vec<usize> {
    problem
        .variables()
        .into_iter()
        .flat_map(|v| v.index)
        .collect()
}

/// BᵀMB for ω = Bθ + c, rows and columns in stored order.
fn natural_metric(problem: &Problem, metric: &[f64], order: &[usize]) -> Vec<f64> {
    let p = problem.parameters();
    let mut half = vec![0.0; p * p];
    for (row, out) in metric.chunks(p).zip(half.chunks_mut(p)) {
        out.copy_from_slice(row);
        covector_to_natural(problem, out);
    }
    let mut column = vec![0.0; p];
    let mut full = vec![0.0; p * p];
    for j in 0..p {
        for i in 0..p {
            column[i] = half[i * p + j];
        }
        covector_to_natural(problem, &mut column);
        for i in 0..p {
            full[i * p + j] = column[i];
        }
    }
    let mut out = Vec::with_capacity(p * p);
    for &i in order {
        out.extend(
            order
                .iter()
                .map(|&j| 0.5 * (full[i * p + j] + full[j * p + i])),
        );
    }
    out
}

/// Bᵀv in place: ω_j = s_j·θ_j/σ_y, and at the pivot (c·θ_pivot + Σ m_j·θ_j)/σ_y.
fn covector_to_natural(problem: &Problem, v: &mut [f64]) {
    let t = &problem.transform;
    for v in v.chunks_mut(t.columns).take(t.outputs) {
        let at_pivot = t.pivot.map_or(0.0, |p| v[p]);
        for (j, v) in v.iter_mut().enumerate() {
            *v = if Some(j) == t.pivot {
                t.pivot_value * at_pivot / t.y_scale
            } else {
                (t.scale[j] * *v + t.mean[j] * at_pivot) / t.y_scale
            };
        }
    }
}
