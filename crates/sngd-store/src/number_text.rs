//! Numbers as text: which mark stands before decimals, and commas between thousands.

use csv::ByteRecord;

use crate::data_error::{DataError, shown};

/// How the numbers of a file are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Marks {
    /// `1.5`; a comma is refused.
    #[default]
    Point,
    /// `1.5`, and `11,140` is 11140.
    PointAndThousands,
    /// `1,5`; a point is refused.
    Comma,
}

/// What a cell that is a number says of the marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// `1.5`, `1,234.5`, `1,234,567`.
    Point,
    /// `1,5`.
    Comma,
    /// `1,234`, which may be either.
    Either,
}

impl Marks {
    /// The marks in columns `numeric` of the first rows; an error where they leave two readings. Where commas separate cells, none
    /// can be a decimal mark.
    pub fn of(
        path: &str,
        separator: u8,
        rows: &[ByteRecord],
        numeric: &[usize],
    ) -> Result<Self, DataError> {
        if separator == b',' {
            return Ok(Self::PointAndThousands);
        }
        let first = |wanted: Says| {
            let mut cells = rows
                .iter()
                .flat_map(|row| numeric.iter().filter_map(|&column| row.get(column)));
            cells.find(|cell| says(cell) == Some(wanted)).map(shown)
        };
        match (first(Says::Comma), first(Says::Point), first(Says::Either)) {
            (Some(comma), Some(point), _) => Err(DataError::TwoMarks {
                path: path.into(),
                comma,
                point,
            }),
            (Some(_), None, _) => Ok(Self::Comma),
            (None, Some(_), _) => Ok(Self::PointAndThousands),
            (None, None, Some(found)) => Err(DataError::UnclearComma {
                path: path.into(),
                found,
            }),
            (None, None, None) => Ok(Self::Point),
        }
    }

    /// The number in a cell without blanks around it, if it is written with these marks; infinity where it is too large.
    #[inline]
    pub fn number(self, cell: &[u8]) -> Option<f64> {
        let text = std::str::from_utf8(cell).ok()?;
        match self {
            Self::Comma if text.contains('.') => None,
            Self::Comma if text.contains(',') => text.replacen(',', ".", 1).parse().ok(),
            _ => text.parse().ok(),
        }
    }

    /// The number in a cell with commas between thousands, if these marks have them.
    pub fn thousands(self, cell: &[u8]) -> Option<f64> {
        let grouped = self == Self::PointAndThousands
            && cell.contains(&b',')
            && matches!(says(cell), Some(Says::Point | Says::Either));
        let plain = grouped.then(|| std::str::from_utf8(cell).ok())??;
        plain.replace(',', "").parse().ok()
    }
}

/// What a cell says of the marks; nothing if it is no number with a mark.
fn says(cell: &[u8]) -> Option<Says> {
    let text = std::str::from_utf8(cell).ok()?.trim();
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    if text.parse::<f64>().is_ok() {
        return digits.contains('.').then_some(Says::Point);
    }
    let (whole, decimals) = match digits.split_once('.') {
        Some((whole, decimals)) => (whole, Some(decimals)),
        None => (digits, None),
    };
    let is_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
    if is_grouped(whole) && decimals.is_none_or(is_digits) {
        let one = decimals.is_none() && whole.bytes().filter(|&b| b == b',').count() == 1;
        return Some(if one { Says::Either } else { Says::Point });
    }
    let comma = decimals.is_none() && whole.replacen(',', ".", 1).parse::<f64>().is_ok();
    comma.then_some(Says::Comma)
}

/// Whether these are digits with a comma before each three of the last, and no zero in front.
fn is_grouped(whole: &str) -> bool {
    let mut parts = whole.split(',');
    let first = parts.next().unwrap_or_default();
    let leads = (1..=3).contains(&first.len()) && !first.starts_with('0');
    let mut rest = parts.peekable();
    leads
        && first.bytes().all(|b| b.is_ascii_digit())
        && rest.peek().is_some()
        && rest.all(|part| part.len() == 3 && part.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_which_mark_its_decimals_have() {
        for (cell, wanted) in [
            ("1.5", Some(Says::Point)),
            ("-1,234.5", Some(Says::Point)),
            ("1,234,567", Some(Says::Point)),
            ("1,5", Some(Says::Comma)),
            (" -0,125", Some(Says::Comma)),
            ("1234,567", Some(Says::Comma)),
            ("1,5e3", Some(Says::Comma)),
            ("1,234", Some(Says::Either)),
            ("12", None),
            ("1.234,5", None),
            ("01.02.2026", None),
            ("a,b", None),
            ("", None),
        ] {
            assert_eq!(says(cell.as_bytes()), wanted, "{cell}");
        }
    }

    #[test]
    fn a_number_is_read_with_the_marks_of_its_file_alone() {
        let read = |marks: Marks, cell: &str| {
            let cell = cell.as_bytes();
            marks.number(cell).or_else(|| marks.thousands(cell))
        };
        assert_eq!(read(Marks::Comma, "-1,5"), Some(-1.5));
        assert_eq!(read(Marks::Comma, "1,234"), Some(1.234));
        assert_eq!(read(Marks::Comma, "2"), Some(2.0));
        for cell in ["1.5", "1.234,5", "1,234,5", "1,234.5"] {
            assert_eq!(read(Marks::Comma, cell), None, "{cell}");
        }
        assert_eq!(read(Marks::PointAndThousands, "11,140"), Some(11140.0));
        assert_eq!(
            read(Marks::PointAndThousands, "-1,234,567.25"),
            Some(-1_234_567.25)
        );
        for cell in ["1,5", "0,125", "1,23,456", "1,234,", "1.234,5"] {
            assert_eq!(read(Marks::PointAndThousands, cell), None, "{cell}");
        }
        assert_eq!(read(Marks::Point, "1.5"), Some(1.5));
        assert_eq!(read(Marks::Point, "11,140"), None);
    }
}
