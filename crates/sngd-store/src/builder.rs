//! The table under construction: cells are set by row and slot, and checked one by one.

use sngd_core::config::MissingCells;
use sngd_core::features::Features;
use sngd_core::table::{Response, ResponseKind, Table};

use crate::data_error::{At, DataError, shown};
use crate::label::LabelColumn;
use crate::number_text::Marks;
use crate::select::{Selection, Slot};

/// Collects the selected cells; a reader calls [`TableBuilder::grow`] and then sets every cell of the new rows.
pub(crate) struct TableBuilder {
    path: String,
    selection: Selection,
    rows: usize,
    features: Cells,
    numbers: Vec<f64>,
    labels: LabelColumn,
    trials: Vec<f64>,
    offset: Vec<f64>,
    weights: Vec<f64>,
    /// Whether a cell is missing, for each row up to the last in which one is; all false where such rows are refused.
    incomplete: Vec<bool>,
    /// How numbers are written in a file of text.
    marks: Marks,
    /// The first cell with commas between thousands: its column, what it holds, and what it is read as.
    thousands: Option<(Slot, String, f64)>,
    /// Remarks on how the file was read, one sentence each, for the user.
    notes: Vec<String>,
}

/// What is wrong with a cell, while its place is not yet known.
enum Fault {
    Missing(String),
    Text(String),
    NotFinite(String),
}

/// The cells of the features, in the width that the file's types ask for.
enum Cells {
    F64(Vec<f64>),
    F32(Vec<f32>),
}

impl TableBuilder {
    /// An empty table. If every feature has a type whose values f32 holds exactly, `narrow` keeps them in f32.
    pub fn new(path: &str, selection: Selection, narrow: bool) -> Self {
        Self {
            path: path.into(),
            selection,
            rows: 0,
            features: if narrow {
                Cells::F32(Vec::new())
            } else {
                Cells::F64(Vec::new())
            },
            numbers: Vec::new(),
            labels: LabelColumn::default(),
            trials: Vec::new(),
            offset: Vec::new(),
            weights: Vec::new(),
            incomplete: Vec::new(),
            marks: Marks::default(),
            thousands: None,
            notes: Vec::new(),
        }
    }

    /// Adds a sentence on how the file was read.
    pub fn note(&mut self, sentence: String) {
        self.notes.push(sentence);
    }

    /// Says how numbers are written in the cells to come.
    pub fn set_marks(&mut self, marks: Marks) {
        self.marks = marks;
    }

    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Reserves memory for exactly `rows` rows, or says that they do not fit.
    pub fn reserve(&mut self, rows: u64) -> Result<(), DataError> {
        let width = self.selection.feature_names.len();
        let cells = usize::try_from(rows)
            .ok()
            .and_then(|rows| rows.checked_mul(width));
        let reserved = cells.is_some_and(|cells| match &mut self.features {
            Cells::F64(v) => v.try_reserve_exact(cells).is_ok(),
            Cells::F32(v) => v.try_reserve_exact(cells).is_ok(),
        });
        if reserved {
            Ok(())
        } else {
            Err(DataError::TooLarge {
                path: self.path.clone(),
                rows,
                columns: self.selection.slots.len(),
            })
        }
    }

    /// Adds rows of zeros, whose cells are to be set.
    #[inline]
    pub fn grow(&mut self, rows: usize) {
        self.rows += rows;
        let cells = self.rows * self.selection.feature_names.len();
        match &mut self.features {
            Cells::F64(v) => v.resize(cells, 0.0),
            Cells::F32(v) => v.resize(cells, 0.0),
        }
        match self.selection.response_kind {
            ResponseKind::Number => self.numbers.resize(self.rows, 0.0),
            ResponseKind::Label => self.labels.grow(self.rows),
        }
        for (name, column) in [
            (&self.selection.trials, &mut self.trials),
            (&self.selection.offset, &mut self.offset),
            (&self.selection.weights, &mut self.weights),
        ] {
            if name.is_some() {
                column.resize(self.rows, 0.0);
            }
        }
    }

