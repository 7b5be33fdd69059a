//! Bytes of every device buffer, by name. Allocation and `sngd check` both use this one list.

use crate::mode;
use crate::shape::{PANEL, STATS, STATUS, Shape, contracted, drift_parts, residual, ridged};
use sngd_core::config::Noise;
use sngd_core::engine::EngineError;
use sngd_core::plan::{CorrectionPlan, Metric, MetricRows, Plan};
use sngd_core::problem::Problem;

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
            let names = if set.name == "batch" {
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
                0 => 0,
                1 | 2 => hh,
                6 => h,
                _ => 2 * h,
            };
            words(names[3], c * set.rows * width);
            words(names[4], c * set.lik_sums);
            if let Some(net) = &shape.net {
                let (acts, delta) = if set.name == "batch" {
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
        Some((name, bytes)) => format!(
            "buffer \"{name}\" needs {} MiB where the device binds at most {} MiB",
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
        .map(|(n, b)| (n.to_string(), *b))
        .collect();
    out.push(("staging".into(), 3 * sizes.staging));
    out
}
