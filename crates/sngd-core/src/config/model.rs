//! Section `[model]` of the run file: predictor and likelihood.

use crate::likelihood::{Custom, Link};
use crate::network::Activation;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

/// Section `[model]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelConfig {
    /// `linear` or `mlp`.
    #[serde(default)]
    pub predictor: Predictor,
    /// Widths of an mlp's hidden layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hidden: Option<Vec<usize>>,
    /// Activation of an mlp's hidden units; tanh when left out.
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
    /// The binomial's column of trials, or their number where every row has the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trials: Option<Trials>,
    /// The binomial's column of failures, in place of trials.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failures: Option<String>,
    /// Which logits a softmax has: `none` or `first`.
    #[serde(default)]
    pub baseline: Baseline,
    /// A custom likelihood's WGSL file, relative to the run file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wgsl: Option<PathBuf>,
    /// Number of a custom likelihood's linear predictors, K; 1 when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outputs: Option<usize>,
    /// Name of a custom likelihood's positive parameter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auxiliary: Option<String>,
    /// Column that a custom likelihood reads beside the response.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub companion: Option<String>,
    /// The custom likelihood: read from the `wgsl` file, or given by a program.
    #[serde(skip)]
    pub custom: Option<Arc<Custom>>,
}

/// The function from features to linear outputs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Predictor {
    /// η = xᵀβ.
    #[default]
    Linear,
    /// A multilayer perceptron.
    Mlp,
}

/// Families of the response's distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Family {
    /// A real response with normal errors.
    Gaussian,
    /// Labels 0 and 1, or any two labels.
    Bernoulli,
    /// Successes out of a number of trials.
    Binomial,
    /// Counts 0, 1, 2, …
    Poisson,
    /// Labels of two or more classes.
    Softmax,
    /// A user-defined likelihood.
    Custom,
}

/// Link functions by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkName {
    /// Canonical link of Bernoulli and binomial.
    Logit,
    /// For Bernoulli and binomial.
    Probit,
    /// For Bernoulli and binomial.
    Cloglog,
    /// For Poisson.
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

/// Trials of a binomial response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Trials {
    /// The same number in every row.
    Count(u32),
    /// A column.
    Column(String),
}

impl From<&str> for Trials {
    fn from(column: &str) -> Trials {
        Trials::Column(column.into())
    }
}

/// A Gaussian's scale.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scale {
    /// A known σ, in the units of the response.
    Known(f64),
    /// `"unknown"`: σ is a parameter.
    Named(String),
}

/// Which logits a softmax has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Baseline {
    /// One logit per class.
    #[default]
    None,
    /// No logit for class 0, which is fixed at 0.
    First,
}
