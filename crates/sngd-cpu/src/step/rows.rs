//! Which rows and labels a step looks at.

use crate::pass::LabelAddress;
use sngd_core::batch::BatchRows;
use sngd_core::plan::{MetricRows, Plan};

/// Rows of the gradient at step t.
pub fn batch_rule(plan: &Plan, chain: u32, t: u32) -> BatchRows {
    if plan.full_batch {
        BatchRows::All
    } else {
        BatchRows::new(plan.batches, plan.n, plan.batch, plan.seed, chain, t)
    }
}

/// Whether one pass serves gradient and metric.
pub fn rows_coincide(plan: &Plan) -> bool {
    plan.metric_rows == MetricRows::Batch
        || (plan.full_batch && plan.metric_rows == MetricRows::Full)
}

/// The address of the Monte Carlo labels of a pass.
pub fn label_address(plan: &Plan, chain: u32, step: u32) -> LabelAddress {
    LabelAddress {
        seed: plan.seed,
        chain,
        step,
        labels: plan.fisher_labels,
    }
}

/// Rows of the metric at step t.
pub fn metric_rule(plan: &Plan, chain: u32, t: u32) -> BatchRows {
    match plan.metric_rows {
        MetricRows::Full => BatchRows::All,
        MetricRows::Batch => batch_rule(plan, chain, t),
        MetricRows::Sample(_) => BatchRows::fisher_rows(plan.n, plan.seed, chain, t),
    }
}
