//! The summary of a run, from memory or from a trace: one row per parameter, the thermometers, and why a number is missing.
//! [`Report`] serialises to the stable JSON form of `sngd summary --json`: numbers that do not exist are `null`, and a
//! `reason` then says why. Fields are only ever added.

pub(crate) mod verdict;
mod write;

pub use verdict::{Fault, FaultKind, Verdict};

use crate::error::Error;
use crate::facts::Facts;
use crate::gauges::Gauges;
use crate::predict::Scores;
use crate::samples::Samples;
use serde::Serialize;
use sngd_core::problem::StatedPrior;
use sngd_core::stat::Stat;
use sngd_diag::{DEFAULT_HDI_PROB, Draws, Summary, Temperature, nested_rhat, summarize_block};
use sngd_store::{Phase, TraceReader};
use std::collections::BTreeMap;
use std::path::Path;

/// Share by which a Gaussian thermometer may be off before the posterior is called not Gaussian.
const GAUSSIAN: f64 = 0.02;
/// Most numbers of draws that the covariance thermometer reads; longer runs are thinned for it.
const COVARIANCE_VALUES: usize = 1 << 26;

/// Draws below which a chain that does not move is no sign of anything.
const LEAST_DRAWS_STUCK: usize = 100;

/// The content of a summary.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Version of the JSON form.
    pub version: u32,
    /// `complete`, `interrupted`, `failed` or `running`.
    pub status: String,
    /// Message of the fault, if there was one.
    pub fault: Option<String>,
    /// Number of chains, C.
    pub chains: usize,
    /// Kept draws per chain.
    pub draws: usize,
    /// Number of parameters, P.
    pub parameters: usize,
    /// Probability inside each highest density interval.
    pub hdi_prob: f64,
    /// The priors in force, given or default.
    pub priors: Vec<StatedPrior>,
    /// One row per parameter, in the order of the trace.
    pub rows: Vec<Row>,
    /// Largest R-hat; `null` if any is missing.
    pub max_rhat: f64,
    /// Smallest bulk ESS; `null` if any is missing.
    pub min_ess_bulk: f64,
    /// Smallest tail ESS; `null` if any is missing.
    pub min_ess_tail: f64,
    /// Draws marked as diverging.
    pub divergences: u64,
    /// Chains that hold one position for a tenth of their draws or longer.
    pub stuck_chains: usize,
    /// Share of the steps whose residual noise fell back to full noise.
    pub fallback_share: Option<f64>,
    /// Measured and expected temperatures.
    pub thermometers: Thermometers,
    /// The ensemble's scores on the held-out rows.
    pub predictions: Option<Scores>,
    /// Of a network: the log density over the draws. Its weights have many equivalent modes, so that chains need not agree on them, and the verdict
    /// asks whether they agree on this. `null` for linear predictors.
    pub log_density: Option<Row>,
    /// Of a network: nats per row by which its last draws make the fitted rows more likely than outputs that are the same for all rows.
    pub gain: Option<f64>,
    /// What the run measured about itself.
    pub gauges: Option<Gauges>,
    /// Whether the draws can be used as they are, and if not what to change.
    pub verdict: Verdict,
    /// Which density the draws follow, and how.
    pub ledger: BTreeMap<String, String>,
}

/// The diagnostics of one parameter: an [`sngd_diag::Summary`] with a name, in the form of the JSON output.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Name of the parameter, e.g. `weights[glucose]`.
    pub name: String,
    /// Posterior mean.
    pub mean: f64,
    /// Posterior standard deviation.
    pub sd: f64,
    /// Monte Carlo standard error of the mean.
    pub mcse_mean: f64,
    /// Monte Carlo standard error of the sd.
    pub mcse_sd: f64,
    /// Lower end of the highest density interval.
    pub hdi_low: f64,
    /// Upper end of the highest density interval.
    pub hdi_high: f64,
    /// Effective sample size of the bulk.
    pub ess_bulk: f64,
    /// Effective sample size of the tails.
    pub ess_tail: f64,
    /// Rank-normalised split R-hat.
    pub rhat: f64,
    /// Nested R-hat; only with superchains.
    pub nested_rhat: Option<f64>,
    /// Why a number is missing.
    pub reason: Option<String>,
}

