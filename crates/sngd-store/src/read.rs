//! The entry point for every data file: the extension chooses the reader.

use std::path::Path;

use sngd_core::table::{Table, TableRequest};

use crate::data_error::DataError;
use crate::text_file::Compression;
use crate::{csv_table, npy_table, parquet_table};

/// Reads the requested columns of a `.csv`, `.tsv` or `.txt` file, of one of these with `.gz` or `.zst`, or of a `.parquet`, `.npy` or
/// `.npz` file; every cell is present and finite.
///
/// Separator, decimal mark and header of a text are found from its beginning; what was taken for granted is in the table's notes.
/// A `.npy` file has one array `[N,D]` whose columns are named `x0` to `x{D-1}`. In a `.npz` file an array `[N]` is a column
/// with its name, and an array `X` of shape `[N,D]` gives the columns `X0` to `X{D-1}`. The words `true` and `false` are the
/// numbers 1 and 0. Only the result is in memory; the file is streamed.
///
/// # Errors
/// A [`DataError`] that names the file and, where they exist, the row, line and column.
pub fn read_table(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    match Format::of(path)? {
        Format::Csv => csv_table::read(path, request),
        Format::Parquet => parquet_table::read(path, request),
        Format::Npy => npy_table::read_npy(path, request),
        Format::Npz => npy_table::read_npz(path, request),
    }
}

/// Names of the columns of a data file but those that number or name the rows, in the file's order; reads only the header.
///
/// # Errors
/// A [`DataError`] when the file cannot be opened or has no columns.
pub fn column_names(path: &Path) -> Result<Vec<String>, DataError> {
    match Format::of(path)? {
        Format::Csv => csv_table::names(path),
        Format::Parquet => parquet_table::names(path),
        Format::Npy => npy_table::names_npy(path),
        Format::Npz => npy_table::names_npz(path),
    }
}

enum Format {
    Csv,
    Parquet,
    Npy,
    Npz,
}

impl Format {
    fn of(path: &Path) -> Result<Self, DataError> {
        let (compression, inner) = Compression::of(path);
        let extension = inner
            .extension()
            .map(|e| e.to_string_lossy().to_ascii_lowercase());
        match extension.as_deref() {
            Some("csv" | "tsv" | "txt") => Ok(Self::Csv),
            Some(_) if compression != Compression::None => Err(DataError::Extension {
                path: path.display().to_string(),
                found: "a compressed file of another kind".into(),
            }),
            Some("parquet") => Ok(Self::Parquet),
            Some("npy") => Ok(Self::Npy),
            Some("npz") => Ok(Self::Npz),
            Some(other) => Err(DataError::Extension {
                path: path.display().to_string(),
                found: format!("the extension .{other}"),
            }),
            None => Err(DataError::Extension {
                path: path.display().to_string(),
                found: "no extension".into(),
            }),
        }
    }
}
