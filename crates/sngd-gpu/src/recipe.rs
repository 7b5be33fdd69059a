//! The dispatches of one step, in order, from the plan: one list, three kinds of step.

use crate::shape::{PANEL, RowSet, Shape, constant_step, residual, ridged, second_rows};
use crate::spec::{Spec, When, spec};
use sngd_core::config::{FisherKind, Noise, NoiseRows};
use sngd_core::philox::Stream;
use sngd_core::plan::{
    CorrectionPlan, JITTER_RETRIES, Metric, Plan, RFD_STEP, RMSPROP_DECAY, RMSPROP_FLOOR,
};

/// Buffers of a pass over rows.
#[derive(Debug, Clone, Copy)]
struct Names {
    index: &'static str,
    eta: &'static str,
    scores: &'static str,
    weight: &'static str,
    lik: &'static str,
}

fn names(set: &RowSet) -> Names {
    if set.name == "batch" {
        Names {
            index: "batch_index",
            eta: "batch_eta",
            scores: "batch_scores",
            weight: "batch_weight",
            lik: "batch_lik",
        }
    } else {
        Names {
            index: "metric_index",
            eta: "metric_eta",
            scores: "metric_scores",
            weight: "metric_weight",
            lik: "metric_lik",
        }
    }
}

/// Builds the list.
pub struct Recipe<'a> {
    plan: &'a Plan,
    shape: &'a Shape,
    out: Vec<Spec>,
}

/// The dispatches of a step of this plan.
pub fn recipe(plan: &Plan, shape: &Shape) -> Vec<Spec> {
    let mut r = Recipe {
        plan,
        shape,
        out: Vec::new(),
    };
    if plan.metropolis {
        r.mala();
    } else if shape.dense {
        r.dense();
    } else {
        r.diagonal();
    }
    r.out
}

/// (x, chain) grids over vectors of P.
fn over_p(shape: &Shape) -> [usize; 3] {
    [shape.p.div_ceil(64), shape.c, 1]
}

