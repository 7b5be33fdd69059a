//! From a config to a run that can start: table, problem, plan, mode, and every check that needs no device.

use crate::custom;
use crate::error::Error;
use sngd_core::config::{Config, Init, Noise, Precision};
use sngd_core::error::CheckError;
use sngd_core::plan::Plan;
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::problem::{Problem, table_request};
use sngd_core::table::Table;
use sngd_cpu::map::{self, Mode};
use sngd_cpu::preflight;
use sngd_diag::FisherMismatch;
use std::path::Path;
use std::sync::Arc;

/// Largest P whose metric is kept in the trace and measured by the thermometers.
pub const THERMOMETER_PARAMETERS: usize = 512;

/// A run, checked. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// What was asked for.
    pub config: Config,
    /// What is sampled.
    pub problem: Arc<Problem>,
    /// How.
    pub plan: Plan,
    /// The mode, where something needs it.
    pub mode: Option<Arc<Mode>>,
    /// How far Σ_g is from F at the mode, or why it is not known.
    pub mismatch: Result<FisherMismatch, String>,
    /// What is odd about a likelihood of the user's own and makes no draw wrong.
    pub notes: Vec<String>,
}

/// Reads the data file, whose path is relative to `base`, and checks everything.
///
/// # Errors
/// [`Error::Data`] or [`Error::Check`].
pub fn prepare(config: Config, base: &Path) -> Result<Prepared, Error> {
    let path = base.join(&config.data.path);
    let table = sngd_store::read_table(&path, &table_request(&config))?;
    prepare_table(config, table)
}

/// The same with a table at hand.
///
/// # Errors
/// [`Error::Check`].
pub fn prepare_table(config: Config, table: Table) -> Result<Prepared, Error> {
    check_run(&config)?;
    let problem = Problem::build(&config, table)?;
    let notes = custom::check_problem(&problem)?;
    if config.run.init == Some(Init::Map) && problem.network.is_some() {
        return Err(CheckError::new("run.init: found \"map\" beside predictor = \"mlp\", whose posterior has many modes, expected \"standard\", \"prior\" or \"zero\"; remove the key").into());
    }
    if config.run.init == Some(Init::Standard) && problem.network.is_none() {
        return Err(CheckError::new("run.init: found \"standard\" beside predictor = \"linear\", expected \"map\", \"prior\" or \"zero\"; remove the key").into());
    }
    let plan = Plan::check(&config, &problem)?;
    check_length(&plan)?;
    let mode = if needs_mode(&config, &problem, &plan) {
        let mode = map::find(&problem, &plan).map_err(|e| CheckError(e.to_string()))?;
        preflight::residual(&plan, &mode)?;
        Some(mode)
    } else {
        None
    };
    let mismatch = mismatch(&plan, mode.as_ref());
    Ok(Prepared {
        config,
        problem: Arc::new(problem),
        plan,
        mode: mode.map(Arc::new),
        mismatch,
        notes,
    })
}

impl Prepared {
    /// The same run with other lengths.
    ///
    /// # Errors
    /// [`Error::Check`] when there are no draws, or more steps than can be counted.
    pub fn with_lengths(&self, warmup: usize, draws: usize) -> Result<Prepared, Error> {
        let mut out = self.clone();
        (out.config.run.warmup, out.config.run.draws) = (warmup, draws);
        (out.plan.warmup, out.plan.draws) = (warmup, draws);
        if draws == 0 {
            return Err(CheckError::new("run.draws: found 0, expected 1 or more").into());
        }
        check_length(&out.plan)?;
        Ok(out)
    }
}

/// M = N·F + Λ at the mode, internal coordinates, without the damping: that bounds the step and is no part of the
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
    if run.superchains > 0 && (run.superchains < 2 || !run.chains.is_multiple_of(run.superchains)) {
        return Err(CheckError(format!(
            "run.superchains: found {} for {} chains, expected 2 or more that divide the chains, or 0 for none",
            run.superchains, run.chains
        )));
    }
    if !(run.init_scale >= 0.0 && run.init_scale.is_finite()) {
        return Err(CheckError(format!(
            "run.init_scale: found {}, expected a finite number of 0 or more",
            run.init_scale
        )));
    }
    if run.precision == Precision::F64 && !matches!(run.device.as_str(), "auto" | "cpu" | "") {
        return Err(CheckError(format!(
            "run.precision: found \"f64\" beside device = \"{}\", expected it only on the CPU engine; set run.device = \"cpu\" or run.precision = \"f32\"",
            run.device
        )));
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
        _ => Err(CheckError(format!(
            "run.draws: found {} draws of {} steps after {} of warm-up, expected fewer than 2^32 steps in all; lower one of them",
            plan.draws, plan.thin, plan.warmup
        ))),
    }
}

fn needs_mode(config: &Config, problem: &Problem, plan: &Plan) -> bool {
    let flat = problem.priors.contains(&Prior::Flat)
        || problem.scale_prior.is_some_and(|s| s == ScalePrior::Flat);
    let residual = plan.noise == Noise::Residual && plan.rho() > 0.0;
    // A network has many modes; chains find their own from where they start.
    problem.network.is_none()
        && (flat || residual || config.init() == Init::Map || plan.p <= THERMOMETER_PARAMETERS)
}

fn mismatch(plan: &Plan, mode: Option<&Mode>) -> Result<FisherMismatch, String> {
    match mode {
        Some(m) if plan.p <= THERMOMETER_PARAMETERS => {
            sngd_diag::fisher_mismatch(&m.fisher, &m.sigma_g, plan.p).map_err(|e| e.to_string())
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
