//! One sentence on whether the draws can be used as they are.

use super::Report;
use serde::Serialize;

/// Largest R-hat of chains that agree (Vehtari et al. 2021).
const AGREE: f64 = 1.01;
/// Least effective draws for which R-hat and the errors can be trusted, 100 for each of four chains.
const LEAST_ESS: f64 = 400.0;
/// Share by which a temperature may be off if its error is smaller: then the sds are off by half of that share.
const TEMPERATURE: f64 = 0.05;
/// Errors by which the worst of many temperatures may be off.
const ERRORS: f64 = 4.0;
/// Largest Monte Carlo error of a temperature, as a share of it: with 400 effective draws of a Gaussian it is 0.07.
const UNSURE: f64 = 0.1;
/// Shift of a mean, in posterior sds, above which it is biased for most purposes.
const SHIFT: f64 = 0.1;

/// Whether the draws can be used, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether nothing speaks against the draws.
    pub converged: bool,
    /// The sentence for people: `converged: ...` or `not yet: ...` with what to change.
    pub sentence: String,
}

/// Judges a report; the sentence names the first thing that is wrong.
pub(super) fn judge(report: &Report) -> Verdict {
    match fault(report) {
        Some(why) => Verdict {
            converged: false,
            sentence: format!("not yet: {why}"),
        },
        None => Verdict {
            converged: true,
            sentence: format!(
                "converged: largest r-hat {:.3}, least effective sample size {:.0}{}",
                report.max_rhat,
                report.min_ess_bulk.min(report.min_ess_tail),
                match (&report.gauges, report.thermometers.target) {
                    (Some(g), Some(_)) if !g.temperature.is_empty() =>
                        ", every parameter at its temperature",
                    _ => "",
                }
            ),
        },
    }
}

fn fault(report: &Report) -> Option<String> {
    let name = |i: usize| report.rows.get(i).map_or("?", |r| r.name.as_str());
    if let Some(fault) = &report.fault {
        return Some(format!("the run failed ({fault})"));
    }
    if report.status != "complete" {
        return Some(format!("the run is {}, not complete", report.status));
    }
    if report.divergences > 0 {
        return Some(format!(
            "{} draws diverged; lower sampler.step_size",
            report.divergences
        ));
    }
    if let Some(row) = report.rows.iter().find(|r| !r.rhat.is_finite()) {
        let why = row.reason.as_deref().unwrap_or("too few draws");
        return Some(format!("{} has no r-hat ({why})", row.name));
    }
    let worst =
        |of: fn(&super::Row) -> f64| report.rows.iter().max_by(|a, b| of(a).total_cmp(&of(b)));
    if let Some(row) = worst(|r| r.rhat).filter(|r| r.rhat > AGREE) {
        return Some(format!(
            "chains disagree on {} (r-hat {:.3}, expected {AGREE} or less); raise run.draws or run.warmup",
            row.name, row.rhat
        ));
    }
    let ess = |r: &super::Row| -r.ess_bulk.min(r.ess_tail);
    if let Some(row) = worst(ess).filter(|r| -ess(r) < LEAST_ESS) {
        return Some(format!(
            "{} has {:.0} effective draws, expected {LEAST_ESS:.0} or more; raise run.draws",
            row.name,
            -ess(row)
        ));
    }
    let (gauges, target) = (report.gauges.as_ref()?, report.thermometers.target?);
    let unsure = (0..gauges.temperature.len())
        .max_by(|&a, &b| gauges.temperature_error[a].total_cmp(&gauges.temperature_error[b]))
        .filter(|&i| gauges.temperature_error[i] > UNSURE * target.max(f64::MIN_POSITIVE));
    if let Some(i) = unsure {
        return Some(format!(
            "the temperature of {} is known to {:.2} only (read {:.2}, target {target}), as where a chain makes rare and far excursions, so that its spread cannot be trusted; set batch_size = \"full\" and leave sampler.gradient and step_size out, or raise run.draws",
            name(i),
            gauges.temperature_error[i],
            gauges.temperature[i]
        ));
    }
    if let Some(i) = gauges.worst_temperature(target) {
        let (t, error) = (gauges.temperature[i], gauges.temperature_error[i]);
        let off = (t - target).abs();
        if off > ERRORS * error && off > TEMPERATURE * target {
            return Some(format!(
                "{} is at temperature {t:.3} +- {error:.3}, not {target}, so that its spread is wrong; set batch_size = \"full\" and leave sampler.gradient and step_size out, or lower sampler.step_size",
                name(i)
            ));
        }
    }
    let i = gauges.worst_shift()?;
    let (shift, error) = (gauges.shift_sds[i], gauges.shift_error[i]);
    (shift.abs() > SHIFT + ERRORS * error).then(|| {
        format!(
            "the mean of {} is {:.2} sd from where its gradients put it; raise run.draws, or lower sampler.step_size",
            name(i),
            shift.abs()
        )
    })
}
