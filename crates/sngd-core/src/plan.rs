//! A `Config` checked against a `Problem` gives a `Plan`: every number that an engine needs, and the ledger that says
//! which density the draws follow. It needs no device, so all of it is tested without one.

mod at_mode;
mod ledger;
mod numbers;

pub use at_mode::{ModeRequest, ModeSettings, metric_at};

use crate::batch::Batches;
use crate::blocks::Layout;
use crate::config::{
    BatchSize, Blocks, Config, Correction, DEFAULT_STEP_SIZE, FisherKind, FisherRows, Gradient,
    Integrator, Method, Noise, NoiseRows, RowsName, Schedule, StepSize, Storage, Target,
};
use crate::error::CheckError;
use crate::expansion::Expansion;
use crate::likelihood::Likelihood;
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
/// Default rows of a batch with the metric at the state.
const DEFAULT_BATCH: usize = 128;
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
    /// Σw².
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
    /// Number of held-out rows that a device scores itself, M; 0 where there are none, or where only the CPU side can compute the mean.
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

impl Plan {
    /// Makes a plan with the metric at the state. Checks everything that needs no device and no optimisation.
    pub fn check(config: &Config, problem: &Problem) -> Result<Plan, CheckError> {
        let s = &config.sampler;
        let method = s.method_or_default();
        let step_size = s.step_size.clone().unwrap_or(DEFAULT_STEP_SIZE);
        let damping = s.damping.unwrap_or(0.0);
        let row = method_row(method);
        let (n, p) = (problem.rows(), problem.parameters());
        let k = problem.likelihood.linear_outputs();
        let network = problem.network.is_some();
        check_step_size(&step_size)?;
        let chains = config.run.chains_or_default();
        positive("run.chains", chains)?;
        let thin = config.run.thin.unwrap_or(1);
        positive("run.thin", thin)?;
        positive("run.draws", config.run.draws)?;
        positive("sampler.fisher_refresh", s.fisher_refresh as usize)?;
        if s.fisher_refresh > 1 && (row.metric != Metric::Fisher || row.metropolis) {
            return Err(CheckError(format!(
                "sampler.fisher_refresh: found {} beside method = \"{}\", which makes its metric at every step or has none, expected 1; remove the key or use method = \"sngd\"",
                s.fisher_refresh,
                format!("{method:?}").to_lowercase()
            )));
        }
        positive("sampler.fisher_labels", s.fisher_labels as usize)?;
        positive("sampler.probes", s.probes as usize)?;
        if !(damping >= 0.0 && damping.is_finite()) {
            return Err(CheckError(format!(
                "sampler.damping: found {}, expected a finite number of 0 or more",
                damping
            )));
        }
        let temperature = match (method, s.temperature) {
            (Method::Ngd, Some(t)) => {
                return Err(CheckError(format!(
                    "sampler.temperature: found {t} beside method = \"ngd\", which has only the temperature that step_size and batch_size imply, expected none; remove the key or use method = \"sngd\""
                )));
            }
            (_, None) => 1.0,
            (_, Some(t)) if t >= 0.0 && t.is_finite() => t,
            (_, Some(t)) => {
                return Err(CheckError(format!(
                    "sampler.temperature: found {t}, expected a finite number of 0 or more; 1 is the posterior"
                )));
            }
        };
        let (batch, full_batch) = match (&s.batch_size, row.metropolis) {
            (None, true) | (Some(BatchSize::Named(_)), _) => (n, true),
            (Some(BatchSize::Rows(b)), true) => {
                return Err(CheckError(format!(
                    "sampler.batch_size: found {b} beside method = \"mala\", whose Metropolis test needs every row, expected \"full\""
                )));
            }
            // A short table may stand for many observations: a batch of its rows would bring large noise, and save nothing.
            (None, false) if n <= DEFAULT_BATCH && !problem.weights.is_empty() => (n, true),
            (None, false) => (n.min(DEFAULT_BATCH), false),
            (Some(BatchSize::Rows(0)), _) => {
                return Err(CheckError(
                    "sampler.batch_size: found 0, expected 1 or more rows, or \"full\"".into(),
                ));
            }
            (Some(BatchSize::Rows(b)), _) if *b > n => {
                return Err(CheckError(format!(
                    "sampler.batch_size: found {b} for {n} rows of data, expected at most {n}; lower it or set batch_size = \"full\""
                )));
            }
            (Some(BatchSize::Rows(b)), _) => (*b, *b == n && s.batches != Batches::WithReplacement),
        };
        let metric = match (row.metric, s.blocks) {
            (Metric::Fisher, b) if row.metropolis && b != Blocks::Full => {
                return Err(CheckError(format!(
                    "sampler.blocks: found \"{}\" beside method = \"mala\", expected \"full\"",
                    block_name(b)
                )));
            }
            // The diagonal of a network's metric is a layout of blocks of order one.
            (Metric::Fisher, Blocks::Diagonal) if !network => Metric::FisherDiagonal,
            (m, _) => m,
        };
        let dense = metric == Metric::Fisher;
        let metric_rows = match &s.fisher_rows {
            _ if row.metropolis => MetricRows::Full,
            _ if !metric.is_fisher() => MetricRows::Batch,
            FisherRows::Named(RowsName::Full) => MetricRows::Full,
            FisherRows::Named(RowsName::Batch) if full_batch => MetricRows::Full,
            FisherRows::Named(RowsName::Batch) => MetricRows::Batch,
            FisherRows::Rows(r) if *r == n => MetricRows::Full,
            FisherRows::Rows(r) if (1..n).contains(r) => MetricRows::Sample(*r),
            FisherRows::Rows(r) => {
                return Err(CheckError(format!(
                    "sampler.fisher_rows: found {r} for {n} rows of data, expected 1 to {n}, \"full\" or \"batch\""
                )));
            }
        };
        let noise = match s.noise {
            Some(v) if row.metropolis && v != Noise::Full => {
                return Err(CheckError(
                    "sampler.noise: found a policy beside method = \"mala\", expected none; remove the key".into(),
                ));
            }
            Some(v @ (Noise::Residual | Noise::Nominal)) if !dense => {
                return Err(CheckError(format!(
                    "sampler.noise: found \"{}\" with a metric that is not a dense Fisher matrix, expected \"full\" or \"none\"; set blocks = \"full\" and a method with a Fisher metric, or another noise",
                    if v == Noise::Residual {
                        "residual"
                    } else {
                        "nominal"
                    }
                )));
            }
            Some(v) => v,
            None if !dense && row.noise == Noise::Residual => Noise::Full,
            None => row.noise,
        };
        let integrator = match s.integrator {
            Some(Integrator::Ou) if !dense => {
                return Err(CheckError(
                    "sampler.integrator: found \"ou\" with a metric that is not a dense Fisher matrix, for which 2ε − ε² is not exact on a Gaussian, expected \"euler\"".into(),
                ));
            }
            Some(i) => i,
            None if !dense => Integrator::Euler,
            None => row.integrator,
        };
        let noise_rows = match s.noise_rows {
            NoiseRows::Batch if s.batch_size == Some(BatchSize::Rows(1)) => {
                return Err(CheckError(
                    "sampler.noise_rows: found \"batch\" beside batch_size = 1, whose spread cannot be measured, expected \"fisher\" or a larger batch".into(),
                ));
            }
            r => r,
        };
        let blocks = Layout::of(problem, if dense { s.blocks } else { Blocks::Diagonal });
        if s.fisher == FisherKind::MonteCarlo
            && let Likelihood::Custom(own) = &problem.likelihood
            && !own.draws_labels()
        {
            return Err(CheckError(format!(
                "sampler.fisher: found \"monte_carlo\" beside the likelihood \"{}\", which has no draw_label, expected \"exact\" or \"empirical\"; or give it one",
                own.name
            )));
        }
        let constant_metric = !network
            && matches!(problem.likelihood, Likelihood::Gaussian { .. })
            && s.fisher == FisherKind::Exact;
        let correction = if !row.corrected || constant_metric {
            CorrectionPlan::Off
        } else {
            match s.correction {
                Correction::Off => CorrectionPlan::Off,
                Correction::ClosedForm | Correction::Probe
                    if network || (dense && !blocks.is_full()) =>
                {
                    return Err(CheckError(format!(
                        "sampler.correction: found \"{}\" with {}, which has no closed form here, expected \"auto\", \"finite_difference\" or \"off\"",
                        if s.correction == Correction::Probe {
                            "probe"
                        } else {
                            "closed_form"
                        },
                        if network {
                            "a network"
                        } else {
                            "a blocked metric"
                        },
                    )));
                }
                Correction::Auto if network || (dense && !blocks.is_full()) => {
                    CorrectionPlan::FiniteDifference
                }
                Correction::ClosedForm => CorrectionPlan::ClosedForm,
                Correction::Auto if dense && p > 512 => CorrectionPlan::Probe(s.probes),
                Correction::Auto => CorrectionPlan::ClosedForm,
                Correction::Probe | Correction::FiniteDifference if !dense => {
                    return Err(CheckError(
                        "sampler.correction: found a random correction with a diagonal metric, whose closed form costs nothing, expected \"auto\", \"closed_form\" or \"off\"".into(),
                    ));
                }
                Correction::Probe => CorrectionPlan::Probe(s.probes),
                Correction::FiniteDifference => CorrectionPlan::FiniteDifference,
            }
        };
        let plan = Plan {
            seed: config.seed,
            chains,
            n,
            offsets: !problem.offset.is_empty(),
            frequencies: Frequencies::of(problem),
            d: problem.design_columns(),
            k,
            h: problem.likelihood.outputs(),
            p,
            batch,
            full_batch,
            batches: s.batches,
            metric,
            blocks,
            network: problem.network.clone(),
            fisher: s.fisher,
            fisher_labels: s.fisher_labels,
            metric_rows,
            refresh: s.fisher_refresh,
            noise,
            noise_rows,
            integrator,
            correction,
            kappa: s.target.kappa(),
            temperature,
            step_size,
            damping,
            metropolis: row.metropolis,
            jacobian: s.target == Target::Posterior,
            storage: config.data.storage,
            held: match problem.likelihood {
                Likelihood::Custom(_) => 0,
                _ => problem.held_out.as_ref().map_or(0, |h| h.rows.len()),
            },
            classes: problem.classes.len(),
            warmup: config.run.warmup.unwrap_or(DEFAULT_WARMUP),
            draws: config.run.most_draws(),
            thin,
            method,
            gradient: Gradient::Plain,
            expansion: None,
        };
        if plan.noise == Noise::Nominal {
            plan.check_nominal()?;
        }
        Ok(plan)
    }
}