/// A measured temperature.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The measured temperature T̂, no unit.
    pub value: f64,
    /// Monte Carlo standard error of `value`.
    pub mcse: f64,
    /// Why one of them is missing.
    pub reason: Option<String>,
}

/// Temperatures, and whether the assumption of the temperature law is true.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thermometers {
    /// Temperature T that the target asks for.
    pub target: Option<f64>,
    /// Temperature of the draws' covariance, tr(Σ̂·M)/P with M at the mode.
    pub covariance: Measured,
    /// Temperature of the mean cost, `2(E[C] − C(ω*))/P`.
    pub cost: Measured,
    /// Whether the spread is that of a Gaussian posterior at the measured temperatures of the parameters; `false` where it differs by
    /// more than its error, so that `covariance` and `cost` say nothing of the temperature. `null` where that is not known.
    pub gaussian: Option<bool>,
    /// Temperature of minibatch noise alone, ρεN/(B(2−ε)).
    pub law: Option<f64>,
    /// Root mean square of (eigenvalue − 1) of F⁻¹Σ_g at the mode.
    pub fisher_mismatch: Option<f64>,
    /// Smallest and largest of those eigenvalues.
    pub fisher_eigenvalues: Option<[f64; 2]>,
    /// Why there is no Fisher mismatch.
    pub fisher_mismatch_reason: Option<String>,
}

/// Draws and facts, from memory or from a trace.
struct Input {
    names: Vec<String>,
    chains: usize,
    draws: usize,
    /// Draws, `[n, C, P]` in stored order.
    values: Vec<f64>,
    /// Log posterior of each draw, `[n, C]`, in nats.
    lp: Vec<f64>,
    /// The same estimated from each step's rows.
    lp_minibatch: Vec<f64>,
    divergences: u64,
    status: String,
    fault: Option<String>,
    fallback_share: Option<f64>,
    gain: Option<f64>,
    gauges: Option<Gauges>,
    predictions: Option<Scores>,
    facts: Option<Facts>,
}

impl Samples {
    /// The summary: a row per parameter, and the thermometers.
    pub fn summary(&self) -> Report {
        summarize(self)
    }
}

/// Summarises draws in memory.
pub fn summarize(samples: &Samples) -> Report {
    let column = |k: usize| samples.stats.iter().skip(k).step_by(Stat::COUNT);
    report(Input {
        names: samples.names.clone(),
        chains: samples.facts.chains,
        draws: samples.draws,
        values: samples.values.clone(),
        lp: column(Stat::Lp.at()).copied().collect(),
        lp_minibatch: column(Stat::LpMinibatch.at()).copied().collect(),
        divergences: column(Stat::Diverging.at()).filter(|d| **d != 0.0).count() as u64,
        status: samples
            .outcome
            .as_ref()
            .map_or("running", |o| o.ending.name())
            .to_string(),
        fault: None,
        fallback_share: samples.outcome.as_ref().map(|o| o.fallback_share),
        gain: samples.outcome.as_ref().and_then(|o| o.gain),
        gauges: samples.outcome.as_ref().and_then(|o| o.gauges.clone()),
        predictions: samples.predictions(),
        facts: Some(samples.facts.clone()),
    })
}

