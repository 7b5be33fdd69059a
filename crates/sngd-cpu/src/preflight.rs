//! Checks at the mode, before any step, whether the noise budget can be met.

use crate::map::Mode;
use faer::{MatRef, Side};
use sngd_core::batch::Batches;
use sngd_core::config::{Noise, NoiseRows};
use sngd_core::error::CheckError;
use sngd_core::plan::{MetricRows, Plan};

/// Limits that residual noise sets at the mode.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reach {
    /// The smallest temperature that works with this batch and step, no unit.
    pub temperature: f64,
    /// The smallest batch that works with this temperature and step, in rows.
    pub batch: usize,
}

/// Limits from λ, the largest eigenvalue of M⁻¹V̂ at the mode: Q > 0 needs budget·T > ε²·λ.
pub fn reach(plan: &Plan, mode: &Mode) -> Reach {
    let (n, b, p) = (plan.n as f64, plan.batch as f64, plan.p);
    let e = plan.step_size.initial();
    let v = plan.rho() * n * n / b;
    let mut lambda = v * largest_ratio(&mode.sigma_g, &mode.chol, p);
    // A covariance estimated from few rows has larger top eigenvalues.
    let rows = match (plan.noise_rows, plan.metric_rows) {
        (NoiseRows::Batch, _) | (_, MetricRows::Batch) => Some(plan.batch),
        (_, MetricRows::Sample(r)) => Some(r),
        _ => None,
    };
    if let Some(r) = rows {
        lambda *= (1.0 + (p as f64 / r as f64).sqrt()).powi(2);
    }
    let t_min = e * e * lambda / plan.budget(e);
    let ratio = t_min / plan.temperature;
    // λ is proportional to ρ/B.
    let b_min = if plan.batches == Batches::WithReplacement {
        b * ratio
    } else {
        n / (1.0 + (n - b) / (b * ratio))
    };
    Reach {
        temperature: t_min,
        batch: (b_min.ceil() as usize).clamp(1, plan.n),
    }
}

/// Refuses a plan whose residual noise is not positive definite at the mode already.
pub fn residual(plan: &Plan, mode: &Mode) -> Result<(), CheckError> {
    if plan.noise != Noise::Residual || plan.rho() == 0.0 {
        return Ok(());
    }
    let need = reach(plan, mode);
    if plan.temperature > need.temperature {
        return Ok(());
    }
    // A batch that just suffices at the mode is too small around it, and whoever samples the posterior is not sent to another temperature.
    if plan.temperature == 1.0 {
        return Err(CheckError::key(
            "sampler.batch_size",
            format!(
                "found {} with step_size = {}, whose minibatch noise alone is hotter than the posterior in some direction, expected more rows; set batch_size = \"full\" or lower step_size",
                plan.batch,
                plan.step_size.initial()
            ),
        ));
    }
    Err(CheckError::key(
        "sampler.temperature",
        format!(
            "found {} with batch_size = {} and step_size = {}, whose minibatch noise alone is hotter in some direction, expected at least {:.4} at this batch and step; set batch_size = \"full\" or lower step_size",
            plan.temperature,
            plan.batch,
            plan.step_size.initial(),
            need.temperature
        ),
    ))
}

/// λ_max of L⁻¹ΣL⁻ᵀ.
fn largest_ratio(sigma: &[f64], chol: &[f64], p: usize) -> f64 {
    let l = MatRef::from_column_major_slice(chol, p, p);
    let mut a = MatRef::from_column_major_slice(sigma, p, p).to_owned();
    let par = faer::Par::Seq;
    faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, a.as_mut(), par);
    let mut b = a.transpose().to_owned();
    faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, b.as_mut(), par);
    match b.self_adjoint_eigenvalues(Side::Lower) {
        Ok(values) => values.into_iter().fold(0.0, f64::max),
        // Only a matrix that is not finite has no eigenvalues; then no temperature is high enough.
        Err(_) => f64::INFINITY,
    }
}
