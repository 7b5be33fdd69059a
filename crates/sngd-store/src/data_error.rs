//! What can be wrong with a data file, each as one sentence: where, what was found, what was expected, the remedy.

use std::fmt;

/// Where a cell is: the data row, counted from 1 without the header, and the line of a text file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct At {
    /// Data row, from 1.
    pub row: usize,
    /// Line of the file, from 1, where the file has lines.
    pub line: Option<u64>,
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "row {} (line {line})", self.row),
            None => write!(f, "row {}", self.row),
        }
    }
}

/// Why a data file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No file at that path.
    #[error(
        "{path}: no such file was found where a data file was expected; check `path` under [data], which is relative \
         to the run file"
    )]
    NotFound {
        /// The file.
        path: String,
    },
    /// The file is there but cannot be opened or read.
    #[error(
        "{path}: the file cannot be read ({detail}) where a readable data file was expected; check it and its permissions"
    )]
    Unreadable {
        /// The file.
        path: String,
        /// Message of the system.
        detail: String,
    },
    /// Not one of the known formats.
    #[error(
        "{path}: found {found} where .csv, .tsv or .txt, any of these with .gz or .zst, .parquet, .npy or .npz was \
         expected; convert the file to one of these, or rename it"
    )]
    Extension {
        /// The file.
        path: String,
        /// The extension, for the message.
        found: String,
    },
    /// The content is not what the extension says.
    #[error(
        "{path}: found content that is not {format} as expected ({detail}); write the file again, or correct its extension"
    )]
    Malformed {
        /// The file.
        path: String,
        /// The expected format.
        format: &'static str,
        /// Message of the parser.
        detail: String,
    },
    /// The header or the schema has no columns.
    #[error(
        "{path}: found no columns where a response column was expected; check that the file is complete"
    )]
    NoColumns {
        /// The file.
        path: String,
    },
    /// There are columns but no rows.
    #[error(
        "{path}: found {columns} columns but no data rows where at least one was expected; check that the file is complete"
    )]
    NoRows {
        /// The file.
        path: String,
        /// Number of columns.
        columns: usize,
    },
    /// Rows with a missing cell are left out, and no other is there.
    #[error(
        "{path}: found a missing cell in each of its {rows} rows where a row with every cell was expected; list the \
         columns to use in `features`, without those that are mostly empty"
    )]
    NoCompleteRow {
        /// The file.
        path: String,
        /// Number of rows.
        rows: usize,
    },
    /// A table of text that two separators divide.
    #[error(
        "{path}: found lines that {one} and {other} both divide into equal numbers of cells where one separator was \
         expected; write the file again with one of them, and with quotes around cells that hold the other"
    )]
    Separator {
        /// The file.
        path: String,
        /// One separator, for the message.
        one: &'static str,
        /// The other.
        other: &'static str,
    },
    /// Numbers with a decimal comma and others with a decimal point.
    #[error(
        "{path}: found both `{comma}` and `{point}` where one decimal mark was expected in all numbers; write the file \
         again with a point in all of them"
    )]
    TwoMarks {
        /// The file.
        path: String,
        /// A cell with a decimal comma.
        comma: String,
        /// A cell with a decimal point.
        point: String,
    },
    /// Numbers whose commas may stand before decimals or between thousands.
    #[error(
        "{path}: found `{found}`, whose comma may stand before decimals or between thousands, where a number of one \
         reading was expected; write the file again with decimal points and without thousands separators"
    )]
    UnclearComma {
        /// The file.
        path: String,
        /// The first such cell.
        found: String,
    },
    /// A column has an empty name.
    #[error(
        "{path}: found no name for column {position} where every column is expected to have one, since all are used; \
         name it in the header, or list the columns to use in `features`"
    )]
    UnnamedColumn {
        /// The file.
        path: String,
        /// Position of the column, from 1.
        position: usize,
    },
    /// Two columns have the same name.
    #[error(
        "{path}: found the column name `{name}` twice, at columns {first} and {second}, where {}",
        if *listed { "a column that is used was expected to have a name of its own; rename one of them" }
        else { "unique names were expected, since all columns are used; rename one of them, or list the columns to use in `features`" }
    )]
    DuplicateColumn {
        /// The file.
        path: String,
        /// The name that appears twice.
        name: String,
        /// First position, from 1.
        first: usize,
        /// Second position, from 1.
        second: usize,
        /// Whether the run file names the column; otherwise it is used since all are.
        listed: bool,
    },
    /// A requested column is not in the file.
    #[error(
        "{path}: found no column `{name}` where the {role} column was expected; {}",
        unknown_column_remedy(nearest.as_deref(), existing, *more)
    )]
    UnknownColumn {
        /// The file.
        path: String,
        /// The requested name.
        name: String,
        /// Role of the column: `response`, `feature` or `trials`.
        role: &'static str,
        /// The most similar name in the file, if any is similar.
        nearest: Option<String>,
        /// Up to ten names from the file.
        existing: Vec<String>,
        /// Number of names that are not listed.
        more: usize,
    },
    /// One column is asked for twice.
    #[error(
        "{path}: found column `{name}` asked for both as {first} and as {second} where one use of a column was \
         expected; correct [data] in the run file"
    )]
    UsedTwice {
        /// The file.
        path: String,
        /// The column.
        name: String,
        /// First role of the column.
        first: &'static str,
        /// Second role of the column.
        second: &'static str,
    },
    /// A row of text has more or fewer cells than the header.
    #[error(
        "{path}, {at}: found {found} cells where the header has {expected}; correct the row, or quote the cells that \
         hold the separator"
    )]
    Ragged {
        /// The file.
        path: String,
        /// The row.
        at: At,
        /// Number of cells in the row.
        found: usize,
        /// Number of columns in the header.
        expected: usize,
    },
    /// A cell has no value.
    #[error(
        "{path}, {at}, column `{column}`: found a missing cell ({found}) where {} was expected; fill it in, leave \
         the column out, or set data.missing = \"drop\" to leave out every row with a missing cell",
        expected
    )]
    Missing {
        /// The file.
        path: String,
        /// The row.
        at: At,
        /// The column.
        column: String,
        /// What is in the cell, for the message.
        found: String,
        /// What was expected: `a finite number` or `a label`.
        expected: &'static str,
    },
    /// A cell of a numeric column is not a number.
    #[error(
        "{path}, {at}, column `{column}`: found the text `{found}` where a finite number was expected; correct the \
         cell, or encode the column as numbers"
    )]
    Text {
        /// The file.
        path: String,
        /// The row.
        at: At,
        /// The column.
        column: String,
        /// The cell, shortened.
        found: String,
    },
    /// An infinite number, or one too large for a float64.
    #[error(
        "{path}, {at}, column `{column}`: found `{found}` where a finite number was expected; correct the cell, or \
         remove the row"
    )]
    NotFinite {
        /// The file.
        path: String,
        /// The row.
        at: At,
        /// The column.
        column: String,
        /// The cell.
        found: String,
    },
    /// A column of a typed file has a type that cannot be used.
    #[error(
        "{path}, column `{column}`: found values of type {found} where {expected} were expected; convert the column, or leave it out of `features`"
    )]
    ColumnType {
        /// The file.
        path: String,
        /// The column.
        column: String,
        /// Type of the column, as the file names it.
        found: String,
        /// Types that could be used, for the message.
        expected: &'static str,
    },
    /// An array has the wrong number of dimensions.
    #[error(
        "{path}: found {array} of shape {found:?} where {expected} was expected; reshape it, or leave it out"
    )]
    Shape {
        /// The file.
        path: String,
        /// The array, for the message.
        array: String,
        /// Shape of the array.
        found: Vec<u64>,
        /// Shapes that could be used, for the message.
        expected: &'static str,
    },
    /// Arrays of one `.npz` differ in length.
    #[error(
        "{path}: found {found} rows in array `{array}` where the {expected} rows of array `{first}` were expected; \
         save arrays of one length, or list `features` without it"
    )]
    Lengths {
        /// The file.
        path: String,
        /// The array that differs.
        array: String,
        /// Number of its rows.
        found: u64,
        /// The array it is compared with.
        first: String,
        /// Number of rows of that array.
        expected: u64,
    },
    /// The table does not fit in memory.
    #[error(
        "{path}: found {rows} rows of {columns} selected columns where a table that fits in memory was expected; list \
         fewer columns in `features`, or use a part of the rows"
    )]
    TooLarge {
        /// The file.
        path: String,
        /// Number of rows.
        rows: u64,
        /// Number of selected columns.
        columns: usize,
    },
}

impl DataError {
    /// The same error with the line of the cell or row filled in.
    pub(crate) fn on_line(mut self, line: Option<u64>) -> Self {
        if let Self::Ragged { at, .. }
        | Self::Missing { at, .. }
        | Self::Text { at, .. }
        | Self::NotFinite { at, .. } = &mut self
        {
            at.line = line;
        }
        self
    }
}

fn unknown_column_remedy(nearest: Option<&str>, existing: &[String], more: usize) -> String {
    let list = existing
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ");
    let rest = if more == 0 {
        String::new()
    } else {
        format!(" and {more} more")
    };
    match nearest {
        Some(name) => format!("did you mean `{name}`? The columns are {list}{rest}"),
        None => format!("choose one of the columns {list}{rest}"),
    }
}

/// A cell as it is shown in a message: at most 40 characters, no line breaks.
pub(crate) fn shown(cell: &[u8]) -> String {
    let text = String::from_utf8_lossy(cell);
    let mut short: String = text
        .chars()
        .take(40)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    if text.chars().nth(40).is_some() {
        short.push('…');
    }
    short
}
