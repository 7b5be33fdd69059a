//! One sentence on whether the draws can be used as they are.

use super::{Measured, Report, Row};
use crate::gauges::Gauges;
use serde::Serialize;

/// Largest R-hat of chains that agree (Vehtari et al. 2021).
pub(crate) const AGREE: f64 = 1.01;
/// Least effective draws for which R-hat and the errors can be trusted, 100 for each of four chains.
const LEAST_ESS: f64 = 400.0;
/// Share by which a temperature may be off if its error is smaller: then the sds are off by half of that share.
const TEMPERATURE: f64 = 0.02;
/// The same where a Metropolis test makes steps exact: only chains that have not yet gone everywhere are off then.
const TEMPERATURE_TESTED: f64 = 0.05;
/// The same for the spread of all parameters as the metric at the mode reads it, which a posterior's own shape moves too.
const MUCH: f64 = 0.2;
/// Errors by which the worst of many temperatures may be off.
const ERRORS: f64 = 4.0;
/// Largest Monte Carlo error of a temperature, as a share of it, where a Metropolis test makes steps exact: with 400 effective draws of a Gaussian
/// it is 0.07.
const UNSURE: f64 = 0.1;
/// The same for steps without a test. Four such errors are a tenth of an sd, and where chains run away now and then the error is all that shows it.
const UNSURE_UNTESTED: f64 = 0.05;
/// The remedy of too few draws.
const MORE_DRAWS: &str = "raise run.draws, or what run.until asks for";
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
            match &report.log_density {
                Some(lp) => format!(
                    "converged: r-hat of the log density {:.3}, its effective sample size {:.0}; a network's weights have many modes and are not compared",
                    lp.rhat,
                    lp.ess_bulk.min(lp.ess_tail)
                ),
                None => format!(
                    "converged: largest r-hat {:.3}, least effective sample size {:.0}{temperature}",
                    report.max_rhat,
                    report.min_ess_bulk.min(report.min_ess_tail),
                ),
            }
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
    if report.chains == 1 {
        let found = "one chain cannot be compared with another".to_string();
        return Some(of_run(
            FaultKind::NoRhat,
            found,
            "set run.chains to 4 or more",
        ));
    }
    // Chains of a network are compared by their log density.
    let rows = match &report.log_density {
        Some(lp) => std::slice::from_ref(lp),
        None => &report.rows,
    };
    if let Some(row) = rows.iter().find(|r| !r.rhat.is_finite()) {
        let why = row.reason.as_deref().unwrap_or("too few draws");
        let found = format!("{} has no r-hat ({why})", row.name);
        let kind = FaultKind::NoRhat;
        return Some(of_parameter(kind, &row.name, f64::NAN, found, MORE_DRAWS));
    }
    let worst = |of: fn(&Row) -> f64| rows.iter().max_by(|a, b| of(a).total_cmp(&of(b)));
    if let Some(row) = worst(|r| r.rhat).filter(|r| r.rhat > AGREE) {
        let found = format!(
            "chains disagree on {} (r-hat {:.4}, expected {AGREE} or less)",
            row.name, row.rhat
        );
        let kind = FaultKind::ChainsDisagree;
        let remedy = MORE_DRAWS;
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

/// Temperatures of each parameter, which say whether its spread is right. Where a run has no gradients at its draws, the spread of all parameters together is
/// compared with the metric's, if the posterior is near enough to Gaussian for that.
fn of_temperatures(report: &Report) -> Option<Fault> {
    let (gauges, target) = (report.gauges.as_ref()?, report.thermometers.target?);
    if gauges.temperature.is_empty() {
        return of_spread(report, target);
    }
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
        let remedy = "set batch_size = \"full\" and leave sampler.method, gradient and step_size out, or raise run.draws";
        return Some(of_parameter(kind, name(i), error, found, remedy));
    }
    let i = gauges.worst_temperature(target)?;
    let (t, error) = (gauges.temperature[i], gauges.temperature_error[i]);
    let off = (t - target).abs();
    let least = if exact {
        TEMPERATURE_TESTED
    } else {
        TEMPERATURE
    };
    (off > ERRORS * error && off > least * target).then(|| {
        let found = format!(
            "{} is at temperature {t:.3} +- {error:.3}, not {target}, so that its spread is wrong",
            name(i)
        );
        let kind = FaultKind::TemperatureOff;
        let remedy =
            "set batch_size = \"full\" and leave sampler.method, gradient and step_size out, or lower sampler.step_size";
        of_parameter(kind, name(i), t, found, remedy)
    })
}

/// A spread that no posterior near its mode's Gaussian has: a method that does not sample it, or a step too long for it.
fn of_spread(report: &Report, target: f64) -> Option<Fault> {
    let (spread, cost) = (&report.thermometers.covariance, &report.thermometers.cost);
    let method = report.ledger.get("method").map_or("", String::as_str);
    // Exact methods have the posterior's own spread, whatever its shape.
    if method == "mala" || method.starts_with("independent") {
        return None;
    }
    // A posterior's shape moves the spread and the cost in different ways; a wrong temperature moves both. A cost that is known too roughly
    // speaks for neither, and nothing then says that the spread is the posterior's own.
    let off = |m: &Measured| {
        let off = m.value - target;
        (off.abs() > ERRORS * m.mcse && off.abs() > MUCH * target).then_some(off)
    };
    let hotter = off(spread)?;
    let rough = cost.mcse.is_nan() || cost.mcse > MUCH * target / ERRORS;
    let both = off(cost).is_some_and(|cost| cost * hotter > 0.0);
    (both || rough).then(|| Fault {
        value: Some(spread.value),
        ..of_run(
            FaultKind::TemperatureOff,
            format!(
                "draws are spread as at temperature {:.3} +- {:.3}, not {target}, by the metric at the mode",
                spread.value, spread.mcse
            ),
            "leave sampler.method, step_size and batch_size out, or lower sampler.step_size",
        )
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
