//! Parquet, read column by column, only the selected ones.

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, DataType, FixedLenByteArray};
use parquet::errors::ParquetError;
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::SerializedFileReader;
use sngd_core::table::{Table, TableRequest};

use crate::builder::TableBuilder;
use crate::data_error::DataError;
use crate::open::open;
use crate::parquet_type::{Kind, of_root};
use crate::select::{Columns, Selection, Slot};

/// Number of rows that are decoded at a time.
const RUN: usize = 8192;

pub(crate) fn read(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    let (file, fields) = header(path)?;
    let path = path.display().to_string();
    let selection = Selection::resolve(&path, &fields, request)?;
    let columns = (selection.slots.iter())
        .map(|&(root, slot)| Column::checked(&path, &file, &fields.names[root], root, slot))
        .collect::<Result<Vec<_>, _>>()?;
    let mut features = columns
        .iter()
        .filter(|c| matches!(c.slot, Slot::Feature(_)));
    let narrow = features.all(|c| c.kind.is_narrow());
    let mut builder = TableBuilder::new(&path, selection, narrow);
    builder.reserve(u64::try_from(file.metadata().file_metadata().num_rows()).unwrap_or(0))?;
    for group in 0..file.num_row_groups() {
        let group = file.get_row_group(group).map_err(|e| malformed(&path, e))?;
        let mut readers = (columns.iter().map(|c| group.get_column_reader(c.leaf)))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|e| malformed(&path, e))?;
        let mut left = usize::try_from(group.metadata().num_rows()).unwrap_or(0);
        while left > 0 {
            // The columns take turns: their cells lie side by side in the table, and a run of rows stays in the cache.
            let (first, run) = (builder.rows(), left.min(RUN));
            builder.grow(run);
            for (column, reader) in columns.iter().zip(&mut readers) {
                column.fill(&mut builder, &path, first..first + run, reader)?;
            }
            left -= run;
        }
    }
    builder.finish(fields.names.len())
}

pub(crate) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    header(path).map(|(_, fields)| fields.names())
}

fn header(path: &Path) -> Result<(SerializedFileReader<File>, Columns), DataError> {
    let file = open(path)?;
    let path = path.display().to_string();
    let file = SerializedFileReader::new(file).map_err(|error| malformed(&path, error))?;
    let schema = file.metadata().file_metadata().schema();
    let names = schema.get_fields().iter().map(|f| f.name().to_owned());
    let mut fields = Columns::new(&path, names.collect())?;
    let of_pandas = pandas_index(&file);
    let numbered = |name: &str| {
        let number = name
            .strip_prefix("__index_level_")
            .and_then(|rest| rest.strip_suffix("__"));
        number.is_some_and(|number| number.parse::<u32>().is_ok())
    };
    fields.index = (fields.names.iter().enumerate())
        .filter(|(_, name)| numbered(name) || of_pandas.contains(name))
        .map(|(i, name)| {
            (
                i,
                format!("the column `{name}`, the index of a pandas table"),
            )
        })
        .collect();
    Ok((file, fields))
}

/// The columns that hold the index of a pandas table, by the file's metadata.
fn pandas_index(file: &SerializedFileReader<File>) -> Vec<String> {
    let metadata = file.metadata().file_metadata().key_value_metadata();
    let pandas = metadata.and_then(|pairs| pairs.iter().find(|pair| pair.key == "pandas"));
    let json = pandas
        .and_then(|pair| pair.value.as_deref())
        .and_then(|text| serde_json::from_str::<serde_json::Value>(text).ok());
    // An index that only counts has no column, and an object in place of a name.
    let index = json
        .as_ref()
        .and_then(|json| json.get("index_columns")?.as_array());
    index
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect()
}

/// A column that is read.
struct Column {
    slot: Slot,
    kind: Kind,
    /// Its position among the columns of numbers and texts that the file stores; a group has several.
    leaf: usize,
    /// Whether cells may be missing.
    optional: bool,
}

