//! Which labels a step draws.

use crate::pass::LabelAddress;
use sngd_core::plan::Plan;

/// The address of the Monte Carlo labels of a pass.
pub fn label_address(plan: &Plan, chain: u32, step: u32) -> LabelAddress {
    LabelAddress {
        seed: plan.seed,
        chain,
        step,
        labels: plan.fisher_labels,
    }
}
