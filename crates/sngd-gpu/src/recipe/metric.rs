//! The metric of a pass, its factor, and the leverages that it gives.

use super::{Recipe, names};
use crate::shape::{PANEL, RowSet};
use crate::spec::{When, spec};
use sngd_core::config::FisherKind;
use sngd_core::plan::JITTER_RETRIES;

impl Recipe<'_> {
    /// N·F + Λ + damping over a pass into `matrix` and its L⁻¹ into `linv`; where the target's volume is another matrix,
    /// that and its L⁻¹ into `volume`.
    pub(super) fn metric(
        &mut self,
        set: &RowSet,
        (matrix, linv): (&'static str, &'static str),
        volume: (&'static str, &'static str),
        when: When,
    ) {
        let s = self.shape;
        let from_score = self.plan.fisher == FisherKind::Empirical;
        let splits = s.fisher_splits;
        let own = matrix == "fisher";
        if !self.plan.split_volume() {
            self.fisher(set, matrix, (Some("added"), from_score, splits), when);
            self.factor((matrix, linv), true, if own { 3 } else { 0 }, when);
            return;
        }
        self.fisher(
            set,
            volume.0,
            (Some("added_bare"), from_score, splits),
            when,
        );
        self.factor(volume, true, if own { 2 } else { 0 }, when);
        self.reduce(
            volume.0,
            matrix,
            (1, s.c * s.p * s.p),
            Some(("ridge", 1.0)),
            when,
        );
        self.factor((matrix, linv), true, usize::from(own), when);
    }

    /// Σ JᵀWJ over a pass into `to`: with Λ as a metric, or bare.
    pub(super) fn fisher(
        &mut self,
        set: &RowSet,
        to: &'static str,
        (added, from_score, splits): (Option<&'static str>, bool, usize),
        when: When,
    ) {
        let s = self.shape;
        let n = names(set);
        let share = self.plan.n as f64 / set.rows as f64;
        let lambda = usize::from(added.is_some());
        if s.small {
            let length = s.c * s.p * s.p;
            self.reduce(
                "parts",
                to,
                (splits, length),
                added.map(|a| (a, share)),
                when,
            );
            return;
        }
        let split = splits > 1;
        let count = s.tiles.len();
        let (direct, grid) = if s.software {
            (true, [count.div_ceil(64), s.c, splits])
        } else {
            (false, [count, s.c, splits])
        };
        let tiles = match (&s.net, direct) {
            (Some(net), _) => {
                // Second moments go over δ of the scores, which the gradient left.
                if added.is_some() {
                    self.backward(net, set, from_score, when);
                }
                let root = if direct {
                    "stage/network_fisher_direct.wgsl"
                } else {
                    "stage/network_fisher.wgsl"
                };
                self.network_gram(root, grid, net, set, from_score)
            }
            (None, true) => spec("stage/fisher_direct.wgsl", "fisher_tiles", grid).u("R", set.rows),
            (None, false) => spec("stage/fisher.wgsl", "fisher_tiles", grid).u("R", set.rows),
        };
        let tiles = if direct {
            tiles.u("TILES", count)
        } else {
            tiles
        };
        let tiles = tiles
            .u("TILE_M", s.tile_m)
            .u("SPLITS", splits)
            .u("FROM_SCORE", usize::from(from_score))
            .u("WITH_LAMBDA", if split { 0 } else { lambda })
            .f("SHARE", share)
            .b("row_index", n.index)
            .b("weight", if from_score { n.scores } else { n.weight })
            .b("added", added.unwrap_or("added"))
            .b("matrix", if split { "parts" } else { to })
            .at(when);
        self.push(tiles);
        if split {
            let lambda = added.map(|a| (a, share));
            self.reduce("parts", to, (splits, s.c * s.p * s.p), lambda, when);
        }
    }

    /// L⁻¹ of a metric, with jitter; or L of a residual, without.
    pub(super) fn factor(
        &mut self,
        (matrix, result): (&'static str, &'static str),
        invert: bool,
        tell: usize,
        when: When,
    ) {
        let s = self.shape;
        let invert_u = usize::from(invert);
        let retries = if invert { JITTER_RETRIES as usize } else { 0 };
        if !s.panelled() && s.software {
            let one = spec(
                "stage/cholesky_lane.wgsl",
                "cholesky",
                [s.c.div_ceil(8), 1, 1],
            )
            .u("INVERT", invert_u)
            .u("RETRIES", retries)
            .u("TELL", tell)
            .b("matrix", matrix)
            .b("result", result)
            .b("triangle", "panel_l")
            .at(when);
            self.push(one);
            return;
        }
        if !s.panelled() {
            let width = s.p.div_ceil(32) * 32;
            let one = spec("stage/cholesky.wgsl", "cholesky", [s.c, 1, 1])
                .u("INVERT", invert_u)
                .u("RETRIES", retries)
                .u("TELL", tell)
                .u("WIDTH", width)
                .b("matrix", matrix)
                .b("result", result)
                .at(when);
            self.push(one);
            return;
        }
        let n = s.panels();
        let panels = |entry, grid| {
            spec("stage/panels.wgsl", entry, grid)
                .u("INVERT", invert_u)
                .b("matrix", matrix)
                .b("w", result)
                .b("l", "panel_l")
                .b("block", "panel_block")
                .b("failed", "panel_failed")
                .at(when)
        };
        let x = s.p.div_ceil(64);
        self.push(panels("panel_scale", [x, s.c, 1]));
        self.push(panels("panel_prepare", [x, s.p, s.c]));
        for j in 0..n {
            let below = n - 1 - j;
            self.push(panels("panel_diagonal", [s.c, 1, 1]).panel(j));
            if s.software {
                let start = (j + 1) * PANEL;
                let direct = |entry, grid| {
                    let mut one = panels(entry, grid).panel(j);
                    one.root = "stage/panels_direct.wgsl";
                    one.b("strip", "panel_strip")
                };
                self.push(direct("panel_copy", [1, s.p, s.c]));
                let strips = 4 * s.p.div_ceil(8);
                self.push(direct("panel_below", [strips.div_ceil(64), 1, s.c]));
                if start < s.p {
                    let rows = (s.p - start).div_ceil(8);
                    let beside = if invert { rows * (start / 8) } else { 0 };
                    let blocks = rows * (rows + 1) / 2 + beside;
                    self.push(direct("panel_update", [blocks.div_ceil(64), 1, s.c]));
                }
                continue;
            }
            let across = if invert { n } else { below };
            if across > 0 {
                self.push(panels("panel_below", [across, s.c, 1]).panel(j));
            }
            if below > 0 {
                self.push(panels("panel_update", [across, below, s.c]).panel(j));
            }
        }
        self.push(panels("panel_finish", [x, s.p, s.c]));
        let retry = spec("stage/cholesky_retry.wgsl", "cholesky_retry", [s.c, 1, 1])
            .u("INVERT", invert_u)
            .u("RETRIES", retries)
            .u("TELL", tell)
            .u("WIDTH", 256)
            .b("matrix", matrix)
            .b("result", result)
            .b("triangle", "panel_l")
            .b("failed", "panel_failed")
            .at(when);
        self.push(retry);
    }

    /// Rows, gradient and Fisher sums by one thread a chain and split.
    pub(super) fn small_pass(&mut self, set: &RowSet) {
        let s = self.shape;
        let one = spec(
            "stage/small_pass.wgsl",
            "small_pass",
            [(s.c * set.grad_splits).div_ceil(64), 1, 1],
        )
        .u("R", set.rows)
        .u("ROWS", set.rule as usize)
        .u("WEIGHTS", set.weights as usize)
        .u("SMALL_SPLITS", set.grad_splits)
        .b("row_index", "batch_index")
        .b("eta", "batch_eta")
        .b("lik_sums", "batch_lik")
        .b("partial_sum", "batch_sum")
        .b("matrix", "parts");
        self.push(one);
    }

    /// Leverages, contraction and Σ Jᵀc the same way.
    pub(super) fn small_lever(&mut self, (half_kappa, divergence): (f64, f64)) {
        let s = self.shape;
        let set = s.metric();
        let one = spec(
            "stage/small_lever.wgsl",
            "small_lever",
            [(s.c * set.grad_splits).div_ceil(64), 1, 1],
        )
        .u("R", set.rows)
        .u("EMPIRICAL", self.empirical())
        .u("SMALL_SPLITS", set.grad_splits)
        .f("HALF_KAPPA", half_kappa)
        .f("DIVERGENCE", divergence)
        .b("row_index", "batch_index")
        .b("eta", "batch_eta")
        .b("partial_sum", "drift");
        self.push(one);
    }

    pub(super) fn leverage(&mut self, linv: &'static str) {
        let s = self.shape;
        let set = s.metric();
        let z = s.hh * s.lever_splits;
        let (root, grid) = if s.software {
            let threads = set.rows.div_ceil(s.lever_r);
            ("stage/leverage_direct.wgsl", [threads.div_ceil(64), s.c, z])
        } else {
            (
                "stage/leverage.wgsl",
                [set.rows.div_ceil(8 * s.lever_r), s.c, z],
            )
        };
        let one = spec(root, "leverage", grid)
            .u("R", set.rows)
            .u("LEVER_R", s.lever_r)
            .u("LEVER_A", s.tile_m)
            .u("LEVER_SPLITS", s.lever_splits)
            .b("row_index", names(&set).index)
            .b("matrix", if s.h == 1 { linv } else { "inverse" });
        self.push(one);
    }
}
