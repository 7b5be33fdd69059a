//! Bytes of every device buffer of a plan with the metric at the mode, and whether they fit a device.

use super::recipe::grids;
use super::shape::{ModeShape, PACE, Rows};
use crate::features;
use crate::sizes::{RING, SLICE, Sizes};
use sngd_core::engine::EngineError;
use sngd_core::expansion::Expansion;
use sngd_core::plan::Plan;
use sngd_shaders::MODE_STATUS;

/// Names and bytes of all buffers of a plan.
pub fn sizes(plan: &Plan, shape: &ModeShape) -> Sizes {
    let (c, n, p) = (shape.c, shape.n, shape.p);
    let row_len = sngd_core::expansion::RowLayout { outputs: shape.h }.width();
    let mut buffers: Vec<(&'static str, u64)> = Vec::new();
    let mut words = |name, count: usize| buffers.push((name, (4 * count as u64).max(16)));
    words("x", features::words(n * shape.columns, plan.storage));
    words("rows", n * row_len);
    // The ring, and one slice more for the evaluation of the starting point.
    words("now", (RING + 1) * SLICE / 4);
    words("state", c * shape.state());
    words("status", c * MODE_STATUS);
    words("kept", shape.slots * c * shape.kept());
    words("fixed", shape.fixed_at() + shape.priors * (p + 8));
    match &shape.rows {
        Rows::Few(_) => {
            words("influence", 2 * n);
            words("pace", p.next_multiple_of(4) + 4 * PACE);
        }
        Rows::All(all) => {
            words("panel", all.chunks * SLICE / 4);
            words("slope", p);
            words("there", c * p);
            words("rest", c);
            words("delta", c * shape.k * all.chunk);
            words("tile_sums", 2 * c * all.chunk / 64);
            words(
                "parts",
                all.chunk / all.split_rows * c * shape.k * shape.columns,
            );
            words("sums", c * (p + 2));
            if !shape.whitened {
                words("design", c * p);
                words("slopes", c * (p + 2));
            }
        }
    }
    debug_assert_eq!(plan.p, p);
    Sizes {
        buffers,
        staging: 4 * (shape.slots * c * shape.kept() + c * MODE_STATUS) as u64,
    }
}

/// Checks that a plan fits a device. `binding` is the largest storage binding in bytes, `groups` the largest number of
/// workgroups per dimension.
///
/// # Errors
/// A plan that does not fit, with the largest number of chains that does.
pub fn check_fit(
    plan: &Plan,
    expansion: &Expansion,
    priors: usize,
    software: bool,
    binding: u64,
    groups: usize,
) -> Result<(), EngineError> {
    let fits = |chains: usize| {
        let plan = Plan {
            chains,
            ..plan.clone()
        };
        let shape = ModeShape::new(&plan, expansion, priors, software);
        let sizes = sizes(&plan, &shape);
        sizes.too_large(binding, binding).is_none()
            && grids(&plan, &shape).iter().flatten().all(|g| *g <= groups)
    };
    if fits(plan.chains) {
        return Ok(());
    }
    let (mut low, mut high) = (0, plan.chains);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    let shape = ModeShape::new(plan, expansion, priors, software);
    let what = match sizes(plan, &shape).too_large(binding, binding) {
        Some((name, bytes)) => format!(
            "buffer \"{name}\" needs {} MiB where the device binds at most {} MiB",
            bytes >> 20,
            binding >> 20
        ),
        None => format!(
            "{} chains need more than the {groups} workgroups a dimension that the device runs",
            plan.chains
        ),
    };
    Err(EngineError::DoesNotFit(if low > 0 {
        format!("{what}; the most chains that fit are {low}, or set run.device = \"cpu\"")
    } else {
        format!("{what}; set run.device = \"cpu\", or fit fewer rows")
    }))
}
