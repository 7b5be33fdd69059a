//! How large every device buffer of a plan with the metric at the mode is, and which it needs: one table; and whether they fit a device.

use super::recipe::grids;
use super::shape::{All, Few, ModeShape, PACE, Rows};
use crate::buffer::Buffer;
use crate::features;
use crate::sizes::{RING, SLICE, Sizes, bytes};
use sngd_core::engine::EngineError;
use sngd_core::expansion::{Expansion, RowLayout};
use sngd_core::plan::Plan;
use sngd_shaders::MODE_STATUS;

/// What the formulas of the table are made of.
struct Facts<'a> {
    plan: &'a Plan,
    shape: &'a ModeShape,
}

/// Words of a buffer. `None`: the plan has no such buffer.
type Words = fn(&Facts) -> Option<usize>;

const TABLE: &[(Buffer, Words)] = &[
    (Buffer::X, |f| {
        let numbers = f.shape.n * f.shape.columns;
        Some(features::words(numbers, f.plan.storage))
    }),
    (Buffer::Rows, |f| {
        let outputs = f.shape.h;
        Some(f.shape.n * RowLayout { outputs }.width())
    }),
    // The ring, and one slice more for the evaluation of the starting point.
    (Buffer::Now, |_| Some((RING + 1) * SLICE / 4)),
    (Buffer::State, |f| Some(f.shape.c * f.shape.state())),
    (Buffer::Status, |f| Some(f.shape.c * MODE_STATUS)),
    (Buffer::Kept, |f| Some(f.kept())),
    (Buffer::Fixed, |f| {
        Some(f.shape.fixed_at() + f.shape.priors * (f.shape.p + 8))
    }),
    // few rows per step
    (Buffer::Influence, |f| f.few().map(|_| 2 * f.shape.n)),
    (Buffer::Pace, |f| {
        f.few().map(|_| f.shape.p.next_multiple_of(4) + 4 * PACE)
    }),
    // all rows, a chunk at a time
    (Buffer::Panel, |f| Some(f.all()?.chunks * SLICE / 4)),
    (Buffer::Slope, |f| f.all().map(|_| f.shape.p)),
    (Buffer::There, |f| f.all().map(|_| f.shape.c * f.shape.p)),
    (Buffer::Rest, |f| f.all().map(|_| f.shape.c)),
    (Buffer::Delta, |f| {
        Some(f.shape.c * f.shape.k * f.all()?.chunk)
    }),
    (Buffer::TileSums, |f| {
        Some(2 * f.shape.c * f.all()?.chunk / 64)
    }),
    (Buffer::Parts, |f| {
        let splits = f.all()?.chunk / f.all()?.split_rows;
        Some(splits * f.shape.c * f.shape.k * f.shape.columns)
    }),
    (Buffer::Sums, |f| {
        f.all().map(|_| f.shape.c * (f.shape.p + 2))
    }),
    (Buffer::Design, |f| {
        f.solved().map(|_| f.shape.c * f.shape.p)
    }),
    (Buffer::Slopes, |f| {
        f.solved().map(|_| f.shape.c * (f.shape.p + 2))
    }),
];

impl Facts<'_> {
    fn kept(&self) -> usize {
        self.shape.slots * self.shape.c * self.shape.kept()
    }

    fn few(&self) -> Option<&Few> {
        match &self.shape.rows {
            Rows::Few(few) => Some(few),
            Rows::All(_) => None,
        }
    }

    fn all(&self) -> Option<&All> {
        match &self.shape.rows {
            Rows::All(all) => Some(all),
            Rows::Few(_) => None,
        }
    }

    /// All rows, with a design that is not whitened, so that a step solves.
    fn solved(&self) -> Option<&All> {
        self.all().filter(|_| !self.shape.whitened)
    }
}

/// The buffers of a plan and their bytes.
pub fn sizes(plan: &Plan, shape: &ModeShape) -> Sizes {
    let facts = Facts { plan, shape };
    let buffers = TABLE
        .iter()
        .filter_map(|(buffer, words)| Some((*buffer, bytes(words(&facts)?))))
        .collect();
    Sizes {
        buffers,
        staging: 4 * (facts.kept() + shape.c * MODE_STATUS) as u64,
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
        Some((which, bytes)) => format!(
            "buffer \"{}\" needs {} MiB where the device binds at most {} MiB",
            which.name(),
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
