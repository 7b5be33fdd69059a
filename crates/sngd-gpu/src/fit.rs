//! Whether a plan with the metric at the state fits a device, and what would.

use crate::shape::Shape;
use crate::sizes::Sizes;
use sngd_core::engine::EngineError;
use sngd_core::plan::{Metric, MetricRows, Plan};

/// Checks that a plan fits a device. The limits are bytes of a storage binding, bytes of a buffer, and workgroups per
/// dimension.
///
/// # Errors
/// A plan that does not fit, with the largest number of chains or rows that does.
pub fn check_fit(
    plan: &Plan,
    shape: &Shape,
    sizes: &Sizes,
    (binding, buffer, groups): (u64, u64, u32),
) -> Result<(), EngineError> {
    let fits = |plan: &Plan| {
        let shape = Shape::new(plan, shape.software);
        plan.chains * shape.widest() <= groups as usize
            && plan.blocks.largest() <= groups as usize
            && shape.row_groups() <= groups as usize
            && Sizes::new(plan, &shape)
                .too_large(binding, buffer)
                .is_none()
    };
    if fits(plan) {
        return Ok(());
    }
    let most = |set: &dyn Fn(usize) -> Plan, limit: usize| {
        let (mut lo, mut hi) = (0, limit);
        while lo < hi {
            let mid = (lo + hi).div_ceil(2);
            if fits(&set(mid)) {
                lo = mid
            } else {
                hi = mid - 1
            }
        }
        lo
    };
    let chains = most(
        &|c| Plan {
            chains: c.max(1),
            ..plan.clone()
        },
        plan.chains,
    );
    let what = match sizes.too_large(binding, buffer) {
        Some((which, bytes)) => format!(
            "buffer \"{}\" needs {} MiB where the device binds at most {} MiB",
            which.name(),
            bytes >> 20,
            binding.min(buffer) >> 20
        ),
        None => format!(
            "{} chains of {} parameters and {} rows need more than the {groups} workgroups a dimension that the device runs",
            plan.chains,
            shape.p,
            plan.batch.max(plan.metric_row_count())
        ),
    };
    // The plan with its metric over fewer rows, where that is allowed.
    let thinner = |r: usize| Plan {
        metric_rows: MetricRows::Sample(r.max(1)),
        ..plan.clone()
    };
    let free = plan.metric == Metric::Fisher && !plan.metropolis;
    let metric_rows = if free {
        most(&thinner, plan.metric_row_count() - 1)
    } else {
        0
    };
    let what = if metric_rows > 0 {
        format!("{what}; the largest fisher_rows that fits is {metric_rows}")
    } else {
        what
    };
    if chains > 0
        && fits(&Plan {
            chains,
            ..plan.clone()
        })
    {
        return Err(EngineError::DoesNotFit(format!(
            "{what}; the most chains that fit are {chains}"
        )));
    }
    let rows = most(
        &|n| {
            let n = n.max(1);
            let mut less = Plan {
                chains: 1,
                n,
                ..plan.clone()
            };
            less.batch = less.batch.min(n);
            less
        },
        plan.n,
    );
    Err(EngineError::DoesNotFit(if rows > 1 {
        format!("{what}; with one chain the most rows of data that fit are {rows}")
    } else {
        format!(
            "{what}; {} parameters are too many for a dense metric on this device",
            shape.p
        )
    }))
}
