//! How large every device buffer of a plan with the metric at the state is, and which it needs: one table. Allocation, upload,
//! limits and `sngd check` all read it.

use crate::buffer::Buffer;
use crate::held::Held;
use crate::network::Net;
use crate::shape::{PANEL, RowSet, STATS, Shape, contracted, drift_parts, residual, ridged};
use sngd_core::config::Noise;
use sngd_core::plan::{CorrectionPlan, Plan};
use sngd_shaders::{STATUS, Weights};

/// Number of slices of the uniform ring, which is the largest number of steps in one submission.
pub const RING: usize = 1024;
/// Bytes of a slice: the alignment of a dynamic offset under WebGPU's default limits.
pub const SLICE: usize = 256;

/// The buffers of a plan and their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Device buffers in order of allocation; each is at least 16 bytes.
    pub buffers: Vec<(Buffer, u64)>,
    /// Bytes of one staging buffer; there are three.
    pub staging: u64,
}

/// What the formulas of the table are made of.
struct Facts<'a> {
    plan: &'a Plan,
    shape: &'a Shape,
    /// The rows of the metric's pass.
    metric: RowSet,
}

/// Words of a buffer. `None`: the plan has no such buffer. `Some(0)`: a kernel names it, but does not use it under this plan.
type Words = fn(&Facts) -> Option<usize>;

