//! One sentence on whether the draws can be used as they are.

use super::{Report, Row};
use crate::gauges::Gauges;
use serde::Serialize;

/// Largest R-hat of chains that agree (Vehtari et al. 2021).
pub(crate) const AGREE: f64 = 1.01;
/// Least effective draws for which R-hat and the errors can be trusted, 100 for each of four chains.
const LEAST_ESS: f64 = 400.0;
/// Share by which a temperature may be off if its error is smaller: then the sds are off by half of that share.
const TEMPERATURE: f64 = 0.02;
/// Errors by which the worst of many temperatures may be off.
const ERRORS: f64 = 4.0;
/// Largest Monte Carlo error of a temperature, as a share of it, where a Metropolis test makes steps exact: with 400 effective draws of a Gaussian
/// it is 0.07.
const UNSURE: f64 = 0.1;
/// The same for steps without a test. Four such errors are a tenth of an sd, and where chains run away now and then the error is all that shows it.
const UNSURE_UNTESTED: f64 = 0.05;
/// The remedy of too few draws.
const MORE_DRAWS: &str = "raise run.draws";
/// Shift of a mean, in posterior sds, above which it is biased for most purposes.
const SHIFT: f64 = 0.1;

/// Whether the draws can be used, and why.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verdict {
    /// Whether nothing speaks against the draws.
    pub converged: bool,
    /// The sentence for people: `converged: ...` or `not yet: ...` with what to change.
    pub sentence: String,
    /// The first thing that is wrong; `null` where nothing is.
    pub fault: Option<Fault>,
}

/// What speaks against draws.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Fault {
    /// Its kind.
    pub kind: FaultKind,
    /// The worst parameter, where it is one of a parameter.
    pub parameter: Option<String>,
    /// The number that is wrong, such as the r-hat; in the unit that the sentence names.
    pub value: Option<f64>,
    /// What was found, for people.
    pub found: String,
    /// What to change.
    pub remedy: String,
}

/// Kinds of faults, in the order in which they are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The run ended with an error.
    Failed,
    /// The run is not complete.
    Incomplete,
    /// Draws are marked as diverging.
    Diverging,
    /// A parameter has no R-hat.
    NoRhat,
    /// Some chains do not move.
    Stuck,
    /// Chains disagree.
    ChainsDisagree,
    /// There are too few effective draws.
    FewDraws,
    /// The temperature of a parameter cannot be read.
    TemperatureUnknown,
    /// A parameter is at another temperature than the target's.
    TemperatureOff,
    /// A mean is away from where the gradients put it.
    MeanOff,
}

/// Judges a report; the sentence names the first thing that is wrong.
pub(super) fn judge(report: &Report) -> Verdict {
    let fault = fault(report);
    let sentence = match &fault {
        Some(f) if f.remedy.is_empty() => format!("not yet: {}", f.found),
        Some(f) => format!("not yet: {}; {}", f.found, f.remedy),
        None => {
            let measured = |g: &Gauges| !g.temperature.is_empty();
            let temperature = match (&report.gauges, report.thermometers.target) {
                (Some(g), Some(_)) if measured(g) => ", every parameter at its temperature",
                _ => "",
            };
            format!(
                "converged: largest r-hat {:.3}, least effective sample size {:.0}{temperature}",
                report.max_rhat,
                report.min_ess_bulk.min(report.min_ess_tail),
            )
        }
    };
    Verdict {
        converged: fault.is_none(),
        sentence,
        fault,
    }
}

/// A fault of the whole run.
fn of_run(kind: FaultKind, found: String, remedy: &str) -> Fault {
    Fault {
        kind,
        parameter: None,
        value: None,
        found,
        remedy: remedy.into(),
    }
}

/// A fault that is worst at one parameter.
fn of_parameter(kind: FaultKind, name: &str, value: f64, found: String, remedy: &str) -> Fault {
    Fault {
        kind,
        parameter: Some(name.into()),
        value: value.is_finite().then_some(value),
        found,
        remedy: remedy.into(),
    }
}

fn fault(report: &Report) -> Option<Fault> {
    of_status(report)
        .or_else(|| of_chains(report))
        .or_else(|| of_temperatures(report))
        .or_else(|| of_means(report))
}

/// The run itself.
fn of_status(report: &Report) -> Option<Fault> {
    if let Some(fault) = &report.fault {
        let found = format!("the run failed ({fault})");
        return Some(of_run(FaultKind::Failed, found, ""));
    }
    if report.status != "complete" {
        let found = format!("the run is {}, not complete", report.status);
        return Some(of_run(FaultKind::Incomplete, found, ""));
    }
    (report.divergences > 0).then(|| Fault {
        value: Some(report.divergences as f64),
        ..of_run(
            FaultKind::Diverging,
            format!("{} draws diverged", report.divergences),
            "lower sampler.step_size",
        )
    })
}

