//! Which level of a categorical response is which class.

use super::response::{Observations, family_name};
use crate::config::{Config, Family, Label};
use crate::error::CheckError;
use crate::table::Table;

/// Levels whose meaning is plain: the first is 0, the second is 1.
const PLAIN: [[&str; 2]; 4] = [
    ["0", "1"],
    ["false", "true"],
    ["False", "True"],
    ["FALSE", "TRUE"],
];

/// As many levels that are whole numbers may be classes in any table; more only where most rows share theirs with others.
const FEW_LEVELS: usize = 50;

/// The classes of a response of labels: `index` is each row's level among `levels`.
pub(super) fn classes(
    config: &Config,
    table: &Table,
    index: &[u32],
    levels: &[String],
) -> Result<Observations, CheckError> {
    check_labels(config, table, index.len(), levels)?;
    let mut y: Vec<f64> = index.iter().map(|&i| f64::from(i)).collect();
    if config.model.likelihood != Family::Bernoulli {
        return Ok(Observations {
            y,
            classes: levels.to_vec(),
            ..Observations::default()
        });
    }
    let mut classes = levels.to_vec();
    if let [only] = levels {
        classes = two_levels(config, table, only)?;
        let place = f64::from(u8::from(classes[1] == *only));
        y.iter_mut().for_each(|y| *y = place);
    }
    if let Some(positive) = &config.data.positive {
        match classes.iter().position(|level| positive.names(level)) {
            Some(0) => {
                classes.reverse();
                y.iter_mut().for_each(|y| *y = 1.0 - *y);
            }
            Some(_) => {}
            None => {
                return Err(CheckError::key(
                    "data.positive",
                    format!(
                        "found {positive}, which is no level of column '{}', expected {:?} or {:?}; correct the key",
                        config.data.response, classes[0], classes[1]
                    ),
                ));
            }
        }
    }
    let notes = note(config, &classes).into_iter().collect();
    Ok(Observations {
        y,
        classes,
        notes,
        ..Observations::default()
    })
}

/// Refuses labels that are a real-valued response, and numbers of levels that the likelihood cannot have.
fn check_labels(
    config: &Config,
    table: &Table,
    rows: usize,
    levels: &[String],
) -> Result<(), CheckError> {
    let (name, family) = (&config.data.response, config.model.likelihood);
    let refuse = |message: String| {
        Err(CheckError::data(
            &table.source,
            format!("column '{name}': {message}"),
        ))
    };
    let number = |level: &String| level.parse::<f64>().ok().filter(|v| v.is_finite());
    let numbers: Option<Vec<f64>> = levels.iter().map(number).collect();
    let found = match numbers {
        Some(v) if v.iter().any(|v| v.fract() != 0.0) => {
            let one = v.iter().find(|v| v.fract() != 0.0).unwrap_or(&0.0);
            Some(format!("numbers that are not whole, such as {one}"))
        }
        Some(v) if v.len() > FEW_LEVELS && 10 * v.len() > rows => {
            Some(format!("{} different numbers in {rows} rows", v.len()))
        }
        _ => None,
    };
    if let Some(found) = found {
        return refuse(format!(
            "found {found}, expected classes for likelihood = \"{}\"; set model.likelihood = \"gaussian\" for a response that is a number, or name the classes by words",
            family_name(family)
        ));
    }
    let shown: Vec<&str> = levels.iter().take(5).map(String::as_str).collect();
    let more = if levels.len() > 5 { ", ..." } else { "" };
    let found = format!("found {} levels ({}{more})", levels.len(), shown.join(", "));
    match (family, levels.len()) {
        (Family::Bernoulli, 3..) => refuse(format!(
            "{found}, expected two for bernoulli; set model.likelihood = \"softmax\" for several classes, or choose another response"
        )),
        (Family::Softmax, 0 | 1) => refuse(format!(
            "{found}, expected two or more for softmax; choose another response"
        )),
        _ => Ok(()),
    }
}

/// Both levels of a Bernoulli response of which only one occurs.
fn two_levels(config: &Config, table: &Table, only: &str) -> Result<Vec<String>, CheckError> {
    if let Some(plain) = PLAIN.iter().find(|pair| pair.contains(&only)) {
        return Ok(plain.map(String::from).to_vec());
    }
    match &config.data.positive {
        Some(positive) if positive.names(only) => {
            return Ok(vec![format!("not {only}"), only.to_string()]);
        }
        // A level that never occurs can still be the one that is 1.
        Some(Label::Text(positive)) => return Ok(vec![only.to_string(), positive.clone()]),
        Some(positive) => return Ok(vec![only.to_string(), positive.to_string()]),
        None => {}
    }
    Err(CheckError::data(
        &table.source,
        format!(
            "column '{}': found the one level {only:?} in every row, expected two for bernoulli; set data.positive = {only:?} if every row is a success, or to the level that none has, or choose another response",
            config.data.response
        ),
    ))
}

/// Says which level is 1, unless that goes without saying.
fn note(config: &Config, classes: &[String]) -> Option<String> {
    let [zero, one] = classes else {
        return None;
    };
    if PLAIN.iter().any(|pair| pair[0] == zero && pair[1] == one) {
        return None;
    }
    let mut note = format!(
        "response '{}': {one} is 1, {zero} is 0",
        config.data.response
    );
    if config.data.positive.is_none() {
        note += &format!("; data.positive = {zero:?} turns it round");
    }
    Some(note)
}