    /// Sets a cell from text.
    #[inline]
    pub fn set_text(&mut self, row: usize, slot: Slot, cell: &[u8]) -> Result<(), DataError> {
        let cell = cell.trim_ascii();
        if slot == Slot::Label {
            if is_missing(cell) {
                return self.missing(row, slot, || missing_in_words(cell));
            }
            self.labels.set_text(row, cell);
            return Ok(());
        }
        match self.marks.number(cell) {
            Some(value) if value.is_finite() => self.put(row, slot, value),
            parsed => return self.set_odd(row, slot, cell, parsed.is_some()),
        }
        Ok(())
    }

    /// Sets a cell that is no plain finite number.
    #[cold]
    fn set_odd(
        &mut self,
        row: usize,
        slot: Slot,
        cell: &[u8],
        infinite: bool,
    ) -> Result<(), DataError> {
        if let Some(value) = self.marks.thousands(cell) {
            self.thousands
                .get_or_insert_with(|| (slot, shown(cell), value));
            self.put(row, slot, value);
            return Ok(());
        }
        match not_a_number(cell, infinite) {
            Ok(value) => self.put(row, slot, value),
            Err(Fault::Missing(found)) => return self.missing(row, slot, || found),
            Err(fault) => return Err(self.fault(row, slot, fault)),
        }
        Ok(())
    }

    /// Sets a cell from a number.
    #[inline]
    pub fn set_number(&mut self, row: usize, slot: Slot, value: f64) -> Result<(), DataError> {
        if value.is_nan() {
            return self.missing(row, slot, || "NaN".into());
        }
        if value.is_infinite() {
            return Err(self.fault(row, slot, Fault::NotFinite(value.to_string())));
        }
        self.put(row, slot, value);
        Ok(())
    }

    /// Sets a cell from an integer; a label keeps every digit.
    #[inline]
    pub fn set_integer(&mut self, row: usize, slot: Slot, value: i128) -> Result<(), DataError> {
        match slot {
            Slot::Label => self.labels.set_text(row, value.to_string().as_bytes()),
            _ => self.put(row, slot, value as f64),
        }
        Ok(())
    }

    /// Takes a cell that the file marks as null.
    pub fn set_null(&mut self, row: usize, slot: Slot) -> Result<(), DataError> {
        self.missing(row, slot, || "null".into())
    }

    /// Leaves the row out at the end, or refuses the cell.
    #[cold]
    fn missing(
        &mut self,
        row: usize,
        slot: Slot,
        found: impl FnOnce() -> String,
    ) -> Result<(), DataError> {
        if self.selection.missing == MissingCells::Refuse {
            return Err(self.fault(row, slot, Fault::Missing(found())));
        }
        if self.incomplete.len() <= row {
            self.incomplete.resize(self.rows, false);
        }
        self.incomplete[row] = true;
        Ok(())
    }

    #[inline]
    fn put(&mut self, row: usize, slot: Slot, value: f64) {
        match slot {
            Slot::Feature(d) => {
                let cell = row * self.selection.feature_names.len() + d;
                match &mut self.features {
                    Cells::F64(v) => v[cell] = value,
                    Cells::F32(v) => v[cell] = value as f32,
                }
            }
            Slot::Number => self.numbers[row] = value,
            Slot::Label => self.labels.set_number(row, value),
            Slot::Trials => self.trials[row] = value,
            Slot::Offset => self.offset[row] = value,
            Slot::Weights => self.weights[row] = value,
        }
    }

