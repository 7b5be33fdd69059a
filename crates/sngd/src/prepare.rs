//! Turns a config into a run that can start: table, problem, plan, mode, and every check that needs no device.

use crate::custom;
use crate::error::Error;
use crate::precision;
use sngd_core::config::{Config, Device, Init, MetricAt, Noise, Precision};
use sngd_core::error::CheckError;
use sngd_core::likelihood::Likelihood;
use sngd_core::plan::{self, Metric, Plan};
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::problem::{Problem, table_request};
use sngd_core::table::Table;
use sngd_cpu::map::{self, Mode};
use sngd_cpu::mode::settle;
use sngd_cpu::preflight;
use sngd_cpu::propriety;
use sngd_diag::FisherMismatch;
use std::path::Path;
use std::sync::Arc;

/// Largest number of parameters P for which the metric is kept in the trace and used by the thermometers.
pub const THERMOMETER_PARAMETERS: usize = 512;

/// Tolerance of the search for the mode where the metric is computed there, in nats relative to the cost. The expansion
/// includes the gradient that remains.
const MODE_TOLERANCE: f64 = 1e-12;
/// Largest work N·P² for which the Fisher mismatch is measured if nothing depends on it.
const MISMATCH_FLOPS: f64 = 2e8;

/// A checked run. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The settings as they were given, but for a precision that had to be raised.
    pub config: Config,
    /// Data, likelihood and priors: what is sampled.
    pub problem: Arc<Problem>,
    /// How it is sampled.
    pub plan: Plan,
    /// The mode of the posterior, if something needs it.
    pub mode: Option<Arc<Mode>>,
    /// How far Σ_g is from F at the mode, or why it is not known.
    pub mismatch: Result<FisherMismatch, String>,
    /// With the metric at the mode: what decided the settings, in one short paragraph.
    pub reasons: Option<String>,
    /// With the metric at the mode: the sd of the log importance weights of Laplace draws, in nats; 0 for a Gaussian posterior.
    pub log_weight_sd: f64,
    /// What the user should know before the run: how the data were read, what had to be chosen otherwise, remarks on a user-defined likelihood.
    pub notes: Vec<String>,
}

/// Reads the data file, whose path is relative to `base`, and checks everything.
///
/// # Errors
/// [`Error::Data`] if the file cannot be used, [`Error::Check`] if the settings do not fit it.
pub fn prepare(config: Config, base: &Path) -> Result<Prepared, Error> {
    let path = base.join(&config.data.path);
    let table = sngd_store::read_table(&path, &table_request(&config))?;
    prepare_table(config, table)
}

/// Like [`prepare`], with a table that is already in memory.
///
/// # Errors
/// [`Error::Check`] if the settings do not fit the table.
pub fn prepare_table(config: Config, table: Table) -> Result<Prepared, Error> {
    check_run(&config)?;
    let problem = Problem::build(&config, table)?;
    let own = match &problem.likelihood {
        Likelihood::Custom(own) => Some(Arc::clone(own)),
        _ => None,
    };
    let mut notes = problem.notes.clone();
    notes.extend(custom::check_problem(&problem)?);
    let prepared = prepare_problem(config, problem, notes);
    // The search for the mode goes where the check did not.
    match own.and_then(|own| own.body.stopped()) {
        Some(why) => Err(CheckError::Likelihood { message: why }.into()),
        None => prepared,
    }
}

