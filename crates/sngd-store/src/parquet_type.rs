//! What the cells of a Parquet column are, from its physical and its logical type.

use half::f16;
use parquet::basic::{ConvertedType, LogicalType, Type as Physical};
use parquet::schema::types::{ColumnDescriptor, SchemaDescriptor};

use crate::builder::TableBuilder;
use crate::data_error::DataError;
use crate::select::Slot;

/// What the cells of a column are.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kind {
    Boolean,
    /// Whole numbers of so many bits.
    Integer {
        signed: bool,
        bits: u8,
    },
    /// Whole numbers in units of 10^-scale.
    Decimal {
        scale: i32,
    },
    /// Floating-point numbers of so many bits.
    Float(u8),
    Text,
    /// Anything else, in words.
    Other(String),
}

impl std::fmt::Display for Kind {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Kind::Boolean => write!(out, "boolean"),
            Kind::Integer { signed: true, bits } => write!(out, "integer of {bits} bits"),
            Kind::Integer { bits, .. } => write!(out, "unsigned integer of {bits} bits"),
            Kind::Decimal { .. } => write!(out, "decimal"),
            Kind::Float(bits) => write!(out, "float of {bits} bits"),
            Kind::Text => write!(out, "text"),
            Kind::Other(words) => write!(out, "{words}"),
        }
    }
}

/// The first stored column of the schema's field `root`, and what its cells are.
pub(crate) fn of_root(schema: &SchemaDescriptor, root: usize) -> (usize, Kind) {
    let leaves = 0..schema.num_columns();
    let leaf = leaves
        .clone()
        .find(|&leaf| schema.get_column_root_idx(leaf) == root);
    let field = schema.root_schema().get_fields().get(root);
    match (leaf, field) {
        (Some(leaf), Some(field)) if field.is_primitive() => {
            (leaf, Kind::of(schema.column(leaf).as_ref()))
        }
        (leaf, _) => (leaf.unwrap_or(0), Kind::Other("group of columns".into())),
    }
}

impl Kind {
    fn of(column: &ColumnDescriptor) -> Kind {
        use ConvertedType as C;
        use LogicalType as L;
        if column.max_rep_level() > 0 {
            return Kind::Other("list".into());
        }
        let integer = |signed, bits| Kind::Integer { signed, bits };
        // Files carry a logical type, or its older name, or both.
        let said = match (column.logical_type_ref(), column.converted_type()) {
            (Some(L::Integer(i)), _) => Some(integer(i.is_signed, i.bit_width.unsigned_abs())),
            (Some(L::Decimal(d)), _) => Some(Kind::Decimal { scale: d.scale }),
            (Some(L::Float16), _) => Some(Kind::Float(16)),
            (Some(L::String | L::Enum | L::Json), _) => Some(Kind::Text),
            (None, C::UTF8 | C::ENUM | C::JSON) => Some(Kind::Text),
            (None, C::DECIMAL) => Some(Kind::Decimal {
                scale: column.type_scale(),
            }),
            (None, C::UINT_8) => Some(integer(false, 8)),
            (None, C::UINT_16) => Some(integer(false, 16)),
            (None, C::UINT_32) => Some(integer(false, 32)),
            (None, C::UINT_64) => Some(integer(false, 64)),
            (None, C::INT_8) => Some(integer(true, 8)),
            (None, C::INT_16) => Some(integer(true, 16)),
            (None, C::INT_32 | C::INT_64 | C::NONE) => None,
            (Some(L::Date), _) | (None, C::DATE) => Some(Kind::Other("date".into())),
            (Some(L::Time(_)), _) | (None, C::TIME_MILLIS | C::TIME_MICROS) => {
                Some(Kind::Other("time of day".into()))
            }
            (Some(L::Timestamp(_)), _) | (None, C::TIMESTAMP_MILLIS | C::TIMESTAMP_MICROS) => {
                Some(Kind::Other("timestamp".into()))
            }
            (Some(L::Unknown), _) => Some(Kind::Other("null".into())),
            (Some(other), _) => Some(Kind::Other(format!("{other:?}"))),
            (None, other) => Some(Kind::Other(format!("{other:?}"))),
        };
        match (said, column.physical_type()) {
            // a decimal of more bytes has more digits than f64, and than any integer of Rust
            (Some(Kind::Decimal { .. }), Physical::FIXED_LEN_BYTE_ARRAY)
                if column.type_length() > 16 =>
            {
                Kind::Other("decimal of more than 38 digits".into())
            }
            (Some(kind), _) => kind,
            (None, Physical::BOOLEAN) => Kind::Boolean,
            (None, Physical::INT32) => integer(true, 32),
            (None, Physical::INT64) => integer(true, 64),
            (None, Physical::FLOAT) => Kind::Float(32),
            (None, Physical::DOUBLE) => Kind::Float(64),
            (None, Physical::INT96) => Kind::Other("timestamp".into()),
            (None, Physical::BYTE_ARRAY | Physical::FIXED_LEN_BYTE_ARRAY) => {
                Kind::Other("bytes".into())
            }
        }
    }

    /// Whether cells are numbers or booleans.
    pub fn is_number(&self) -> bool {
        !matches!(self, Kind::Text | Kind::Other(_))
    }

    /// Whether f32 holds every value exactly.
    pub fn is_narrow(&self) -> bool {
        match self {
            Kind::Boolean => true,
            Kind::Integer { bits, .. } => *bits <= 16,
            Kind::Float(bits) => *bits <= 32,
            _ => false,
        }
    }

    /// A stored integer of so many bits, read without its sign if the column has none.
    pub fn integer(&self, stored: i64, bits: u32) -> i128 {
        match self {
            Kind::Integer { signed: false, .. } if bits == 32 => i128::from(stored as u32),
            Kind::Integer { signed: false, .. } => i128::from(stored as u64),
            _ => i128::from(stored),
        }
    }

    /// Sets a cell from a whole number in the column's units.
    pub fn set(
        &self,
        builder: &mut TableBuilder,
        row: usize,
        slot: Slot,
        whole: i128,
    ) -> Result<(), DataError> {
        match self {
            Kind::Decimal { scale } => {
                builder.set_number(row, slot, whole as f64 / 10f64.powi(*scale))
            }
            _ => builder.set_integer(row, slot, whole),
        }
    }

    /// Sets a cell from stored bytes: text, a half-precision float, or the digits of a decimal (two's complement, highest byte first).
    pub fn set_bytes(
        &self,
        builder: &mut TableBuilder,
        row: usize,
        slot: Slot,
        bytes: &[u8],
    ) -> Result<(), DataError> {
        match (self, bytes) {
            (Kind::Float(16), &[low, high]) => {
                builder.set_number(row, slot, f16::from_le_bytes([low, high]).to_f64())
            }
            (Kind::Decimal { .. }, _) => {
                let sign = if bytes.first().is_some_and(|b| b & 0x80 != 0) {
                    -1
                } else {
                    0
                };
                let whole = bytes
                    .iter()
                    .fold(sign, |whole: i128, &b| (whole << 8) | i128::from(b));
                self.set(builder, row, slot, whole)
            }
            _ => builder.set_text(row, slot, bytes),
        }
    }
}
