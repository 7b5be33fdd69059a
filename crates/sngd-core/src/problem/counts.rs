//! Counts as a response: whole numbers, and successes out of trials.

use super::response::Observations;
use crate::config::{Config, Trials};
use crate::error::CheckError;
use crate::table::Table;

/// Refuses what is no whole number of 0 or more in a column.
pub(super) fn counts(
    table: &Table,
    column: &str,
    values: &[f64],
    expected: &str,
) -> Result<(), CheckError> {
    match values.iter().position(|y| *y < 0.0 || y.fract() != 0.0) {
        Some(i) => Err(CheckError::data(
            &table.source,
            format!(
                "row {}, column '{column}': found {}, expected {expected}; correct the row or choose another likelihood",
                table.source_row(i) + 1,
                values[i]
            ),
        )),
        None => Ok(()),
    }
}

/// A response of successes, with the trials of each row: a column, one number, or successes and failures. Numbers in [0, 1], not all
/// of them whole, are proportions.
pub(super) fn binomial(
    config: &Config,
    table: &Table,
    y: &[f64],
) -> Result<Observations, CheckError> {
    let (model, name) = (&config.model, &config.data.response);
    if let (Some(_), Some(failures)) = (&model.trials, &model.failures) {
        return Err(CheckError::key(
            "model.failures",
            format!("found {failures:?} beside model.trials, expected one of the two; remove one"),
        ));
    }
    let share = |y: &f64| (0.0..=1.0).contains(y);
    let proportions = y.iter().all(share) && y.iter().any(|y| y.fract() != 0.0);
    if !proportions {
        let expected = "a count of successes for binomial, or proportions from 0 to 1 in all rows";
        counts(table, name, y, expected)?;
    }
    let trials: Vec<f64> = match (&model.trials, &model.failures, &table.trials) {
        (Some(Trials::Count(n)), ..) => vec![f64::from(*n); y.len()],
        (Some(Trials::Column(column)), _, Some(trials)) => {
            counts(
                table,
                column,
                trials,
                "a whole number of trials of 0 or more",
            )?;
            trials.clone()
        }
        (None, Some(_), Some(_)) if proportions => {
            return Err(CheckError::key(
                "model.failures",
                format!(
                    "found proportions in column '{name}', expected counts of successes beside failures; give model.trials in its place"
                ),
            ));
        }
        (None, Some(column), Some(failures)) => {
            counts(table, column, failures, "a count of failures")?;
            y.iter().zip(failures).map(|(y, f)| y + f).collect()
        }
        _ => {
            return Err(CheckError::key(
                "model.trials",
                "found nothing, expected the trials of likelihood = \"binomial\"; add trials = \"COLUMN\", trials = 10 where every row has ten, or failures = \"COLUMN\"",
            ));
        }
    };
    if proportions {
        let y = successes(table, name, y, &trials)?;
        let notes = vec![format!(
            "response '{name}': proportions, which are read as successes out of the trials"
        )];
        return Ok(Observations {
            y,
            trials,
            notes,
            ..Observations::default()
        });
    }
    if let Some(i) = (0..y.len()).find(|&i| y[i] > trials[i]) {
        return Err(CheckError::data(
            &table.source,
            format!(
                "row {}: found {} successes of {} trials, expected no more successes than trials; correct the row or model.trials",
                table.source_row(i) + 1,
                y[i],
                trials[i]
            ),
        ));
    }
    Ok(Observations {
        y: y.to_vec(),
        trials,
        ..Observations::default()
    })
}

/// Successes from proportions of trials. A proportion written with six digits is off by 5e-7, and its product with the trials by as much
/// times the trials; beyond a tenth of a success the whole number would be a guess.
fn successes(
    table: &Table,
    name: &str,
    shares: &[f64],
    trials: &[f64],
) -> Result<Vec<f64>, CheckError> {
    let mut successes = Vec::with_capacity(shares.len());
    for (i, (share, trials)) in shares.iter().zip(trials).enumerate() {
        let product = share * trials;
        let whole = product.round();
        if (product - whole).abs() > (1e-6 * trials).min(0.1) {
            return Err(CheckError::data(
                &table.source,
                format!(
                    "row {}, column '{name}': found a proportion of {share}, which is {product} successes of {trials} trials, expected a whole number of successes; give counts of successes, or proportions with more digits",
                    table.source_row(i) + 1
                ),
            ));
        }
        successes.push(whole);
    }
    Ok(successes)
}
