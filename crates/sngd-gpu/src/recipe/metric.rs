//! The metric of a pass over rows, its factor, and the leverages that follow from it.

use super::{Recipe, Seed, names};
use crate::buffer::Buffer;
use crate::shape::{Group, PANEL, RowSet};
use crate::spec::{Spec, When, spec};
use sngd_core::plan::JITTER_RETRIES;
use sngd_shaders::Reports;

impl Recipe<'_> {
    /// Computes N·F + Λ + damping over a pass into `matrix` and its L⁻¹ into `linv`. Where the target's volume is another
    /// matrix, that one and its L⁻¹ go into `volume`.
    pub(super) fn metric(
        &mut self,
        set: &RowSet,
        (matrix, linv): (Buffer, Buffer),
        volume: (Buffer, Buffer),
        when: When,
    ) {
        let s = self.shape;
        let seed = self.metric_seed();
        let splits = s.fisher_splits;
        let own = matrix == Buffer::Fisher;
        if !self.plan.split_volume() {
            self.fisher(set, matrix, (Some(Buffer::Added), seed, splits), when);
            let reports = if own { Reports::Both } else { Reports::Neither };
            self.factor((matrix, linv), true, reports, when);
            return;
        }
        self.fisher(
            set,
            volume.0,
            (Some(Buffer::AddedUndamped), seed, splits),
            when,
        );
        let reports = if own {
            Reports::Volume
        } else {
            Reports::Neither
        };
        self.factor(volume, true, reports, when);
        self.reduce(
            volume.0,
            matrix,
            (1, s.c * s.squares),
            Some((Buffer::Ridge, 1.0)),
            when,
        );
        let reports = if own {
            Reports::Metric
        } else {
            Reports::Neither
        };
        self.factor((matrix, linv), true, reports, when);
    }

    /// Computes the sum of the rows' parts over a pass into `to`: scaled and with `added` (Λ) as a metric, or the sum alone.
    pub(super) fn fisher(
        &mut self,
        set: &RowSet,
        to: Buffer,
        (added, seed, splits): (Option<Buffer>, Seed, usize),
        when: When,
    ) {
        let s = self.shape;
        let n = names(set);
        let share = self.plan.n as f64 / set.rows as f64;
        let lambda = usize::from(added.is_some());
        if s.small {
            let length = s.c * s.squares;
            self.reduce(
                Buffer::Parts,
                to,
                (splits, length),
                added.map(|a| (a, share)),
                when,
            );
            return;
        }
        // Second moments use δ of the scores, which the gradient's pass has already computed.
        if let (Some(net), true) = (&s.net, added.is_some()) {
            self.backward(net, set, seed, when);
        }
        let split = splits > 1;
        for g in &s.groups {
            let squares = s.c * g.run.count;
            let grid = if s.software {
                [g.tiles.len().div_ceil(64), squares, splits]
            } else {
                [g.tiles.len(), squares, splits]
            };
            let tiles = match (&s.net, s.software) {
                (Some(net), true) => {
                    let root = "state/kernel/network_fisher_direct.wgsl";
                    self.network_gram(root, grid, net, set, seed)
                }
                (Some(net), false) => {
                    let root = "state/kernel/network_fisher.wgsl";
                    self.network_gram(root, grid, net, set, seed)
                }
                (None, true) => {
                    spec("state/kernel/fisher_direct.wgsl", "fisher_tiles", grid).u("R", set.rows)
                }
                (None, false) => {
                    spec("state/kernel/fisher.wgsl", "fisher_tiles", grid).u("R", set.rows)
                }
            };
            let tiles = if s.software {
                tiles.u("TILES", g.tiles.len())
            } else {
                tiles
            };
            let tiles = self
                .over_squares(tiles, g)
                .u("FIRST_TILE", g.tiles.start)
                .u("OUTPUT_STEP", g.steps.0)
                .u("COLUMN_STEP", g.steps.1)
                .u("TILE_M", g.tile_m)
                .u("SPLITS", splits)
                .u("FROM_SCORE", seed.single())
                .u("WITH_LAMBDA", if split { 0 } else { lambda })
                .f("SHARE", share)
                .b("row_index", n.index)
                .b(
                    "weight",
                    if seed == Seed::Score {
                        n.scores
                    } else {
                        n.weight
                    },
                )
                .b("added", added.unwrap_or(Buffer::Added))
                .b("matrix", if split { Buffer::Parts } else { to })
                .at(when);
            self.push(tiles);
        }
        if split {
            let lambda = added.map(|a| (a, share));
            self.reduce(Buffer::Parts, to, (splits, s.c * s.squares), lambda, when);
        }
    }

    /// Computes L⁻¹ of a metric, with jitter where needed (`invert`), or L of a residual, without jitter.
    pub(super) fn factor(
        &mut self,
        (matrix, result): (Buffer, Buffer),
        invert: bool,
        reports: Reports,
        when: When,
    ) {
        let s = self.shape;
        let retries = if invert { JITTER_RETRIES as usize } else { 0 };
        for g in &s.groups {
            let of = |s: Spec| {
                self.over_squares(s, g)
                    .u("INVERT", usize::from(invert))
                    .b("matrix", matrix)
                    .at(when)
            };
            let reported = |s: Spec| {
                of(s)
                    .u("RETRIES", retries)
                    .code("REPORTS", &reports)
                    .b("result", result)
                    .b("triangle", Buffer::PanelL)
            };
            let squares = s.c * g.run.count;
            let specs = if g.panelled() {
                let mut all =
                    self.panels(g, invert, |s| of(s).b("w", result).b("l", Buffer::PanelL));
                let retry = spec(
                    "state/kernel/cholesky_retry.wgsl",
                    "cholesky_retry",
                    [squares, 1, 1],
                );
                all.push(
                    reported(retry)
                        .u("WIDTH", 256)
                        .b("failed", Buffer::PanelFailed),
                );
                all
            } else if s.software {
                let grid = [squares.div_ceil(8), 1, 1];
                vec![reported(spec(
                    "state/kernel/cholesky_lane.wgsl",
                    "cholesky",
                    grid,
                ))]
            } else {
                let width = g.run.size.div_ceil(32) * 32;
                let one = spec("state/kernel/cholesky.wgsl", "cholesky", [squares, 1, 1]);
                vec![reported(one).u("WIDTH", width)]
            };
            self.out.extend(specs);
        }
        if s.blocked() == 1 {
            let grid = [s.c.div_ceil(64), 1, 1];
            let one = spec("state/kernel/outcomes.wgsl", "outcomes", grid)
                .u("INVERT", usize::from(invert))
                .code("REPORTS", &reports)
                .at(when);
            self.push(one);
        }
    }

    /// The dispatches of a blocked factorisation of a group's squares.
    fn panels(&self, g: &Group, invert: bool, of: impl Fn(Spec) -> Spec) -> Vec<Spec> {
        let s = self.shape;
        let (order, squares, n) = (g.run.size, s.c * g.run.count, g.panels());
        let with = |root, entry, grid| {
            of(spec(root, entry, grid))
                .b("block", Buffer::PanelBlock)
                .b("failed", Buffer::PanelFailed)
        };
        let panels = |entry, grid| with("state/kernel/panels.wgsl", entry, grid);
        let direct = |entry, grid| {
            with("state/kernel/panels_direct.wgsl", entry, grid).b("strip", Buffer::PanelStrip)
        };
        let x = order.div_ceil(64);
        let mut out = vec![
            panels("panel_scale", [x, squares, 1]),
            panels("panel_prepare", [x, order, squares]),
        ];
        for j in 0..n {
            let below = n - 1 - j;
            out.push(panels("panel_diagonal", [squares, 1, 1]).panel(j));
            if s.software {
                let start = (j + 1) * PANEL;
                out.push(direct("panel_copy", [1, order, squares]).panel(j));
                let strips = 4 * order.div_ceil(8);
                out.push(direct("panel_below", [strips.div_ceil(64), 1, squares]).panel(j));
                if start < order {
                    let rows = (order - start).div_ceil(8);
                    let beside = if invert { rows * (start / 8) } else { 0 };
                    let blocks = rows * (rows + 1) / 2 + beside;
                    out.push(direct("panel_update", [blocks.div_ceil(64), 1, squares]).panel(j));
                }
                continue;
            }
            let across = if invert { n } else { below };
            if across > 0 {
                out.push(panels("panel_below", [across, squares, 1]).panel(j));
            }
            if below > 0 {
                out.push(panels("panel_update", [across, below, squares]).panel(j));
            }
        }
        out.push(panels("panel_finish", [x, order, squares]));
        out
    }

    /// Rows, gradient and Fisher sums in one dispatch, with one thread per chain and split.
    pub(super) fn small_pass(&mut self, set: &RowSet) {
        let s = self.shape;
        let one = spec(
            "state/kernel/small_pass.wgsl",
            "small_pass",
            [(s.c * set.grad_splits).div_ceil(64), 1, 1],
        )
        .u("R", set.rows)
        .code("ROWS", &set.rule)
        .code("WEIGHTS", &set.weights)
        .u("SMALL_SPLITS", set.grad_splits)
        .b("row_index", Buffer::BatchIndex)
        .b("eta", Buffer::BatchEta)
        .b("lik_sums", Buffer::BatchLik)
        .b("partial_sum", Buffer::BatchSum)
        .b("matrix", Buffer::Parts);
        self.push(one);
    }

    /// Leverages, contraction and Σ Jᵀc in one dispatch, with one thread per chain and split.
    pub(super) fn small_lever(&mut self, (half_kappa, divergence): (f64, f64)) {
        let s = self.shape;
        let set = s.metric();
        let one = spec(
            "state/kernel/small_lever.wgsl",
            "small_lever",
            [(s.c * set.grad_splits).div_ceil(64), 1, 1],
        )
        .u("R", set.rows)
        .u("EMPIRICAL", self.empirical())
        .u("SMALL_SPLITS", set.grad_splits)
        .f("HALF_KAPPA", half_kappa)
        .f("DIVERGENCE", divergence)
        .b("row_index", Buffer::BatchIndex)
        .b("eta", Buffer::BatchEta)
        .b("partial_sum", Buffer::Drift);
        self.push(one);
    }

    pub(super) fn leverage(&mut self, linv: Buffer) {
        let s = self.shape;
        let set = s.metric();
        let z = s.hh * s.lever_splits;
        let (root, grid) = if s.software {
            let threads = set.rows.div_ceil(s.lever_r);
            (
                "state/kernel/leverage_direct.wgsl",
                [threads.div_ceil(64), s.c, z],
            )
        } else {
            (
                "state/kernel/leverage.wgsl",
                [set.rows.div_ceil(8 * s.lever_r), s.c, z],
            )
        };
        let one = spec(root, "leverage", grid)
            .u("R", set.rows)
            .u("LEVER_R", s.lever_r)
            .u("LEVER_A", s.lever_a)
            .u("LEVER_SPLITS", s.lever_splits)
            .b("row_index", names(&set).index)
            .b("matrix", if s.h == 1 { linv } else { Buffer::Inverse });
        self.push(one);
    }
}
