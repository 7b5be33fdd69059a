//! Plans whose metric is fixed at the posterior's mode: which run files get one, and what the settings then are.

use super::{
    CorrectionPlan, DEFAULT_WARMUP, Frequencies, Metric, MetricRows, Plan, check_step_size,
    positive,
};
use crate::batch::Batches;
use crate::blocks::Layout;
use crate::config::{
    BatchSize, Config, FisherKind, Gradient, Integrator, Method, MetricAt, Noise, NoiseRows,
    StepSize, Target,
};
use crate::error::CheckError;
use crate::expansion::Expansion;
use crate::likelihood::Likelihood;
use crate::problem::Problem;
use std::sync::Arc;

/// Where the metric of a run is taken. Depends on the run file and the model alone, not on the data.
///
/// # Errors
/// When a key asks for something that the other keys rule out.
pub fn metric_at(config: &Config, problem: &Problem) -> Result<MetricAt, CheckError> {
    let s = &config.sampler;
    let state_keys = s.state_keys();
    let schedule = matches!(s.step_size, Some(StepSize::Schedule(_)));
    // What rules out a metric at the mode, worded for the error message.
    let barrier = if problem.network.is_some() {
        Some("predictor = \"mlp\", whose posterior has many modes".to_string())
    } else if s.target == Target::Jeffreys {
        Some("target = \"jeffreys\", whose volume needs the metric at the state".to_string())
    } else if let Some(m) = s
        .method
        .filter(|m| !matches!(m, Method::Sngd | Method::Mala))
    {
        let name = format!("{m:?}").to_lowercase();
        Some(format!(
            "method = \"{name}\", which has a metric of its own"
        ))
    } else if let Some(key) = state_keys.first() {
        Some(format!(
            "sampler.{key}, which only a metric at the state has"
        ))
    } else if schedule {
        Some("a schedule of step sizes".to_string())
    } else {
        None
    };
    let controlled = s.gradient == Some(Gradient::ControlVariates);
    if s.metric == Some(MetricAt::State) && controlled {
        return Err(CheckError::key(
            "sampler.gradient",
            "found \"control_variates\" beside metric = \"state\", expected metric = \"mode\", about which they expand; remove sampler.metric",
        ));
    }
    let asked = if controlled {
        Some("gradient = \"control_variates\"")
    } else if s.metric == Some(MetricAt::Mode) {
        Some("metric = \"mode\"")
    } else {
        None
    };
    match (asked, barrier) {
        (Some(asked), Some(barrier)) => Err(CheckError::key(
            "sampler",
            format!(
                "found {asked} beside {barrier}, expected one or the other; remove one of the two"
            ),
        )),
        (Some(_), None) => Ok(MetricAt::Mode),
        (None, Some(_)) => Ok(MetricAt::State),
        // A method that the run file names is the published one, with the metric at the state.
        (None, None) if s.metric == Some(MetricAt::State) || s.method.is_some() => {
            Ok(MetricAt::State)
        }
        (None, None) => Ok(MetricAt::Mode),
    }
}

/// The settings of a run with the metric at the mode, after everything left open has been chosen.
#[derive(Debug, Clone, PartialEq)]
pub struct ModeSettings {
    /// Whether a Metropolis test makes the step exact; then every step takes all rows.
    pub metropolis: bool,
    /// How the gradient is estimated.
    pub gradient: Gradient,
    /// Number of rows in a batch, B; all N rows with a plain gradient.
    pub batch: usize,
    /// Step size ε, no unit.
    pub step_size: StepSize,
    /// Number of chains, C.
    pub chains: usize,
    /// Steps before the first kept draw.
    pub warmup: usize,
    /// Steps per kept draw.
    pub thin: usize,
    /// Whether draws are made independently, without steps.
    pub direct: bool,
}

/// What the run file itself fixes of [`ModeSettings`]; `None` is open.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ModeRequest {
    /// Whether a Metropolis test follows each step.
    pub metropolis: Option<bool>,
    /// How the gradient is estimated.
    pub gradient: Option<Gradient>,
    /// Number of rows in a batch, B; `None` also where the run file asks for all rows.
    pub batch: Option<usize>,
    /// Step size ε, no unit.
    pub step_size: Option<f64>,
}

