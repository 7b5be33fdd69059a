//! Columns with one number per row beside its features: offset or exposure, and weights.

use super::Problem;
use crate::config::{Config, Family, Predictor, WeightsKind};
use crate::error::CheckError;
use crate::table::Table;
use std::collections::BTreeSet;

/// Columns of a table after their checks, `[N]` each or empty.
pub(super) struct RowColumns {
    /// Number added to the linear predictor of each row, natural units.
    pub offset: Vec<f64>,
    /// How often each row counts.
    pub weights: Vec<f64>,
    /// Square roots √w of known precisions w.
    pub roots: Vec<f64>,
}

impl RowColumns {
    /// Reads the columns of a table; the rows `apart` are not fitted.
    pub fn of(
        config: &Config,
        table: &Table,
        apart: &BTreeSet<usize>,
    ) -> Result<RowColumns, CheckError> {
        let (data, model) = (&config.data, &config.model);
        let source = &table.source;
        let mut out = RowColumns {
            offset: Vec::new(),
            weights: Vec::new(),
            roots: Vec::new(),
        };
        if let (Some(_), Some(exposure)) = (&data.offset, &data.exposure) {
            return Err(CheckError::key(
                "data.exposure",
                format!(
                    "found \"{exposure}\" beside data.offset, expected one of the two; remove one, or make a column of the sum"
                ),
            ));
        }
        if let Some(column) = &table.offset {
            let key = if data.exposure.is_some() {
                "exposure"
            } else {
                "offset"
            };
            let outputs = model.outputs.unwrap_or(1);
            if model.likelihood == Family::Softmax || outputs > 1 {
                return Err(CheckError::key(
                    format!("data.{key}"),
                    "found a column beside a likelihood of several linear predictors, expected it only where there is one; remove the key",
                ));
            }
            out.offset = column.clone();
            if let Some(name) = &data.exposure {
                if let Some(i) = column.iter().position(|e| *e <= 0.0) {
                    return Err(CheckError::data(
                        source,
                        format!(
                            "row {}, column '{name}': found an exposure of {}, expected a number above 0, since its logarithm is added to the linear predictor; correct the row or leave it out",
                            table.source_row(i) + 1,
                            column[i]
                        ),
                    ));
                }
                out.offset.iter_mut().for_each(|o| *o = o.ln());
            }
        }
        let Some(column) = &table.weights else {
            return if data.weights_kind == WeightsKind::Precision {
                Err(CheckError::key(
                    "data.weights_kind",
                    "found \"precision\" without data.weights, expected the column of weights beside it; add weights = \"COLUMN\"",
                ))
            } else {
                Ok(out)
            };
        };
        let name = data.weights.as_deref().unwrap_or("weights");
        let precision = data.weights_kind == WeightsKind::Precision;
        let bad = |w: &f64| if precision { *w <= 0.0 } else { *w < 0.0 };
        if let Some(i) = column.iter().position(bad) {
            return Err(CheckError::data(
                source,
                format!(
                    "row {}, column '{name}': found a weight of {}, expected {}; correct the row or leave it out",
                    table.source_row(i) + 1,
                    column[i],
                    if precision {
                        "a precision above 0"
                    } else {
                        "0 or more"
                    }
                ),
            ));
        }
        if !precision {
            if (column.iter().enumerate()).all(|(i, w)| *w == 0.0 || apart.contains(&i)) {
                return Err(CheckError::data(
                    source,
                    format!(
                        "column '{name}': found only weights of 0 among the rows to fit, expected a row that counts; choose another column"
                    ),
                ));
            }
            out.weights = column.clone();
            return Ok(out);
        }
        if model.likelihood != Family::Gaussian || model.predictor != Predictor::Linear {
            return Err(CheckError::key(
                "data.weights_kind",
                "found \"precision\" beside a model that is no linear gaussian one, expected \"frequency\"",
            ));
        }
        if !apart.is_empty() {
            return Err(CheckError::key(
                "data.test_fraction",
                "found held-out rows beside weights_kind = \"precision\", expected none; remove one of the two",
            ));
        }
        out.roots = column.iter().map(|w| w.sqrt()).collect();
        Ok(out)
    }
}

impl Problem {
    /// Multiplies each row by the square root of its known precision, so that every row has the variance σ².
    pub(super) fn scale_rows(&mut self) {
        if self.roots.is_empty() {
            return;
        }
        let roots = &self.roots;
        self.x
            .change_rows(|i, row| row.iter_mut().for_each(|x| *x *= roots[i]));
        for (i, root) in self.roots.iter().enumerate() {
            self.y[i] *= root;
            if let Some(o) = self.offset.get_mut(i) {
                *o *= root;
            }
        }
    }
}
