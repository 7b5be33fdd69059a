//! Priors by the keys of `[prior]`.

use crate::config::{Config, PriorEntry, Target};
use crate::error::{CheckError, nearest};
use crate::likelihood::Likelihood;
use crate::network::Network;
use crate::prior::{Prior, ScalePrior};

pub(super) type Priors = (Vec<Prior>, Option<ScalePrior>);

/// Priors of a linear predictor's coefficients, class by class, and of a scale.
pub(super) fn linear(
    config: &Config,
    columns: &[String],
    intercept: bool,
    likelihood: &Likelihood,
) -> Result<Priors, CheckError> {
    let map = &config.prior.0;
    let read = |key: &str, default: &str| -> Result<Prior, CheckError> {
        map.get(key)
            .map_or_else(|| Prior::parse(default), PriorEntry::coefficient)
            .map_err(|e| CheckError::key(format!("prior.{key}"), e))
    };
    let weights = read("weights", "normal(0, 2.5)")?;
    let mut one = Vec::with_capacity(columns.len());
    for (j, name) in columns.iter().enumerate() {
        one.push(if intercept && j == 0 {
            read("intercept", "flat")?
        } else if map.contains_key(&format!("weights.{name}")) {
            read(&format!("weights.{name}"), "")?
        } else {
            weights
        });
    }
    let auxiliary = likelihood.auxiliary().unwrap_or("scale");
    for key in map.keys() {
        let own = key.strip_prefix("weights.");
        let known = match key.as_str() {
            "weights" => true,
            own if own == auxiliary => true,
            "intercept" => {
                if !intercept {
                    return Err(CheckError::key(
                        "prior.intercept",
                        "found a prior beside data.intercept = false, expected none; remove the key or set intercept = true",
                    ));
                }
                true
            }
            _ => own.is_some_and(|o| columns.iter().any(|c| c == o)),
        };
        if !known {
            let candidates: Vec<String> = ["weights", "intercept", auxiliary]
                .iter()
                .map(|s| s.to_string())
                .chain(columns.iter().map(|c| format!("weights.{c}")))
                .collect();
            let hint = nearest(key, candidates.iter().map(String::as_str))
                .map_or(String::new(), |n| format!("; did you mean \"{n}\"?"));
            return Err(CheckError::key(
                "prior",
                format!(
                    "found unknown key \"{key}\", expected weights, intercept, {auxiliary} or \"weights.COLUMN\"{hint}"
                ),
            ));
        }
    }
    let k = likelihood.linear_outputs();
    let all = (0..k).flat_map(|_| one.iter().copied()).collect();
    Ok((all, scale_prior(config, likelihood)?))
}

/// The prior of an unknown scale, or of a custom likelihood's positive parameter.
fn scale_prior(config: &Config, likelihood: &Likelihood) -> Result<Option<ScalePrior>, CheckError> {
    let Some(name) = likelihood.auxiliary() else {
        return match config.prior.0.get("scale") {
            Some(_) => Err(CheckError::key(
                "prior.scale",
                "found a prior for a scale that the model does not have, expected it only with likelihood = \"gaussian\" and scale = \"unknown\"; remove the key",
            )),
            None => Ok(None),
        };
    };
    let given = config.prior.0.get(name);
    given
        .map_or(Ok(ScalePrior::HalfCauchy(0.0, 2.5)), PriorEntry::scale)
        .map(Some)
        .map_err(|e| CheckError::key(format!("prior.{name}"), e))
}

/// Priors of a network's weights and biases in the order of ω. Keys `weights` and `bias` apply to every layer,
/// `layer0_weights` and the like to one; `normal_fan_in(s)` is normal(0, s/√fan-in).
pub(super) fn network(
    config: &Config,
    net: &Network,
    likelihood: &Likelihood,
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
    let read = |own: &str, group: &str, inputs: usize| -> Result<Prior, CheckError> {
        let key = if map.contains_key(own) { own } else { group };
        let given = map.get(key).cloned();
        let given = given.unwrap_or(Prior::Normal(0.0, 1.0).into());
        let text = given.to_string();
        let fan_in = text
            .trim()
            .strip_prefix("normal_fan_in(")
            .and_then(|r| r.strip_suffix(')'));
        if let Some(s) = fan_in {
            return match s.trim().parse::<f64>() {
                Ok(s) if s > 0.0 && s.is_finite() => {
                    Ok(Prior::Normal(0.0, s / (inputs as f64).sqrt()))
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
        Ok(prior)
    };
    let mut all = Vec::with_capacity(net.parameters());
    for (l, layer) in layers.iter().enumerate() {
        let weights = read(&format!("layer{l}_weights"), "weights", layer.inputs)?;
        let bias = read(&format!("layer{l}_bias"), "bias", layer.inputs)?;
        for _ in 0..layer.outputs {
            all.extend(std::iter::repeat_n(weights, layer.inputs));
            all.extend(std::iter::repeat_n(bias, layer.stride - layer.inputs));
        }
    }
    Ok((all, scale_prior(config, likelihood)?))
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
