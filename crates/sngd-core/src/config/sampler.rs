//! `[sampler]`: the step.

use crate::batch::Batches;
use serde::{Deserialize, Deserializer, Serialize};

/// `[sampler]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// The row of the table of methods; chosen from the data when left out or `auto`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub method: Option<Method>,
    /// Where the metric is taken; chosen when left out or `auto`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricAt>,
    /// How the gradient is estimated; chosen when left out or `auto`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub gradient: Option<Gradient>,
    /// `posterior` (κ = 0) or `jeffreys` (κ = 1).
    pub target: Target,
    /// T; 1 when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// ε in (0, 1]; chosen when left out or `auto`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub step_size: Option<StepSize>,
    /// B; chosen when left out or `auto`. With the metric at the state that is the smaller of 128 and N, all rows for `mala`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<BatchSize>,
    /// How minibatch rows are drawn.
    pub batches: Batches,
    /// Which Fisher.
    pub fisher: FisherKind,
    /// Over which rows.
    pub fisher_rows: FisherRows,
    /// Labels a row of the Monte Carlo Fisher.
    pub fisher_labels: u32,
    /// Recompute the metric, and with it the corrections, every m steps.
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
    /// λ of M = N(F + λI) + Λ, in internal coordinates; chosen when left out or `auto`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub damping: Option<f64>,
}

impl Default for SamplerConfig {
    fn default() -> Self {
        SamplerConfig {
            method: None,
            metric: None,
            gradient: None,
            target: Target::Posterior,
            temperature: None,
            step_size: None,
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
            damping: None,
        }
    }
}

/// Reads a value or the word `auto`, which leaves it open.
pub(crate) fn auto<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    #[derive(Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Word {
        Auto,
    }
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either<T> {
        Open(Word),
        Value(T),
    }
    Ok(match Either::deserialize(deserializer)? {
        Either::Open(Word::Auto) => None,
        Either::Value(value) => Some(value),
    })
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

/// Where the metric M is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricAt {
    /// At the state of each chain, made anew as it moves: the paper's.
    State,
    /// At the posterior's mode: one constant matrix for all chains.
    Mode,
}

/// How a step estimates the gradient of the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gradient {
    /// The rows' own gradients, summed over all rows or scaled up from a minibatch.
    Plain,
    /// The exact second-order expansion at the mode, plus what a minibatch says of the remainder.
    ControlVariates,
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
    /// ε_t = initial·3^−k, k the number of times that 2 divides t + 1, at most 3: half of the steps are long, a quarter a third as
    /// long, and so on. A Metropolis-adjusted chain that is stuck where long steps are refused leaves by a short one.
    Ruler {
        /// ε of the longest steps.
        initial: f64,
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

/// ε where nothing else is asked for and the metric is at the state.
pub const DEFAULT_STEP_SIZE: StepSize = StepSize::Constant(0.1);

impl SamplerConfig {
    /// The method asked for; with the metric at the state `sngd` where none is.
    pub fn method_or_default(&self) -> Method {
        self.method.unwrap_or(Method::Sngd)
    }

    /// The keys that only a metric at the state has, of those that are set.
    pub fn state_keys(&self) -> Vec<&'static str> {
        let plain = SamplerConfig::default();
        [
            ("batches", self.batches != plain.batches),
            ("fisher", self.fisher != plain.fisher),
            ("fisher_rows", self.fisher_rows != plain.fisher_rows),
            ("fisher_labels", self.fisher_labels != plain.fisher_labels),
            (
                "fisher_refresh",
                self.fisher_refresh != plain.fisher_refresh,
            ),
            ("blocks", self.blocks != plain.blocks),
            ("noise", self.noise.is_some()),
            ("noise_rows", self.noise_rows != plain.noise_rows),
            ("integrator", self.integrator.is_some()),
            ("correction", self.correction != plain.correction),
            ("probes", self.probes != plain.probes),
            ("damping", self.damping.is_some_and(|d| d != 0.0)),
        ]
        .into_iter()
        .filter_map(|(key, set)| set.then_some(key))
        .collect()
    }
}

impl StepSize {
    /// The largest ε of the schedule.
    pub fn initial(&self) -> f64 {
        match self {
            StepSize::Constant(e) => *e,
            StepSize::Schedule(
                Schedule::Polynomial { initial, .. }
                | Schedule::Cyclical { initial, .. }
                | Schedule::Ruler { initial },
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
            StepSize::Schedule(Schedule::Ruler { initial }) => {
                initial / f64::from(3u32.pow((t.wrapping_add(1)).trailing_zeros().min(3)))
            }
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