fn block_name(b: Blocks) -> &'static str {
    match b {
        Blocks::Full => "full",
        Blocks::Layer => "layer",
        Blocks::Unit => "unit",
        Blocks::Diagonal => "diagonal",
    }
}

fn positive(key: &str, value: usize) -> Result<(), CheckError> {
    if value > 0 {
        return Ok(());
    }
    Err(CheckError(format!("{key}: found 0, expected 1 or more")))
}

fn check_step_size(step: &StepSize) -> Result<(), CheckError> {
    let e = step.initial();
    if !(e > 0.0 && e <= 1.0) {
        return Err(CheckError(format!(
            "sampler.step_size: found {e}, expected a number in (0, 1]; 0.1 to 0.5 suits most posteriors"
        )));
    }
    match step {
        StepSize::Schedule(Schedule::Polynomial { offset, power, .. })
            if !(*offset > 0.0 && *power >= 0.0) =>
        {
            Err(CheckError(format!(
                "sampler.step_size: found offset = {offset} and power = {power}, expected offset > 0 and power of 0 or more"
            )))
        }
        StepSize::Schedule(Schedule::Cyclical { cycle, floor, .. })
            if *cycle == 0 || !(0.0..=1.0).contains(floor) =>
        {
            Err(CheckError(format!(
                "sampler.step_size: found cycle = {cycle} and floor = {floor}, expected cycle of 1 or more and floor in [0, 1]"
            )))
        }
        _ => Ok(()),
    }
}