/// Summarises a trace, complete or still growing.
///
/// # Errors
/// [`Error::Store`] if it cannot be read.
pub fn summarize_trace(path: &Path) -> Result<Report, Error> {
    let reader = TraceReader::open(path)?;
    let (chains, draws) = (reader.chains(), reader.draws(Phase::Draws));
    let mut facts: Option<Facts> = reader
        .attribute("sngd_facts")
        .and_then(|t| serde_json::from_str(t).ok());
    let mut names = Vec::new();
    let mut parts = Vec::new();
    for v in reader.variables() {
        let mut labels = vec![String::new()];
        for dim in &v.dims {
            labels = labels
                .iter()
                .flat_map(|l| dim.labels.iter().map(move |m| join(l, m)))
                .collect();
        }
        names.extend(labels.iter().map(|l| {
            if v.dims.is_empty() {
                v.name.clone()
            } else {
                format!("{}[{l}]", v.name)
            }
        }));
        parts.push(reader.samples(Phase::Draws, &v.name)?);
    }
    let mut values = Vec::with_capacity(draws * chains * names.len());
    for row in 0..draws * chains {
        for part in &parts {
            values.extend_from_slice(&part.values[row * part.elements..][..part.elements]);
        }
    }
    drop(parts);
    let has = |name: &str| reader.stats().any(|s| s.name == name);
    let read = |name: &str| -> Result<Vec<f64>, Error> {
        if has(name) {
            Ok(reader.stat(Phase::Draws, name)?.values)
        } else {
            Ok(Vec::new())
        }
    };
    if let Some(f) = &mut facts {
        let square = f.parameters * f.parameters;
        f.metric = reader
            .constant()
            .iter()
            .find(|a| a.name == "metric" && a.values.len() == square)
            .map(|a| a.values.clone());
    }
    let outcome = reader
        .attribute("outcome")
        .and_then(|t| serde_json::from_str::<serde_json::Value>(t).ok());
    let share = outcome
        .as_ref()
        .and_then(|v| v.get("fallback_share")?.as_f64());
    let gain = outcome.as_ref().and_then(|v| v.get("gain")?.as_f64());
    let gauges = outcome.and_then(|v| serde_json::from_value(v.get("gauges")?.clone()).ok());
    Ok(report(Input {
        names,
        chains,
        draws,
        values,
        lp: read("lp")?,
        lp_minibatch: read("lp_minibatch")?,
        divergences: read("diverging")?.iter().filter(|d| **d != 0.0).count() as u64,
        status: reader.attribute("status").unwrap_or("unknown").to_string(),
        fault: reader.attribute("fault").map(str::to_string),
        fallback_share: share,
        gain,
        gauges,
        predictions: reader
            .attribute("sngd_predictions")
            .and_then(|t| serde_json::from_str(t).ok()),
        facts,
    }))
}

impl Input {
    /// Log posterior of each draw, `[n, C]`, in nats: over all rows or, where that is not known, estimated from each step's rows, which are drawn
    /// after the state, so that the mean over draws is the same.
    fn log_densities(&self) -> &[f64] {
        match self.lp.iter().any(|v| v.is_nan()) {
            true => &self.lp_minibatch,
            false => &self.lp,
        }
    }
}

fn join(left: &str, right: &str) -> String {
    if left.is_empty() {
        right.to_string()
    } else {
        format!("{left}, {right}")
    }
}