const TABLE: &[(Buffer, Words)] = &[
    // the data and the model
    (Buffer::X, |f| {
        Some((f.all_rows() * f.shape.d * f.shape.feature_bits).div_ceil(32))
    }),
    (Buffer::Obs, |f| Some(2 * f.shape.row_pairs * f.all_rows())),
    (Buffer::Prior, |f| Some(4 * f.shape.p)),
    (Buffer::Information, |f| Some(f.shape.p)),
    (Buffer::Affine, |f| Some(2 * f.mapped())),
    (Buffer::Place, |f| Some(4 * f.shape.p)),
    (Buffer::Added, |f| Some(f.shape.squares)),
    (Buffer::Tiles, |f| Some(4 * f.shape.tiles.len())),
    (Buffer::Now, |_| Some(RING * SLICE / 4)),
    (Buffer::Panel, |f| Some(f.shape.panels() * SLICE / 4)),
    // the chains
    (Buffer::Omega, |f| Some(f.vector())),
    (Buffer::Status, |f| Some(f.shape.c * STATUS)),
    (Buffer::Kept, |f| {
        Some(f.shape.slots * f.shape.c * (f.shape.p + STATS))
    }),
    // the pass of the gradient
    (Buffer::BatchIndex, |f| f.rows(f.batch(), 1)),
    (Buffer::BatchEta, |f| f.rows(f.batch(), f.shape.h)),
    (Buffer::BatchScores, |f| f.rows(f.batch(), f.shape.h)),
    (Buffer::BatchWeight, |f| {
        f.rows(f.batch(), f.width(f.batch()))
    }),
    (Buffer::BatchLik, |f| Some(f.shape.c * f.batch().lik_sums)),
    (Buffer::BatchActs, |f| {
        f.rows(f.batch(), 2 * f.net()?.hidden)
    }),
    (Buffer::BatchDelta, |f| f.rows(f.batch(), f.net()?.units)),
    // the pass of the metric, where it has rows of its own
    (Buffer::MetricIndex, |f| f.rows(f.own()?, 1)),
    (Buffer::MetricEta, |f| f.rows(f.own()?, f.shape.h)),
    (Buffer::MetricScores, |f| f.rows(f.own()?, f.shape.h)),
    (Buffer::MetricWeight, |f| {
        f.rows(f.own()?, f.width(f.own()?))
    }),
    (Buffer::MetricLik, |f| Some(f.shape.c * f.own()?.lik_sums)),
    (Buffer::MetricActs, |f| {
        f.rows(f.own()?, 2 * f.net()?.hidden)
    }),
    (Buffer::MetricDelta, |f| f.rows(f.own()?, f.net()?.units)),
    // held-out rows, a tile at a time
    (Buffer::HeldIndex, |f| {
        f.net().and(f.held()).map(|held| f.shape.c * held.tile)
    }),
    (Buffer::HeldActs, |f| {
        Some(f.shape.c * f.held()?.tile * 2 * f.net()?.hidden)
    }),
    (Buffer::HeldEta, |f| {
        Some(f.shape.c * f.held()?.tile * f.shape.h)
    }),
    (Buffer::HeldTerms, |f| Some(2 * f.shape.c * f.held()?.tile)),
    (Buffer::HeldSums, |f| Some(f.held()?.sums())),
    (Buffer::HeldDraws, |f| {
        f.held().map(|_| 2 * f.shape.slots * f.shape.c)
    }),
    // gradient and step
    (Buffer::SeedDelta, |f| {
        let net = f.net()?;
        f.rows(f.metric, net.seeds * net.units)
    }),
    (Buffer::BatchSum, |f| {
        Some(f.batch().grad_splits * f.vector())
    }),
    (Buffer::Gradient, |f| Some(f.vector())),
    (Buffer::Cost, |f| Some(4 * f.shape.c)),
    (Buffer::Delta, |f| Some(f.vector())),
    (Buffer::Squares, |f| Some(2 * f.vector())),
    (Buffer::White, |f| Some(f.vector())),
    (Buffer::Z, |f| Some(f.vector())),
    (Buffer::Extra, |f| Some(f.vector())),
    // corrections
    (Buffer::Lever, |f| {
        f.when(
            contracted(f.plan),
            f.shape.lever_splits * f.shape.c * f.metric.rows * f.shape.hh,
        )
    }),
    (Buffer::Coefficient, |f| {
        f.when(contracted(f.plan), f.shape.c * f.metric.rows * f.shape.h)
    }),
    (Buffer::Drift, |f| {
        Some(drift_parts(f.plan, f.shape) * f.vector())
    }),
    // a diagonal metric
    (Buffer::DiagonalSum, |f| {
        f.when(!f.shape.dense, 2 * f.metric.grad_splits * f.vector())
    }),
    (Buffer::Metric, |f| f.when(!f.shape.dense, 4 * f.vector())),
    // a dense metric, its volume and their factors
    (Buffer::Outcome, |f| {
        f.when(f.shape.dense, 2 * f.shape.c * f.shape.blocks)
    }),
    (Buffer::Fisher, |f| f.square(true)),
    (Buffer::Linv, |f| f.square(true)),
    (Buffer::Scale, |f| f.when(f.shape.dense, f.vector())),
    (Buffer::AddedUndamped, |f| {
        f.when(f.shape.dense && f.split(), f.shape.squares)
    }),
    (Buffer::Ridge, |f| {
        f.when(f.shape.dense && f.split(), f.shape.squares)
    }),
    (Buffer::Volume, |f| f.square(f.split())),
    (Buffer::LinvVolume, |f| f.square(f.split())),
    (Buffer::Parts, |f| Some(f.matrix_parts() * f.square(true)?)),
    (Buffer::PanelL, |f| {
        let used = f.shape.panelled() || f.shape.software;
        Some(usize::from(used) * f.square(true)?)
    }),
    (Buffer::PanelBlock, |f| {
        let used = usize::from(f.shape.panelled());
        f.when(f.shape.dense, used * f.squares_together() * PANEL * PANEL)
    }),
    (Buffer::PanelStrip, |f| {
        let used = usize::from(f.shape.panelled() && f.shape.software);
        f.when(f.shape.dense, used * f.vector() * PANEL)
    }),
    (Buffer::PanelFailed, |f| {
        f.when(f.shape.dense, f.squares_together())
    }),
    (Buffer::Inverse, |f| {
        f.square(f.plan.correction == CorrectionPlan::ClosedForm && f.shape.h > 1)
    }),
    (Buffer::ProbeZ, |f| f.probes()),
    (Buffer::Probes, |f| f.probes()),
    // noise beside that of the metric
    (Buffer::Second, |f| f.square(residual(f.plan))),
    (Buffer::SecondSum, |f| {
        let splits = f.metric.grad_splits.max(f.batch().grad_splits);
        f.when(f.shape.dense && residual(f.plan), splits * f.vector())
    }),
    (Buffer::SecondMean, |f| {
        f.when(f.shape.dense && residual(f.plan), f.vector())
    }),
    (Buffer::Q, |f| f.square(residual(f.plan))),
    (Buffer::QFactor, |f| f.square(residual(f.plan))),
    (Buffer::PriorZ, |f| {
        let used = f.plan.noise == Noise::Nominal || ridged(f.plan);
        f.when(f.shape.dense && used, 2 * f.vector())
    }),
    // random finite differences
    (Buffer::RfdZ, |f| f.when(f.differs(), f.vector())),
    (Buffer::RfdU, |f| f.when(f.differs(), f.vector())),
    (Buffer::RfdHere, |f| f.when(f.differs(), f.vector())),
    (Buffer::RfdThere, |f| f.when(f.differs(), f.vector())),
    (Buffer::Moved, |f| f.when(f.differs(), f.vector())),
    (Buffer::FisherMoved, |f| f.square(f.differs())),
    (Buffer::LinvMoved, |f| {
        f.square(f.differs() && f.plan.kappa > 0.0)
    }),
    // MALA
    (Buffer::Proposal, |f| f.when(f.adjusted(), f.vector())),
    (Buffer::GradientNext, |f| f.when(f.adjusted(), f.vector())),
    (Buffer::Natural, |f| f.when(f.adjusted(), f.vector())),
    (Buffer::NaturalWhite, |f| f.when(f.adjusted(), f.vector())),
    (Buffer::Back, |f| f.when(f.adjusted(), f.vector())),
    (Buffer::Product, |f| f.when(f.adjusted(), f.vector())),
    (Buffer::LinvNext, |f| f.square(f.adjusted())),
    (Buffer::LinvVolumeNext, |f| {
        f.square(f.adjusted() && f.split())
    }),
    (Buffer::CostNext, |f| f.when(f.adjusted(), 4 * f.shape.c)),
    (Buffer::Terms, |f| f.when(f.adjusted(), 4 * f.shape.c)),
    (Buffer::Accepted, |f| f.when(f.adjusted(), f.shape.c)),
];

