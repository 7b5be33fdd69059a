//! Bytes of every device buffer, by name. Allocation and `sngd check` both use this one list.

use crate::shape::{PANEL, STATS, Shape, contracted, drift_parts, residual, ridged};
use sngd_core::config::Noise;
use sngd_core::plan::{CorrectionPlan, Plan};
use sngd_core::step::PassName;
use sngd_shaders::{STATUS, Weights};

/// Number of slices of the uniform ring, which is the largest number of steps in one submission.
pub const RING: usize = 1024;
/// Bytes of a slice: the alignment of a dynamic offset under WebGPU's default limits.
pub const SLICE: usize = 256;

/// Names and bytes of all buffers of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Device buffers in order of allocation; each is at least 16 bytes.
    pub buffers: Vec<(&'static str, u64)>,
    /// Bytes of one staging buffer; there are three.
    pub staging: u64,
}

impl Sizes {
    /// The buffers that a plan needs.
    pub fn new(plan: &Plan, shape: &Shape) -> Sizes {
        let (c, n, d, h, hh, p) = (shape.c, shape.n, shape.d, shape.h, shape.hh, shape.p);
        let mut buffers: Vec<(&'static str, u64)> = Vec::new();
        let mut words = |name, count: usize| buffers.push((name, (4 * count as u64).max(16)));
        // Held-out rows come after the fitted rows.
        let all_rows = n + shape.held.as_ref().map_or(0, |held| held.rows);
        words("x", (all_rows * d * shape.feature_bits).div_ceil(32));
        words("obs", 2 * shape.row_pairs * all_rows);
        words("prior", 4 * p);
        words("information", p);
        // Each parameter of a network has an affine map, the identity.
        let mapped = if shape.net.is_some() { p } else { d };
        words("affine", 2 * mapped);
        words("place", 4 * p);
        words("added", shape.squares);
        words("tiles", 4 * shape.tiles.len());
        words("now", RING * SLICE / 4);
        words("panel", shape.panels() * SLICE / 4);
        words("omega", c * p);
        words("status", c * STATUS);
        words("kept", shape.slots * c * (p + STATS));
        for set in [Some(shape.batch_rows), shape.metric_rows]
            .into_iter()
            .flatten()
        {
            let names = if set.pass == PassName::Batch {
                [
                    "batch_index",
                    "batch_eta",
                    "batch_scores",
                    "batch_weight",
                    "batch_lik",
                ]
            } else {
                [
                    "metric_index",
                    "metric_eta",
                    "metric_scores",
                    "metric_weight",
                    "metric_lik",
                ]
            };
            words(names[0], c * set.rows);
            words(names[1], c * set.rows * h);
            words(names[2], c * set.rows * h);
            let width = match set.weights {
                Weights::None => 0,
                Weights::Exact | Weights::MonteCarlo => hh,
                Weights::ScoreRoots => h,
                Weights::DiagonalExact
                | Weights::DiagonalMonteCarlo
                | Weights::DiagonalEmpirical => 2 * h,
            };
            words(names[3], c * set.rows * width);
            words(names[4], c * set.lik_sums);
            if let Some(net) = &shape.net {
                let (acts, delta) = if set.pass == PassName::Batch {
                    ("batch_acts", "batch_delta")
                } else {
                    ("metric_acts", "metric_delta")
                };
                words(acts, c * set.rows * 2 * net.hidden);
                words(delta, c * set.rows * net.units);
            }
        }
        if let Some(held) = &shape.held {
            let rows = c * held.tile;
            if let Some(net) = &shape.net {
                words("held_index", rows);
                words("held_acts", rows * 2 * net.hidden);
            }
            words("held_eta", rows * h);
            words("held_terms", 2 * rows);
            words("held_sums", held.sums());
            words("held_draws", 2 * shape.slots * c);
        }
        let metric = shape.metric();
        if let Some(net) = &shape.net {
            words("seed_delta", c * metric.rows * net.seeds * net.units);
        }
        words("batch_sum", shape.batch_rows.grad_splits * c * p);
        words("gradient", c * p);
        words("cost", 4 * c);
        words("delta", c * p);
        words("squares", 2 * c * p);
        words("white", c * p);
        words("z", c * p);
        words("extra", c * p);
        if contracted(plan) {
            words("lever", shape.lever_splits * c * metric.rows * hh);
            words("coefficient", c * metric.rows * h);
        }
        words("drift", drift_parts(plan, shape) * c * p);
        if !shape.dense {
            words("diagonal_sum", 2 * metric.grad_splits * c * p);
            words("metric", 4 * c * p);
        } else {
            let square = c * shape.squares;
            words("outcome", 2 * c * shape.blocks);
            words("fisher", square);
            words("linv", square);
            words("scale", c * p);
            let split = plan.split_volume();
            if split {
                words("added_bare", shape.squares);
                words("ridge", shape.squares);
                words("volume", square);
                words("linv_volume", square);
            }
            let res = residual(plan);
            let splits = if res {
                shape.fisher_splits.max(shape.second_splits)
            } else {
                shape.fisher_splits
            };
            words(
                "parts",
                if splits > 1 || shape.small {
                    splits * square
                } else {
                    0
                },
            );
            let panelled = shape.panelled();
            words(
                "panel_l",
                if panelled || shape.software {
                    square
                } else {
                    0
                },
            );
            let together = c * shape.widest();
            words(
                "panel_block",
                if panelled {
                    together * PANEL * PANEL
                } else {
                    0
                },
            );
            let strip = panelled && shape.software;
            words("panel_strip", if strip { c * p * PANEL } else { 0 });
            words("panel_failed", together);
            if plan.correction == CorrectionPlan::ClosedForm && h > 1 {
                words("inverse", square);
            }
            if let CorrectionPlan::Probe(q) = plan.correction {
                words("probe_z", q as usize * c * p);
                words("probes", q as usize * c * p);
            }
            if res {
                words("second", square);
                words(
                    "second_sum",
                    shape.metric().grad_splits.max(shape.batch_rows.grad_splits) * c * p,
                );
                words("second_mean", c * p);
                words("q", square);
                words("q_factor", square);
            }
            if plan.noise == Noise::Nominal || ridged(plan) {
                words("prior_z", 2 * c * p);
            }
            if plan.correction == CorrectionPlan::FiniteDifference {
                for name in ["rfd_z", "rfd_u", "rfd_here", "rfd_there"] {
                    words(name, c * p);
                }
                words("moved", c * p);
                words("fisher_moved", square);
                if plan.kappa > 0.0 {
                    words("linv_moved", square);
                }
            }
            if plan.metropolis {
                for name in [
                    "proposal",
                    "gradient_next",
                    "natural",
                    "natural_white",
                    "back",
                    "product",
                ] {
                    words(name, c * p);
                }
                words("linv_next", square);
                if split {
                    words("linv_volume_next", square);
                }
                words("cost_next", 4 * c);
                words("terms", 4 * c);
                words("accepted", c);
            }
        }
        let scored = shape.held.as_ref();
        let scored = scored.map_or(0, |held| held.sums() + 2 * shape.slots * c);
        let staging = 4 * (shape.slots * c * (p + STATS) + c * STATUS + scored) as u64;
        Sizes { buffers, staging }
    }

    /// Bytes of all buffers together, with the staging buffers.
    pub fn total(&self) -> u64 {
        self.buffers.iter().map(|(_, b)| b).sum::<u64>() + 3 * self.staging
    }

    /// The first buffer that is too large for a device, if any, with its bytes. `binding` is the largest storage binding in
    /// bytes, `buffer` the largest buffer.
    pub fn too_large(&self, binding: u64, buffer: u64) -> Option<(&'static str, u64)> {
        let limit = binding.min(buffer);
        self.buffers.iter().copied().find(|(_, b)| *b > limit)
    }
}
