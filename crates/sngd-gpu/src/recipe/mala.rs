//! MALA's step.

use super::{Recipe, over_p};
use crate::buffer::Buffer;
use crate::spec::{When, spec};
use sngd_core::philox::Stream;
use sngd_core::plan::trusted_pivot;

impl Recipe<'_> {
    /// Computes cost, gradient and L⁻¹ at the proposal.
    pub(super) fn evaluate(&mut self, when: When) {
        let set = self.shape.batch_rows;
        self.rows(&set, Buffer::Proposal, when);
        self.gradient(&set, Buffer::BatchScores, Buffer::BatchSum, when);
        self.metric(
            &set,
            (Buffer::Fisher, Buffer::LinvNext),
            (Buffer::Volume, Buffer::LinvVolumeNext),
            when,
        );
        if self.plan.kappa > 0.0 {
            let (matrix, linv) = if self.plan.split_volume() {
                (Buffer::Volume, Buffer::LinvVolumeNext)
            } else {
                (Buffer::Fisher, Buffer::LinvNext)
            };
            let trusted = spec("state/kernel/trusted.wgsl", "trusted", [self.shape.c, 1, 1])
                .f(
                    "PIVOT_TRUSTED",
                    trusted_pivot(self.plan.n, f64::from(f32::EPSILON)),
                )
                .b("matrix", matrix)
                .b("linv", linv)
                .at(when);
            self.push(trusted);
        }
        self.cost(
            Buffer::Proposal,
            (Buffer::GradientNext, Buffer::CostNext),
            when,
        );
    }

    /// Where the proposal is accepted, copies everything computed at it to the current point.
    pub(super) fn adopt(&mut self, when: When) {
        let grid = [self.shape.p, self.shape.c, 1];
        self.push(spec("state/kernel/adopt.wgsl", "adopt", grid).at(when));
        if self.plan.split_volume() {
            let volume = spec("state/kernel/adopt.wgsl", "adopt", grid)
                .b("linv", Buffer::LinvVolume)
                .b("linv_next", Buffer::LinvVolumeNext)
                .at(when);
            self.push(volume);
        }
    }

    pub(super) fn mala(&mut self) {
        let s = self.shape;
        let half_kappa = 0.5 * self.plan.kappa;
        let propose = || spec("state/kernel/propose.wgsl", "propose", over_p(s));
        let accept = |entry| {
            spec("state/kernel/accept.wgsl", entry, [s.c, 1, 1])
                .f("HALF_KAPPA", half_kappa)
                .u("LANES", 64)
        };
        self.push(propose().at(When::Once));
        self.evaluate(When::Once);
        self.push(accept("begin").at(When::Once));
        self.adopt(When::Once);

        self.normals(Stream::Noise, Buffer::Z, (1, s.p));
        self.whiten(0, Buffer::Gradient, Buffer::Linv);
        self.product("upper", Buffer::Linv, (Buffer::White, Buffer::Delta), 1);
        self.push(propose());
        self.evaluate(When::Always);
        self.product(
            "lower",
            Buffer::LinvNext,
            (Buffer::GradientNext, Buffer::NaturalWhite),
            1,
        );
        self.product(
            "upper",
            Buffer::LinvNext,
            (Buffer::NaturalWhite, Buffer::Natural),
            1,
        );
        self.push(spec("state/kernel/backward.wgsl", "backward", over_p(s)));
        self.product(
            "symmetric",
            Buffer::Fisher,
            (Buffer::Back, Buffer::Product),
            1,
        );
        let split = self.plan.split_volume();
        let terms = spec(
            "state/kernel/accept_terms.wgsl",
            "accept_terms",
            [s.c, 1, 1],
        )
        .f("HALF_KAPPA", half_kappa)
        .b(
            "volume",
            if split {
                Buffer::LinvVolume
            } else {
                Buffer::Linv
            },
        )
        .b(
            "volume_next",
            if split {
                Buffer::LinvVolumeNext
            } else {
                Buffer::LinvNext
            },
        );
        self.push(terms);
        self.push(accept("accept"));
        self.adopt(When::Always);
    }
}
