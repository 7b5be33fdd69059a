//! A `Config` checked against a `Problem` gives a `Plan`: every number that an engine needs, and the ledger that says
//! which density the draws follow. It needs no device, so all of it is tested without one.

mod at_mode;
mod at_state;
mod ledger;
mod numbers;

pub use at_mode::{ModeRequest, ModeSettings, metric_at};

use crate::batch::Batches;
use crate::blocks::Layout;
use crate::config::{
    FisherKind, Gradient, Integrator, Method, Noise, NoiseRows, Schedule, StepSize, Storage,
};
use crate::error::CheckError;
use crate::expansion::Expansion;
use crate::network::Network;
use crate::problem::Problem;
use std::sync::Arc;

/// The matrix M that preconditions the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// N·F + Λ + damping in the plan's blocks. N counts observations: rows by their weights.
    Fisher,
    /// The diagonal of N·F + Λ + damping.
    FisherDiagonal,
    /// N·I in internal coordinates: SGLD with its step in units of 1/N.
    Identity,
    /// N·(λ + √V) of RMSProp, V a running mean of the squared per-row gradient.
    RmsProp,
    /// JᵀA*J + Λ at the mode, constant and shared by all chains (`crate::expansion`).
    Mode,
}

impl Metric {
    /// Whether the metric is a Fisher matrix or its diagonal, so that M⁻¹∇C is a natural gradient.
    pub fn is_fisher(self) -> bool {
        matches!(self, Metric::Fisher | Metric::FisherDiagonal | Metric::Mode)
    }
}

/// Decay of RMSProp's running mean V in pSGLD, no unit (Li et al. 2016 use 0.99, and 1e-5 for the floor λ).
pub const RMSPROP_DECAY: f64 = 0.99;
/// The floor λ added to √V; larger than 1e-5, since internal features have unit scale and f32 needs the room.
pub const RMSPROP_FLOOR: f64 = 1e-4;
/// δ of the random finite difference, in posterior sds, by the scale of f32 rounding: one side goes as far as 1e-2 on two.
pub const RFD_STEP: f64 = 2e-2;
/// Relative jitter added to the diagonal after a failed Cholesky factorisation; each retry is ten times the last.
pub const JITTER_FIRST: f64 = 1e-6;
/// Retries of the Cholesky factorisation before a chain fails.
pub const JITTER_RETRIES: u32 = 5;
/// The unit-diagonal pivot below which a Fisher matrix summed over `rows` rows is rounding itself: a target that contains the
/// determinant counts as 0 there. Where classes are separable, the determinant falls below this bound in the tail of the posterior;
/// without the bound a chain would drift outwards for ever. `epsilon` is the rounding unit of the number format.
pub fn trusted_pivot(rows: usize, epsilon: f64) -> f64 {
    4.0 * (rows as f64).sqrt() * epsilon
}
/// Default steps before the first kept draw with the metric at the state.
pub const DEFAULT_WARMUP: usize = 500;
/// |ω| beyond this (internal units) counts as diverged.
pub const DIVERGED: f64 = 1e7;

/// Rows that the metric is summed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricRows {
    /// All N data rows.
    Full,
    /// The rows of the gradient's batch.
    Batch,
    /// This number of rows, r, drawn without replacement.
    Sample(usize),
}

/// How the correction terms Γ and ∇ln|M| are computed, with `auto` resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorrectionPlan {
    /// No corrections.
    Off,
    /// The closed form, with exact leverages.
    ClosedForm,
    /// This number of random projections, q.
    Probe(u32),
    /// One random finite difference.
    FiniteDifference,
}

/// Sums over the rows of a table whose rows count more or less than once.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Frequencies {
    /// Number of observations that the rows stand for, Σw.
    pub total: f64,
    /// Sum of the squared weights, Σw².
    pub squares: f64,
}

impl Frequencies {
    /// The sums over a problem's weights; `None` where every row counts once.
    pub fn of(problem: &Problem) -> Option<Frequencies> {
        let weights = &problem.weights;
        (!weights.is_empty()).then(|| Frequencies {
            total: weights.iter().sum(),
            squares: weights.iter().map(|w| w * w).sum(),
        })
    }
}