impl Facts<'_> {
    fn when(&self, needed: bool, words: usize) -> Option<usize> {
        needed.then_some(words)
    }

    /// Held-out rows come after the fitted rows.
    fn all_rows(&self) -> usize {
        self.shape.n + self.held().map_or(0, |held| held.rows)
    }

    /// Each parameter of a network has an affine map, the identity.
    fn mapped(&self) -> usize {
        self.net().map_or(self.shape.d, |_| self.shape.p)
    }

    fn net(&self) -> Option<&Net> {
        self.shape.net.as_ref()
    }

    fn held(&self) -> Option<&Held> {
        self.shape.held.as_ref()
    }

    fn batch(&self) -> RowSet {
        self.shape.batch_rows
    }

    /// The rows of the metric's pass, where they are not those of the gradient's.
    fn own(&self) -> Option<RowSet> {
        self.shape.metric_rows
    }

    fn rows(&self, set: RowSet, width: usize) -> Option<usize> {
        Some(self.shape.c * set.rows * width)
    }

    /// Number of weights per row.
    fn width(&self, set: RowSet) -> usize {
        match set.weights {
            Weights::None => 0,
            Weights::Exact | Weights::MonteCarlo => self.shape.hh,
            Weights::ScoreRoots => self.shape.h,
            Weights::DiagonalExact | Weights::DiagonalMonteCarlo | Weights::DiagonalEmpirical => {
                2 * self.shape.h
            }
        }
    }

    /// Words of a vector per chain.
    fn vector(&self) -> usize {
        self.shape.c * self.shape.p
    }

    /// Words of a matrix per chain, in the metric's blocks; a plan with a diagonal metric has none.
    fn square(&self, needed: bool) -> Option<usize> {
        (needed && self.shape.dense).then_some(self.shape.c * self.shape.squares)
    }

    /// Whether the target's volume is kept apart from the metric.
    fn split(&self) -> bool {
        self.plan.split_volume()
    }

    fn matrix_parts(&self) -> usize {
        let s = self.shape;
        let splits = if residual(self.plan) {
            s.fisher_splits.max(s.second_splits)
        } else {
            s.fisher_splits
        };
        if splits > 1 || s.small { splits } else { 0 }
    }

    /// Number of squares that one dispatch factors.
    fn squares_together(&self) -> usize {
        self.shape.c * self.shape.widest()
    }

    fn probes(&self) -> Option<usize> {
        match self.plan.correction {
            CorrectionPlan::Probe(q) if self.shape.dense => Some(q as usize * self.vector()),
            _ => None,
        }
    }

    /// Whether corrections are random finite differences.
    fn differs(&self) -> bool {
        self.shape.dense && self.plan.correction == CorrectionPlan::FiniteDifference
    }

    /// Whether steps are Metropolis-adjusted.
    fn adjusted(&self) -> bool {
        self.shape.dense && self.plan.metropolis
    }
}

impl Sizes {
    /// The buffers that a plan needs.
    pub fn new(plan: &Plan, shape: &Shape) -> Sizes {
        let metric = shape.metric();
        let facts = Facts {
            plan,
            shape,
            metric,
        };
        let buffers = TABLE
            .iter()
            .filter_map(|(buffer, words)| Some((*buffer, bytes(words(&facts)?))))
            .collect();
        let scored = shape.held.as_ref();
        let scored = scored.map_or(0, |held| held.sums() + 2 * shape.slots * shape.c);
        let kept = shape.slots * shape.c * (shape.p + STATS);
        Sizes {
            buffers,
            staging: 4 * (kept + shape.c * STATUS + scored) as u64,
        }
    }

    /// Bytes of all buffers together, with the staging buffers.
    pub fn total(&self) -> u64 {
        self.buffers.iter().map(|(_, b)| b).sum::<u64>() + 3 * self.staging
    }

    /// The first buffer that is too large for a device, if any, with its bytes. `binding` is the largest storage binding in
    /// bytes, `buffer` the largest buffer.
    pub fn too_large(&self, binding: u64, buffer: u64) -> Option<(Buffer, u64)> {
        let limit = binding.min(buffer);
        self.buffers.iter().copied().find(|(_, b)| *b > limit)
    }
}

/// Bytes that are allocated for so many words: a binding is never empty.
pub fn bytes(words: usize) -> u64 {
    (4 * words as u64).max(16)
}
