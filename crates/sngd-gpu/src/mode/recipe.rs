//! The dispatches of a step with the metric at the mode, in order.

use super::shape::{All, DEPTH, DIVERGED_SDS, Few, ModeShape, PACE, Rows};
use crate::buffer::Buffer;
use crate::device::Tuning;
use crate::spec::{Spec, spec};
use sngd_core::expansion::Expansion;
use sngd_core::likelihood::{Likelihood, Link};
use sngd_core::plan::Plan;
use sngd_shaders::Remainder;

/// The dispatches of a step; with few rows per step, one dispatch of many steps.
pub fn recipe(
    plan: &Plan,
    likelihood: &Likelihood,
    expansion: &Expansion,
    shape: &ModeShape,
) -> Vec<Spec> {
    let (form, baseline) = remainder(likelihood);
    let last = expansion.chol.last().copied().unwrap_or(1.0);
    let scale = if shape.whitened { 1.0 / last } else { 1.0 };
    let mut out = match &shape.rows {
        Rows::Few(few) => vec![subsampled(plan, shape, few)],
        Rows::All(all) => all_rows(plan, shape, all),
    };
    for s in &mut out {
        let one = std::mem::replace(s, spec("", "", [0; 3]));
        *s = one
            .u("COLS", shape.columns)
            .u("PRIORS", shape.priors)
            .u("FIXED_AT", shape.fixed_at())
            .code("REMAINDER", &form)
            .u("REMAINDER_BASELINE", baseline)
            .f("AUX_SCALE", scale);
    }
    out
}

/// The constants `REMAINDER` and `REMAINDER_BASELINE` of `mode/shared/remainder.wgsl`.
fn remainder(likelihood: &Likelihood) -> (Remainder, usize) {
    match likelihood {
        Likelihood::Gaussian { .. } => (Remainder::None, 0),
        Likelihood::Binomial(Link::Logit) => (Remainder::Logit, 0),
        Likelihood::Poisson => (Remainder::Poisson, 0),
        Likelihood::Softmax { baseline, .. } => (Remainder::Softmax, usize::from(*baseline)),
        _ => (Remainder::Any, 0),
    }
}

/// Number of workgroups of each dispatch along x, y and z.
pub fn grids(plan: &Plan, shape: &ModeShape) -> Vec<[usize; 3]> {
    let specs = match &shape.rows {
        Rows::Few(few) => vec![subsampled(plan, shape, few)],
        Rows::All(all) => all_rows(plan, shape, all),
    };
    specs.iter().map(|s| s.grid.map(|g| g as usize)).collect()
}

/// Number of dispatches per step of each stage, in the order of the step. A dispatch of many steps counts as its smallest
/// share, one by the largest number of steps.
pub fn dispatches(plan: &Plan, expansion: &Expansion, tuning: Tuning) -> Vec<(String, f64)> {
    let priors = usize::from(!expansion.quadratic_prior);
    let shape = ModeShape::new(plan, expansion, priors, tuning == Tuning::Software);
    let (specs, share) = match &shape.rows {
        Rows::Few(few) => (vec![subsampled(plan, &shape, few)], 1.0 / PACE as f64),
        Rows::All(all) => (all_rows(plan, &shape, all), 1.0),
    };
    let mut out: Vec<(String, f64)> = Vec::new();
    for s in &specs {
        match out.iter_mut().find(|(name, _)| name == s.stage()) {
            Some((_, count)) => *count += share,
            None => out.push((s.stage().into(), share)),
        }
    }
    out
}

