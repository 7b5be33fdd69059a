//! The likelihood for the slot `#import <model>`.

use crate::Consts;
use sngd_core::likelihood::{Likelihood, Link, WgslBody};

/// Name and declaration of each function of a model file (`wgsl/lib/contract.wgsl`).
pub const CONTRACT: [(&str, &str); 7] = [
    (
        "log_lik",
        "fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32",
    ),
    (
        "score",
        "fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H>",
    ),
    (
        "fisher",
        "fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH>",
    ),
    (
        "contract",
        "fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction",
    ),
    (
        "draw_label",
        "fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32",
    ),
    ("mean", "fn mean(eta: array<f32, H>, trials: f32) -> f32"),
    ("cdf", "fn cdf(eta: array<f32, H>, obs: vec2<f32>) -> f32"),
];

/// Files that a user's model may use without importing them.
pub(crate) const GIVEN: [&str; 3] = ["lib/contract.wgsl", "lib/elementary.wgsl", "lib/gamma.wgsl"];

/// Functions that a model may omit, and the files that then define them.
pub(crate) const STAND_INS: [(&str, &str); 4] = [
    ("contract", "custom/contract.wgsl"),
    ("draw_label", "custom/draw_label.wgsl"),
    ("mean", "custom/mean.wgsl"),
    ("cdf", "custom/cdf.wgsl"),
];

/// A likelihood file. It adds the constants H, HH and K and those of the likelihood.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// A built-in likelihood, from a file of `wgsl/model/`.
    Builtin(Likelihood),
    /// A user-defined likelihood. It can use `lib/contract.wgsl`, `lib/elementary.wgsl` and `lib/gamma.wgsl`, and may import other files of the
    /// library.
    User {
        /// Text and file name.
        body: WgslBody,
        /// Number of all outputs, H = K + A.
        outputs: u32,
        /// Number of linear outputs, K.
        linear: u32,
    },
}

impl ModelSource {
    /// The source of a likelihood; `None` for a user-defined one without WGSL.
    pub fn of(likelihood: &Likelihood) -> Option<ModelSource> {
        match likelihood {
            Likelihood::Custom(own) => Some(ModelSource::User {
                body: own.wgsl.clone()?,
                outputs: likelihood.outputs() as u32,
                linear: likelihood.linear_outputs() as u32,
            }),
            builtin => Some(ModelSource::Builtin(builtin.clone())),
        }
    }

    /// Path of its file, for errors and imports.
    pub fn name(&self) -> &str {
        match self {
            ModelSource::User { body, .. } => &body.file,
            ModelSource::Builtin(likelihood) => match likelihood {
                Likelihood::Gaussian { .. } => "model/gaussian.wgsl",
                Likelihood::GaussianUnknownScale => "model/gaussian_unknown_scale.wgsl",
                Likelihood::Binomial(Link::Logit) => "model/binomial_logit.wgsl",
                Likelihood::Binomial(Link::Probit) => "model/binomial_probit.wgsl",
                Likelihood::Binomial(Link::Cloglog) => "model/binomial_cloglog.wgsl",
                Likelihood::Poisson => "model/poisson.wgsl",
                Likelihood::Softmax { .. } => "model/softmax.wgsl",
                Likelihood::Custom(own) => &own.name,
            },
        }
    }

    /// The constants it adds.
    pub(crate) fn consts(&self) -> Consts {
        let sizes = |h: u32, k: u32| {
            Consts::new()
                .u32("H", h)
                .u32("HH", h * (h + 1) / 2)
                .u32("K", k)
        };
        match self {
            ModelSource::User {
                outputs, linear, ..
            } => sizes(*outputs, *linear),
            ModelSource::Builtin(likelihood) => {
                let sizes = sizes(
                    likelihood.outputs() as u32,
                    likelihood.linear_outputs() as u32,
                );
                match likelihood {
                    Likelihood::Gaussian { scale } => sizes
                        .f32("GAUSSIAN_SCALE", *scale as f32)
                        .f32("GAUSSIAN_WEIGHT", (1.0 / (scale * scale)) as f32),
                    Likelihood::Softmax { baseline, .. } => {
                        sizes.u32("BASELINE", u32::from(*baseline))
                    }
                    _ => sizes,
                }
            }
        }
    }
}
