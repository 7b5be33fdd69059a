//! All sizes and choices that kernels and buffers need, derived from the plan alone. No device is involved, so that
//! `sngd check` works without one.

use crate::held::Held;
use crate::network::Net;
use sngd_core::blocks;
use sngd_core::config::{FisherKind, Noise, StepSize, Storage};
use sngd_core::plan::{CorrectionPlan, Metric, Plan};
use sngd_core::step::{PassName, RowRule};
use sngd_shaders::Weights;
use std::ops::Range;

/// Number of statistics that the device stores with each kept draw.
pub const STATS: usize = sngd_core::stat::Stat::COUNT;
/// Largest order whose packed triangle fits 16 KiB of shared memory. Larger matrices are factored panel by panel.
pub const SHARED_TRIANGLE: usize = 88;
/// Largest P for which a single thread keeps all sums in registers.
pub const SMALL: usize = 12;
/// Number of threads that keep a large device busy.
const ENOUGH_THREADS: usize = 1 << 15;
/// Number of matrix columns in a panel of a blocked factorisation.
pub const PANEL: usize = 32;
/// Number of workgroups that keep a large device busy.
const ENOUGH_GROUPS: usize = 512;
/// Bytes of kept draws that collect on the device between two copies to the CPU side.
const BLOCK_BYTES: usize = 4 << 20;

/// The rows of one pass, and how its sums are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowSet {
    /// Whether it is the pass of the gradient or that of the metric.
    pub pass: PassName,
    /// Number of rows, R.
    pub rows: usize,
    /// How rows are drawn, the constant `ROWS` of `rows.wgsl`.
    pub rule: RowRule,
    /// Which Fisher weights are computed, the constant `WEIGHTS` of `rows.wgsl`.
    pub weights: Weights,
    /// Number of parts that the rows are split into for a gradient sum.
    pub grad_splits: usize,
    /// Number of partial sums of the log-likelihood.
    pub lik_sums: usize,
}

/// Neighbouring metric blocks of equal order, which kernels handle in one dispatch.
#[derive(Debug, Clone, PartialEq)]
pub struct Group {
    /// The blocks, and where they begin among all parameters and squares.
    pub run: blocks::Group,
    /// Side of the square of Gram matrix entries that one thread computes.
    pub tile_m: usize,
    /// Where the tiles of its first block are in [`Shape::tiles`].
    pub tiles: Range<usize>,
    /// Number of outputs and of columns from a block's tiles to those of the next block.
    pub steps: (usize, usize),
}

impl Group {
    /// Whether the factorisation goes panel by panel.
    pub fn panelled(&self) -> bool {
        self.run.size > SHARED_TRIANGLE
    }

    /// Number of panels of the factorisation.
    pub fn panels(&self) -> usize {
        self.run.size.div_ceil(PANEL)
    }
}

/// All sizes and choices that follow from a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Whether the device is a software driver on a CPU: few workgroups fill it, and shared memory costs more than it saves.
    pub software: bool,
    /// Number of chains, C.
    pub c: usize,
    /// Number of data rows, N.
    pub n: usize,
    /// Pairs of numbers stored for each row beside its features: (y, trials), and (offset, weight) where rows have one of these.
    pub row_pairs: usize,
    /// Number of design columns, D.
    pub d: usize,
    /// Number of linear outputs, K.
    pub k: usize,
    /// Number of all outputs, H = K + A.
    pub h: usize,
    /// Number of entries of a packed triangle over the outputs, H(H+1)/2.
    pub hh: usize,
    /// Number of parameters, P.
    pub p: usize,
    /// Number of rows in a batch, B.
    pub batch: usize,
    /// The rows of the gradient's pass.
    pub batch_rows: RowSet,
    /// The rows of the metric's pass; `None` where they are those of the gradient.
    pub metric_rows: Option<RowSet>,
    /// Whether the metric is a Fisher matrix of one or more dense blocks, not a diagonal.
    pub dense: bool,
    /// Number of threads along the columns in a gradient workgroup.
    pub grad_d: usize,
    /// Number of columns per thread in a gradient workgroup.
    pub grad_m: usize,
    /// Number of outputs per thread in a gradient workgroup.
    pub grad_k: usize,
    /// Number of columns per thread in the leverage kernels.
    pub lever_a: usize,
    /// Tiles of the Fisher matrix, each (output k, output l, first row, first column), for each group's first block.
    pub tiles: Vec<[u32; 4]>,
    /// The metric's blocks in groups of equal order; empty where the metric is not dense.
    pub groups: Vec<Group>,
    /// Number of matrix entries in all blocks of one chain's metric.
    pub squares: usize,
    /// Whether one thread keeps all sums of its rows in registers.
    pub small: bool,
    /// Number of parts that the metric's rows are split into.
    pub fisher_splits: usize,
    /// Number of parts that the rows of the second-moment sum are split into.
    pub second_splits: usize,
    /// Number of rows per thread in the leverage kernels.
    pub lever_r: usize,
    /// Number of parts that the columns are split into in the leverage kernels.
    pub lever_splits: usize,
    /// Number of kept draws that the device stores between two copies to the CPU side.
    pub slots: usize,
    /// Number of threads per chain in kernels that loop over P a few times.
    pub lanes: usize,
    /// Bits of one stored feature: 16 or 32.
    pub feature_bits: usize,
    /// Layout of the network, where the predictor is one.
    pub net: Option<Net>,
    /// Number of blocks of the metric; 1 for a diagonal one.
    pub blocks: usize,
    /// Sizes of the pass over held-out rows, where the device scores them.
    pub held: Option<Held>,
}

