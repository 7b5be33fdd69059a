//! How a table of text is laid out: its separator, where its header is, and whether its rows have names.

use std::collections::HashSet;

use csv::ByteRecord;

use crate::data_error::DataError;
use crate::text_file::Head;

/// The separators that are tried, and what messages call them.
const SEPARATORS: [(u8, &str); 4] = [
    (b',', "commas"),
    (b';', "semicolons"),
    (b'\t', "tabs"),
    (b'|', "vertical bars"),
];

/// The layout of a table of text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    pub separator: u8,
    /// Lines above the header, without blank ones.
    pub above: usize,
    /// Whether rows have one cell more than the header, the name of the row.
    pub row_names: bool,
}

/// The first lines of a file, divided by one separator.
struct Attempt {
    separator: u8,
    in_words: &'static str,
    lines: Vec<ByteRecord>,
}

impl Layout {
    /// The one layout by which every line at the beginning has as many cells as the header; an error where there are two.
    /// A first line that names the response is the header.
    pub fn of(path: &str, head: &Head, response: Option<&str>) -> Result<Self, DataError> {
        let attempts = SEPARATORS.map(|(separator, in_words)| Attempt {
            separator,
            in_words,
            lines: head.lines(separator),
        });
        let names_response = |attempt: &Attempt| {
            let mut cells = attempt.line(0).into_iter().map(<[u8]>::trim_ascii);
            response.is_some_and(|name| cells.any(|cell| cell == name.as_bytes()))
        };
        // The plain table first: what fits it needs no other explanation.
        let mut ways: Vec<fn(&Attempt) -> Option<Layout>> =
            vec![Attempt::plain, Attempt::with_row_names];
        if !attempts.iter().any(names_response) {
            ways.push(Attempt::below_a_preamble);
        }
        for way in ways {
            let mut fits: Vec<(Layout, &Attempt)> = attempts
                .iter()
                .filter_map(|attempt| way(attempt).map(|layout| (layout, attempt)))
                .collect();
            // A line of the table itself may pass for the header of another separator's: the first header is the header.
            fits.sort_by_key(|(layout, _)| layout.above);
            match fits.as_slice() {
                [(first, a), (second, b), ..] if first.above == second.above => {
                    return Err(DataError::Separator {
                        path: path.into(),
                        one: a.in_words,
                        other: b.in_words,
                    });
                }
                [(layout, _), ..] => return Ok(*layout),
                [] => {}
            }
        }
        // Some line differs, which the reader will name, or there is one column. The header says what separates cells.
        let attempt = attempts.iter().find(|attempt| attempt.line(0).len() > 1);
        Ok(from_the_top(
            attempt.map_or(b',', |attempt| attempt.separator),
        ))
    }
}

/// A header in the first line, and no names of rows.
fn from_the_top(separator: u8) -> Layout {
    Layout {
        separator,
        above: 0,
        row_names: false,
    }
}

impl Attempt {
    /// The cells of a line, none if the file has fewer lines.
    fn line(&self, line: usize) -> Vec<&[u8]> {
        self.lines.get(line).into_iter().flatten().collect()
    }

    /// A header, and rows of as many cells.
    fn plain(&self) -> Option<Layout> {
        let (header, rows) = self.lines.split_first()?;
        let width = header.len();
        let fits = width > 1 && rows.iter().all(|row| row.len() == width);
        fits.then(|| from_the_top(self.separator))
    }

    /// As R's `write.table` writes it: no cell above the names of the rows.
    fn with_row_names(&self) -> Option<Layout> {
        let (header, rows) = self.lines.split_first()?;
        let width = header.len() + 1;
        // Below one name, a cell that holds the separator looks like two: a decimal comma, a label.
        let fits = width > 2 && !rows.is_empty() && rows.iter().all(|row| row.len() == width);
        (fits && are_names(rows)).then(|| Layout {
            row_names: true,
            ..from_the_top(self.separator)
        })
    }

    /// Lines of other numbers of cells, then a header and at least one row of one number of cells.
    fn below_a_preamble(&self) -> Option<Layout> {
        let last = self.lines.last()?.len();
        let table = (self.lines.iter().rev())
            .take_while(|line| line.len() == last)
            .count();
        let above = self.lines.len() - table;
        // A row of numbers is no header; years are names as well.
        let name = |cell: &[u8]| {
            number(cell).is_none() || (cell.len() == 4 && cell.iter().all(u8::is_ascii_digit))
        };
        let named = |cells: &ByteRecord| cells.iter().all(name);
        let fits = last > 1 && above > 0 && table > 1 && self.lines.get(above).is_some_and(named);
        fits.then(|| Layout {
            above,
            ..from_the_top(self.separator)
        })
    }
}

/// Whether the first cells can be names of rows: no two alike, and none a fraction. Rows that all end in a separator have an empty
/// last cell in place of a name.
fn are_names(rows: &[ByteRecord]) -> bool {
    let mut seen = HashSet::new();
    let mut names = rows.iter().map(|row| row.get(0).unwrap_or_default());
    let whole = |cell: &[u8]| number(cell).is_none_or(|value| value.fract() == 0.0);
    let ends_empty = |row: &ByteRecord| row.iter().next_back().is_none_or(<[u8]>::is_empty);
    names.all(|name| !name.is_empty() && whole(name) && seen.insert(name))
        && !rows.iter().all(ends_empty)
}

fn number(cell: &[u8]) -> Option<f64> {
    std::str::from_utf8(cell).ok()?.trim().parse().ok()
}