/// A run, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Seed: the key of every random stream.
    pub seed: u64,
    /// Number of chains, C.
    pub chains: usize,
    /// Number of data rows, N.
    pub n: usize,
    /// Whether rows have an offset of their linear output.
    pub offsets: bool,
    /// How often rows count, in sums; `None` where every row counts once.
    pub frequencies: Option<Frequencies>,
    /// Number of design columns, D.
    pub d: usize,
    /// Number of linear outputs, K.
    pub k: usize,
    /// Number of outputs, H = K + A.
    pub h: usize,
    /// Number of parameters, P.
    pub p: usize,
    /// Number of rows in a batch, B.
    pub batch: usize,
    /// Whether the gradient of each step takes every row once.
    pub full_batch: bool,
    /// How the rows of a batch are drawn.
    pub batches: Batches,
    /// The matrix M that preconditions the step.
    pub metric: Metric,
    /// Diagonal blocks of M; a full metric is one block.
    pub blocks: Layout,
    /// The perceptron; `None` for a linear predictor.
    pub network: Option<Network>,
    /// Over which labels the Fisher information is averaged.
    pub fisher: FisherKind,
    /// Monte Carlo labels per row of the Fisher pass.
    pub fisher_labels: u32,
    /// Rows that the metric is summed over.
    pub metric_rows: MetricRows,
    /// Steps from one metric to the next.
    pub refresh: u32,
    /// Which noise a step adds.
    pub noise: Noise,
    /// Rows over which V̂, the covariance of the minibatch gradient, is measured.
    pub noise_rows: NoiseRows,
    /// Form of the noise budget: 2ε − ε² or 2ε.
    pub integrator: Integrator,
    /// How the correction terms are computed.
    pub correction: CorrectionPlan,
    /// Weight κ of the volume |M| in the target: 0 for the posterior, 1 for Jeffreys.
    pub kappa: f64,
    /// Temperature T, no unit; 1 is the posterior.
    pub temperature: f64,
    /// Step size ε, no unit, or its schedule over the steps.
    pub step_size: StepSize,
    /// Damping λ of the metric, in units of the Fisher information per observation, internal coordinates.
    pub damping: f64,
    /// Whether a Metropolis test over all rows follows each step.
    pub metropolis: bool,
    /// Whether the prior of log σ includes its Jacobian (κ = 0).
    pub jacobian: bool,
    /// Number format of the features in the engine's memory.
    pub storage: Storage,
    /// Number of held-out rows, M, which a device scores itself; 0 where there are none.
    pub held: usize,
    /// Number of classes of a categorical response, else 0.
    pub classes: usize,
    /// Steps before the first kept draw.
    pub warmup: usize,
    /// Kept draws per chain.
    pub draws: usize,
    /// Steps per kept draw.
    pub thin: usize,
    /// The method that the run file asks for, or the default.
    pub method: Method,
    /// How a step estimates the gradient of the cost.
    pub gradient: Gradient,
    /// With the metric at the mode, the log likelihood expanded there; else `None`.
    pub expansion: Option<Arc<Expansion>>,
    /// Whether the CPU engine draws independently from the posterior, without steps.
    pub direct: bool,
}

/// One row of the table of methods: metric × correction × noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodRow {
    /// The matrix that preconditions the step.
    pub metric: Metric,
    /// Whether the method has correction terms.
    pub corrected: bool,
    /// Default noise policy.
    pub noise: Noise,
    /// Default form of the noise budget.
    pub integrator: Integrator,
    /// Whether a Metropolis test follows each step.
    pub metropolis: bool,
}

/// The table of methods. All of them run through the same step, with other entries.
pub fn method_row(method: Method) -> MethodRow {
    let row = |metric, corrected, noise, integrator, metropolis| MethodRow {
        metric,
        corrected,
        noise,
        integrator,
        metropolis,
    };
    match method {
        Method::Sngd => row(Metric::Fisher, true, Noise::Residual, Integrator::Ou, false),
        Method::Ngd => row(Metric::Fisher, false, Noise::None, Integrator::Ou, false),
        Method::Sgrld => row(Metric::Fisher, true, Noise::Full, Integrator::Euler, false),
        Method::Sgld => row(
            Metric::Identity,
            false,
            Noise::Full,
            Integrator::Euler,
            false,
        ),
        Method::Psgld => row(Metric::RmsProp, true, Noise::Full, Integrator::Euler, false),
        Method::Mala => row(Metric::Fisher, false, Noise::Full, Integrator::Ou, true),
    }
}

fn positive(key: &str, value: usize) -> Result<(), CheckError> {
    if value > 0 {
        return Ok(());
    }
    Err(CheckError::key(key, "found 0, expected 1 or more"))
}

fn check_step_size(step: &StepSize) -> Result<(), CheckError> {
    let e = step.initial();
    if !(e > 0.0 && e <= 1.0) {
        return Err(CheckError::key(
            "sampler.step_size",
            format!("found {e}, expected a number in (0, 1]; 0.1 to 0.5 suits most posteriors"),
        ));
    }
    match step {
        StepSize::Schedule(Schedule::Polynomial { offset, power, .. })
            if !(*offset > 0.0 && *power >= 0.0) =>
        {
            Err(CheckError::key(
                "sampler.step_size",
                format!(
                    "found offset = {offset} and power = {power}, expected offset > 0 and power of 0 or more"
                ),
            ))
        }
        StepSize::Schedule(Schedule::Cyclical { cycle, floor, .. })
            if *cycle == 0 || !(0.0..=1.0).contains(floor) =>
        {
            Err(CheckError::key(
                "sampler.step_size",
                format!(
                    "found cycle = {cycle} and floor = {floor}, expected cycle of 1 or more and floor in [0, 1]"
                ),
            ))
        }
        _ => Ok(()),
    }
}
