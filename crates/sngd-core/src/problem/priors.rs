//! Priors by the keys of `[prior]`.

use super::defaults::Defaults;
use crate::config::{Config, PriorEntry, Target};
use crate::error::{CheckError, nearest};
use crate::likelihood::Likelihood;
use crate::network::Network;
use crate::prior::{Prior, ScalePrior};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The priors of a problem, and how they are stated.
pub(super) struct Priors {
    /// Of the coefficients, on the natural scale, `[P−A]`.
    pub coefficients: Vec<Prior>,
    /// Of an unknown scale, or of a custom likelihood's positive parameter.
    pub scale: Option<ScalePrior>,
    /// Whether the intercept's prior is on the linear predictor where every column is at its mean.
    pub at_means: bool,
    /// One line per group of parameters that share a prior.
    pub stated: Vec<StatedPrior>,
}

/// A prior in force, as a person reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatedPrior {
    /// The parameters that have it, such as `weights[age]`, or `weights` for all.
    pub parameters: String,
    /// The prior in the notation of a run file.
    pub prior: String,
    /// Whether it is the default: the run file names none.
    pub default: bool,
}

impl StatedPrior {
    fn new(parameters: impl Into<String>, prior: impl ToString, default: bool) -> StatedPrior {
        StatedPrior {
            parameters: parameters.into(),
            prior: prior.to_string(),
            default,
        }
    }
}

/// Key of the prior on the linear predictor where every column is at its mean.
pub const AT_MEANS: &str = "intercept_at_means";
/// Default prior of a network's weights and biases.
const NETWORK: Prior = Prior::Normal(0.0, 1.0);

/// The entries of `[prior]`.
struct Given<'a>(&'a BTreeMap<String, PriorEntry>);

impl Given<'_> {
    /// The entry of a key, unless it asks for the default.
    fn entry(&self, key: &str) -> Option<&PriorEntry> {
        self.0.get(key).filter(|entry| !entry.is_default())
    }

    /// The coefficient's prior of a key.
    fn coefficient(&self, key: &str) -> Result<Option<Prior>, CheckError> {
        let entry = self.entry(key).map(PriorEntry::coefficient).transpose();
        entry.map_err(|e| CheckError::key(format!("prior.{key}"), e))
    }

    /// The scale's prior of a key.
    fn scale(&self, key: &str) -> Result<Option<ScalePrior>, CheckError> {
        let entry = self.entry(key).map(PriorEntry::scale).transpose();
        entry.map_err(|e| CheckError::key(format!("prior.{key}"), e))
    }
}

/// Priors of a linear predictor's coefficients, class by class, and of a scale.
pub(super) fn linear(
    config: &Config,
    columns: &[String],
    intercept: bool,
    likelihood: &Likelihood,
    defaults: &Defaults,
) -> Result<Priors, CheckError> {
    let given = Given(&config.prior.0);
    check_keys(config, columns, intercept, likelihood)?;
    let weights = given.coefficient("weights")?;
    let first = usize::from(intercept);
    let (mut one, mut stated, mut at_means) = (Vec::new(), Vec::new(), false);
    if intercept {
        let (raw, centred) = (
            given.coefficient("intercept")?,
            given.coefficient(AT_MEANS)?,
        );
        let asked = ["intercept", AT_MEANS]
            .iter()
            .any(|key| config.prior.0.contains_key(*key));
        let (prior, default) = match (raw, centred) {
            (Some(prior), _) | (None, Some(prior)) => (prior, false),
            // Nothing is known of a linear predictor whose weights are flat.
            (None, None) if weights == Some(Prior::Flat) && !asked => (Prior::Flat, true),
            (None, None) => (defaults.intercept(), true),
        };
        at_means = raw.is_none() && prior != Prior::Flat;
        one.push(prior);
        let place = if at_means { AT_MEANS } else { "intercept" };
        stated.push(StatedPrior::new(place, prior, default));
    }
    let mut own = Vec::with_capacity(columns.len());
    for (j, name) in columns.iter().enumerate().skip(first) {
        let given = match given.coefficient(&format!("weights.{name}"))? {
            None => weights,
            own => own,
        };
        let prior = given.unwrap_or_else(|| defaults.weight(j));
        one.push(prior);
        own.push(StatedPrior::new(
            format!("weights[{name}]"),
            prior,
            given.is_none(),
        ));
    }
    stated.extend(grouped(own, "weights"));
    let scale = scale_prior(config, likelihood, || defaults.scale(), &mut stated)?;
    let k = likelihood.linear_outputs();
    Ok(Priors {
        coefficients: (0..k).flat_map(|_| one.iter().copied()).collect(),
        scale,
        at_means,
        stated,
    })
}

