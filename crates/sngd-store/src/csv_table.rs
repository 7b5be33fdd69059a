//! CSV with a header and commas, streamed record by record.

use std::fs::File;
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use sngd_core::table::{Table, TableRequest};

use crate::builder::TableBuilder;
use crate::data_error::{At, DataError};
use crate::read::open;
use crate::select::{Selection, check_names};

pub(crate) fn read(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    let (mut reader, names) = header(path)?;
    let path = path.display().to_string();
    let selection = Selection::resolve(&path, &names, request)?;
    let slots = selection.slots.clone();
    let mut builder = TableBuilder::new(&path, selection);
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| malformed(&path, &error))? {
        let row = builder.rows();
        let line = record.position().map(csv::Position::line);
        if record.len() != names.len() {
            let at = At { row: row + 1, line };
            return Err(DataError::Ragged { path, at, found: record.len(), expected: names.len() });
        }
        builder.grow(1);
        for &(column, slot) in &slots {
            builder.set_text(row, slot, &record[column], line)?;
        }
    }
    builder.finish(names.len())
}

pub(crate) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    header(path).map(|(_, names)| names)
}

fn header(path: &Path) -> Result<(Reader<File>, Vec<String>), DataError> {
    let file = open(path)?;
    let mut reader = ReaderBuilder::new().flexible(true).buffer_capacity(1 << 20).from_reader(file);
    let path = path.display().to_string();
    let header = reader.byte_headers().map_err(|error| malformed(&path, &error))?;
    let names: Vec<String> = header.iter().map(|name| String::from_utf8_lossy(name).trim().to_owned()).collect();
    if let [only] = names.as_slice() {
        for (delimiter, in_words) in [(';', "semicolons"), ('\t', "tabs")] {
            if only.contains(delimiter) {
                return Err(DataError::Delimiter { path, delimiter: in_words });
            }
        }
    }
    Ok((reader, check_names(&path, names)?))
}

fn malformed(path: &str, error: &csv::Error) -> DataError {
    match error.kind() {
        csv::ErrorKind::Io(io) => DataError::Unreadable { path: path.into(), detail: io.to_string() },
        _ => DataError::Malformed { path: path.into(), format: "CSV", detail: error.to_string() },
    }
}
