//! Which rows and labels a step uses.

use crate::pass::LabelAddress;
use sngd_core::batch::BatchRows;
use sngd_core::plan::{MetricRows, Plan};

/// How the rows of the gradient at step t are drawn.
pub fn batch_rule(plan: &Plan, chain: u32, t: u32) -> BatchRows {
    if plan.full_batch {
        BatchRows::All
    } else {
        BatchRows::new(plan.batches, plan.n, plan.batch, plan.seed, chain, t)
    }
}

/// Whether one pass serves both gradient and metric, since their rows are the same.
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

/// How the rows of the metric at step t are drawn.
pub fn metric_rule(plan: &Plan, chain: u32, t: u32) -> BatchRows {
    match plan.metric_rows {
        MetricRows::Full => BatchRows::All,
        MetricRows::Batch => batch_rule(plan, chain, t),
        MetricRows::Sample(_) => BatchRows::fisher_rows(plan.n, plan.seed, chain, t),
    }
}
