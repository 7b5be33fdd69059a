//! The response, the held-out rows and the likelihood that a run file names.

use super::classes::classes;
use super::counts::{binomial, counts};
use crate::config::{Baseline, Config, Family, LinkName, Scale};
use crate::error::CheckError;
use crate::likelihood::{Likelihood, Link, check_shape};
use crate::philox::Stream;
use crate::table::{Response, Table};
use std::sync::Arc;

/// The response of a table in numbers.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Observations {
    /// Response of each row, `[N]`; of a categorical one the index of the row's class.
    pub y: Vec<f64>,
    /// Trials, or a custom likelihood's companion, `[N]`; empty when all are 1.
    pub trials: Vec<f64>,
    /// Labels of the classes; of a Bernoulli response that of 0 and that of 1.
    pub classes: Vec<String>,
    /// What the user should know of how the response was read.
    pub notes: Vec<String>,
}

pub(super) fn response(config: &Config, table: &Table) -> Result<Observations, CheckError> {
    let (source, name) = (&table.source, &config.data.response);
    if config.data.positive.is_some() && config.model.likelihood != Family::Bernoulli {
        return Err(CheckError::key(
            "data.positive",
            format!(
                "found a value beside likelihood = \"{}\", expected it only with bernoulli; remove the key",
                family_name(config.model.likelihood)
            ),
        ));
    }
    let numbers = |y: &[f64], trials: Vec<f64>| Observations {
        y: y.to_vec(),
        trials,
        ..Observations::default()
    };
    match (&table.response, config.model.likelihood) {
        (Response::Numbers(y), Family::Gaussian) => Ok(numbers(y, vec![])),
        (Response::Numbers(y), Family::Poisson) => {
            counts(table, name, y, "a count of 0 or more for poisson")?;
            Ok(numbers(y, vec![]))
        }
        (Response::Numbers(y), Family::Binomial) => binomial(config, table, y),
        (Response::Numbers(y), Family::Custom) => {
            Ok(numbers(y, table.trials.clone().unwrap_or_default()))
        }
        (Response::Labels { index, levels }, _) => classes(config, table, index, levels),
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
    if m.failures.is_some() && m.likelihood != Family::Binomial {
        return refuse("failures", "binomial");
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