fn report(input: Input) -> Report {
    let (n, c, p) = (input.draws, input.chains, input.names.len());
    let superchains = input.facts.as_ref().map_or(0, |f| f.superchains);
    let lp = input.log_densities();
    let network = input.gain.is_some() && lp.len() == n * c;
    let log_density = network
        .then(|| rows_of(lp, (n, c, 1), &["log density".to_string()], superchains))
        .and_then(|rows| rows.into_iter().next());
    let rows = rows_of(&input.values, (n, c, p), &input.names, superchains);
    // A missing number is not skipped: the extreme is then missing too.
    let extreme = |of: fn(&Row) -> f64, take: fn(f64, f64) -> f64| {
        rows.iter()
            .map(of)
            .reduce(|a, b| {
                if a.is_nan() || b.is_nan() {
                    f64::NAN
                } else {
                    take(a, b)
                }
            })
            .unwrap_or(f64::NAN)
    };
    let mut report = Report {
        version: 1,
        status: input.status.clone(),
        fault: input.fault.clone(),
        chains: c,
        draws: n,
        parameters: p,
        hdi_prob: DEFAULT_HDI_PROB,
        priors: input
            .facts
            .iter()
            .flat_map(|f| f.priors.iter().cloned())
            .collect(),
        max_rhat: extreme(|r| r.rhat, f64::max),
        min_ess_bulk: extreme(|r| r.ess_bulk, f64::min),
        min_ess_tail: extreme(|r| r.ess_tail, f64::min),
        divergences: input.divergences,
        stuck_chains: stuck_chains(&input.values, n, c, p),
        fallback_share: input.fallback_share,
        predictions: input.predictions.clone(),
        thermometers: thermometers(&input),
        ledger: input
            .facts
            .iter()
            .flat_map(|f| f.ledger.iter().cloned())
            .collect(),
        log_density,
        gain: input.gain,
        gauges: input.gauges.clone(),
        verdict: Verdict::default(),
        rows,
    };
    report.verdict = verdict::judge(&report);
    report
}

/// The diagnostics of `values` `[n,C,P]`, a row for each of the `names` `[P]`.
fn rows_of(
    values: &[f64],
    (n, c, p): (usize, usize, usize),
    names: &[String],
    superchains: usize,
) -> Vec<Row> {
    summarize_block(values, n, c, p, DEFAULT_HDI_PROB)
        .unwrap_or_default()
        .iter()
        .zip(names)
        .enumerate()
        .map(|(i, (s, name))| {
            let nested = (superchains > 0).then(|| {
                Draws::from_block(values, n, c, p, i).and_then(|d| nested_rhat(&d, superchains))
            });
            let why = nested
                .as_ref()
                .and_then(|r| r.as_ref().err())
                .map(|e| e.to_string());
            // By name and in full, so that a number which the diagnostics gain is not forgotten here.
            let Summary {
                mean,
                sd,
                mcse_mean,
                mcse_sd,
                hdi_low,
                hdi_high,
                ess_bulk,
                ess_tail,
                rhat,
                reason,
            } = *s;
            Row {
                name: name.clone(),
                mean,
                sd,
                mcse_mean,
                mcse_sd,
                hdi_low,
                hdi_high,
                ess_bulk,
                ess_tail,
                rhat,
                nested_rhat: nested.map(|r| r.unwrap_or(f64::NAN)),
                reason: reason.map(|r| r.to_string()).or(why),
            }
        })
        .collect()
}

impl Report {
    /// Moves every mean by the shift that the gradients give; `mcse_mean` is then the error that remains.
    ///
    /// # Errors
    /// [`Error::Input`] if the run kept no gradients, or its metric was not at the mode.
    pub fn move_means(&mut self) -> Result<(), Error> {
        let gauges = self
            .gauges
            .as_ref()
            .filter(|g| g.shift.len() == self.rows.len());
        let Some(g) = gauges else {
            return Err(Error::Input(
                "--exact: found a trace without gradients at its draws, expected one of a run with the metric at the mode; sample with sampler.metric = \"mode\"".into(),
            ));
        };
        for (i, row) in self.rows.iter_mut().enumerate() {
            row.mean += g.shift[i];
            row.mcse_mean = g.shift_error[i] * row.sd;
        }
        Ok(())
    }
}

/// Chains of `values` `[n,C,P]` that hold one position for a tenth of the draws or longer, as a Metropolis step does that is
/// never accepted.
fn stuck_chains(values: &[f64], n: usize, c: usize, p: usize) -> usize {
    let longest = |chain: usize| {
        let draw = |t: usize| &values[(t * c + chain) * p..][..p];
        let (mut held, mut longest) = (0, 0);
        for t in 1..n {
            held = if draw(t) == draw(t - 1) { held + 1 } else { 0 };
            longest = longest.max(held);
        }
        longest
    };
    match n >= LEAST_DRAWS_STUCK {
        true => (0..c).filter(|&chain| longest(chain) * 10 >= n).count(),
        false => 0,
    }
}

