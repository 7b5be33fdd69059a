//! The run file: what a user asks for, unchecked. `Plan` is what is checked.

use crate::batch::Batches;
use crate::likelihood::{Custom, Link};
use crate::network::Activation;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

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

/// `[prior]`: `weights`, `intercept`, `scale`, and `"weights.NAME"` for one column.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PriorConfig(pub BTreeMap<String, String>);

/// `[sampler]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// The row of the table of methods.
    pub method: Method,
    /// `posterior` (κ = 0) or `jeffreys` (κ = 1).
    pub target: Target,
    /// T; 1 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// ε in (0, 1].
    pub step_size: StepSize,
    /// B; the smaller of 128 and N when left out, all rows for `mala`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<BatchSize>,
    /// How minibatch rows are drawn.
    pub batches: Batches,
    /// Which Fisher.
    pub fisher: FisherKind,
    /// Over which rows.
    pub fisher_rows: FisherRows,
    /// Labels a row of the Monte Carlo Fisher.
    pub fisher_labels: u32,
    /// Recompute the metric every m steps.
    pub fisher_refresh: u32,
    /// Structure of the metric.
    pub blocks: Blocks,
    /// Noise policy; the method's own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// Where the residual noise's V̂ is measured.
    pub noise_rows: NoiseRows,
    /// `ou` or `euler`; the method's own when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrator: Option<Integrator>,
    /// How the correction terms are computed.
    pub correction: Correction,
    /// Probes a step when `correction` is `probe`.
    pub probes: u32,
    /// λ of M = N(F + λI) + Λ, in internal coordinates.
    pub damping: f64,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        SamplerConfig {
            method: Method::Sngd,
            target: Target::Posterior,
            temperature: None,
            step_size: StepSize::Constant(0.1),
            batch_size: None,
            batches: Batches::WithReplacement,
            fisher: FisherKind::Exact,
            fisher_rows: FisherRows::Named(RowsName::Full),
            fisher_labels: 1,
            fisher_refresh: 1,
            blocks: Blocks::Full,
            noise: None,
            noise_rows: NoiseRows::Fisher,
            integrator: None,
            correction: Correction::Auto,
            probes: 1,
            damping: 0.0,
        }
    }
}

/// The methods: rows of one table (`plan::method_row`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Stochastic natural gradient descent with corrections and residual noise.
    Sngd,
    /// Minibatch natural gradient descent, no added noise.
    Ngd,
    /// Langevin with a constant metric.
    Sgld,
    /// RMSProp-preconditioned Langevin, with its Γ.
    Psgld,
    /// Riemannian Langevin (Patterson & Teh 2013).
    Sgrld,
    /// Metropolis-adjusted Langevin on full batches; exact.
    Mala,
}

/// Which measure the target is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// κ = 0.
    Posterior,
    /// κ = 1.
    Jeffreys,
}

impl Target {
    /// κ.
    pub fn kappa(self) -> f64 {
        f64::from(u8::from(self == Target::Jeffreys))
    }
}

/// Step size schedules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StepSize {
    /// The same ε always.
    Constant(f64),
    /// A table with a `kind`.
    Schedule(Schedule),
}

/// Step sizes that move; t counts steps from the start of warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// ε_t = initial·(1 + t/offset)^−power.
    Polynomial {
        /// ε at t = 0.
        initial: f64,
        /// Steps before the decay bites.
        #[serde(default = "hundred")]
        offset: f64,
        /// Exponent, usually 0.33 to 1.
        #[serde(default = "third")]
        power: f64,
    },
    /// ε_t = initial·(cos(π·(t mod L)/L) + 1)/2, L = `cycle` steps, not below `floor`·initial.
    Cyclical {
        /// ε at the start of each cycle.
        initial: f64,
        /// Steps a cycle.
        cycle: u32,
        /// Smallest share of `initial`.
        #[serde(default = "hundredth")]
        floor: f64,
    },
}

fn hundred() -> f64 {
    100.0
}
fn third() -> f64 {
    0.33
}
fn hundredth() -> f64 {
    0.01
}

impl StepSize {
    /// The largest ε of the schedule.
    pub fn initial(&self) -> f64 {
        match self {
            StepSize::Constant(e) => *e,
            StepSize::Schedule(
                Schedule::Polynomial { initial, .. } | Schedule::Cyclical { initial, .. },
            ) => *initial,
        }
    }

    /// ε at step t.
    pub fn at(&self, t: u32) -> f64 {
        match *self {
            StepSize::Constant(e) => e,
            StepSize::Schedule(Schedule::Polynomial {
                initial,
                offset,
                power,
            }) => initial * (1.0 + f64::from(t) / offset).powf(-power),
            StepSize::Schedule(Schedule::Cyclical {
                initial,
                cycle,
                floor,
            }) => {
                let phase = f64::from(t % cycle) / f64::from(cycle);
                initial * (0.5 * ((std::f64::consts::PI * phase).cos() + 1.0)).max(floor)
            }
        }
    }
}

/// `batch_size`: a number or `"full"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BatchSize {
    /// B.
    Rows(usize),
    /// `"full"`.
    Named(FullName),
}

/// The word `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullName {
    /// All rows.
    Full,
}

/// Which Fisher matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FisherKind {
    /// Expectation over the model's labels.
    Exact,
    /// Labels drawn from the model.
    MonteCarlo,
    /// The labels seen.
    Empirical,
}

/// `fisher_rows`: `"full"`, `"batch"` or a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FisherRows {
    /// r rows, drawn without replacement at each refresh.
    Rows(usize),
    /// A word.
    Named(RowsName),
}

/// Words of `fisher_rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsName {
    /// All rows.
    Full,
    /// The gradient's own batch.
    Batch,
}

/// `noise_rows`: where V̂ is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseRows {
    /// The rows of the Fisher pass.
    Fisher,
    /// The gradient's own batch.
    Batch,
}

/// Structure of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// One dense matrix.
    Full,
    /// A block a layer.
    Layer,
    /// A block a unit: a class's coefficients for a linear predictor, a unit's weights and bias for a network.
    Unit,
    /// Its diagonal.
    Diagonal,
}

/// Noise policies of theory.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// What the target needs less what was measured.
    Residual,
    /// Less what the law says.
    Nominal,
    /// No deduction.
    Full,
    /// Minibatch noise alone.
    None,
}

/// The noise budget's form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrator {
    /// 2ε − ε².
    Ou,
    /// 2ε.
    Euler,
}

/// How Γ and ∇ln|M| are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Closed form where cheap, probes where P is large.
    Auto,
    /// Exact leverages.
    ClosedForm,
    /// Random projections.
    Probe,
    /// Random finite differences of the metric.
    FiniteDifference,
    /// No corrections.
    Off,
}

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
