//! The step with a dense Fisher metric.

use super::{Recipe, Seed, names, over_p};
use crate::shape::{constant_step, drift_parts, residual, ridged, second_rows};
use crate::spec::{When, spec};
use sngd_core::config::{Noise, NoiseRows};
use sngd_core::philox::Stream;
use sngd_core::plan::{CorrectionPlan, RFD_STEP};
use sngd_core::step::PassName;
use sngd_shaders::Reports;

impl Recipe<'_> {
    pub(super) fn dense(&mut self) {
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
        self.cost("omega", ("gradient", "cost"), When::Always);
        if plan.noise != Noise::None {
            self.normals(Stream::Noise, "z", (1, s.p));
        }
        // The finite difference overwrites the rows with those at another position, so what reads them runs first.
        self.noise_shape();
        self.with_the_metric(Self::corrections);
        self.whiten(drift_parts(plan, s), "gradient", "linv");
        self.product("upper", "linv", ("white", "delta"), 1);
        self.update();
    }

    /// Computes (r/N)·v into `drift`. The term Γ comes from the metric with damping. The gradient of the volume belongs to
    /// the target, which damping does not change.
    pub(super) fn corrections(&mut self) {
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
                return;
            }
            CorrectionPlan::ClosedForm => {
                for (i, (linv, how)) in terms.into_iter().enumerate() {
                    if s.h > 1 {
                        let tiles = s.p.div_ceil(8 * s.lever_a);
                        let one = spec("stage/inverse.wgsl", "inverse_tiles", [tiles, tiles, s.c])
                            .u("TILE_M", s.lever_a)
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
            CorrectionPlan::FiniteDifference => return self.finite_difference(),
            CorrectionPlan::Off => return,
        }
        self.gradient(&set, "coefficient", "drift", When::Fresh);
    }

    /// The noise that the residual and nominal kinds, and damping, add before L⁻¹.
    pub(super) fn noise_shape(&mut self) {
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
            let parts = if rows.pass == PassName::Batch {
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
            self.fisher(&rows, "second", (None, Seed::Score, s.second_splits), when);
            for g in &s.groups {
                let order = g.run.size;
                let grid = [order.div_ceil(64), order, s.c * g.run.count];
                let one = self
                    .over_squares(spec("stage/residual.wgsl", "residual", grid), g)
                    .u("R", rows.rows)
                    .b("matrix", "fisher")
                    .b("first", "second_mean")
                    .at(stale);
                self.push(one);
            }
            self.factor(("q", "q_factor"), false, Reports::Neither, stale);
            self.product("lower", "q_factor", ("z", "extra"), 1);
        }
        if plan.noise == Noise::Nominal || ridged(plan) {
            self.normals(Stream::PriorNoise, "prior_z", (1, 2 * s.p));
            let one = spec("stage/prior_noise.wgsl", "prior_noise", over_p(s));
            let one = self
                .over_prior(one)
                .code("NOISE", &plan.noise)
                .b("z", "prior_z")
                .b("share", "extra");
            self.push(one);
        }
    }

    /// Computes the metric at ω + δu, and v from its difference with the one at ω. Damping and prior cancel.
    pub(super) fn finite_difference(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        let (matrix, linv, added) = if plan.split_volume() {
            ("volume", "linv_volume", "added_bare")
        } else {
            ("fisher", "linv", "added")
        };
        self.normals(Stream::Probe, "rfd_z", (1, s.p));
        self.product("upper", "linv", ("rfd_z", "rfd_u"), 1);
        let one = spec("stage/finite_difference.wgsl", "move_along", over_p(s))
            .f("DELTA", RFD_STEP)
            .b("u", "rfd_u");
        self.push(one);
        self.rows(&set, "moved", When::Fresh);
        let how = (Some(added), self.metric_seed(), s.fisher_splits);
        self.fisher(&set, "fisher_moved", how, When::Fresh);
        self.product("symmetric", matrix, ("rfd_u", "rfd_here"), 1);
        self.product("symmetric", "fisher_moved", ("rfd_u", "rfd_there"), 1);
        let with_volume = plan.kappa > 0.0;
        if with_volume {
            self.factor(
                ("fisher_moved", "linv_moved"),
                true,
                Reports::Neither,
                When::Fresh,
            );
        }
        let ridge = if plan.split_volume() {
            plan.ridge()
        } else {
            0.0
        };
        let one = spec("stage/slope.wgsl", "slope", [s.c, 1, 1])
            .b("linv", linv)
            .b("linv_moved", if with_volume { "linv_moved" } else { linv })
            .f("DELTA", RFD_STEP)
            .f("HALF_KAPPA", 0.5 * plan.kappa)
            .f("RIDGE", ridge)
            .f("SHARE", plan.n as f64 / set.rows as f64)
            .b("here", "rfd_here")
            .b("there", "rfd_there")
            .b("u", "rfd_u");
        self.push(one);
    }
}
