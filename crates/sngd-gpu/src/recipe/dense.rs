//! The step with a dense Fisher metric.

use super::{Recipe, Seed, names, over_p};
use crate::buffer::Buffer;
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
                self.rows(metric, Buffer::Omega, When::Fresh);
            }
            self.rows(&s.batch_rows, Buffer::Omega, When::Always);
            self.gradient(
                &s.batch_rows,
                Buffer::BatchScores,
                Buffer::BatchSum,
                When::Always,
            );
        }
        self.metric(
            &set,
            (Buffer::Fisher, Buffer::Linv),
            (Buffer::Volume, Buffer::LinvVolume),
            When::Fresh,
        );
        self.cost(
            Buffer::Omega,
            (Buffer::Gradient, Buffer::Cost),
            When::Always,
        );
        if plan.noise != Noise::None {
            self.normals(Stream::Noise, Buffer::Z, (1, s.p));
        }
        // The finite difference overwrites the rows with those at another position, so what reads them runs first.
        self.noise_shape();
        self.with_the_metric(Self::corrections);
        self.whiten(drift_parts(plan, s), Buffer::Gradient, Buffer::Linv);
        self.product("upper", Buffer::Linv, (Buffer::White, Buffer::Delta), 1);
        self.update();
    }

    /// Computes (r/N)·v into `drift`. The term Γ comes from the metric with damping. The gradient of the volume belongs to
    /// the target, which damping does not change.
    pub(super) fn corrections(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        let half_kappa = 0.5 * plan.kappa;
        let terms = if plan.split_volume() {
            vec![
                (Buffer::Linv, (0.0, 1.0)),
                (Buffer::LinvVolume, (half_kappa, 0.0)),
            ]
        } else {
            vec![(Buffer::Linv, (half_kappa, 1.0))]
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
                        let one = spec(
                            "state/kernel/inverse.wgsl",
                            "inverse_tiles",
                            [tiles, tiles, s.c],
                        )
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
                self.normals(Stream::Probe, Buffer::ProbeZ, (q, s.p));
                for (i, (linv, how)) in terms.into_iter().enumerate() {
                    self.product("upper", linv, (Buffer::ProbeZ, Buffer::Probes), q);
                    let one = spec(
                        "state/kernel/probe.wgsl",
                        "probe",
                        [set.rows.div_ceil(64), s.c, 1],
                    )
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
        self.gradient(&set, Buffer::Coefficient, Buffer::Drift, When::Fresh);
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
            let new_noise = if plan.noise_rows == NoiseRows::Batch {
                When::Always
            } else if constant_step(plan) {
                When::Fresh
            } else {
                When::NewNoise
            };
            let parts = if rows.pass == PassName::Batch {
                Buffer::BatchSum
            } else {
                self.gradient(&rows, names(&rows).scores, Buffer::SecondSum, when);
                Buffer::SecondSum
            };
            self.reduce(
                parts,
                Buffer::SecondMean,
                (rows.grad_splits, s.c * s.p),
                None,
                when,
            );
            self.fisher(
                &rows,
                Buffer::Second,
                (None, Seed::Score, s.second_splits),
                when,
            );
            for g in &s.groups {
                let order = g.run.size;
                let grid = [order.div_ceil(64), order, s.c * g.run.count];
                let one = self
                    .over_squares(spec("state/kernel/residual.wgsl", "residual", grid), g)
                    .u("R", rows.rows)
                    .b("matrix", Buffer::Fisher)
                    .b("first", Buffer::SecondMean)
                    .at(new_noise);
                self.push(one);
            }
            self.factor(
                (Buffer::Q, Buffer::QFactor),
                false,
                Reports::Neither,
                new_noise,
            );
            self.product("lower", Buffer::QFactor, (Buffer::Z, Buffer::Extra), 1);
        }
        if plan.noise == Noise::Nominal || ridged(plan) {
            self.normals(Stream::PriorNoise, Buffer::PriorZ, (1, 2 * s.p));
            let one = spec("state/kernel/prior_noise.wgsl", "prior_noise", over_p(s));
            let one = self
                .over_prior(one)
                .code("NOISE", &plan.noise)
                .b("z", Buffer::PriorZ)
                .b("share", Buffer::Extra);
            self.push(one);
        }
    }

    /// Computes the metric at ω + δu, and v from its difference with the one at ω. Damping and prior cancel.
    pub(super) fn finite_difference(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        let (matrix, linv, added) = if plan.split_volume() {
            (Buffer::Volume, Buffer::LinvVolume, Buffer::AddedUndamped)
        } else {
            (Buffer::Fisher, Buffer::Linv, Buffer::Added)
        };
        self.normals(Stream::Probe, Buffer::RfdZ, (1, s.p));
        self.product("upper", Buffer::Linv, (Buffer::RfdZ, Buffer::RfdU), 1);
        let one = spec(
            "state/kernel/finite_difference.wgsl",
            "move_along",
            over_p(s),
        )
        .f("DELTA", RFD_STEP)
        .b("u", Buffer::RfdU);
        self.push(one);
        self.rows(&set, Buffer::Moved, When::Fresh);
        let how = (Some(added), self.metric_seed(), s.fisher_splits);
        self.fisher(&set, Buffer::FisherMoved, how, When::Fresh);
        self.product("symmetric", matrix, (Buffer::RfdU, Buffer::RfdHere), 1);
        self.product(
            "symmetric",
            Buffer::FisherMoved,
            (Buffer::RfdU, Buffer::RfdThere),
            1,
        );
        let with_volume = plan.kappa > 0.0;
        if with_volume {
            self.factor(
                (Buffer::FisherMoved, Buffer::LinvMoved),
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
        let one = spec("state/kernel/slope.wgsl", "slope", [s.c, 1, 1])
            .b("linv", linv)
            .b(
                "linv_moved",
                if with_volume { Buffer::LinvMoved } else { linv },
            )
            .f("DELTA", RFD_STEP)
            .f("HALF_KAPPA", 0.5 * plan.kappa)
            .f("RIDGE", ridge)
            .f("SHARE", plan.n as f64 / set.rows as f64)
            .b("here", Buffer::RfdHere)
            .b("there", Buffer::RfdThere)
            .b("u", Buffer::RfdU);
        self.push(one);
    }
}
