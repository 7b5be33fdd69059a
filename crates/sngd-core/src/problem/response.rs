//! The response, the held-out rows and the likelihood that a run file names.

use crate::config::{Baseline, Config, Family, LinkName, Scale};
use crate::error::CheckError;
use crate::likelihood::{Likelihood, Link, check_shape};
use crate::philox::Stream;
use crate::table::{Response, Table};
use std::sync::Arc;

/// The response as numbers, the trials, and the labels of a categorical response.
pub(super) type ResponseParts = (Vec<f64>, Vec<f64>, Vec<String>);

pub(super) fn response(config: &Config, table: &Table) -> Result<ResponseParts, CheckError> {
    let (source, name) = (&table.source, &config.data.response);
    let counts = |v: &[f64], what: &str| -> Result<(), CheckError> {
        match v.iter().position(|y| *y < 0.0 || y.fract() != 0.0) {
            Some(i) => Err(CheckError::data(
                source,
                format!(
                    "row {}, column '{name}': found {}, expected {what}; correct the row or choose another likelihood",
                    table.source_row(i) + 1,
                    v[i]
                ),
            )),
            None => Ok(()),
        }
    };
    match (&table.response, config.model.likelihood) {
        (Response::Numbers(y), Family::Gaussian) => Ok((y.clone(), vec![], vec![])),
        (Response::Numbers(y), Family::Poisson) => {
            counts(y, "a count of 0 or more for poisson")?;
            Ok((y.clone(), vec![], vec![]))
        }
        (Response::Numbers(y), Family::Binomial) => {
            counts(y, "a count of successes for binomial")?;
            let Some(t) = &table.trials else {
                return Err(CheckError::key(
                    "model.trials",
                    "found nothing, expected the column of trials for likelihood = \"binomial\"; add trials = \"COLUMN\"",
                ));
            };
            for (i, (y, t)) in y.iter().zip(t).enumerate() {
                if t.fract() != 0.0 || *t < 1.0 || y > t {
                    return Err(CheckError::data(
                        source,
                        format!(
                            "row {}: found {y} successes of {t} trials, expected whole trials of 1 or more and no more successes than trials; correct the row",
                            table.source_row(i) + 1
                        ),
                    ));
                }
            }
            Ok((y.clone(), t.clone(), vec![]))
        }
        (Response::Numbers(y), Family::Custom) => {
            Ok((y.clone(), table.trials.clone().unwrap_or_default(), vec![]))
        }
        (Response::Labels { index, levels }, family) => {
            let wanted = if family == Family::Bernoulli {
                "two"
            } else {
                "two or more"
            };
            let ok = levels.len() == 2 || (family == Family::Softmax && levels.len() > 2);
            if !ok {
                let shown: Vec<&str> = levels.iter().take(5).map(String::as_str).collect();
                return Err(CheckError::data(
                    source,
                    format!(
                        "column '{name}': found {} levels ({}{}), expected {wanted}; choose another response or likelihood",
                        levels.len(),
                        shown.join(", "),
                        if levels.len() > 5 { ", ..." } else { "" }
                    ),
                ));
            }
            Ok((
                index.iter().map(|&i| f64::from(i)).collect(),
                vec![],
                levels.clone(),
            ))
        }
        (Response::Numbers(_), Family::Bernoulli | Family::Softmax) => Err(CheckError::data(
            source,
            format!("column '{name}': found numbers, expected labels; read it as labels"),
        )),
    }
}

pub(super) fn split(config: &Config, n: usize) -> Result<(Vec<usize>, Vec<usize>), CheckError> {
    let share = config.data.test_fraction;
    if !(0.0..1.0).contains(&share) {
        return Err(CheckError::key(
            "data.test_fraction",
            format!("found {share}, expected a share of rows in [0, 1); use 0.2 for a fifth"),
        ));
    }
    let held = (share * n as f64).round() as usize;
    if held == 0 {
        return Ok(((0..n).collect(), vec![]));
    }
    let feistel = crate::batch::Feistel::new(n as u32, config.seed, Stream::Split, 0, 0);
    let order: Vec<usize> = (0..n as u32).map(|i| feistel.permute(i) as usize).collect();
    let (mut test, mut train) = (order[..held].to_vec(), order[held..].to_vec());
    test.sort_unstable();
    train.sort_unstable();
    if train.is_empty() {
        return Err(CheckError::key(
            "data.test_fraction",
            format!(
                "found {share}, which holds out all {n} rows, expected some left to fit; use a smaller share"
            ),
        ));
    }
    Ok((train, test))
}