/// One line under the group's name where all say the same.
fn grouped(lines: Vec<StatedPrior>, name: &str) -> Vec<StatedPrior> {
    let same = |l: &&StatedPrior| (&l.prior, l.default) == (&lines[0].prior, lines[0].default);
    match lines.iter().filter(same).count() == lines.len() && lines.len() > 1 {
        true => vec![StatedPrior::new(name, &lines[0].prior, lines[0].default)],
        false => lines,
    }
}

/// Refuses keys of `[prior]` that name nothing of a linear predictor.
fn check_keys(
    config: &Config,
    columns: &[String],
    intercept: bool,
    likelihood: &Likelihood,
) -> Result<(), CheckError> {
    let map = &config.prior.0;
    let auxiliary = likelihood.auxiliary().unwrap_or("scale");
    for key in map.keys() {
        let own = key.strip_prefix("weights.");
        let known = match key.as_str() {
            "weights" => true,
            own if own == auxiliary => true,
            "intercept" | AT_MEANS => {
                if !intercept {
                    return Err(CheckError::key(
                        format!("prior.{key}"),
                        "found a prior beside data.intercept = false, expected none; remove the key or set intercept = true",
                    ));
                }
                if key == AT_MEANS && map.contains_key("intercept") {
                    return Err(CheckError::key(
                        format!("prior.{key}"),
                        "found it beside prior.intercept, expected one of them; remove the other",
                    ));
                }
                true
            }
            _ => own.is_some_and(|o| columns.iter().any(|c| c == o)),
        };
        if !known {
            let candidates: Vec<String> = ["weights", "intercept", AT_MEANS, auxiliary]
                .iter()
                .map(|s| s.to_string())
                .chain(columns.iter().map(|c| format!("weights.{c}")))
                .collect();
            let hint = nearest(key, candidates.iter().map(String::as_str))
                .map_or(String::new(), |n| format!("; did you mean \"{n}\"?"));
            return Err(CheckError::key(
                "prior",
                format!(
                    "found unknown key \"{key}\", expected weights, intercept, {AT_MEANS}, {auxiliary} or \"weights.COLUMN\"{hint}"
                ),
            ));
        }
    }
    Ok(())
}

/// The prior of an unknown scale, or of a custom likelihood's positive parameter.
fn scale_prior(
    config: &Config,
    likelihood: &Likelihood,
    default: impl Fn() -> ScalePrior,
    stated: &mut Vec<StatedPrior>,
) -> Result<Option<ScalePrior>, CheckError> {
    let given = Given(&config.prior.0);
    let Some(name) = likelihood.auxiliary() else {
        return match given.entry("scale") {
            Some(_) => Err(CheckError::key(
                "prior.scale",
                "found a prior for a scale that the model does not have, expected it only with likelihood = \"gaussian\" and scale = \"unknown\"; remove the key",
            )),
            None => Ok(None),
        };
    };
    let own = given.scale(name)?;
    let prior = own.unwrap_or_else(default);
    stated.push(StatedPrior::new(name, prior, own.is_none()));
    Ok(Some(prior))
}