/// R-hat and effective sample sizes.
fn of_chains(report: &Report) -> Option<Fault> {
    if report.stuck_chains > 0 {
        return Some(Fault {
            value: Some(report.stuck_chains as f64),
            ..of_run(
                FaultKind::Stuck,
                format!(
                    "{} of {} chains hardly move: they hold one position for a tenth of the draws or longer",
                    report.stuck_chains, report.chains
                ),
                "lower sampler.step_size",
            )
        });
    }
    if let Some(row) = report.rows.iter().find(|r| !r.rhat.is_finite()) {
        let why = row.reason.as_deref().unwrap_or("too few draws");
        let found = format!("{} has no r-hat ({why})", row.name);
        let kind = FaultKind::NoRhat;
        return Some(of_parameter(kind, &row.name, f64::NAN, found, MORE_DRAWS));
    }
    let worst = |of: fn(&Row) -> f64| report.rows.iter().max_by(|a, b| of(a).total_cmp(&of(b)));
    if let Some(row) = worst(|r| r.rhat).filter(|r| r.rhat > AGREE) {
        let found = format!(
            "chains disagree on {} (r-hat {:.3}, expected {AGREE} or less)",
            row.name, row.rhat
        );
        let kind = FaultKind::ChainsDisagree;
        let remedy = "raise run.draws or run.warmup";
        return Some(of_parameter(kind, &row.name, row.rhat, found, remedy));
    }
    let ess = |r: &Row| -r.ess_bulk.min(r.ess_tail);
    let row = worst(ess).filter(|r| -ess(r) < LEAST_ESS)?;
    let found = format!(
        "{} has {:.0} effective draws, expected {LEAST_ESS:.0} or more",
        row.name,
        -ess(row)
    );
    let kind = FaultKind::FewDraws;
    Some(of_parameter(kind, &row.name, -ess(row), found, MORE_DRAWS))
}

/// Temperatures of each parameter, which say whether its spread is right.
fn of_temperatures(report: &Report) -> Option<Fault> {
    let (gauges, target) = (report.gauges.as_ref()?, report.thermometers.target?);
    let name = |i: usize| report.rows.get(i).map_or("?", |r| r.name.as_str());
    let exact = report.ledger.get("method").is_some_and(|m| m == "mala");
    let most = if exact { UNSURE } else { UNSURE_UNTESTED };
    let unsure = (0..gauges.temperature.len())
        .max_by(|&a, &b| gauges.temperature_error[a].total_cmp(&gauges.temperature_error[b]))
        .filter(|&i| gauges.temperature_error[i] > most * target.max(f64::MIN_POSITIVE));
    if let Some(i) = unsure {
        let (t, error) = (gauges.temperature[i], gauges.temperature_error[i]);
        let found = format!(
            "the temperature of {} is known to {error:.2} only (read {t:.2}, target {target}), as where a chain makes rare and far excursions, so that its spread cannot be trusted",
            name(i)
        );
        let kind = FaultKind::TemperatureUnknown;
        let remedy = "set batch_size = \"full\" and leave sampler.gradient and step_size out, or raise run.draws";
        return Some(of_parameter(kind, name(i), error, found, remedy));
    }
    let i = gauges.worst_temperature(target)?;
    let (t, error) = (gauges.temperature[i], gauges.temperature_error[i]);
    let off = (t - target).abs();
    (off > ERRORS * error && off > TEMPERATURE * target).then(|| {
        let found = format!(
            "{} is at temperature {t:.3} +- {error:.3}, not {target}, so that its spread is wrong",
            name(i)
        );
        let kind = FaultKind::TemperatureOff;
        let remedy =
            "set batch_size = \"full\" and leave sampler.gradient and step_size out, or lower sampler.step_size";
        of_parameter(kind, name(i), t, found, remedy)
    })
}

/// Where the gradients put the means.
fn of_means(report: &Report) -> Option<Fault> {
    let gauges = report.gauges.as_ref()?;
    let i = gauges.worst_shift()?;
    let (shift, error) = (gauges.shift_sds[i], gauges.shift_error[i]);
    (shift.abs() > SHIFT + ERRORS * error).then(|| {
        let name = report.rows.get(i).map_or("?", |r| r.name.as_str());
        let found = format!(
            "the mean of {name} is {:.2} sd from where its gradients put it",
            shift.abs()
        );
        let remedy = "raise run.draws, or lower sampler.step_size";
        of_parameter(FaultKind::MeanOff, name, shift.abs(), found, remedy)
    })
}