impl Shape {
    /// Derives the shape of a plan. `software` says that the device is a software driver on a CPU.
    pub fn new(plan: &Plan, software: bool) -> Shape {
        let enough = if software { 8 } else { ENOUGH_GROUPS };
        let (c, d, k, h, p) = (plan.chains, plan.d, plan.k, plan.h, plan.p);
        let rows = plan.rows();
        let coincide = rows.metric.is_none();
        let dense = plan.metric == Metric::Fisher;
        let net = Net::new(plan);
        let (grad_d, grad_m, grad_k) = gradient_tile(d, k);
        let blocks = if net.is_some() {
            p.div_ceil(16)
        } else {
            d.div_ceil(grad_d * grad_m) * k.div_ceil(grad_k) + (h - k)
        };
        let splits = |rows: usize| {
            enough
                .div_ceil(blocks * c)
                .min(rows.div_ceil(64))
                .clamp(1, 64)
        };
        let weights = weights(plan);
        let small = dense && net.is_none() && coincide && fits_registers(plan);
        let small_splits = small.then(|| {
            let threads = if software { 64 } else { ENOUGH_THREADS };
            threads.div_ceil(c).min(plan.batch.div_ceil(8)).max(1)
        });
        let batch_rows = RowSet {
            pass: PassName::Batch,
            rows: plan.batch,
            rule: rows.batch.rule,
            weights: if coincide { weights } else { Weights::None },
            grad_splits: small_splits.unwrap_or_else(|| splits(plan.batch)),
            lik_sums: small_splits.unwrap_or_else(|| plan.batch.div_ceil(64)),
        };
        let metric_count = rows.metric().count;
        let metric_rows = rows.metric.map(|metric| RowSet {
            pass: PassName::Metric,
            rows: metric.count,
            rule: metric.rule,
            weights,
            grad_splits: splits(metric_count),
            lik_sums: metric_count.div_ceil(64),
        });
        let (groups, tiles) = if dense {
            groups(plan, net.is_some(), software)
        } else {
            (Vec::new(), Vec::new())
        };
        let squares = plan.blocks.len;
        let tile_count: usize = groups.iter().map(|g| g.tiles.len() * g.run.count).sum();
        let lever_a = tile(d, software);
        let seeds = net.as_ref().map_or(1, |net| net.seeds);
        let fisher = |rows: usize| {
            let room = ((96 << 20) / (4 * c * squares)).max(1);
            enough
                .div_ceil((tile_count * c).max(1))
                .min((rows * seeds).div_ceil(128))
                .min(room)
                .clamp(1, 16)
        };
        let second_rows = rows.covariance_rows().count;
        let pairs = h * (h + 1) / 2;
        let (lever_r, lever_splits) =
            leverage_sizes((metric_count, d, lever_a), (c * pairs, enough), software);
        let draw_bytes = 4 * c * (p + STATS);
        Shape {
            software,
            c,
            n: plan.n,
            row_pairs: 1 + usize::from(plan.offsets || plan.frequencies.is_some()),
            d,
            k,
            h,
            hh: pairs,
            p,
            batch: plan.batch,
            batch_rows,
            metric_rows,
            dense,
            grad_d,
            grad_m,
            grad_k,
            lever_a,
            small,
            fisher_splits: small_splits.unwrap_or_else(|| fisher(metric_count)),
            second_splits: fisher(second_rows),
            tiles,
            groups,
            squares,
            lever_r,
            lever_splits,
            lanes: if p <= 64 { 8 } else { 64 },
            held: Held::new(plan, net.as_ref(), enough),
            slots: (BLOCK_BYTES / draw_bytes).clamp(1, 1024),
            net,
            blocks: if dense { plan.blocks.blocks.len() } else { 1 },
            feature_bits: if plan.storage == Storage::F32 { 32 } else { 16 },
        }
    }

