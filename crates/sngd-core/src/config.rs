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
    /// How features are kept on the device.
    #[serde(default)]
    pub storage: Storage,
}

fn yes() -> bool {
    true
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
    /// C.
    pub chains: usize,
    /// Steps before the first kept draw.
    pub warmup: usize,
    /// Kept draws a chain.
    pub draws: usize,
    /// Steps a kept draw.
    pub thin: usize,
    /// `auto`, `cpu`, `gpu` or part of an adapter's name.
    pub device: String,
    /// Of the CPU engine.
    pub precision: Precision,
    /// Where chains start; when left out the MAP for linear predictors, `standard` for networks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub init: Option<Init>,
    /// Size of the jitter around the MAP, in posterior sds.
    pub init_scale: f64,
    /// Keep warm-up draws in the trace.
    pub save_warmup: bool,
    /// Threads of the CPU engine; all cores when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Groups of chains for the nested R-hat of many short chains; 0 for none.
    pub superchains: usize,
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
            chains: 4,
            warmup: 500,
            draws: 1000,
            thin: 1,
            device: "auto".into(),
            precision: Precision::F32,
            init: None,
            init_scale: 2.0,
            save_warmup: false,
            threads: None,
            superchains: 0,
        }
    }
}

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