pub(super) fn likelihood(
    config: &Config,
    classes: usize,
    y_scale: f64,
) -> Result<Likelihood, CheckError> {
    let m = &config.model;
    let refuse = |key: &str, owner: &str| {
        Err(CheckError::key(
            format!("model.{key}"),
            format!(
                "found a value beside likelihood = \"{}\", expected it only with {owner}; remove the key",
                family_name(m.likelihood)
            ),
        ))
    };
    if m.scale.is_some() && m.likelihood != Family::Gaussian {
        return refuse("scale", "gaussian");
    }
    if m.trials.is_some() && m.likelihood != Family::Binomial {
        return refuse("trials", "binomial");
    }
    if m.baseline == Baseline::First && m.likelihood != Family::Softmax {
        return refuse("baseline", "softmax");
    }
    let stray = [
        ("wgsl", m.wgsl.is_some()),
        ("outputs", m.outputs.is_some()),
        ("auxiliary", m.auxiliary.is_some()),
        ("companion", m.companion.is_some()),
    ];
    if let Some((key, _)) = stray.iter().find(|(_, found)| *found)
        && m.likelihood != Family::Custom
    {
        return refuse(key, "custom");
    }
    let wrong_link = |expected: &str| {
        Err(CheckError::key(
            "model.link",
            format!(
                "found \"{}\" beside likelihood = \"{}\", expected {expected}",
                serde_json::to_value(m.link)
                    .ok()
                    .and_then(|v| v.as_str().map(String::from))
                    .unwrap_or_default(),
                family_name(m.likelihood)
            ),
        ))
    };
    Ok(match m.likelihood {
        Family::Gaussian => {
            if m.link.is_some() {
                return refuse("link", "bernoulli, binomial and poisson");
            }
            match &m.scale {
                Some(Scale::Known(s)) if *s > 0.0 && s.is_finite() => {
                    Likelihood::Gaussian { scale: s / y_scale }
                }
                Some(Scale::Named(s)) if s == "unknown" => Likelihood::GaussianUnknownScale,
                None => Likelihood::GaussianUnknownScale,
                Some(Scale::Known(s)) => {
                    return Err(CheckError::key(
                        "model.scale",
                        format!("found {s}, expected a positive number or \"unknown\""),
                    ));
                }
                Some(Scale::Named(s)) => {
                    return Err(CheckError::key(
                        "model.scale",
                        format!("found \"{s}\", expected a positive number or \"unknown\""),
                    ));
                }
            }
        }
        Family::Bernoulli | Family::Binomial => match m.link {
            None => Likelihood::Binomial(Link::Logit),
            Some(l) => match l.binomial() {
                Some(link) => Likelihood::Binomial(link),
                None => return wrong_link("\"logit\", \"probit\" or \"cloglog\""),
            },
        },
        Family::Poisson => match m.link {
            None | Some(LinkName::Log) => Likelihood::Poisson,
            Some(_) => return wrong_link("\"log\""),
        },
        Family::Softmax => {
            if m.link.is_some() {
                return refuse("link", "bernoulli, binomial and poisson");
            }
            Likelihood::Softmax {
                classes,
                baseline: m.baseline == Baseline::First,
            }
        }
        Family::Custom => {
            if m.link.is_some() {
                return refuse("link", "bernoulli, binomial and poisson");
            }
            custom(config)?
        }
    })
}

/// The user-defined likelihood of a config, after the checks that need no data.
fn custom(config: &Config) -> Result<Likelihood, CheckError> {
    let Some(own) = &config.model.custom else {
        return Err(CheckError::key(
            "model.wgsl",
            "found nothing beside likelihood = \"custom\", expected the WGSL file of the likelihood; add wgsl = \"FILE.wgsl\"",
        ));
    };
    check_shape(own.linear_outputs, own.auxiliary.as_deref())?;
    Ok(Likelihood::Custom(Arc::clone(own)))
}

pub(super) fn family_name(f: Family) -> &'static str {
    match f {
        Family::Gaussian => "gaussian",
        Family::Bernoulli => "bernoulli",
        Family::Binomial => "binomial",
        Family::Poisson => "poisson",
        Family::Softmax => "softmax",
        Family::Custom => "custom",
    }
}