/// Everything that follows the check of a user's likelihood.
fn prepare_problem(
    mut config: Config,
    problem: Problem,
    mut notes: Vec<String>,
) -> Result<Prepared, Error> {
    if config.run.init == Some(Init::Map) && problem.network.is_some() {
        return Err(CheckError::key(
            "run.init",
            "found \"map\" beside predictor = \"mlp\", whose posterior has many modes, expected \"standard\", \"prior\" or \"zero\"; remove the key",
        ).into());
    }
    if config.run.init == Some(Init::Standard) && problem.network.is_none() {
        return Err(CheckError::key(
            "run.init",
            "found \"standard\" beside predictor = \"linear\", expected \"map\", \"prior\" or \"zero\"; remove the key",
        ).into());
    }
    let metric_at = plan::metric_at(&config, &problem)?;
    propriety::check(&config, &problem)?;
    if metric_at == MetricAt::Mode {
        return at_mode(config, problem, notes);
    }
    let plan = Plan::check(&config, &problem)?;
    check_superchains(&config, plan.chains)?;
    check_length(&plan)?;
    let mode = if needs_mode(&config, &problem, &plan) {
        let mode = map::find(&problem, &plan)?;
        preflight::residual(&plan, &mode)?;
        Some(mode)
    } else {
        None
    };
    notes.extend(precision::settle(&mut config.run, &plan, mode.as_ref())?);
    let mismatch = mismatch(&plan, mode.as_ref());
    Ok(Prepared {
        config,
        problem: Arc::new(problem),
        plan,
        mode: mode.map(Arc::new),
        mismatch,
        reasons: None,
        log_weight_sd: 0.0,
        notes,
    })
}

/// A run whose metric is at the mode: the mode, the expansion there, and settings that fit both.
fn at_mode(
    mut config: Config,
    mut problem: Problem,
    mut notes: Vec<String>,
) -> Result<Prepared, Error> {
    let found = map::search(&problem, 0.0, MODE_TOLERANCE)?;
    let settled = settle(&config, &mut problem, &found)?;
    check_superchains(&config, settled.plan.chains)?;
    check_length(&settled.plan)?;
    if found.marginal {
        let name = problem.likelihood.auxiliary().unwrap_or("scale");
        notes.push(format!("the joint density of coefficients and {name} has no largest value, so that what is said of the mode is about that of {name}'s own density"));
    }
    if settled.plan.direct && config.run.device == Device::Auto {
        // A device has no kernel for draws without steps.
        config.run.device = Device::Cpu;
    }
    let small = problem.rows() as f64 * (problem.parameters() as f64).powi(2) < MISMATCH_FLOPS;
    let (mode, mismatch) = if small && settled.plan.p <= THERMOMETER_PARAMETERS {
        let mode = map::at(&problem, found, 0.0)?;
        let mismatch = mismatch(&settled.plan, Some(&mode));
        (mode, mismatch)
    } else {
        let why = "the problem is large, and with the metric at the mode nothing depends on it";
        (Mode::of_expansion(&settled.plan), Err(why.to_string()))
    };
    Ok(Prepared {
        config,
        problem: Arc::new(problem),
        plan: settled.plan,
        mode: Some(Arc::new(mode)),
        mismatch,
        reasons: Some(settled.reasons),
        log_weight_sd: settled.measured.log_weight_sd,
        notes,
    })
}

impl Prepared {
    /// Size of the jitter around the mode at the start, in posterior sds.
    pub fn init_scale(&self) -> f64 {
        let default = if self.plan.metric == Metric::Mode {
            1.0
        } else {
            2.0
        };
        self.config.run.init_scale.unwrap_or(default)
    }

    /// The same run with other numbers of warm-up steps and draws.
    ///
    /// # Errors
    /// [`Error::Check`] if there are no draws, or more steps than can be counted.
    pub fn with_lengths(&self, warmup: usize, draws: usize) -> Result<Prepared, Error> {
        let mut out = self.clone();
        (out.config.run.warmup, out.config.run.draws) = (Some(warmup), draws);
        (out.plan.warmup, out.plan.draws) = (warmup, draws);
        if draws == 0 {
            return Err(CheckError::key("run.draws", "found 0, expected 1 or more").into());
        }
        check_length(&out.plan)?;
        Ok(out)
    }
}

