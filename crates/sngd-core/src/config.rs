//! The run file: the settings that a user asks for, not yet checked. `Plan` is the checked form.

mod device;
mod label;
mod model;
mod prior;
mod sampler;

pub use device::*;
pub use label::*;
pub use model::*;
pub use prior::*;
pub use sampler::*;

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// A whole run file. Every section but `[data]` and `[model]` may be left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Seed: the key of every random stream.
    #[serde(default = "one_u64")]
    pub seed: u64,
    /// The data file and its columns.
    pub data: DataConfig,
    /// Predictor and likelihood.
    pub model: ModelConfig,
    /// Priors by coefficient group.
    #[serde(default)]
    pub prior: PriorConfig,
    /// How a step is made.
    #[serde(default)]
    pub sampler: SamplerConfig,
    /// Chains, draws, device.
    #[serde(default)]
    pub run: RunConfig,
    /// Where the trace is written.
    #[serde(default)]
    pub output: OutputConfig,
}

fn one_u64() -> u64 {
    1
}

/// Section `[data]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataConfig {
    /// Data file: .csv, .tsv or .txt (also with .gz or .zst), .parquet, .npy or .npz, relative to the run file.
    pub path: PathBuf,
    /// The response column.
    pub response: String,
    /// The level of a Bernoulli response that is 1; the last in sorted order when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub positive: Option<Label>,
    /// Feature columns; all others when left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub features: Option<Vec<String>>,
    /// Whether the linear predictor has an intercept.
    #[serde(default = "yes")]
    pub intercept: bool,
    /// Standardise the features for the user too: priors and draws are then per standard deviation. Left out, that is done for a
    /// network under its default prior, and not otherwise.
    #[serde(default)]
    pub standardize: Option<bool>,
    /// Share of rows held out for predictive scores, in [0, 1).
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
    /// Whether the weights are frequencies or precisions.
    #[serde(default)]
    pub weights_kind: WeightsKind,
    /// What happens to a row in which a cell of a used column is missing.
    #[serde(default)]
    pub missing: MissingCells,
    /// Number format of the features in the engine's memory.
    #[serde(default)]
    pub storage: Storage,
}

fn yes() -> bool {
    true
}

/// The meaning of row weights.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightsKind {
    /// How often a row counts.
    #[default]
    Frequency,
    /// Known relative precisions of a Gaussian response: Var(y) = σ²/w.
    Precision,
}

/// What happens to a row in which a cell of a used column is missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MissingCells {
    /// The file is refused, with the row and the column.
    #[default]
    Refuse,
    /// The row is left out.
    Drop,
}

/// Number format of the features in the engine's memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Storage {
    /// Single precision, 32 bits.
    #[default]
    F32,
    /// IEEE half precision, 16 bits.
    F16,
    /// bfloat16, two packed in a u32.
    Bf16,
}

/// Section `[run]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RunConfig {
    /// Number of chains, C; chosen when left out or `auto`.
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
    /// The device that computes the steps; in a run file `auto`, `cpu`, `gpu`, `software` or part of an adapter's name.
    pub device: Device,
    /// Number format of the CPU engine.
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
    /// Seconds between two checkpoints, from which `sngd resume` goes on; 0 for none.
    pub checkpoint_seconds: f64,
    /// Keep warm-up draws in the trace.
    pub save_warmup: bool,
    /// Threads of the CPU engine; all cores when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threads: Option<usize>,
    /// Groups of chains for the nested R-hat of many short chains; 0 for none.
    pub superchains: usize,
}

impl RunConfig {
    /// The number of chains that the run file asks for, else 4; for the metric at the state.
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
    /// Whether this is a network whose weights have their default prior, which is on the scale of standardised features and responses.
    pub fn standard_network(&self) -> bool {
        let of_weights = |key: &str| key.ends_with("weights") || key.ends_with("bias");
        let mut entries = self.prior.0.iter();
        let given = entries.any(|(key, prior)| of_weights(key) && !prior.is_default());
        self.model.predictor == Predictor::Mlp && !given
    }

    /// Whether features are standardised.
    pub fn standardizes(&self) -> bool {
        let named = self.data.standardize;
        named.unwrap_or_else(|| self.standard_network())
    }

    /// Where chains start: as the run file says, else the default of the predictor.
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
            device: Device::Auto,
            precision: Precision::F32,
            init: None,
            init_scale: None,
            until: None,
            checkpoint_seconds: 60.0,
            save_warmup: false,
            threads: None,
            superchains: 0,
        }
    }
}

/// When a run has enough draws: it ends at the first check at which every given condition holds for every parameter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Until {
    /// Smallest effective sample size of a mean, by batch means.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ess: Option<f64>,
    /// Largest Monte Carlo error of a mean, in posterior sds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mcse: Option<f64>,
    /// Draws per chain after which the run ends in any case; `DEFAULT_MAX_DRAWS` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_draws: Option<usize>,
}

/// Default of [`Until::max_draws`].
pub const DEFAULT_MAX_DRAWS: usize = 100_000;

/// Number format of the CPU engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Precision {
    /// Single precision.
    F32,
    /// Double precision, the reference.
    F64,
}

/// Where chains start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Init {
    /// A prior draw; flat coefficients start at the MAP.
    Prior,
    /// All internal parameters at 0, ω = 0.
    Zero,
    /// The MAP plus random jitter of `init_scale` posterior sds.
    Map,
    /// A network's standard random start: normal weights of variance gain/fan-in, biases 0.
    Standard,
}

/// Section `[output]`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutputConfig {
    /// Path of the trace; the run file's name with `.zarr` when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<PathBuf>,
    /// Whether ln p(y|θ) of every row and draw goes into the trace's `log_likelihood` group, for leave-one-out scores.
    pub log_likelihood: bool,
}
