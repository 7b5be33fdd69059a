//! Metric, factor and gradient from the sums of a pass.

use crate::blocked::BlockFactor;
use crate::pass::Pass;
use crate::resident::Resident;
use crate::scalar::Scalar;
use faer::Par;
use sngd_core::blocks::Layout;
use sngd_core::engine::FaultKind;
use sngd_core::plan::{JITTER_FIRST, JITTER_RETRIES, Plan};

/// Writes the metric (N/r) Σ w·JᵀWJ + N·damping·I + Λ into the layout's blocks, lower triangle; in damping N counts observations.
pub fn assemble_metric<T: Scalar>(
    data: &Resident<T>,
    plan: &Plan,
    pass: &Pass<T>,
    damping: f64,
    out: &mut [T],
) {
    let share = T::of(plan.n as f64 / plan.metric_row_count() as f64);
    for (o, &f) in out.iter_mut().zip(&pass.fisher) {
        *o = share * f;
    }
    data.lambda.add_to(&data.layout, out);
    add_to_diagonal(&data.layout, out, T::of(plan.observations() * damping));
}

/// Adds a number to the diagonals of all blocks.
pub(super) fn add_to_diagonal<T: Scalar>(layout: &Layout, squares: &mut [T], number: T) {
    for block in &layout.blocks {
        for i in 0..block.size {
            squares[block.at + i * (block.size + 1)] += number;
        }
    }
}

/// Factors M, with jitter where needed, or returns the fault.
pub fn factor_metric<T: Scalar>(
    factor: &mut BlockFactor<T>,
    metric: &[T],
    par: Par,
) -> Result<(), FaultKind> {
    factor
        .factor(metric, JITTER_FIRST, JITTER_RETRIES, par)
        .map_err(|e| FaultKind::MetricNotPositive {
            pivot: e.pivot as u32,
        })
}

/// Writes the gradient of the cost, −(N/B)·Σ w·Jᵀs − ∇ln prior, into `out` `[P]`; returns −ln prior in nats.
pub fn cost_gradient<T: Scalar>(
    data: &Resident<T>,
    plan: &Plan,
    omega: &[T],
    pass: &mut Pass<T>,
    rows: usize,
    out: &mut [T],
) -> f64 {
    let work = &mut pass.prior;
    work.omega
        .iter_mut()
        .zip(omega)
        .for_each(|(a, w)| *a = w.to64());
    let cost = data.problem.prior_cost(
        &work.omega,
        plan.jacobian,
        &mut work.theta,
        &mut work.gradient,
    );
    let share = plan.n as f64 / rows as f64;
    for i in 0..data.p {
        out[i] = T::of(work.gradient[i] - share * pass.gradient[i].to64());
    }
    cost
}