/// M = N·F + Λ at the mode, `[P,P]`, internal coordinates. Without damping, which bounds the step but is no part of the
/// target, so that a thermometer must not see it.
pub(crate) fn target_metric(prepared: &Prepared) -> Option<Vec<f64>> {
    let mode = prepared.mode.as_deref()?;
    if prepared.plan.damping == 0.0 {
        return Some(mode.metric.clone());
    }
    let n = prepared.plan.n as f64;
    let prior = prepared.problem.prior_information();
    Some(
        mode.fisher
            .iter()
            .zip(&prior)
            .map(|(f, l)| n * f + l)
            .collect(),
    )
}

fn check_run(config: &Config) -> Result<(), CheckError> {
    let run = &config.run;
    if let Some(scale) = run.init_scale.filter(|s| !(*s >= 0.0 && s.is_finite())) {
        return Err(CheckError::key(
            "run.init_scale",
            format!("found {scale}, expected a finite number of 0 or more"),
        ));
    }
    let seconds = run.checkpoint_seconds;
    if !(seconds >= 0.0 && seconds.is_finite()) {
        return Err(CheckError::key(
            "run.checkpoint_seconds",
            format!("found {seconds}, expected a finite number of 0 or more; 0 keeps none"),
        ));
    }
    if run.precision == Precision::F64 && matches!(run.device, Device::Gpu(_)) {
        return Err(CheckError::key(
            "run.precision",
            format!(
                "found \"f64\" beside device = \"{}\", expected it only on the CPU engine; set run.device = \"cpu\" or run.precision = \"f32\"",
                run.device
            ),
        ));
    }
    Ok(())
}

fn check_superchains(config: &Config, chains: usize) -> Result<(), CheckError> {
    let groups = config.run.superchains;
    if groups > 0 && (groups < 2 || !chains.is_multiple_of(groups)) {
        return Err(CheckError::key(
            "run.superchains",
            format!(
                "found {groups} for {chains} chains, expected 2 or more that divide the chains, or 0 for none"
            ),
        ));
    }
    Ok(())
}

fn check_length(plan: &Plan) -> Result<(), CheckError> {
    let steps = plan
        .draws
        .checked_mul(plan.thin)
        .and_then(|s| s.checked_add(plan.warmup));
    match steps {
        Some(s) if u32::try_from(s).is_ok() => Ok(()),
        _ => Err(CheckError::key(
            "run.draws",
            format!(
                "found {} draws of {} steps after {} of warm-up, expected fewer than 2^32 steps in all; lower one of them",
                plan.draws, plan.thin, plan.warmup
            ),
        )),
    }
}

fn needs_mode(config: &Config, problem: &Problem, plan: &Plan) -> bool {
    let flat = problem.priors.contains(&Prior::Flat)
        || problem.scale_prior.is_some_and(|s| s == ScalePrior::Flat);
    let residual = plan.noise == Noise::Residual && plan.rho() > 0.0;
    // A network has many modes; each chain finds a mode near its start.
    problem.network.is_none()
        && (flat || residual || config.init() == Init::Map || plan.p <= THERMOMETER_PARAMETERS)
}

fn mismatch(plan: &Plan, mode: Option<&Mode>) -> Result<FisherMismatch, String> {
    match mode {
        Some(m) if plan.p <= THERMOMETER_PARAMETERS => {
            // The law takes minibatches of rows that count w times to scatter by this much more.
            let law: Vec<f64> = m.fisher.iter().map(|f| plan.clumping() * f).collect();
            sngd_diag::fisher_mismatch(&law, &m.sigma_g, plan.p).map_err(|e| e.to_string())
        }
        Some(_) => Err(format!(
            "{} parameters are more than the {THERMOMETER_PARAMETERS} it is computed for",
            plan.p
        )),
        None if plan.network.is_some() => {
            Err("a network has many modes, and none is looked for".into())
        }
        None => Err("the mode was not needed, so that it is not known there".into()),
    }
}