    #[cold]
    fn fault(&self, row: usize, slot: Slot, fault: Fault) -> DataError {
        let (path, column) = (self.path.clone(), self.selection.name(slot).to_owned());
        let at = At {
            row: row + 1,
            line: None,
        };
        match fault {
            Fault::Missing(found) => {
                let expected = if slot == Slot::Label {
                    "a label"
                } else {
                    "a finite number"
                };
                DataError::Missing {
                    path,
                    at,
                    column,
                    found,
                    expected,
                }
            }
            Fault::Text(found) => DataError::Text {
                path,
                at,
                column,
                found,
            },
            Fault::NotFinite(found) => DataError::NotFinite {
                path,
                at,
                column,
                found,
            },
        }
    }

    /// The finished table, or an error if a file of `columns` columns has no rows, or none that is complete.
    pub fn finish(mut self, columns: usize) -> Result<Table, DataError> {
        if self.rows == 0 {
            return Err(DataError::NoRows {
                path: self.path,
                columns,
            });
        }
        let complete = |row: usize| !self.incomplete.get(row).copied().unwrap_or(false);
        let (kept, left_out): (Vec<usize>, Vec<usize>) = if self.incomplete.is_empty() {
            Default::default()
        } else {
            (0..self.rows).partition(|&row| complete(row))
        };
        if left_out.len() == self.rows {
            return Err(DataError::NoCompleteRow {
                path: self.path,
                rows: self.rows,
            });
        }
        let kept = (!left_out.is_empty()).then_some(kept.as_slice());
        let pick = |mut column: Vec<f64>| {
            if let Some(kept) = kept {
                (kept.iter().enumerate()).for_each(|(to, &from)| column[to] = column[from]);
                column.truncate(kept.len());
            }
            column
        };
        let response = match self.selection.response_kind {
            ResponseKind::Number => Response::Numbers(pick(self.numbers)),
            ResponseKind::Label => {
                let (index, levels) = self.labels.finish(kept);
                Response::Labels { index, levels }
            }
        };
        if let Some((slot, cell, value)) = self.thousands {
            let column = self.selection.name(slot);
            self.notes.push(format!(
                "commas in numbers are read as thousands separators: `{cell}` in column `{column}` is {value}"
            ));
        }
        let d = self.selection.feature_names.len();
        let mut features = match self.features {
            Cells::F64(v) => Features::new(d, v),
            Cells::F32(v) => Features::new(d, v),
        };
        if let Some(kept) = kept {
            features.keep(kept);
        }
        let mut notes = self.selection.notes;
        notes.extend(self.notes);
        Ok(Table {
            source: self.path,
            trials: self.selection.trials.is_some().then(|| pick(self.trials)),
            offset: self.selection.offset.is_some().then(|| pick(self.offset)),
            weights: self.selection.weights.is_some().then(|| pick(self.weights)),
            feature_names: self.selection.feature_names,
            features,
            response,
            left_out,
            notes,
        })
    }
}

#[cold]
fn not_a_number(cell: &[u8], infinite: bool) -> Result<f64, Fault> {
    if is_missing(cell) {
        Err(Fault::Missing(missing_in_words(cell)))
    } else if infinite {
        Err(Fault::NotFinite(shown(cell)))
    } else if cell.eq_ignore_ascii_case(b"true") {
        Ok(1.0)
    } else if cell.eq_ignore_ascii_case(b"false") {
        Ok(0.0)
    } else {
        Err(Fault::Text(shown(cell)))
    }
}

/// Whether a cell is one of the spellings of a missing value, in columns of numbers and of labels alike: those of R, pandas, SQL,
/// SAS and spreadsheets. Only NaN and null are known in any case, since `none` and `na` are words of their own.
fn is_missing(cell: &[u8]) -> bool {
    matches!(
        cell,
        b"" | b"NA" | b"N/A" | b"n/a" | b"#N/A" | b"#NA" | b"<NA>" | b"None" | b"?" | b"."
    ) || cell.eq_ignore_ascii_case(b"nan")
        || cell.eq_ignore_ascii_case(b"null")
}

fn missing_in_words(cell: &[u8]) -> String {
    if cell.is_empty() {
        "empty".into()
    } else {
        shown(cell)
    }
}