impl Column {
    /// The column of that name, if its type is one that its place can take.
    fn checked(
        path: &str,
        file: &SerializedFileReader<File>,
        name: &str,
        root: usize,
        slot: Slot,
    ) -> Result<Column, DataError> {
        let schema = file.metadata().file_metadata().schema_descr();
        let (leaf, kind) = of_root(schema, root);
        let optional = schema.column(leaf).max_def_level() > 0;
        let usable = kind.is_number() || (slot == Slot::Label && kind == Kind::Text);
        if usable {
            return Ok(Column {
                slot,
                kind,
                leaf,
                optional,
            });
        }
        let expected = if slot == Slot::Label {
            "numbers, booleans or text"
        } else {
            "numbers or booleans"
        };
        Err(DataError::ColumnType {
            path: path.into(),
            column: name.into(),
            found: kind.to_string(),
            expected,
        })
    }

    /// Copies the column's next cells into these rows of the table.
    fn fill(
        &self,
        builder: &mut TableBuilder,
        path: &str,
        rows: Range<usize>,
        reader: &mut ColumnReader,
    ) -> Result<(), DataError> {
        let (slot, kind) = (self.slot, &self.kind);
        // Copies the cells of a reader with `$set(row, cell)`.
        macro_rules! copy {
            ($reader:expr, $set:expr) => {
                copy($reader, self.optional, rows, |row, cell| match cell {
                    Some(cell) => $set(row, cell),
                    None => builder.set_null(row, slot),
                })
            };
        }
        let copied = match reader {
            ColumnReader::BoolColumnReader(reader) => copy!(reader, |row, &cell: &bool| {
                match slot {
                    Slot::Label => builder.set_text(row, slot, cell.to_string().as_bytes()),
                    _ => builder.set_number(row, slot, f64::from(u8::from(cell))),
                }
            }),
            ColumnReader::Int32ColumnReader(reader) => copy!(reader, |row, &cell: &i32| {
                kind.set(builder, row, slot, kind.integer(i64::from(cell), 32))
            }),
            ColumnReader::Int64ColumnReader(reader) => copy!(reader, |row, &cell: &i64| {
                kind.set(builder, row, slot, kind.integer(cell, 64))
            }),
            ColumnReader::FloatColumnReader(reader) => copy!(reader, |row, &cell: &f32| {
                builder.set_number(row, slot, f64::from(cell))
            }),
            ColumnReader::DoubleColumnReader(reader) => copy!(reader, |row, &cell: &f64| {
                builder.set_number(row, slot, cell)
            }),
            ColumnReader::ByteArrayColumnReader(reader) => {
                copy!(reader, |row, cell: &ByteArray| {
                    kind.set_bytes(builder, row, slot, cell.data())
                })
            }
            ColumnReader::FixedLenByteArrayColumnReader(reader) => {
                copy!(reader, |row, cell: &FixedLenByteArray| {
                    kind.set_bytes(builder, row, slot, cell.data())
                })
            }
            ColumnReader::Int96ColumnReader(_) => Ok(()), // a timestamp, which `checked` refuses
        };
        copied.map_err(|failed| match failed {
            Failed::Cell(error) => error,
            Failed::File(error) => malformed(path, error),
        })
    }
}

/// Why a column was not read to its end.
enum Failed {
    Cell(DataError),
    File(ParquetError),
}

/// Hands over the next cells of a column with their rows; `None` is a missing cell.
fn copy<T: DataType>(
    reader: &mut ColumnReaderImpl<T>,
    optional: bool,
    rows: Range<usize>,
    mut set: impl FnMut(usize, Option<&T::T>) -> Result<(), DataError>,
) -> Result<(), Failed> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut row = rows.start;
    while row < rows.end {
        values.clear();
        levels.clear();
        let levels_out = optional.then_some(&mut levels);
        let read = reader.read_records(rows.end - row, levels_out, None, &mut values);
        let (records, ..) = read.map_err(Failed::File)?;
        if records == 0 {
            let message = format!("a column ends at row {row}, before the others");
            return Err(Failed::File(ParquetError::General(message)));
        }
        let mut present = values.iter();
        for i in 0..records {
            let there = !optional || levels.get(i) == Some(&1);
            let cell = if there { present.next() } else { None };
            set(row, cell).map_err(Failed::Cell)?;
            row += 1;
        }
    }
    Ok(())
}

fn malformed(path: &str, error: impl std::fmt::Display) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: "Parquet",
        detail: error.to_string(),
    }
}
