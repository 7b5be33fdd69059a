//! MALA's step.

use super::{Recipe, over_p};
use crate::spec::{When, spec};
use sngd_core::philox::Stream;
use sngd_core::plan::trusted_pivot;

impl Recipe<'_> {
    /// Computes cost, gradient and L⁻¹ at the proposal.
    pub(super) fn evaluate(&mut self, when: When) {
        let set = self.shape.batch_rows;
        self.rows(&set, "proposal", when);
        self.gradient(&set, "batch_scores", "batch_sum", when);
        self.metric(
            &set,
            ("fisher", "linv_next"),
            ("volume", "linv_volume_next"),
            when,
        );
        if self.plan.kappa > 0.0 {
            let (matrix, linv) = if self.plan.split_volume() {
                ("volume", "linv_volume_next")
            } else {
                ("fisher", "linv_next")
            };
            let trusted = spec("stage/trusted.wgsl", "trusted", [self.shape.c, 1, 1])
                .f(
                    "PIVOT_TRUSTED",
                    trusted_pivot(self.plan.n, f64::from(f32::EPSILON)),
                )
                .b("matrix", matrix)
                .b("linv", linv)
                .at(when);
            self.push(trusted);
        }
        self.cost("proposal", ("gradient_next", "cost_next"), when);
    }

    /// Where the proposal is accepted, copies everything computed at it to the current point.
    pub(super) fn adopt(&mut self, when: When) {
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

    pub(super) fn mala(&mut self) {
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
