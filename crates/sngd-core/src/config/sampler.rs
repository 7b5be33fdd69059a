//! Section `[sampler]` of the run file: how a step is made.

use crate::batch::Batches;
use serde::{Deserialize, Deserializer, Serialize};

/// Section `[sampler]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SamplerConfig {
    /// The method, a row of the table of methods; chosen from the data when left out or `auto`.
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
    /// Temperature T, no unit; 1, the posterior, when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    /// Step size ε in (0, 1], no unit; chosen when left out or `auto`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub step_size: Option<StepSize>,
    /// Rows in a batch, B; chosen when left out or `auto`. With the metric at the state that is 128, or more where residual noise needs it, and at most N; all rows
    /// for `mala`.
    #[serde(deserialize_with = "auto", skip_serializing_if = "Option::is_none")]
    pub batch_size: Option<BatchSize>,
    /// How the rows of a batch are drawn.
    pub batches: Batches,
    /// Over which labels the Fisher information is averaged.
    pub fisher: FisherKind,
    /// Rows that the Fisher information is summed over.
    pub fisher_rows: FisherRows,
    /// Labels per row of the Monte Carlo Fisher.
    pub fisher_labels: u32,
    /// Steps from one metric to the next; the corrections are computed with it.
    pub fisher_refresh: u32,
    /// Which parameters the metric couples.
    pub blocks: Blocks,
    /// Which noise a step adds; the method's default when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub noise: Option<Noise>,
    /// Rows over which V̂, the covariance of the minibatch gradient, is measured for residual noise.
    pub noise_rows: NoiseRows,
    /// Form of the noise budget, `ou` or `euler`; the method's default when left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub integrator: Option<Integrator>,
    /// How the correction terms are computed.
    pub correction: Correction,
    /// Random projections per step when `correction` is `probe`.
    pub probes: u32,
    /// Damping λ of M = N(F + λI) + Λ, in internal coordinates; chosen when left out or `auto`.
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

/// The methods, each a row of one table (`plan::method_row`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Stochastic natural gradient descent with corrections and residual noise.
    Sngd,
    /// Minibatch natural gradient descent, without added noise.
    Ngd,
    /// Langevin dynamics with a constant metric.
    Sgld,
    /// Langevin dynamics preconditioned by RMSProp, with the correction term Γ.
    Psgld,
    /// Riemannian Langevin dynamics (Patterson & Teh 2013).
    Sgrld,
    /// Metropolis-adjusted Langevin dynamics on full batches; exact.
    Mala,
}

/// Where the metric M is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MetricAt {
    /// At the state of each chain, computed again as the chain moves, as in the literature.
    State,
    /// At the posterior's mode: one constant matrix for all chains.
    Mode,
}

/// How a step estimates the gradient of the cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Gradient {
    /// The sum of the gradients of the rows, over all rows or scaled up from a minibatch.
    Plain,
    /// The exact second-order expansion at the mode, plus a minibatch estimate of the remainder.
    ControlVariates,
}

/// Which density the draws follow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The posterior over the parameters as written, κ = 0.
    Posterior,
    /// The posterior times the volume |M|^{1/2}, κ = 1: Jeffreys' prior where the priors are flat.
    Jeffreys,
}

impl Target {
    /// Weight κ of the volume in the target, no unit: 0 or 1.
    pub fn kappa(self) -> f64 {
        f64::from(u8::from(self == Target::Jeffreys))
    }
}

/// Step size ε, constant or by a schedule, no unit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StepSize {
    /// The same ε in every step.
    Constant(f64),
    /// A schedule: a table with a `kind`.
    Schedule(Schedule),
}

/// Schedules of the step size ε; t counts steps from the start of warm-up.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// ε_t = initial·(1 + t/offset)^−power.
    Polynomial {
        /// ε at t = 0.
        initial: f64,
        /// Number of steps over which ε stays near `initial`.
        #[serde(default = "hundred")]
        offset: f64,
        /// Exponent of the decay, usually 0.33 to 1.
        #[serde(default = "third")]
        power: f64,
    },
    /// ε_t = initial·3^−k, k the number of times that 2 divides t + 1, at most 3: half of the steps are long, a quarter a third as
    /// long, and so on. Where a Metropolis test refuses long steps, a chain can still move on by a short one.
    Ruler {
        /// ε of the longest steps.
        initial: f64,
    },
    /// ε_t = initial·(cos(π·(t mod L)/L) + 1)/2, L = `cycle` steps, not below `floor`·initial.
    Cyclical {
        /// ε at the start of each cycle.
        initial: f64,
        /// Steps per cycle, L.
        cycle: u32,
        /// Smallest share of `initial`, in [0, 1].
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

/// Default step size ε with the metric at the state.
pub const DEFAULT_STEP_SIZE: StepSize = StepSize::Constant(0.1);

impl SamplerConfig {
    /// The method that the run file asks for, else `sngd`; for the metric at the state.
    pub fn method_or_default(&self) -> Method {
        self.method.unwrap_or(Method::Sngd)
    }

    /// Those keys set in the run file that only a metric at the state has.
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

    /// Step size ε at step t.
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

/// `batch_size`: a number of rows or `"full"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum BatchSize {
    /// Number of rows in a batch, B.
    Rows(usize),
    /// `"full"`: all rows.
    Named(FullName),
}

/// The word `full`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FullName {
    /// All N data rows.
    Full,
}

/// Over which labels the Fisher information is averaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FisherKind {
    /// The expectation over the labels of the model.
    Exact,
    /// Labels drawn at random from the model.
    MonteCarlo,
    /// The observed labels.
    Empirical,
}

/// `fisher_rows`: `"full"`, `"batch"` or a number of rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum FisherRows {
    /// This number of rows, r, drawn without replacement at each refresh.
    Rows(usize),
    /// One of the words below.
    Named(RowsName),
}

/// Words of `fisher_rows`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RowsName {
    /// All N data rows.
    Full,
    /// The rows of the gradient's batch.
    Batch,
}

/// `noise_rows`: the rows over which V̂, the covariance of the minibatch gradient, is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoiseRows {
    /// The rows of the Fisher pass.
    Fisher,
    /// The rows of the gradient's batch.
    Batch,
}

/// Which parameters the metric couples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Blocks {
    /// One dense matrix.
    Full,
    /// One block per layer.
    Layer,
    /// One block per unit: a class's coefficients for a linear predictor, a unit's weights and bias for a network.
    Unit,
    /// The diagonal alone.
    Diagonal,
}

/// Which noise a step adds to that of its minibatch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Noise {
    /// The noise that the target needs, less the measured minibatch noise.
    Residual,
    /// The noise that the target needs, less the minibatch noise predicted by the temperature law.
    Nominal,
    /// All the noise that the target needs; nothing is deducted for the minibatch.
    Full,
    /// None: the minibatch is the only source of noise.
    None,
}

/// Form of the noise budget, the factor of T·M in the covariance that a step needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Integrator {
    /// 2ε − ε², exact on a Gaussian for any ε (Ornstein–Uhlenbeck).
    Ou,
    /// 2ε, to first order in ε (Euler–Maruyama).
    Euler,
}

/// How the correction terms Γ and ∇ln|M| are computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// Finite differences for networks and blocked metrics, probes where P is large, else the closed form.
    Auto,
    /// The closed form, with exact leverages.
    ClosedForm,
    /// Estimates from random projections.
    Probe,
    /// Random finite differences of the metric.
    FiniteDifference,
    /// No corrections.
    Off,
}
