//! `[model]`: predictor and likelihood.

use crate::likelihood::{Custom, Link};
use crate::network::Activation;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// `linear` or `mlp`.
    #[serde(default)]
    pub predictor: Predictor,
    /// Widths of an mlp's hidden layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// Of an mlp; tanh when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub activation: Option<Activation>,
    /// Whether an mlp's units have biases; yes when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bias: Option<bool>,
    /// Family of the response.
    pub likelihood: Family,
    /// Link of a Bernoulli, binomial or Poisson mean.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<LinkName>,
    /// A Gaussian's scale: a number or "unknown".
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<Scale>,
    /// The binomial's column of trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<String>,
    /// Softmax: `none` or `first`.
    #[serde(default)]
    pub baseline: Baseline,
    /// A custom likelihood's WGSL file, relative to the run file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wgsl: Option<PathBuf>,
    /// A custom likelihood's linear predictors; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
    /// Name of a custom likelihood's positive parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary: Option<String>,
    /// Column that a custom likelihood reads beside the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion: Option<String>,
    /// The custom likelihood itself: what `wgsl` named, or what a program handed in.
    #[serde(skip)]
    pub custom: Option<Arc<Custom>>,
}

/// What maps features to outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictor {
    /// η = xᵀβ.
    #[default]
    Linear,
    /// A multilayer perceptron.
    Mlp,
}

/// Likelihood families.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// Normal errors.
    Gaussian,
    /// 0/1 or two labels.
    Bernoulli,
    /// Successes of trials.
    Binomial,
    /// Counts.
    Poisson,
    /// Categories.
    Softmax,
    /// The user's own.
    Custom,
}

/// Links by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkName {
    /// Bernoulli and binomial, canonical.
    Logit,
    /// Bernoulli and binomial.
    Probit,
    /// Bernoulli and binomial.
    Cloglog,
    /// Poisson.
    Log,
}

impl LinkName {
    /// The binomial link of that name.
    pub fn binomial(self) -> Option<Link> {
        match self {
            LinkName::Logit => Some(Link::Logit),
            LinkName::Probit => Some(Link::Probit),
            LinkName::Cloglog => Some(Link::Cloglog),
            LinkName::Log => None,
        }
    }
}

/// A Gaussian's scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scale {
    /// Known σ.
    Known(f64),
    /// `"unknown"`.
    Named(String),
}

/// Which logits a softmax has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// One a class.
    #[default]
    None,
    /// Class 0 fixed at 0.
    First,
}