impl ModeRequest {
    /// Reads a run file whose metric is at the mode; `n` is the number of data rows.
    ///
    /// # Errors
    /// When its keys contradict each other.
    pub fn of(config: &Config, n: usize) -> Result<ModeRequest, CheckError> {
        let s = &config.sampler;
        if let Some(step) = &s.step_size {
            check_step_size(step)?;
        }
        let metropolis = s.method.map(|m| m == Method::Mala);
        let batch = match s.batch_size {
            None => None,
            Some(BatchSize::Named(_)) => Some(n),
            Some(BatchSize::Rows(0)) => {
                return Err(CheckError::key(
                    "sampler.batch_size",
                    "found 0, expected 1 or more rows, or \"full\"",
                ));
            }
            Some(BatchSize::Rows(b)) if b > n => {
                return Err(CheckError::key(
                    "sampler.batch_size",
                    format!(
                        "found {b} for {n} rows of data, expected at most {n}; lower it or set batch_size = \"full\""
                    ),
                ));
            }
            Some(BatchSize::Rows(b)) => Some(b),
        };
        let full = matches!(s.batch_size, Some(BatchSize::Named(_)));
        let part = batch.filter(|_| !full);
        if metropolis == Some(true) {
            if let Some(b) = part {
                return Err(CheckError::key(
                    "sampler.batch_size",
                    format!(
                        "found {b} beside method = \"mala\", whose Metropolis test needs every row, expected \"full\""
                    ),
                ));
            }
            if s.gradient == Some(Gradient::ControlVariates) {
                return Err(CheckError::key(
                    "sampler.gradient",
                    "found \"control_variates\" beside method = \"mala\", whose Metropolis test needs every row, expected \"plain\"; or set method = \"sngd\"",
                ));
            }
        }
        let gradient = match (s.gradient, part, full) {
            (Some(Gradient::Plain), Some(b), _) => {
                return Err(CheckError::key(
                    "sampler.gradient",
                    format!(
                        "found \"plain\" beside batch_size = {b} and the metric at the mode, expected \"control_variates\", or batch_size = \"full\", or metric = \"state\""
                    ),
                ));
            }
            (Some(Gradient::ControlVariates), None, true) => {
                return Err(CheckError::key(
                    "sampler.gradient",
                    "found \"control_variates\" beside batch_size = \"full\", which needs none, expected a number of rows or \"plain\"",
                ));
            }
            (Some(g), ..) => Some(g),
            (None, Some(_), _) => Some(Gradient::ControlVariates),
            (None, None, true) => Some(Gradient::Plain),
            (None, None, false) if metropolis == Some(true) => Some(Gradient::Plain),
            (None, None, false) => None,
        };
        Ok(ModeRequest {
            metropolis: match gradient {
                Some(Gradient::ControlVariates) => Some(false),
                _ => metropolis,
            },
            gradient,
            batch: part,
            step_size: s.step_size.as_ref().map(StepSize::initial),
        })
    }
}

impl Plan {
    /// A plan with the metric at the mode.
    ///
    /// # Errors
    /// When a key of the run file is outside its range.
    pub fn at_mode(
        config: &Config,
        problem: &Problem,
        settings: &ModeSettings,
        expansion: Arc<Expansion>,
    ) -> Result<Plan, CheckError> {
        let s = &config.sampler;
        positive("run.chains", settings.chains)?;
        positive("run.thin", settings.thin)?;
        positive("run.draws", config.run.most_draws())?;
        let temperature = s.temperature.unwrap_or(1.0);
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return Err(CheckError::key(
                "sampler.temperature",
                format!(
                    "found {temperature}, expected a finite number of 0 or more; 1 is the posterior"
                ),
            ));
        }
        if temperature == 0.0 && settings.metropolis {
            return Err(CheckError::key(
                "sampler.temperature",
                "found 0 beside a Metropolis test, expected more than 0; set method = \"sngd\" to go downhill",
            ));
        }
        Ok(Plan {
            seed: config.seed,
            chains: settings.chains,
            n: problem.rows(),
            offsets: !problem.offset.is_empty(),
            frequencies: Frequencies::of(problem),
            d: problem.design_columns(),
            k: problem.likelihood.linear_outputs(),
            h: problem.likelihood.outputs(),
            p: problem.parameters(),
            batch: settings.batch,
            full_batch: settings.gradient == Gradient::Plain,
            batches: Batches::WithReplacement,
            metric: Metric::Mode,
            blocks: Layout::full(problem.parameters()),
            network: None,
            fisher: FisherKind::Exact,
            fisher_labels: 1,
            metric_rows: MetricRows::Full,
            refresh: 1,
            noise: Noise::Full,
            noise_rows: NoiseRows::Fisher,
            integrator: Integrator::Ou,
            correction: CorrectionPlan::Off,
            kappa: 0.0,
            temperature,
            step_size: settings.step_size.clone(),
            damping: 0.0,
            metropolis: settings.metropolis,
            jacobian: true,
            storage: config.data.storage,
            held: match problem.likelihood {
                Likelihood::Custom(_) => 0,
                // Offsets of rows are added by the CPU side, so a device cannot score these rows.
                _ if !problem.offset.is_empty() => 0,
                _ => problem.held_out.as_ref().map_or(0, |h| h.rows.len()),
            },
            classes: problem.classes.len(),
            warmup: settings.warmup.min(u32::MAX as usize),
            draws: config.run.most_draws(),
            thin: settings.thin,
            method: if settings.metropolis {
                Method::Mala
            } else {
                Method::Sngd
            },
            gradient: settings.gradient,
            expansion: Some(expansion),
            direct: settings.direct,
        })
    }

    /// Warm-up steps of a run whose worst parameter gains `efficiency` effective draws per step.
    pub fn warmup_for(efficiency: f64) -> usize {
        ((20.0 / efficiency.max(1e-3)) as usize).clamp(100, 4 * DEFAULT_WARMUP)
    }
}