/// Priors of a network's weights and biases in the order of ω. Keys `weights` and `bias` apply to every layer,
/// `layer0_weights` and the like to one; `normal_fan_in(s)` is normal(0, s/√fan-in).
pub(super) fn network(
    config: &Config,
    net: &Network,
    likelihood: &Likelihood,
    defaults: &Defaults,
) -> Result<Priors, CheckError> {
    let map = &config.prior.0;
    let layers = net.layers();
    let auxiliary = likelihood.auxiliary().unwrap_or("scale");
    let mut known = vec!["weights".to_string(), "bias".into(), auxiliary.into()];
    for l in 0..layers.len() {
        known.extend([format!("layer{l}_weights"), format!("layer{l}_bias")]);
    }
    if let Some(key) = map.keys().find(|k| !known.contains(k)) {
        let hint = nearest(key, known.iter().map(String::as_str))
            .map_or(String::new(), |n| format!("; did you mean \"{n}\"?"));
        return Err(CheckError::key(
            "prior",
            format!(
                "found unknown key \"{key}\", expected weights, bias, {auxiliary}, or those of one layer such as layer0_weights and layer0_bias{hint}"
            ),
        ));
    }
    if !net.bias
        && let Some(key) = map.keys().find(|k| k.ends_with("bias"))
    {
        return Err(CheckError::key(
            format!("prior.{key}"),
            "found a prior beside model.bias = false, expected none; remove the key or set model.bias = true",
        ));
    }
    let entries = Given(map);
    let read = |own: &str, group: &str, inputs: usize| -> Result<(Prior, bool), CheckError> {
        let key = if map.contains_key(own) { own } else { group };
        let Some(given) = entries.entry(key) else {
            return Ok((NETWORK, true));
        };
        let text = given.to_string();
        let fan_in = text
            .trim()
            .strip_prefix("normal_fan_in(")
            .and_then(|r| r.strip_suffix(')'));
        if let Some(s) = fan_in {
            return match s.trim().parse::<f64>() {
                Ok(s) if s > 0.0 && s.is_finite() => {
                    Ok((Prior::Normal(0.0, s / (inputs as f64).sqrt()), false))
                }
                _ => Err(CheckError::key(
                    format!("prior.{key}"),
                    format!("found \"{text}\", expected normal_fan_in(s) with a finite s > 0"),
                )),
            };
        }
        let prior = given
            .coefficient()
            .map_err(|e| CheckError::key(format!("prior.{key}"), e))?;
        if prior == Prior::Flat {
            return Err(CheckError::key(
                format!("prior.{key}"),
                "found \"flat\", under which a network's posterior is improper, expected a proper prior such as normal(0, 1) or normal_fan_in(1)",
            ));
        }
        Ok((prior, false))
    };
    let (mut of_weights, mut of_biases) = (Vec::new(), Vec::new());
    let mut all = Vec::with_capacity(net.parameters());
    for (l, layer) in layers.iter().enumerate() {
        let weights = read(&format!("layer{l}_weights"), "weights", layer.inputs)?;
        let bias = read(&format!("layer{l}_bias"), "bias", layer.inputs)?;
        let line = |what: &str, (prior, default): (Prior, bool)| {
            StatedPrior::new(format!("layer{l}_{what}"), prior, default)
        };
        of_weights.push(line("weights", weights));
        if net.bias {
            of_biases.push(line("bias", bias));
        }
        for _ in 0..layer.outputs {
            all.extend(std::iter::repeat_n(weights.0, layer.inputs));
            all.extend(std::iter::repeat_n(bias.0, layer.stride - layer.inputs));
        }
    }
    let mut stated = grouped(of_weights, "weights");
    stated.extend(grouped(of_biases, "bias"));
    let scale = scale_prior(config, likelihood, || defaults.scale(), &mut stated)?;
    Ok(Priors {
        coefficients: all,
        scale,
        at_means: false,
        stated,
    })
}

/// Refuses a flat prior beside a logit for every class: whatever the data, nothing determines the shift common to all of them. The
/// engines' crates look at the data (`sngd_cpu::propriety`).
pub(super) fn check_shift(
    config: &Config,
    priors: &[Prior],
    likelihood: &Likelihood,
) -> Result<(), CheckError> {
    let shifts = matches!(
        likelihood,
        Likelihood::Softmax {
            baseline: false,
            ..
        }
    );
    if shifts && priors.contains(&Prior::Flat) && config.sampler.target == Target::Posterior {
        return Err(CheckError::key(
            "model.baseline",
            "found \"none\" beside a flat prior, which leaves the shift common to all classes without a posterior (improper), expected proper priors; set baseline = \"first\" or give prior.intercept and prior.weights",
        ));
    }
    Ok(())
}