    /// The rows that the metric is summed over.
    pub fn metric(&self) -> RowSet {
        self.metric_rows.unwrap_or(self.batch_rows)
    }

    /// Most workgroups of a dispatch that has one row, or one seed of a row, per thread.
    pub fn row_groups(&self) -> usize {
        let seeds = self.net.as_ref().map_or(1, |n| n.seeds);
        let most = self.batch_rows.rows.max(self.metric().rows * seeds);
        most.div_ceil(64)
    }

    /// The constant `BLOCKED` of kernels: 1 where the metric has more than one block, else 0.
    pub fn blocked(&self) -> u32 {
        u32::from(self.blocks > 1)
    }

    /// Whether any factorisation goes panel by panel.
    pub fn panelled(&self) -> bool {
        self.groups.iter().any(Group::panelled)
    }

    /// Largest number of blocks that one dispatch handles.
    pub fn widest(&self) -> usize {
        self.groups.iter().map(|g| g.run.count).max().unwrap_or(1)
    }

    /// Number of workgroups of 64 threads, with `lanes` threads per chain.
    pub fn teams(&self) -> usize {
        self.c.div_ceil(64 / self.lanes)
    }

    /// Largest number of panels of a factorisation or of tiles of held-out rows. Kernels read their index from `panel`.
    pub fn panels(&self) -> usize {
        let panels = self.groups.iter().map(Group::panels).max().unwrap_or(0);
        panels.max(self.held.as_ref().map_or(0, Held::tiles))
    }

    /// Number of workgroups of a gradient sum along the grid's x axis.
    pub fn gradient_groups(&self) -> usize {
        self.d.div_ceil(self.grad_d * self.grad_m) * self.k.div_ceil(self.grad_k)
            + (self.h - self.k)
    }
}

/// Whether one thread per chain and share of rows can make a pass with all its sums in registers.
fn fits_registers(plan: &Plan) -> bool {
    plan.blocks.is_full()
        && plan.h == 1
        && plan.p <= SMALL
        && plan.fisher != FisherKind::MonteCarlo
        && plan.noise != Noise::Residual
        && !plan.metropolis
        && plan.correction != CorrectionPlan::FiniteDifference
}

/// Number of rows per thread in the leverage kernels, and of parts that their columns are split into: for `rows` of `d` columns, of which a
/// thread takes `a`, in `each` chains and pairs of outputs, on a device that `enough` workgroups keep busy.
fn leverage_sizes(
    (rows, d, a): (usize, usize, usize),
    (each, enough): (usize, usize),
    software: bool,
) -> (usize, usize) {
    let per_thread = if rows >= 64 { 8 } else { rows.div_ceil(8) };
    // On a software driver one thread takes a tile, elsewhere a workgroup of eight by eight threads.
    let per_group = if software { per_thread } else { 8 * per_thread };
    let groups = rows.div_ceil(per_group) * each;
    let splits = enough.div_ceil(groups).min(d.div_ceil(8 * a)).clamp(1, 8);
    (per_thread, splits)
}

/// Which numbers of W the pass of the metric computes for each row.
fn weights(plan: &Plan) -> Weights {
    match (plan.metric, plan.fisher) {
        (Metric::Identity | Metric::Mode, _) => Weights::None,
        // A network's diagonal is summed over seeds, which are a root of the whole W.
        (Metric::RmsProp, _) if plan.network.is_some() => Weights::Exact,
        (Metric::RmsProp, _) => Weights::DiagonalExact,
        (Metric::Fisher, FisherKind::Exact) => Weights::Exact,
        (Metric::Fisher, FisherKind::MonteCarlo) => Weights::MonteCarlo,
        (Metric::Fisher, FisherKind::Empirical) if plan.frequencies.is_some() => {
            Weights::ScoreRoots
        }
        (Metric::Fisher, FisherKind::Empirical) => Weights::None,
        (Metric::FisherDiagonal, FisherKind::Exact) => Weights::DiagonalExact,
        (Metric::FisherDiagonal, FisherKind::MonteCarlo) => Weights::DiagonalMonteCarlo,
        (Metric::FisherDiagonal, FisherKind::Empirical) => Weights::DiagonalEmpirical,
    }
}

fn gradient_tile(d: usize, k: usize) -> (usize, usize, usize) {
    let lanes = d.next_power_of_two().min(64);
    (lanes, d.div_ceil(lanes).min(4), k.min(4))
}

