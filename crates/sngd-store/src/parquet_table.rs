//! Parquet, read batch by batch, only the selected columns.

use std::fs::File;
use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use arrow_schema::{ArrowError, DataType};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use sngd_core::table::{Table, TableRequest};

use crate::builder::TableBuilder;
use crate::data_error::DataError;
use crate::open::open;
use crate::select::{Selection, Slot, check_names};

pub(crate) fn read(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    let (file, names) = header(path)?;
    let path = path.display().to_string();
    let selection = Selection::resolve(&path, &names, request)?;
    let slots = selection.slots.clone();
    for &(column, slot) in &slots {
        check_type(
            &path,
            &names[column],
            slot,
            file.schema().field(column).data_type(),
        )?;
    }
    let narrow = slots.iter().all(|&(column, slot)| {
        !matches!(slot, Slot::Feature(_)) || is_narrow(file.schema().field(column).data_type())
    });
    let mut builder = TableBuilder::new(&path, selection, narrow);
    builder.reserve(u64::try_from(file.metadata().file_metadata().num_rows()).unwrap_or(0))?;
    let mask = ProjectionMask::roots(
        file.parquet_schema(),
        slots.iter().map(|&(column, _)| column),
    );
    let batches = file
        .with_projection(mask)
        .with_batch_size(8192)
        .build()
        .map_err(|error| malformed(&path, error))?;
    for batch in batches {
        let batch = batch.map_err(|error| malformed(&path, error))?;
        let first = builder.rows();
        builder.grow(batch.num_rows());
        // A projection keeps the file's order, and so do the slots.
        for (array, &(_, slot)) in batch.columns().iter().zip(&slots) {
            fill(&mut builder, &path, first, slot, array)?;
        }
    }
    builder.finish(names.len())
}

pub(crate) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    header(path).map(|(_, names)| names)
}

fn header(path: &Path) -> Result<(ParquetRecordBatchReaderBuilder<File>, Vec<String>), DataError> {
    let file = open(path)?;
    let path = path.display().to_string();
    let file =
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| malformed(&path, error))?;
    let names = file
        .schema()
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect();
    Ok((file, check_names(&path, names)?))
}

/// The type of the values, also inside a dictionary.
fn value_type(kind: &DataType) -> &DataType {
    match kind {
        DataType::Dictionary(_, values) => values,
        other => other,
    }
}

fn is_text(kind: &DataType) -> bool {
    matches!(
        kind,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View
    )
}

/// Whether f32 holds every value of this type exactly.
fn is_narrow(kind: &DataType) -> bool {
    use DataType::{Boolean, Float16, Float32, Int8, Int16, UInt8, UInt16};
    matches!(
        value_type(kind),
        Boolean | Int8 | Int16 | UInt8 | UInt16 | Float16 | Float32
    )
}

fn check_type(path: &str, column: &str, slot: Slot, kind: &DataType) -> Result<(), DataError> {
    let values = value_type(kind);
    let number = values.is_numeric() || *values == DataType::Boolean;
    if number || (slot == Slot::Label && is_text(values)) {
        return Ok(());
    }
    let expected = if slot == Slot::Label {
        "numbers, booleans or text"
    } else {
        "numbers or booleans"
    };
    Err(DataError::ColumnType {
        path: path.into(),
        column: column.into(),
        found: kind.to_string(),
        expected,
    })
}

/// Copies one column of a batch into the table's rows from `first` on.
fn fill(
    builder: &mut TableBuilder,
    path: &str,
    first: usize,
    slot: Slot,
    array: &ArrayRef,
) -> Result<(), DataError> {
    let values = value_type(array.data_type());
    let as_text = slot == Slot::Label
        && (is_text(values) || values.is_integer() || *values == DataType::Boolean);
    let target = if as_text {
        DataType::LargeUtf8
    } else {
        DataType::Float64
    };
    // Cast to the plain type first: a dictionary has nulls in its keys and in its values.
    let plain = cast(path, array, values)?;
    if let Some(nulls) = plain.logical_nulls().filter(|nulls| nulls.null_count() > 0) {
        let row = nulls.iter().position(|present| !present).unwrap_or(0);
        return Err(builder.null(first + row, slot));
    }
    let array = cast(path, &plain, &target)?;
    if as_text {
        for (i, cell) in array.as_string::<i64>().iter().enumerate() {
            builder.set_text(first + i, slot, cell.unwrap_or_default().as_bytes())?;
        }
    } else {
        for (i, &value) in array
            .as_primitive::<Float64Type>()
            .values()
            .iter()
            .enumerate()
        {
            builder.set_number(first + i, slot, value)?;
        }
    }
    Ok(())
}

fn cast(path: &str, array: &ArrayRef, target: &DataType) -> Result<ArrayRef, DataError> {
    if array.data_type() == target {
        return Ok(array.clone());
    }
    arrow_cast::cast(array, target).map_err(|error: ArrowError| malformed(path, error))
}

fn malformed(path: &str, error: impl std::fmt::Display) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format: "Parquet",
        detail: error.to_string(),
    }
}
