//! The dispatches of one step, in order, from the plan: one list, three kinds of step.

use crate::shape::{RowSet, Shape, constant_step, contracted, residual, second_rows};
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
    let mut r = Recipe { plan, shape, out: Vec::new() };
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
        let s = spec("stage/rows.wgsl", "rows", [set.rows.div_ceil(64), self.shape.c, 1])
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
            .b("log_lik", n.lik)
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

    /// Σ JᵀWJ over a pass into `to`: with Λ as a metric, or bare.
    fn fisher(
        &mut self,
        set: &RowSet,
        to: &'static str,
        (metric, from_score, splits): (bool, bool, usize),
        when: When,
    ) {
        let s = self.shape;
        let n = names(set);
        let share = self.plan.n as f64 / set.rows as f64;
        let lambda = usize::from(metric);
        let split = splits > 1;
        let tiles = spec("stage/fisher.wgsl", "fisher_tiles", [s.tiles.len(), s.c, splits])
            .u("R", set.rows)
            .u("TILE_M", s.tile_m)
            .u("SPLITS", splits)
            .u("FROM_SCORE", usize::from(from_score))
            .u("WITH_LAMBDA", if split { 0 } else { lambda })
            .f("SHARE", share)
            .b("row_index", n.index)
            .b("weight", if from_score { n.scores } else { n.weight })
            .b("matrix", if split { "parts" } else { to })
            .at(when);
        self.push(tiles);
        if split {
            self.reduce("parts", to, (splits, s.c * s.p * s.p), metric.then_some(share), when);
        }
    }

    fn reduce(
        &mut self,
        from: &'static str,
        to: &'static str,
        (splits, length): (usize, usize),
        lambda: Option<f64>,
        when: When,
    ) {
        let groups = length.div_ceil(64);
        let row = groups.min(32_768);
        let s = spec("stage/reduce.wgsl", "reduce", [row, groups.div_ceil(row), 1])
            .u("SPLITS", splits)
            .u("LENGTH", length)
            .u("REDUCE_ROW", row)
            .u("WITH_LAMBDA", usize::from(lambda.is_some()))
            .f("SHARE", lambda.unwrap_or(1.0))
            .b("parts", from)
            .b("total", to)
            .at(when);
        self.push(s);
    }

    /// L⁻¹ of a metric, with jitter; or L of a residual, without.
    fn factor(&mut self, matrix: &'static str, result: &'static str, invert: bool, when: When) {
        let s = self.shape;
        let invert_u = usize::from(invert);
        let retries = if invert { JITTER_RETRIES as usize } else { 0 };
        // Only the metric's own factor leaves its jitter in the statistics.
        let tell = usize::from(matrix == "fisher");
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
        let s = spec("stage/normals.wgsl", "draw_normals", [wide, groups.div_ceil(wide), 1])
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
        let one = spec("stage/cost.wgsl", "cost_and_gradient", [s.c, 1, 1])
            .u("GRAD_SPLITS", batch.grad_splits)
            .u("BATCH_SUMS", batch.rows.div_ceil(64))
            .u("FULL_SUMS", full.rows.div_ceil(64))
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
    fn contraction(&mut self, divergence: f64, half_kappa: f64, lever_splits: usize) {
        let s = self.shape;
        let set = s.metric();
        let n = names(&set);
        let one = spec("stage/contraction.wgsl", "contraction", [set.rows.div_ceil(64), s.c, 1])
            .u("R", set.rows)
            .u("EMPIRICAL", self.empirical())
            .u("LEVER_SPLITS", lever_splits)
            .f("HALF_KAPPA", half_kappa)
            .f("DIVERGENCE", divergence)
            .b("eta", n.eta)
            .b("row_index", n.index);
        self.push(one);
        self.gradient(&set, "coefficient", "drift", When::Always);
    }

    fn leverage(&mut self) {
        let s = self.shape;
        let set = s.metric();
        let groups = set.rows.div_ceil(8 * s.lever_r);
        let one = spec(
            "stage/leverage.wgsl",
            "leverage",
            [groups, s.c, s.hh * s.lever_splits],
        )
        .u("R", set.rows)
        .u("LEVER_R", s.lever_r)
        .u("LEVER_A", s.tile_m)
        .u("LEVER_SPLITS", s.lever_splits)
        .b("row_index", names(&set).index)
        .b("matrix", if s.h == 1 { "linv" } else { "inverse" });
        self.push(one);
    }

    fn dense(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        if let Some(metric) = &s.metric_rows {
            self.rows(metric, "omega", When::Fresh);
        }
        self.rows(&s.batch_rows, "omega", When::Always);
        self.gradient(&s.batch_rows, "batch_scores", "batch_sum", When::Always);
        let empirical = plan.fisher == FisherKind::Empirical;
        self.fisher(&set, "fisher", (true, empirical, s.fisher_splits), When::Fresh);
        self.factor("fisher", "linv", true, When::Fresh);
        self.cost("gradient", "cost", When::Always);
        let mut corrected = 1;
        match plan.correction {
            CorrectionPlan::ClosedForm => {
                if s.h > 1 {
                    let tiles = s.p.div_ceil(8 * s.tile_m);
                    let one = spec("stage/inverse.wgsl", "inverse_tiles", [tiles, tiles, s.c])
                        .u("TILE_M", s.tile_m);
                    self.push(one);
                }
                self.leverage();
                self.contraction(1.0, 0.5 * plan.kappa, s.lever_splits);
            }
            CorrectionPlan::Probe(q) => {
                let q = q as usize;
                self.normals(Stream::Probe, "probe_z", (q, s.p));
                self.product("upper", "linv", ("probe_z", "probes"), q);
                let one = spec("stage/probe.wgsl", "probe", [set.rows.div_ceil(64), s.c, 1])
                    .u("R", set.rows)
                    .u("VECTORS", q)
                    .b("row_index", names(&set).index);
                self.push(one);
                self.contraction(1.0, 0.5 * plan.kappa, 1);
            }
            _ => corrected = 0,
        }
        if plan.noise != Noise::None {
            self.normals(Stream::Noise, "z", (1, s.p));
        }
        self.noise_shape();
        self.whiten(corrected, "gradient", "linv");
        self.product("upper", "linv", ("white", "delta"), 1);
        if plan.correction == CorrectionPlan::FiniteDifference {
            self.finite_difference(empirical);
        }
        self.update();
    }

    fn whiten(&mut self, corrected: usize, gradient: &'static str, linv: &'static str) {
        let s = self.shape;
        let set = s.metric();
        let one = spec("stage/whiten.wgsl", "whiten", [s.p.div_ceil(8), s.c, 1])
            .u("CORRECTED", corrected)
            .u("GRAD_SPLITS", set.grad_splits)
            .u("NOISE", noise_code(self.plan.noise))
            .f("SHARE", self.plan.n as f64 / set.rows as f64)
            .b("linv", linv)
            .b("gradient", gradient);
        self.push(one);
    }

    fn update(&mut self) {
        let one = spec("stage/update.wgsl", "update", [self.shape.c, 1, 1])
            .u("NOISE", noise_code(self.plan.noise))
            .u("FULL_DENSITY", usize::from(self.plan.full_log_density()));
        self.push(one);
    }

    /// What the residual and nominal policies add before L⁻¹.
    fn noise_shape(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        if residual(plan) {
            let rows = second_rows(plan, s);
            let when = if plan.noise_rows == NoiseRows::Batch { When::Always } else { When::Fresh };
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
            self.reduce(parts, "second_mean", (rows.grad_splits, s.c * s.p), None, when);
            self.fisher(&rows, "second", (false, true, s.second_splits), when);
            let one = spec("stage/residual.wgsl", "residual", [s.p.div_ceil(64), s.p, s.c])
                .u("R", rows.rows)
                .b("matrix", "fisher")
                .b("first", "second_mean")
                .at(stale);
            self.push(one);
            self.factor("q", "q_factor", false, stale);
            self.product("lower", "q_factor", ("z", "extra"), 1);
        }
        if plan.noise == Noise::Nominal {
            self.normals(Stream::PriorNoise, "prior_z", (1, 2 * s.p));
            let one = spec("stage/prior_noise.wgsl", "prior_noise", over_p(s))
                .f("RIDGE", plan.n as f64 * plan.damping)
                .b("z", "prior_z")
                .b("share", "extra");
            self.push(one);
        }
    }

    fn finite_difference(&mut self, empirical: bool) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        self.normals(Stream::Probe, "rfd_z", (1, s.p));
        self.product("upper", "linv", ("rfd_z", "rfd_u"), 1);
        self.product("symmetric", "fisher", ("rfd_u", "rfd_lz"), 1);
        for (sign, linv, out) in [(1.0, "linv_up", "rfd_up"), (-1.0, "linv_down", "rfd_down")] {
            let one = spec("stage/finite_difference.wgsl", "move_along", over_p(s))
                .f("DELTA", sign * RFD_STEP)
                .b("u", "rfd_u");
            self.push(one);
            self.rows(&set, "moved", When::Always);
            self.fisher(&set, "fisher_moved", (true, empirical, s.fisher_splits), When::Always);
            self.factor("fisher_moved", linv, true, When::Always);
            self.product("lower", linv, ("rfd_lz", "rfd_white"), 1);
            self.product("upper", linv, ("rfd_white", out), 1);
        }
        let one = spec("stage/slope.wgsl", "slope", [s.c, 1, 1])
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
            .b("row_index", names(&set).index);
            self.push(one);
            self.contraction(0.0, 1.0, 1);
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
        let s = self.shape;
        let set = s.batch_rows;
        let empirical = self.plan.fisher == FisherKind::Empirical;
        self.rows(&set, "proposal", when);
        self.gradient(&set, "batch_scores", "batch_sum", when);
        self.fisher(&set, "fisher", (true, empirical, s.fisher_splits), when);
        self.factor("fisher", "linv_next", true, when);
        self.cost("gradient_next", "cost_next", when);
        // The cost is that of the proposal.
        if let Some(last) = self.out.last_mut() {
            last.bind.push(("omega", "proposal"));
        }
    }

    fn mala(&mut self) {
        let s = self.shape;
        let propose = || spec("stage/propose.wgsl", "propose", over_p(s));
        let adopt = || spec("stage/adopt.wgsl", "adopt", [s.p, s.c, 1]);
        let accept = |entry| {
            spec("stage/accept.wgsl", entry, [s.c, 1, 1]).f("HALF_KAPPA", 0.5 * self.plan.kappa)
        };
        let (begin, test) = (accept("begin"), accept("accept"));
        self.push(propose().at(When::Once));
        self.evaluate(When::Once);
        self.push(begin.at(When::Once));
        self.push(adopt().at(When::Once));

        self.normals(Stream::Noise, "z", (1, s.p));
        self.whiten(0, "gradient", "linv");
        self.product("upper", "linv", ("white", "delta"), 1);
        self.push(propose());
        self.evaluate(When::Always);
        self.product("lower", "linv_next", ("gradient_next", "natural_white"), 1);
        self.product("upper", "linv_next", ("natural_white", "natural"), 1);
        self.push(spec("stage/backward.wgsl", "backward", over_p(s)));
        self.product("symmetric", "fisher", ("back", "product"), 1);
        self.push(spec("stage/accept_terms.wgsl", "accept_terms", [s.c, 1, 1]));
        self.push(test);
        self.push(adopt());
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
