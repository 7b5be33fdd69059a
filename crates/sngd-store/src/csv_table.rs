//! A table of text with a header (CSV and its relatives), read record by record.

use std::io::{BufReader, Read};
use std::path::Path;

use csv::{ByteRecord, Reader, ReaderBuilder};
use sngd_core::table::{Table, TableRequest};

use crate::builder::TableBuilder;
use crate::data_error::{At, DataError, shown};
use crate::number_text::Marks;
use crate::select::{Columns, Selection, Slot};
use crate::text_file::{Compression, Head, io_error, open_text};
use crate::text_layout::Layout;

/// A file that is read up to its header.
struct Opened<R> {
    reader: Reader<R>,
    columns: Columns,
    layout: Layout,
    head: Head,
    notes: Vec<String>,
}

pub(crate) fn read(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    let file = header(path, Some(&request.response))?;
    let (mut reader, width) = (file.reader, file.columns.names.len());
    let shown = path.display().to_string();
    let selection = Selection::resolve(&shown, &file.columns, request)?;
    let slots = selection.slots.clone();
    let numeric: Vec<usize> = (slots.iter())
        .filter(|&&(_, slot)| slot != Slot::Label)
        .map(|&(column, _)| column)
        .collect();
    let separator = file.layout.separator;
    let lines = file.head.lines(separator);
    let rows = lines.get(file.layout.above + 1..).unwrap_or_default();
    let marks = Marks::of(&shown, separator, rows, &numeric)?;
    drop(lines);
    let mut builder = TableBuilder::new(&shown, selection, false);
    builder.set_marks(marks);
    file.notes.into_iter().for_each(|note| builder.note(note));
    let mut record = ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| malformed(path, error))?
    {
        if let Err(error) = take(&mut builder, &shown, &slots, &record, width) {
            let line = record
                .position()
                .and_then(|start| line_at(path, start.byte()));
            return Err(error.on_line(line));
        }
    }
    builder.finish(width)
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
    for (at, byte) in BufReader::new(open_text(path).ok()?).bytes().enumerate() {
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
    header(path, None).map(|file| file.columns.names())
}

fn header(path: &Path, response: Option<&str>) -> Result<Opened<impl Read + use<>>, DataError> {
    let (head, text) = Head::read(path)?;
    let said = path.display().to_string();
    let layout = Layout::of(&said, &head, response)?;
    let mut reader = ReaderBuilder::new()
        .has_headers(false)
        .flexible(true)
        .delimiter(layout.separator)
        .buffer_capacity(1 << 20)
        .from_reader(text);
    let (mut line, mut notes) = (ByteRecord::new(), Vec::new());
    for above in 0..=layout.above {
        reader
            .read_byte_record(&mut line)
            .map_err(|error| malformed(path, error))?;
        if above == 0 && layout.above > 0 {
            let title = shown(
                line.iter()
                    .find(|cell| !cell.is_empty())
                    .unwrap_or_default(),
            );
            notes.push(match layout.above {
                1 => format!("left out the line above the header, `{title}`"),
                more => format!(
                    "left out the {more} lines above the header, the first of them `{title}`"
                ),
            });
        }
    }
    let named = (line.iter()).map(|name| String::from_utf8_lossy(name).trim().to_owned());
    let names: Vec<String> = (layout.row_names.then(String::new).into_iter())
        .chain(named)
        .collect();
    let mut columns = Columns::new(&said, names)?;
    if layout.row_names {
        let what = "the first cell of each row as the name of the row, since rows have one cell more than the header";
        columns.index.push((0, what.into()));
    } else if columns.names.len() > 1 && columns.names.first().is_some_and(String::is_empty) {
        let what = "the first column as an index of the rows, since it has no name";
        columns.index.push((0, what.into()));
    }
    Ok(Opened {
        reader,
        columns,
        layout,
        head,
        notes,
    })
}

fn malformed(path: &Path, error: csv::Error) -> DataError {
    let detail = error.to_string();
    match error.into_kind() {
        csv::ErrorKind::Io(io) => io_error(path, &io),
        _ => DataError::Malformed {
            path: path.display().to_string(),
            format: Compression::None.in_words(),
            detail,
        },
    }
}