fn missing(reason: impl Into<String>) -> Measured {
    Measured {
        value: f64::NAN,
        mcse: f64::NAN,
        reason: Some(reason.into()),
    }
}

fn measured(t: Result<Temperature, sngd_diag::DiagError>) -> Measured {
    match t {
        Ok(t) => Measured {
            value: t.value,
            mcse: t.mcse,
            reason: t.reason.map(|r| r.to_string()),
        },
        Err(e) => missing(e.to_string()),
    }
}

fn thermometers(input: &Input) -> Thermometers {
    let Some(facts) = &input.facts else {
        let why = "the trace does not say how the run was made";
        return Thermometers {
            target: None,
            covariance: missing(why),
            cost: missing(why),
            gaussian: None,
            law: None,
            fisher_mismatch: None,
            fisher_eigenvalues: None,
            fisher_mismatch_reason: Some(why.into()),
        };
    };
    let mismatch = facts.fisher_mismatch;
    let (covariance, cost) = (covariance(input, facts), cost(input, facts));
    let measured = input.gauges.as_ref().filter(|g| !g.temperature.is_empty());
    let near = |m: &Measured| {
        let off = (m.value - facts.temperature).abs();
        m.value.is_nan() || off <= GAUSSIAN * facts.temperature || off <= 4.0 * m.mcse
    };
    Thermometers {
        target: Some(facts.temperature),
        gaussian: measured.map(|_| near(&covariance) && near(&cost)),
        covariance,
        cost,
        law: facts.law_temperature,
        fisher_mismatch: mismatch.map(|m| m[0]),
        fisher_eigenvalues: mismatch.map(|m| [m[1], m[2]]),
        fisher_mismatch_reason: facts.fisher_mismatch_reason.clone(),
    }
}

fn covariance(input: &Input, facts: &Facts) -> Measured {
    let (n, c, p) = (input.draws, input.chains, input.names.len());
    let Some(metric) = &facts.metric else {
        return missing(format!(
            "the metric is kept only up to {} parameters",
            crate::THERMOMETER_PARAMETERS
        ));
    };
    let stride = (n * c * p).div_ceil(COVARIANCE_VALUES).max(1);
    let mut values: Vec<f64> = input
        .values
        .chunks((c * p).max(1))
        .step_by(stride)
        .flatten()
        .copied()
        .collect();
    if let Some(k) = facts.log_scale {
        values.chunks_mut(p).for_each(|row| row[k] = row[k].ln());
    }
    measured(sngd_diag::temperature_covariance(
        &values,
        n.div_ceil(stride),
        c,
        p,
        metric,
    ))
}

fn cost(input: &Input, facts: &Facts) -> Measured {
    let Some(at_mode) = facts.log_density_at_mode else {
        return missing("the mode was not needed, so that the cost there is not known");
    };
    let costs: Vec<f64> = input.log_densities().iter().map(|lp| -lp).collect();
    measured(
        Draws::from_block(&costs, input.draws, input.chains, 1, 0)
            .and_then(|d| sngd_diag::temperature_cost(&d, -at_mode, input.names.len())),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two chains of two parameters: one moves at every draw, one holds its place from draw 175 on.
    #[test]
    fn a_chain_that_holds_its_place_is_stuck() {
        let moving = |until: usize| -> Vec<f64> {
            let at = |t: usize| [t as f64, -1.0, t.min(until) as f64, 2.0];
            (0..200).flat_map(at).collect()
        };
        assert_eq!(stuck_chains(&moving(175), 200, 2, 2), 1);
        assert_eq!(stuck_chains(&moving(182), 200, 2, 2), 0);
        assert_eq!(stuck_chains(&moving(0)[..4 * 50], 50, 2, 2), 0);
    }
}
