//! `Config` checked against a `Problem` gives a `Plan`: every number that an engine needs, and the ledger that says
//! which density the draws follow. Pure, so that all of it is tested without a device.

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

/// M: what preconditions the step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// N·F + Λ + damping in the plan's blocks.
    Fisher,
    /// Its diagonal.
    FisherDiagonal,
    /// N·I in internal coordinates: SGLD with its step in units of 1/N.
    Identity,
    /// N·(λ + √V) of RMSProp, V a running mean of the squared per-row gradient.
    RmsProp,
    /// JᵀA*J + Λ at the mode, constant and shared by all chains (`crate::expansion`).
    Mode,
}

impl Metric {
    /// Whether its gradients are natural ones.
    pub fn is_fisher(self) -> bool {
        matches!(self, Metric::Fisher | Metric::FisherDiagonal | Metric::Mode)
    }
}

/// Decay of V in pSGLD, and λ (Li et al. 2016 use 0.99 and 1e-5).
pub const RMSPROP_DECAY: f64 = 0.99;
/// See `RMSPROP_DECAY`; larger than theirs, since internal features have unit scale and f32 needs the room.
pub const RMSPROP_FLOOR: f64 = 1e-4;
/// δ of the random finite difference, in posterior sds, by the scale of f32 rounding: one side goes as far as 1e-2 on two.
pub const RFD_STEP: f64 = 2e-2;
/// Relative jitter of a failed Cholesky, first level; each retry is ten times the last.
pub const JITTER_FIRST: f64 = 1e-6;
/// Retries before a chain is failed.
pub const JITTER_RETRIES: u32 = 5;
/// The unit-diagonal pivot below which a Fisher matrix summed over `rows` rows is rounding itself: a target that holds the
/// determinant counts as 0 there. Where data separate, the determinant falls through it in the tail; without the bound a
/// chain walks on for ever.
pub fn trusted_pivot(rows: usize, epsilon: f64) -> f64 {
    4.0 * (rows as f64).sqrt() * epsilon
}
/// Steps before the first kept draw where nothing else is asked for and the metric is at the state.
pub const DEFAULT_WARMUP: usize = 500;
/// |ω| beyond this (internal units) counts as diverged.
pub const DIVERGED: f64 = 1e7;

/// Rows of the metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricRows {
    /// All N.
    Full,
    /// The gradient's batch.
    Batch,
    /// r rows without replacement.
    Sample(usize),
}

/// How Γ and ∇ln|M| are computed, resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CorrectionPlan {
    /// None.
    Off,
    /// Exact leverages.
    ClosedForm,
    /// q random projections.
    Probe(u32),
    /// One random finite difference.
    FiniteDifference,
}

/// A run, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Key of every stream.
    pub seed: u64,
    /// C.
    pub chains: usize,
    /// N.
    pub n: usize,
    /// D.
    pub d: usize,
    /// K linear outputs.
    pub k: usize,
    /// H = K + A outputs.
    pub h: usize,
    /// P.
    pub p: usize,
    /// B.
    pub batch: usize,
    /// Whether each step's gradient takes every row once.
    pub full_batch: bool,
    /// How rows are drawn.
    pub batches: Batches,
    /// M.
    pub metric: Metric,
    /// Blocks of M; one for a full metric.
    pub blocks: Layout,
    /// The perceptron; `None` for a linear predictor.
    pub network: Option<Network>,
    /// Which Fisher.
    pub fisher: FisherKind,
    /// Monte Carlo labels a row.
    pub fisher_labels: u32,
    /// Over which rows.
    pub metric_rows: MetricRows,
    /// Steps between two metrics.
    pub refresh: u32,
    /// Noise policy.
    pub noise: Noise,
    /// Rows of V̂.
    pub noise_rows: NoiseRows,
    /// 2ε − ε² or 2ε.
    pub integrator: Integrator,
    /// Corrections.
    pub correction: CorrectionPlan,
    /// κ.
    pub kappa: f64,
    /// T.
    pub temperature: f64,
    /// ε_t.
    pub step_size: StepSize,
    /// λ.
    pub damping: f64,
    /// Metropolis-corrected on full batches.
    pub metropolis: bool,
    /// Whether log σ carries its Jacobian (κ = 0).
    pub jacobian: bool,
    /// Number format of the resident features.
    pub storage: Storage,
    /// M, held-out rows that a device scores itself; 0 where there are none, or only the host knows the mean.
    pub held: usize,
    /// Classes of a categorical response, else 0.
    pub classes: usize,
    /// Steps before the first kept draw.
    pub warmup: usize,
    /// Kept draws per chain.
    pub draws: usize,
    /// Steps a kept draw.
    pub thin: usize,
    /// The method asked for.
    pub method: Method,
    /// How the gradient is estimated.
    pub gradient: Gradient,
    /// With the metric at the mode, what is known there.
    pub expansion: Option<Arc<Expansion>>,
}

/// A row of the table of methods: metric × correction × noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MethodRow {
    /// M.
    pub metric: Metric,
    /// Whether corrections apply at all.
    pub corrected: bool,
    /// Default noise policy.
    pub noise: Noise,
    /// Default integrator.
    pub integrator: Integrator,
    /// Metropolis test.
    pub metropolis: bool,
}

/// The table. No sampler is a copy of another.
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
    /// Checks everything that needs no device and no optimisation.
    pub fn check(config: &Config, problem: &Problem) -> Result<Plan, CheckError> {
        let s = &config.sampler;
        let method = s.method_or_default();
        let step_size = s.step_size.clone().unwrap_or(DEFAULT_STEP_SIZE);
        let damping = s.damping.unwrap_or(0.0);
        let row = method_row(method);
        let (n, p) = (problem.rows(), problem.parameters());
        if problem.has_row_columns() {
            return Err(CheckError(
                "data.weights: found a column of weights, or of an offset, beside a metric at the state of each chain, expected them only with the metric at the mode; leave sampler.method and target out, or remove the column".into(),
            ));
        }
        let k = problem.likelihood.linear_outputs();
        let network = problem.network.is_some();
        check_step_size(&step_size)?;
        let chains = config.run.chains_or_default();
        positive("run.chains", chains)?;
        let thin = config.run.thin.unwrap_or(1);
        positive("run.thin", thin)?;
        positive("run.draws", config.run.draws)?;
        positive("sampler.fisher_refresh", s.fisher_refresh as usize)?;
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
            (None, false) => (n.min(128), false),
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
            // A network's diagonal is its blocks of one.
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
