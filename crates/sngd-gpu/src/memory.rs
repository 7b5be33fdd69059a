//! What a plan takes of a device's memory, without a device.

use crate::mode;
use crate::shape::Shape;
use crate::sizes::Sizes;
use sngd_core::plan::{Metric, Plan};
use sngd_core::problem::Problem;

/// Names and bytes of the buffers of a plan, with all staging buffers as the last entry.
pub fn memory(plan: &Plan, problem: &Problem) -> Vec<(String, u64)> {
    debug_assert_eq!(plan.p, problem.parameters());
    let sizes = match &plan.expansion {
        Some(expansion) if plan.metric == Metric::Mode => mode::sizes(
            plan,
            &mode::ModeShape::new(plan, expansion, mode::other_priors(problem).len(), false),
        ),
        _ => Sizes::new(plan, &Shape::new(plan, false)),
    };
    let mut out: Vec<(String, u64)> = sizes
        .buffers
        .iter()
        .map(|(n, b)| (n.name().to_string(), *b))
        .collect();
    out.push(("staging".into(), 3 * sizes.staging));
    out
}
