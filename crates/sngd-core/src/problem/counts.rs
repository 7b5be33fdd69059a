//! Counts as a response: whole numbers, and successes out of trials.

use super::response::Observations;
use crate::config::Config;
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

/// A response of successes, with the trials of each row.
pub(super) fn binomial(
    config: &Config,
    table: &Table,
    y: &[f64],
) -> Result<Observations, CheckError> {
    counts(
        table,
        &config.data.response,
        y,
        "a count of successes for binomial",
    )?;
    let Some(trials) = &table.trials else {
        return Err(CheckError::key(
            "model.trials",
            "found nothing, expected the column of trials for likelihood = \"binomial\"; add trials = \"COLUMN\"",
        ));
    };
    for (i, (y, t)) in y.iter().zip(trials).enumerate() {
        if t.fract() != 0.0 || *t < 1.0 || y > t {
            return Err(CheckError::data(
                &table.source,
                format!(
                    "row {}: found {y} successes of {t} trials, expected whole trials of 1 or more and no more successes than trials; correct the row",
                    table.source_row(i) + 1
                ),
            ));
        }
    }
    Ok(Observations {
        y: y.to_vec(),
        trials: trials.clone(),
        ..Observations::default()
    })
}
