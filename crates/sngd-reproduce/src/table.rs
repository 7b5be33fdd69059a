//! The numbers behind a figure, as CSV.

use crate::error::Error;
use std::path::Path;

/// Named columns and rows of cells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    columns: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: &[&'static str]) -> Table {
        Table {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    /// Adds a row: the text cells first, then the numbers.
    pub fn push(&mut self, words: &[&str], numbers: &[f64]) {
        let words = words.iter().map(|w| (*w).to_string());
        // A missing number is an empty cell.
        let numbers = numbers.iter().map(|x| {
            if x.is_nan() {
                String::new()
            } else {
                format!("{x}")
            }
        });
        self.rows.push(words.chain(numbers).collect());
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    pub(crate) fn write(&self, path: &Path) -> Result<(), Error> {
        let failed = |e: &dyn std::fmt::Display| Error::Write {
            path: path.display().to_string(),
            why: e.to_string(),
        };
        let mut out = csv::Writer::from_path(path).map_err(|e| failed(&e))?;
        out.write_record(&self.columns).map_err(|e| failed(&e))?;
        for row in &self.rows {
            out.write_record(row).map_err(|e| failed(&e))?;
        }
        out.flush().map_err(|e| failed(&e))
    }
}
