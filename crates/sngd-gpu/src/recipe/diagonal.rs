//! The step with a diagonal metric.

use super::{Recipe, names, over_p};
use crate::buffer::Buffer;
use crate::spec::{When, spec};
use sngd_core::config::Noise;
use sngd_core::philox::Stream;
use sngd_core::plan::{CorrectionPlan, Metric, RMSPROP_DECAY, RMSPROP_FLOOR};
use sngd_shaders::DiagonalMetric;

impl Recipe<'_> {
    pub(super) fn diagonal(&mut self) {
        let (plan, s) = (self.plan, self.shape);
        let set = s.metric();
        if let Some(rows) = &s.metric_rows {
            self.rows(rows, Buffer::Omega, When::Fresh);
        }
        self.rows(&s.batch_rows, Buffer::Omega, When::Always);
        self.gradient(
            &s.batch_rows,
            Buffer::BatchScores,
            Buffer::BatchSum,
            When::Always,
        );
        self.cost(
            Buffer::Omega,
            (Buffer::Gradient, Buffer::Cost),
            When::Always,
        );
        let metric = match plan.metric {
            Metric::Identity => DiagonalMetric::Identity,
            Metric::RmsProp => DiagonalMetric::RmsProp,
            _ => DiagonalMetric::Fisher,
        };
        let measured = metric != DiagonalMetric::Identity;
        let fisher = metric == DiagonalMetric::Fisher;
        if let (Some(net), true) = (&s.net, measured) {
            self.network_diagonal(net, &set, When::Fresh);
        } else if measured {
            let one = spec(
                "state/kernel/diagonal.wgsl",
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
        let per_row = plan.observations() / plan.n as f64;
        let one = spec(
            "state/kernel/diagonal_metric.wgsl",
            "diagonal_metric",
            over_p(s),
        )
        .code("METRIC", &metric)
        .f("OBSERVATIONS", plan.observations())
        .f("OBSERVED", set.rows as f64 * per_row)
        .u("GRAD_SPLITS", set.grad_splits)
        .f("SHARE", plan.n as f64 / set.rows as f64)
        .f("RMS_DECAY", RMSPROP_DECAY)
        .f("RMS_FLOOR", RMSPROP_FLOOR)
        .at(if fisher { When::Fresh } else { When::Always });
        self.push(one);
        let corrected = plan.correction != CorrectionPlan::Off;
        if corrected && fisher {
            let one = spec(
                "state/kernel/diagonal_lever.wgsl",
                "diagonal_lever",
                [set.rows.div_ceil(64), s.c, 1],
            )
            .u("R", set.rows)
            .f("RIDGE", plan.ridge())
            .b("row_index", names(&set).index);
            self.with_the_metric(|r| {
                r.push(one);
                r.contraction((1.0, 0.0), 1, 0);
                r.gradient(&set, Buffer::Coefficient, Buffer::Drift, When::Fresh);
            });
        }
        if plan.noise != Noise::None {
            self.normals(Stream::Noise, Buffer::Z, (1, s.p));
        }
        let one = spec(
            "state/kernel/diagonal_step.wgsl",
            "diagonal_step",
            over_p(s),
        )
        .code("METRIC", &metric)
        .f("OBSERVATIONS", plan.observations())
        .u("CORRECTED", usize::from(corrected))
        .u("GRAD_SPLITS", set.grad_splits)
        .code("NOISE", &plan.noise)
        .f("SHARE", plan.n as f64 / set.rows as f64)
        .f("HALF_KAPPA", 0.5 * plan.kappa)
        .f("RMS_DECAY", RMSPROP_DECAY)
        .f("RMS_FLOOR", RMSPROP_FLOOR)
        .b("volume", Buffer::Drift);
        self.push(one);
        self.update();
    }
}