fn subsampled(plan: &Plan, shape: &ModeShape, few: &Few) -> Spec {
    spec("mode/kernel/subsampled.wgsl", "subsampled", [shape.c, 1, 1])
        .u("GROUP", few.group)
        .u("TILE_ROWS", few.tile_rows)
        .u("TILE_WORDS", few.tile_words(shape))
        .u("STRIDE", few.stride(shape))
        .u("STAGED", usize::from(few.staged))
        .u("IN_GROUP", usize::from(few.in_group))
        .u("WHITENED", usize::from(shape.whitened))
        .u("LANES", few.lanes)
        .u("PRIOR_LANES", shape.prior_lanes(few.group))
        .u("SPLITS", few.splits)
        .u("PART_WORDS", few.part_words(shape))
        .u("COEFFICIENTS", few.tile_rows * shape.h)
        .u("GROUP_P", few.vector_words(shape))
        .u("STATE", shape.state())
        .f("SHARE", 1.0 / plan.batch as f64)
        .f("LARGEST_SDS", DIVERGED_SDS)
}

fn all_rows(plan: &Plan, shape: &ModeShape, all: &All) -> Vec<Spec> {
    let (c, p) = (shape.c, shape.p);
    let vectors = if shape.whitened {
        Buffer::There
    } else {
        Buffer::Design
    };
    let sums = if shape.whitened {
        Buffer::Sums
    } else {
        Buffer::Slopes
    };
    let q_tiles = (c * shape.k).div_ceil(all.q.0 * all.q.1);
    let column_tiles = shape.columns.div_ceil(all.j.0 * all.j.1);
    let mut out = vec![spec(
        "mode/kernel/propose.wgsl",
        "propose",
        [p.div_ceil(4 * 64), c, 1],
    )];
    if !shape.whitened {
        out.push(
            spec(
                "mode/kernel/product.wgsl",
                "to_design",
                [p.div_ceil(64), c, 1],
            )
            .u("WIDE", p)
            .b("input", Buffer::There)
            .b("output", Buffer::Design),
        );
    }
    for chunk in 0..all.chunks {
        let rows = all.chunk.min(shape.n - chunk * all.chunk);
        let of_chunk = |s: Spec| {
            s.u("CHUNK", all.chunk)
                .u("SPLIT_ROWS", all.split_rows)
                .panel(chunk)
        };
        let tiled = |s: Spec| {
            of_chunk(s)
                .u("QT", all.q.0)
                .u("QM", all.q.1)
                .u("DEPTH", DEPTH)
        };
        let row_tiles = rows.div_ceil(all.r.0 * all.r.1);
        out.push(
            tiled(spec(
                "mode/kernel/predictor.wgsl",
                "predictor",
                [row_tiles, q_tiles, 1],
            ))
            .u("RT", all.r.0)
            .u("RM", all.r.1)
            .b("vectors", vectors),
        );
        out.push(
            of_chunk(spec(
                "mode/kernel/residuals.wgsl",
                "residuals",
                [rows.div_ceil(64), c, 1],
            ))
            .b("vectors", vectors),
        );
        let splits = rows.div_ceil(all.split_rows);
        out.push(
            tiled(spec(
                "mode/kernel/transpose.wgsl",
                "transpose_product",
                [column_tiles * q_tiles, splits, 1],
            ))
            .u("JT", all.j.0)
            .u("JM", all.j.1)
            .u("COLUMN_TILES", column_tiles),
        );
        out.push(of_chunk(spec(
            "mode/kernel/fold.wgsl",
            "fold",
            [(p + 2).div_ceil(64), c, 1],
        )));
    }
    if !shape.whitened {
        out.push(
            spec(
                "mode/kernel/product.wgsl",
                "from_design",
                [(p + 1).div_ceil(64), c, 1],
            )
            .u("WIDE", p + 2)
            .b("input", Buffer::Sums)
            .b("output", Buffer::Slopes),
        );
    }
    if shape.priors > 0 {
        out.push(
            spec("mode/kernel/prior_pass.wgsl", "prior_pass", [c, 1, 1])
                .u("PRIOR_LANES", shape.prior_lanes(64))
                .b("sums", sums),
        );
    }
    out.push(
        spec("mode/kernel/settle.wgsl", "settle", [c, 1, 1])
            .u("METROPOLIS", usize::from(plan.metropolis))
            .f("LARGEST_SDS", DIVERGED_SDS)
            .b("sums", sums),
    );
    out
}
