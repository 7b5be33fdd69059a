//! The run file: what a user asks for, unchecked. `Plan` is what is checked.

mod model;
mod sampler;

pub use model::*;
pub use sampler::*;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A whole run file. Every section but `[data]` and `[model]` may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Key of every random stream.
    #[serde(default = "one_u64")]
    pub seed: u64,
    /// The data.
    pub data: DataConfig,
    /// Predictor and likelihood.
    pub model: ModelConfig,
    /// Priors by coefficient group.
    #[serde(default)]
    pub prior: PriorConfig,
    /// The step.
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// Chains, draws, device.
    #[serde(default)]
    pub run: RunConfig,
    /// Where the trace goes.
    #[serde(default)]
    pub output: OutputConfig,
}

fn one_u64() -> u64 {
    1
}

/// `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// .csv, .parquet, .npy or .npz, relative to the run file.
    pub path: PathBuf,
    /// The response column.
    pub response: String,
    /// Feature columns; all others when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// Whether the linear predictor has an intercept.
    #[serde(default = "yes")]
    pub intercept: bool,
    /// Standardise the features for the user too: priors and draws are then per standard deviation.
    #[serde(default)]
    pub standardize: bool,
    /// Share of rows held out.
    #[serde(default)]
    pub test_fraction: f64,
    /// A column that is added to the linear predictor of its row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<String>,
    /// A column of positive numbers whose logarithm is added to the linear predictor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exposure: Option<String>,
    /// A column of row weights.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
    /// What the weights are.
    #[serde(default)]
    pub weights_kind: WeightsKind,
    /// How features are kept on the device.
    #[serde(default)]
    pub storage: Storage,
}

fn yes() -> bool {
    true
}

/// What row weights are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightsKind {
    /// How often a row counts.
    #[default]
    Frequency,
    /// Known relative precisions of a Gaussian response: Var(y) = σ²/w.
    Precision,
}

/// Number format of the resident features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Full single precision.
    #[default]
    F32,
    /// IEEE half.
    F16,
    /// bfloat16, two packed in a u32.
    Bf16,
}

/// `[prior]`: `weights`, `intercept`, `scale`, and `"weights.NAME"` for one column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriorConfig(pub BTreeMap<String, String>);

/// `[run]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// C; chosen when left out or `auto`.
    #[serde(
        deserialize_with = "sampler::auto",
        skip_serializing_if = "Option::is_none"
    )]
    pub chains: Option<usize>,
    /// Steps before the first kept draw; chosen when left out or `auto`.
    #[serde(
        deserialize_with = "sampler::auto",
        skip_serializing_if = "Option::is_none"
    )]
    pub warmup: Option<usize>,
    /// Kept draws per chain.
    pub draws: usize,
    /// Steps per kept draw; chosen when left out or `auto`.
    #[serde(
        deserialize_with = "sampler::auto",
        skip_serializing_if = "Option::is_none"
    )]
    pub thin: Option<usize>,
    /// `auto`, `cpu`, `gpu` or part of an adapter's name.
    pub device: String,
    /// Of the CPU engine.
    pub precision: Precision,
    /// Where chains start; when left out the MAP for linear predictors, `standard` for networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Size of the jitter around the MAP, in posterior sds; 2 when left out, 1 with the metric at the mode.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init_scale: Option<f64>,
    /// When the run may end before its last draw.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Until>,
    /// Keep warm-up draws in the trace.
    pub save_warmup: bool,
    /// Threads of the CPU engine; all cores when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Groups of chains for the nested R-hat of many short chains; 0 for none.
    pub superchains: usize,
}

impl RunConfig {
    /// C as asked for; with the metric at the state 4 where nothing is.
    pub fn chains_or_default(&self) -> usize {
        self.chains.unwrap_or(4)
    }

    /// Draws to keep per chain at most: `draws`, or what `until` allows.
    pub fn most_draws(&self) -> usize {
        match self.until {
            Some(until) => until.max_draws.unwrap_or(DEFAULT_MAX_DRAWS),
            None => self.draws,
        }
    }
}

impl Config {
    /// Where chains start, the predictor's own choice filled in.
    pub fn init(&self) -> Init {
        self.run.init.unwrap_or(match self.model.predictor {
            Predictor::Linear => Init::Map,
            Predictor::Mlp => Init::Standard,
        })
    }
}

impl Default for RunConfig {
    fn default() -> Self {
        RunConfig {
            chains: None,
            warmup: None,
            draws: 1000,
            thin: None,
            device: "auto".into(),
            precision: Precision::F32,
            init: None,
            init_scale: None,
            until: None,
            save_warmup: false,
            threads: None,
            superchains: 0,
        }
    }
}

/// When a run has enough: it ends at the first look at which every condition given holds for every parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// Least effective sample size of a mean, by batch means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ess: Option<f64>,
    /// Largest Monte Carlo error of a mean, in posterior sds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcse: Option<f64>,
    /// Draws per chain after which it ends all the same; `DEFAULT_MAX_DRAWS` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_draws: Option<usize>,
}

/// See [`Until::max_draws`].
pub const DEFAULT_MAX_DRAWS: usize = 100_000;

/// Number format of the CPU engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single.
    F32,
    /// Double, the oracle.
    F64,
}

/// Where chains start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// A prior draw; flat coefficients start at the MAP.
    Prior,
    /// ω = 0.
    Zero,
    /// MAP plus `init_scale` posterior sds of jitter.
    Map,
    /// A network's standard random start: normal weights of variance gain/fan-in, biases 0.
    Standard,
}

/// `[output]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// The trace; the run file's name with `.zarr` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Whether ln p(y|θ) of every row and draw goes into the trace's `log_likelihood` group, for leave-one-out scores.
    pub log_likelihood: bool,
}
