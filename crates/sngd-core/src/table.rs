//! The table that a reader returns: named numeric columns and one response.

use crate::config::MissingCells;
use crate::features::Features;

/// What a reader must read of a file. Names are exactly as in the file's header.
#[derive(Debug, Clone, PartialEq)]
pub struct TableRequest {
    /// The response column.
    pub response: String,
    /// Whether the response is read as labels (any text or number, mapped later) or as numbers.
    pub response_kind: ResponseKind,
    /// Feature columns in order; `None` means every column that is neither response, trials, offset nor weights.
    pub features: Option<Vec<String>>,
    /// The binomial's column of trials or of failures, or a custom likelihood's companion.
    pub trials: Option<String>,
    /// What messages call that column: `trials`, `failures` or `companion`.
    pub trials_role: &'static str,
    /// The column added to the linear predictor, or the exposure whose logarithm is added.
    pub offset: Option<String>,
    /// The column of row weights.
    pub weights: Option<String>,
    /// What happens to a row in which a cell of these columns is missing.
    pub missing: MissingCells,
}

/// How the response column is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResponseKind {
    /// Every cell must be a finite number.
    Number,
    /// Cells are category labels; numbers are labels too (`1` and `1.0` are the same label `1`).
    Label,
}

/// The response of a table, one entry per row.
#[derive(Debug, Clone, PartialEq)]
pub enum Response {
    /// Finite numbers, `[N]`.
    Numbers(Vec<f64>),
    /// Index into `levels` for each row, `[N]`; levels sorted: numerically if all are numbers, else by text.
    Labels {
        /// Level of each row.
        index: Vec<u32>,
        /// The label of each level.
        levels: Vec<String>,
    },
}

/// Columns as read: every cell is present and finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// Where the table came from, for messages.
    pub source: String,
    /// Names of the features, `[D]`.
    pub feature_names: Vec<String>,
    /// Features, `[N,D]`.
    pub features: Features,
    /// The response, `[N]`.
    pub response: Response,
    /// Trials of a binomial response, its failures where the run file names their column, or a custom likelihood's companion, `[N]`.
    pub trials: Option<Vec<f64>>,
    /// Offset, or exposure, of each row, `[N]`.
    pub offset: Option<Vec<f64>>,
    /// Weight of each row, `[N]`.
    pub weights: Option<Vec<f64>>,
    /// Rows of the source that are not in the table, since a cell was missing: their numbers from 0, ascending.
    pub left_out: Vec<usize>,
    /// What the reader took for granted or left out, each in one sentence for the user.
    pub notes: Vec<String>,
}

impl Table {
    /// A table of features `[N,D]` with their names `[D]` and a response, without other columns. `source` names it in messages.
    pub fn new(
        source: impl Into<String>,
        feature_names: Vec<String>,
        features: Features,
        response: Response,
    ) -> Table {
        Table {
            source: source.into(),
            feature_names,
            features,
            response,
            trials: None,
            offset: None,
            weights: None,
            left_out: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Number of rows, N.
    pub fn rows(&self) -> usize {
        match &self.response {
            Response::Numbers(v) => v.len(),
            Response::Labels { index, .. } => index.len(),
        }
    }

    /// Number from 0, in the source, of row `i` of the table.
    pub fn source_row(&self, i: usize) -> usize {
        source_row(&self.left_out, i)
    }
}

/// The standard spelling of a label: integers and finite numbers in their shortest form, text as it is.
pub fn canonical_label(text: &str) -> String {
    if let Ok(integer) = text.parse::<i128>() {
        return integer.to_string();
    }
    let number = text.parse::<f64>().ok().filter(|value| value.is_finite());
    number.map_or_else(|| text.to_owned(), number_label)
}

/// The label of a number: `1` for 1.0.
pub fn number_label(value: f64) -> String {
    // Adding zero turns -0 into 0.
    (value + 0.0).to_string()
}

/// Number from 0, in the source, of the `i`th row that is not among `left_out`, which ascends.
pub fn source_row(left_out: &[usize], i: usize) -> usize {
    // `left_out[k] - k` rows that are kept come before the k-th that is not: they do not descend.
    let (mut low, mut high) = (0, left_out.len());
    while low < high {
        let middle = low + (high - low) / 2;
        if left_out[middle] - middle <= i {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    i + low
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_number_are_one_label() {
        for text in ["1", "1.0", "+1", "01", "1e0"] {
            assert_eq!(canonical_label(text), "1");
        }
        assert_eq!(canonical_label("-0.0"), "0");
        assert_eq!(canonical_label("0.50"), "0.5");
        assert_eq!(canonical_label("9007199254740993"), "9007199254740993");
        assert_eq!(canonical_label("setosa"), "setosa");
        assert_eq!(canonical_label("inf"), "inf");
    }

    #[test]
    fn rows_of_the_source_are_counted_over_those_left_out() {
        let left_out = [0, 3, 4, 8];
        let kept: Vec<usize> = (0..12).filter(|i| !left_out.contains(i)).collect();
        for (i, &row) in kept.iter().enumerate() {
            assert_eq!(source_row(&left_out, i), row);
        }
        assert_eq!(source_row(&[], 7), 7);
    }
}
