//! What fills the slot `#import <model>`.

use crate::{ConstValue, Consts, LinkError};
use sngd_core::likelihood::{Likelihood, Link};

/// The functions of a model file (`wgsl/lib/contract.wgsl`): name and declaration.
pub const CONTRACT: [(&str, &str); 5] = [
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
];

/// A likelihood file.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelSource {
    /// One of `wgsl/model/`; adds H, HH, K and its own constants.
    Builtin(Likelihood),
    /// The user's own; H and K must be among the constants given to [`crate::link()`], HH is added.
    User {
        /// How errors name it: a path.
        name: String,
        /// Its text, which may import `lib/` files and `<consts>`.
        wgsl: String,
    },
}

impl ModelSource {
    /// Path of the file, for errors and imports.
    pub fn name(&self) -> &str {
        match self {
            ModelSource::User { name, .. } => name,
            ModelSource::Builtin(likelihood) => match likelihood {
                Likelihood::Gaussian { .. } => "model/gaussian.wgsl",
                Likelihood::GaussianUnknownScale => "model/gaussian_unknown_scale.wgsl",
                Likelihood::Binomial(Link::Logit) => "model/binomial_logit.wgsl",
                Likelihood::Binomial(Link::Probit) => "model/binomial_probit.wgsl",
                Likelihood::Binomial(Link::Cloglog) => "model/binomial_cloglog.wgsl",
                Likelihood::Poisson => "model/poisson.wgsl",
                Likelihood::Softmax { .. } => "model/softmax.wgsl",
            },
        }
    }

    /// The constants it adds to `given`.
    pub(crate) fn consts(&self, given: &Consts) -> Result<Consts, LinkError> {
        match *self {
            ModelSource::Builtin(likelihood) => {
                let h = likelihood.outputs() as u32;
                let sizes = Consts::new()
                    .u32("H", h)
                    .u32("HH", h * (h + 1) / 2)
                    .u32("K", likelihood.linear_outputs() as u32);
                Ok(match likelihood {
                    Likelihood::Gaussian { scale } => sizes
                        .f32("GAUSSIAN_SCALE", scale as f32)
                        .f32("GAUSSIAN_WEIGHT", (1.0 / (scale * scale)) as f32),
                    Likelihood::Softmax { baseline, .. } => {
                        sizes.u32("BASELINE", u32::from(baseline))
                    }
                    _ => sizes,
                })
            }
            ModelSource::User { ref name, .. } => {
                let size = |of: &str| match given.get(of) {
                    Some(ConstValue::U32(v)) if v > 0 => Ok(v),
                    _ => Err(LinkError::NoSize {
                        model: name.clone(),
                        name: of.to_string(),
                    }),
                };
                size("K")?;
                let h = size("H")?;
                Ok(Consts::new().u32("HH", h * (h + 1) / 2))
            }
        }
    }
}