/// Side of the square of entries that one thread computes. It minimises (padded area) × (one multiply-add and its share
/// of loads).
pub fn tile(d: usize, software: bool) -> usize {
    let cost = |m: usize| {
        let side = if software { m } else { 8 * m };
        let n = d.div_ceil(side);
        (n * (n + 1) * side * side) as f64 * (1.0 + 8.0 / m as f64)
    };
    (1..=8)
        .min_by(|&a, &b| cost(a).total_cmp(&cost(b)))
        .unwrap_or(8)
}

/// The groups of a plan's metric, and the tiles of all groups in one list.
fn groups(plan: &Plan, network: bool, software: bool) -> (Vec<Group>, Vec<[u32; 4]>) {
    let mut tiles = Vec::new();
    let groups = plan.blocks.groups().into_iter().map(|run| {
        // For a network, the Gram kernel sees explicit rows: one output of P columns.
        let (outputs, from, steps) = if network {
            (vec![(0, run.size)], run.offset, (0, run.size))
        } else {
            (outputs_of(plan, &run), 0, (1, 0))
        };
        let widest = outputs.iter().map(|(_, width)| *width).max().unwrap_or(1);
        let tile_m = tile(widest, software);
        let side = if software { tile_m } else { 8 * tile_m };
        let first = tiles.len();
        tiles.extend(gram_tiles(&outputs, side).into_iter().map(|[k, l, i, j]| {
            let from = from as u32;
            [k, l, i + from, j + from]
        }));
        Group {
            run,
            tile_m,
            tiles: first..tiles.len(),
            steps,
        }
    });
    (groups.collect(), tiles)
}

/// (Output, number of columns) of each output of a linear predictor that is in the first block of a group.
fn outputs_of(plan: &Plan, run: &blocks::Group) -> Vec<(usize, usize)> {
    let (d, k) = (plan.d, plan.k);
    (0..plan.h)
        .map(|a| match a < k {
            true => (a, a * d, d),
            false => (a, k * d + a - k, 1),
        })
        .filter(|(_, offset, _)| (run.offset..run.offset + run.size).contains(offset))
        .map(|(a, _, width)| (a, width))
        .collect()
}

fn gram_tiles(outputs: &[(usize, usize)], side: usize) -> Vec<[u32; 4]> {
    let mut out: Vec<[u32; 4]> = Vec::new();
    for &(a, rows) in outputs {
        for &(b, columns) in outputs.iter().filter(|(b, _)| *b <= a) {
            for i in (0..rows).step_by(side) {
                for j in (0..columns).step_by(side) {
                    if a > b || j <= i {
                        out.push([a as u32, b as u32, i as u32, j as u32]);
                    }
                }
            }
        }
    }
    // Eight by eight neighbours follow one another, full squares first: they share cache lines.
    let far = 8 * side as u32;
    out.sort_by_key(|t| {
        (
            t[0],
            t[1],
            t[0] == t[1] && t[2] / far == t[3] / far,
            t[2] / far,
            t[3] / far,
        )
    });
    out
}

/// Whether a step's correction is summed from a contraction at each row.
pub fn contracted(plan: &Plan) -> bool {
    match plan.correction {
        CorrectionPlan::ClosedForm => plan.metric.is_fisher(),
        CorrectionPlan::Probe(_) => true,
        _ => false,
    }
}

/// Number of parts that (r/N)·v is stored in: the splits of its rows, 1 for a finite difference, 0 without a correction.
pub fn drift_parts(plan: &Plan, shape: &Shape) -> usize {
    match plan.correction {
        CorrectionPlan::FiniteDifference => 1,
        _ if contracted(plan) => shape.metric().grad_splits,
        _ => 0,
    }
}

/// The rows that V̂ is measured over.
pub fn second_rows(plan: &Plan, shape: &Shape) -> RowSet {
    match plan.rows().covariance {
        PassName::Batch => shape.batch_rows,
        PassName::Metric => shape.metric(),
    }
}

/// Whether the step size is constant, so that residual noise can keep its covariance Q between refreshes.
pub fn constant_step(plan: &Plan) -> bool {
    matches!(plan.step_size, StepSize::Constant(_))
}

/// Whether damping adds independent noise.
pub fn ridged(plan: &Plan) -> bool {
    plan.noise != Noise::None && plan.ridge_variance(plan.step_size.initial()) > 0.0
}

/// Whether the plan's noise is residual.
pub fn residual(plan: &Plan) -> bool {
    plan.noise == Noise::Residual
}
