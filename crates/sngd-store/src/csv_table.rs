//! CSV with a header and commas, read record by record.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use sngd_core::table::{Table, TableRequest};

use crate::builder::TableBuilder;
use crate::data_error::{At, DataError};
use crate::open::open;
use crate::select::{Selection, Slot, check_names};

pub(crate) fn read(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    let (mut reader, names) = header(path)?;
    let shown = path.display().to_string();
    let selection = Selection::resolve(&shown, &names, request)?;
    let slots = selection.slots.clone();
    let mut builder = TableBuilder::new(&shown, selection, false);
    let mut record = ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| malformed(&shown, &error))?
    {
        if let Err(error) = take(&mut builder, &shown, &slots, &record, names.len()) {
            let line = record
                .position()
                .and_then(|start| line_at(path, start.byte()));
            return Err(error.on_line(line));
        }
    }
    builder.finish(names.len())
}

fn take(
    builder: &mut TableBuilder,
    path: &str,
    slots: &[(usize, Slot)],
    record: &ByteRecord,
    width: usize,
) -> Result<(), DataError> {
    let row = builder.rows();
    builder.grow(1);
    if record.len() != width {
        let at = At {
            row: row + 1,
            line: None,
        };
        return Err(DataError::Ragged {
            path: path.into(),
            at,
            found: record.len(),
            expected: width,
        });
    }
    slots
        .iter()
        .try_for_each(|&(column, slot)| builder.set_text(row, slot, &record[column]))
}

/// The line of the first byte from `start` on that ends no line. The parser's line count starts before blank lines
/// and before the second half of a `\r\n`, so the lines are counted in the file.
fn line_at(path: &Path, start: u64) -> Option<u64> {
    let (mut line, mut after_return) = (1, false);
    for (at, byte) in BufReader::new(File::open(path).ok()?).bytes().enumerate() {
        let byte = byte.ok()?;
        if at as u64 >= start && byte != b'\n' && byte != b'\r' {
            break;
        }
        if byte == b'\r' || (byte == b'\n' && !after_return) {
            line += 1;
        }
        after_return = byte == b'\r';
    }
    Some(line)
}

pub(crate) fn names(path: &Path) -> Result<Vec<String>, DataError> {
    header(path).map(|(_, names)| names)
}

fn header(path: &Path) -> Result<(Reader<File>, Vec<String>), DataError> {
    let file = open(path)?;
    let mut reader = ReaderBuilder::new()
        .flexible(true)
        .buffer_capacity(1 << 20)
        .from_reader(file);
    let path = path.display().to_string();
    let header = reader
        .byte_headers()
        .map_err(|error| malformed(&path, &error))?;
    let names: Vec<String> = header
        .iter()
        .map(|name| String::from_utf8_lossy(name).trim().to_owned())
        .collect();
    if let [only] = names.as_slice() {
        for (delimiter, in_words) in [(';', "semicolons"), ('\t', "tabs")] {
            if only.contains(delimiter) {
                return Err(DataError::Delimiter {
                    path,
                    delimiter: in_words,
                });
            }
        }
    }
    Ok((reader, check_names(&path, names)?))
}

fn malformed(path: &str, error: &csv::Error) -> DataError {
    match error.kind() {
        csv::ErrorKind::Io(io) => DataError::Unreadable {
            path: path.into(),
            detail: io.to_string(),
        },
        _ => DataError::Malformed {
            path: path.into(),
            format: "CSV",
            detail: error.to_string(),
        },
    }
}