impl Recipe<'_> {
    fn push(&mut self, s: Spec) {
        self.out.push(s);
    }

    fn empirical(&self) -> usize {
        usize::from(self.plan.fisher == FisherKind::Empirical)
    }

    fn rows(&mut self, set: &RowSet, omega: &'static str, when: When) {
        let n = names(set);
        let s = spec(
            "stage/rows.wgsl",
            "rows",
            [set.rows.div_ceil(64), self.shape.c, 1],
        )
        .u("R", set.rows)
        .u("ROWS", set.rule as usize)
        .u("WEIGHTS", set.weights as usize)
        .u("LABELS", self.plan.fisher_labels as usize)
        .u("EMPIRICAL", self.empirical())
        .b("omega", omega)
        .b("row_index", n.index)
        .b("eta", n.eta)
        .b("scores", n.scores)
        .b("weight", n.weight)
        .b("lik_sums", n.lik)
        .at(when);
        self.push(s);
    }

    fn gradient(&mut self, set: &RowSet, from: &'static str, to: &'static str, when: When) {
        let s = self.shape;
        let one = spec(
            "stage/gradient.wgsl",
            "gradient",
            [s.gradient_groups(), s.c, set.grad_splits],
        )
        .u("R", set.rows)
        .u("GRAD_D", s.grad_d)
        .u("GRAD_M", s.grad_m)
        .u("GRAD_K", s.grad_k)
        .u("GRAD_SPLITS", set.grad_splits)
        .b("row_index", names(set).index)
        .b("coefficient", from)
        .b("partial_sum", to)
        .at(when);
        self.push(one);
    }

    /// N·F + Λ + damping over a pass into `matrix` and its L⁻¹ into `linv`; where the target's volume is another matrix,
    /// that and its L⁻¹ into `volume`.
    fn metric(
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

    /// Rows, gradient and Fisher sums by one thread a chain and split.
    fn small_pass(&mut self, set: &RowSet) {
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
    fn small_lever(&mut self, (half_kappa, divergence): (f64, f64)) {
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

    /// Σ JᵀWJ over a pass into `to`: with Λ as a metric, or bare.
    fn fisher(
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
        let tiles = if s.software {
            let grid = [count.div_ceil(64), s.c, splits];
            spec("stage/fisher_direct.wgsl", "fisher_tiles", grid).u("TILES", count)
        } else {
            spec("stage/fisher.wgsl", "fisher_tiles", [count, s.c, splits])
        };
        let tiles = tiles
            .u("R", set.rows)
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

    fn reduce(
        &mut self,
        from: &'static str,
        to: &'static str,
        (splits, length): (usize, usize),
        lambda: Option<(&'static str, f64)>,
        when: When,
    ) {
        let groups = length.div_ceil(64);
        let row = groups.min(32_768);
        let s = spec(
            "stage/reduce.wgsl",
            "reduce",
            [row, groups.div_ceil(row), 1],
        )
        .u("SPLITS", splits)
        .u("LENGTH", length)
        .u("REDUCE_ROW", row)
        .u("WITH_LAMBDA", usize::from(lambda.is_some()))
        .f("SHARE", lambda.map_or(1.0, |(_, share)| share))
        .b("added", lambda.map_or("added", |(a, _)| a))
        .b("parts", from)
        .b("total", to)
        .at(when);
        self.push(s);
    }

    /// L⁻¹ of a metric, with jitter; or L of a residual, without.
    fn factor(
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

    fn normals(&mut self, stream: Stream, to: &'static str, (vectors, length): (usize, usize)) {
        let groups = (self.shape.c * vectors * length.div_ceil(4)).div_ceil(64);
        let wide = groups.min(32_768);
        let s = spec(
            "stage/normals.wgsl",
            "draw_normals",
            [wide, groups.div_ceil(wide), 1],
        )
        .u("VECTORS", vectors)
        .u("LENGTH", length)
        .u("WIDE", wide)
        .u("STREAM", stream as usize)
        .b("z", to);
        self.push(s);
    }

    fn product(
        &mut self,
        entry: &'static str,
        matrix: &'static str,
        (from, to): (&'static str, &'static str),
        vectors: usize,
    ) {
        let s = spec(
            "stage/triangle.wgsl",
            entry,
            [self.shape.p.div_ceil(8), self.shape.c, vectors],
        )
        .u("VECTORS", vectors)
        .b("matrix", matrix)
        .b("input", from)
        .b("output", to);
        self.push(s);
    }

    fn cost(&mut self, gradient: &'static str, cost: &'static str, when: When) {
        let s = self.shape;
        let batch = &s.batch_rows;
        let full = match &s.metric_rows {
            Some(m) if self.plan.full_log_density() && !self.plan.full_batch => m,
            _ => batch,
        };
        let one = spec("stage/cost.wgsl", "cost_and_gradient", [s.teams(), 1, 1])
            .u("LANES", s.lanes)
            .u("GRAD_SPLITS", batch.grad_splits)
            .u("BATCH_SUMS", batch.lik_sums)
            .u("FULL_SUMS", full.lik_sums)
            .f("SHARE", self.plan.n as f64 / self.plan.batch as f64)
            .b("partial_sum", "batch_sum")
            .b("batch_lik", "batch_lik")
            .b("full_lik", names(full).lik)
            .b("gradient", gradient)
            .b("cost", cost)
            .at(when);
        self.push(one);
    }

    /// Leverages into coefficients into Σ Jᵀc.
    fn contraction(&mut self, (half_kappa, divergence): (f64, f64), splits: usize, adds: usize) {
        let s = self.shape;
        let set = s.metric();
        let n = names(&set);
        let one = spec(
            "stage/contraction.wgsl",
            "contraction",
            [set.rows.div_ceil(64), s.c, 1],
        )
        .u("R", set.rows)
        .u("EMPIRICAL", self.empirical())
        .u("LEVER_SPLITS", splits)
        .u("ADDS", adds)
        .f("HALF_KAPPA", half_kappa)
        .f("DIVERGENCE", divergence)
        .b("eta", n.eta)
        .b("row_index", n.index);
        self.push(one);
    }

    fn leverage(&mut self, linv: &'static str) {
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

    fn dense(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        if s.small {
            self.small_pass(&set);
        } else {
            if let Some(metric) = &s.metric_rows {
                self.rows(metric, "omega", When::Fresh);
            }
            self.rows(&s.batch_rows, "omega", When::Always);
            self.gradient(&s.batch_rows, "batch_scores", "batch_sum", When::Always);
        }
        self.metric(
            &set,
            ("fisher", "linv"),
            ("volume", "linv_volume"),
            When::Fresh,
        );
        self.cost("gradient", "cost", When::Always);
        let corrected = usize::from(self.corrections());
        if plan.noise != Noise::None {
            self.normals(Stream::Noise, "z", (1, s.p));
        }
        self.noise_shape();
        self.whiten(corrected, "gradient", "linv");
        self.product("upper", "linv", ("white", "delta"), 1);
        if plan.correction == CorrectionPlan::FiniteDifference {
            self.finite_difference();
        }
        self.update();
    }

    /// (r/N)·v into `drift`; false where nothing comes from contractions. Γ is the metric's own; the volume's gradient
    /// belongs to the target, which damping does not touch.
    fn corrections(&mut self) -> bool {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        let half_kappa = 0.5 * plan.kappa;
        let terms = if plan.split_volume() {
            vec![("linv", (0.0, 1.0)), ("linv_volume", (half_kappa, 0.0))]
        } else {
            vec![("linv", (half_kappa, 1.0))]
        };
        match plan.correction {
            CorrectionPlan::ClosedForm if s.small && terms.len() == 1 => {
                self.small_lever((half_kappa, 1.0));
                return true;
            }
            CorrectionPlan::ClosedForm => {
                for (i, (linv, how)) in terms.into_iter().enumerate() {
                    if s.h > 1 {
                        let tiles = s.p.div_ceil(8 * s.tile_m);
                        let one = spec("stage/inverse.wgsl", "inverse_tiles", [tiles, tiles, s.c])
                            .u("TILE_M", s.tile_m)
                            .b("linv", linv);
                        self.push(one);
                    }
                    self.leverage(linv);
                    self.contraction(how, s.lever_splits, i);
                }
            }
            CorrectionPlan::Probe(q) => {
                let q = q as usize;
                self.normals(Stream::Probe, "probe_z", (q, s.p));
                for (i, (linv, how)) in terms.into_iter().enumerate() {
                    self.product("upper", linv, ("probe_z", "probes"), q);
                    let one = spec("stage/probe.wgsl", "probe", [set.rows.div_ceil(64), s.c, 1])
                        .u("R", set.rows)
                        .u("VECTORS", q)
                        .b("row_index", names(&set).index);
                    self.push(one);
                    self.contraction(how, 1, i);
                }
            }
            _ => return false,
        }
        self.gradient(&set, "coefficient", "drift", When::Always);
        true
    }

    fn whiten(&mut self, corrected: usize, gradient: &'static str, linv: &'static str) {
        let s = self.shape;
        let set = s.metric();
        let one = spec("stage/whiten.wgsl", "whiten", [s.p.div_ceil(8), s.c, 1])
            .u("CORRECTED", corrected)
            .u("GRAD_SPLITS", set.grad_splits)
            .u("NOISE", noise_code(self.plan.noise))
            .u(
                "RIDGED",
                usize::from(ridged(self.plan) && !self.plan.metropolis),
            )
            .f("SHARE", self.plan.n as f64 / set.rows as f64)
            .b("linv", linv)
            .b("gradient", gradient);
        self.push(one);
    }

    fn update(&mut self) {
        let one = spec("stage/update.wgsl", "update", [self.shape.teams(), 1, 1])
            .u("LANES", self.shape.lanes)
            .u("NOISE", noise_code(self.plan.noise))
            .u("FULL_DENSITY", usize::from(self.plan.full_log_density()));
        self.push(one);
    }

    /// What the residual and nominal policies add before L⁻¹.
    fn noise_shape(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        if residual(plan) {
            let rows = second_rows(plan, s);
            let when = if plan.noise_rows == NoiseRows::Batch {
                When::Always
            } else {
                When::Fresh
            };
            let stale = if plan.noise_rows == NoiseRows::Batch {
                When::Always
            } else if constant_step(plan) {
                When::Fresh
            } else {
                When::Stale
            };
            let parts = if rows.name == "batch" {
                "batch_sum"
            } else {
                self.gradient(&rows, names(&rows).scores, "second_sum", when);
                "second_sum"
            };
            self.reduce(
                parts,
                "second_mean",
                (rows.grad_splits, s.c * s.p),
                None,
                when,
            );
            self.fisher(&rows, "second", (None, true, s.second_splits), when);
            let one = spec(
                "stage/residual.wgsl",
                "residual",
                [s.p.div_ceil(64), s.p, s.c],
            )
            .u("R", rows.rows)
            .b("matrix", "fisher")
            .b("first", "second_mean")
            .at(stale);
            self.push(one);
            self.factor(("q", "q_factor"), false, 0, stale);
            self.product("lower", "q_factor", ("z", "extra"), 1);
        }
        if plan.noise == Noise::Nominal || ridged(plan) {
            self.normals(Stream::PriorNoise, "prior_z", (1, 2 * s.p));
            let one = spec("stage/prior_noise.wgsl", "prior_noise", over_p(s))
                .u("NOISE", noise_code(plan.noise))
                .b("z", "prior_z")
                .b("share", "extra");
            self.push(one);
        }
    }

    fn finite_difference(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        self.normals(Stream::Probe, "rfd_z", (1, s.p));
        self.product("upper", "linv", ("rfd_z", "rfd_u"), 1);
        self.product("symmetric", "fisher", ("rfd_u", "rfd_lz"), 1);
        let sides = [
            (1.0, "linv_up", "volume_up", "rfd_up"),
            (-1.0, "linv_down", "volume_down", "rfd_down"),
        ];
        for (sign, linv, volume, out) in sides {
            let one = spec("stage/finite_difference.wgsl", "move_along", over_p(s))
                .f("DELTA", sign * RFD_STEP)
                .b("u", "rfd_u");
            self.push(one);
            self.rows(&set, "moved", When::Always);
            self.metric(
                &set,
                ("fisher_moved", linv),
                ("volume_moved", volume),
                When::Always,
            );
            self.product("lower", linv, ("rfd_lz", "rfd_white"), 1);
            self.product("upper", linv, ("rfd_white", out), 1);
        }
        let split = plan.split_volume();
        let one = spec("stage/slope.wgsl", "slope", [s.c, 1, 1])
            .b("linv_up", if split { "volume_up" } else { "linv_up" })
            .b("linv_down", if split { "volume_down" } else { "linv_down" })
            .f("DELTA", RFD_STEP)
            .f("HALF_KAPPA", 0.5 * plan.kappa)
            .b("up", "rfd_up")
            .b("down", "rfd_down")
            .b("u", "rfd_u");
        self.push(one);
    }

    fn diagonal(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        if let Some(metric) = &s.metric_rows {
            self.rows(metric, "omega", When::Fresh);
        }
        self.rows(&s.batch_rows, "omega", When::Always);
        self.gradient(&s.batch_rows, "batch_scores", "batch_sum", When::Always);
        self.cost("gradient", "cost", When::Always);
        let code = match plan.metric {
            Metric::FisherDiagonal => 1,
            Metric::Identity => 2,
            _ => 3,
        };
        if code != 2 {
            let one = spec(
                "stage/diagonal.wgsl",
                "diagonal",
                [s.p.div_ceil(16), s.c, set.grad_splits],
            )
            .u("R", set.rows)
            .u("GRAD_SPLITS", set.grad_splits)
            .b("row_index", names(&set).index)
            .b("weight", names(&set).weight)
            .at(When::Fresh);
            self.push(one);
        }
        let one = spec("stage/diagonal_metric.wgsl", "diagonal_metric", over_p(s))
            .u("METRIC", code)
            .u("R", set.rows)
            .u("GRAD_SPLITS", set.grad_splits)
            .f("SHARE", plan.n as f64 / set.rows as f64)
            .f("RMS_DECAY", RMSPROP_DECAY)
            .f("RMS_FLOOR", RMSPROP_FLOOR)
            .at(if code == 1 { When::Fresh } else { When::Always });
        self.push(one);
        let corrected = plan.correction != CorrectionPlan::Off;
        if corrected && code == 1 {
            let one = spec(
                "stage/diagonal_lever.wgsl",
                "diagonal_lever",
                [set.rows.div_ceil(64), s.c, 1],
            )
            .u("R", set.rows)
            .f("RIDGE", plan.n as f64 * plan.damping)
            .b("row_index", names(&set).index);
            self.push(one);
            self.contraction((1.0, 0.0), 1, 0);
            self.gradient(&set, "coefficient", "drift", When::Always);
        }
        if plan.noise != Noise::None {
            self.normals(Stream::Noise, "z", (1, s.p));
        }
        let one = spec("stage/diagonal_step.wgsl", "diagonal_step", over_p(s))
            .u("METRIC", code)
            .u("CORRECTED", usize::from(corrected))
            .u("GRAD_SPLITS", set.grad_splits)
            .u("NOISE", noise_code(plan.noise))
            .f("SHARE", plan.n as f64 / set.rows as f64)
            .f("HALF_KAPPA", 0.5 * plan.kappa)
            .f("RMS_DECAY", RMSPROP_DECAY)
            .f("RMS_FLOOR", RMSPROP_FLOOR)
            .b("volume", "drift");
        self.push(one);
        self.update();
    }

    /// Cost, gradient and L⁻¹ at the proposal.
    fn evaluate(&mut self, when: When) {
        let set = self.shape.batch_rows;
        self.rows(&set, "proposal", when);
        self.gradient(&set, "batch_scores", "batch_sum", when);
        self.metric(
            &set,
            ("fisher", "linv_next"),
            ("volume", "linv_volume_next"),
            when,
        );
        self.cost("gradient_next", "cost_next", when);
        // The cost is that of the proposal.
        if let Some(last) = self.out.last_mut() {
            last.bind.push(("omega", "proposal"));
        }
    }

    /// Where accepted, all of the proposal becomes the current point's.
    fn adopt(&mut self, when: When) {
        let grid = [self.shape.p, self.shape.c, 1];
        self.push(spec("stage/adopt.wgsl", "adopt", grid).at(when));
        if self.plan.split_volume() {
            let volume = spec("stage/adopt.wgsl", "adopt", grid)
                .b("linv", "linv_volume")
                .b("linv_next", "linv_volume_next")
                .at(when);
            self.push(volume);
        }
    }

    fn mala(&mut self) {
        let s = self.shape;
        let half_kappa = 0.5 * self.plan.kappa;
        let propose = || spec("stage/propose.wgsl", "propose", over_p(s));
        let accept = |entry| {
            spec("stage/accept.wgsl", entry, [s.c, 1, 1])
                .f("HALF_KAPPA", half_kappa)
                .u("LANES", 64)
        };
        self.push(propose().at(When::Once));
        self.evaluate(When::Once);
        self.push(accept("begin").at(When::Once));
        self.adopt(When::Once);

        self.normals(Stream::Noise, "z", (1, s.p));
        self.whiten(0, "gradient", "linv");
        self.product("upper", "linv", ("white", "delta"), 1);
        self.push(propose());
        self.evaluate(When::Always);
        self.product("lower", "linv_next", ("gradient_next", "natural_white"), 1);
        self.product("upper", "linv_next", ("natural_white", "natural"), 1);
        self.push(spec("stage/backward.wgsl", "backward", over_p(s)));
        self.product("symmetric", "fisher", ("back", "product"), 1);
        let split = self.plan.split_volume();
        let terms = spec("stage/accept_terms.wgsl", "accept_terms", [s.c, 1, 1])
            .f("HALF_KAPPA", half_kappa)
            .b("volume", if split { "linv_volume" } else { "linv" })
            .b(
                "volume_next",
                if split {
                    "linv_volume_next"
                } else {
                    "linv_next"
                },
            );
        self.push(terms);
        self.push(accept("accept"));
        self.adopt(When::Always);
    }
}

fn noise_code(noise: Noise) -> usize {
    match noise {
        Noise::None => 0,
        Noise::Full => 1,
        Noise::Residual => 2,
        Noise::Nominal => 3,
    }
}
