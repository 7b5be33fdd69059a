//! NumPy's `.npy` (one matrix) and `.npz` (named arrays).

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use half::f16;
use npyz::npz::{NpzArchive, array_name_from_file_name};
use npyz::{DType, Deserialize, NpyFile, NpyHeader, Order, TypeChar};
use sngd_core::table::{Table, TableRequest};

use crate::builder::TableBuilder;
use crate::data_error::DataError;
use crate::open::open;
use crate::select::{Columns, Selection, Slot};

/// An array of the file: its name and its parsed header.
struct Member {
    name: String,
    header: NpyHeader,
}

/// A column of the table: its name, the index of its array, and its place in that array.
struct Column {
    name: String,
    member: usize,
    index: u64,
}

pub(crate) fn names_npy(path: &Path) -> Result<Vec<String>, DataError> {
    let (file, columns) = header_npy(path)?;
    drop(file);
    Ok(columns.into_iter().map(|column| column.name).collect())
}

pub(crate) fn read_npy(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    let (npy, columns) = header_npy(path)?;
    let bytes = npy.bytes;
    let member = Member {
        name: "x".into(),
        header: npy.file.header().clone(),
    };
    let path = path.display().to_string();
    let mut table = start(&path, &columns, std::slice::from_ref(&member), request)?;
    let wanted = wanted_of(&table, &columns, 0);
    check_size(&path, &member.header, bytes)?;
    table.grow_to(member.header.shape()[0])?;
    scatter(
        &mut table.builder,
        &path,
        &member,
        npy.file.into_inner(),
        &wanted,
    )?;
    table.builder.finish(columns.len())
}

pub(crate) fn names_npz(path: &Path) -> Result<Vec<String>, DataError> {
    let (_, members) = header_npz(path)?;
    let path = path.display().to_string();
    fields(&path, &columns_of(&members)).map(|fields| fields.names)
}

pub(crate) fn read_npz(path: &Path, request: &TableRequest) -> Result<Table, DataError> {
    let (mut archive, members) = header_npz(path)?;
    let path = path.display().to_string();
    let columns = columns_of(&members);
    if request.features.is_none()
        && let Some(odd) = members
            .iter()
            .find(|member| !matches!(member.header.shape().len(), 1 | 2))
    {
        return Err(DataError::Shape {
            path,
            array: format!("the array `{}`", odd.name),
            found: odd.header.shape().to_vec(),
            expected: "a column [N] or a matrix [N, D]",
        });
    }
    let mut table = start(&path, &columns, &members, request)?;
    let used: Vec<usize> = (0..members.len())
        .filter(|&m| !wanted_of(&table, &columns, m).is_empty())
        .collect();
    let first = &members[used.first().copied().unwrap_or(0)];
    let rows = first.header.shape()[0];
    for &m in &used {
        let found = members[m].header.shape()[0];
        if found != rows {
            let (array, first) = (members[m].name.clone(), first.name.clone());
            return Err(DataError::Lengths {
                path,
                array,
                found,
                first,
                expected: rows,
            });
        }
    }
    for (nth, &m) in used.iter().enumerate() {
        let member = &members[m];
        let entry = archive
            .by_name(&member.name)
            .and_then(|entry| entry.ok_or_else(|| std::io::Error::other("an array has vanished")))
            .map_err(|error| malformed(&path, "a NumPy .npz file", error))?
            .into_inner();
        check_size(&path, &member.header, entry.size())?;
        if nth == 0 {
            table.grow_to(rows)?;
        }
        let wanted = wanted_of(&table, &columns, m);
        scatter(
            &mut table.builder,
            &path,
            member,
            BufReader::with_capacity(1 << 16, entry),
            &wanted,
        )?;
    }
    table.builder.finish(columns.len())
}

struct OpenNpy {
    file: NpyFile<BufReader<File>>,
    bytes: u64,
}

fn header_npy(path: &Path) -> Result<(OpenNpy, Vec<Column>), DataError> {
    let file = open(path)?;
    let bytes = file.metadata().map_or(u64::MAX, |metadata| metadata.len());
    let path = path.display().to_string();
    let file = NpyFile::new(BufReader::with_capacity(1 << 16, file))
        .map_err(|error| malformed(&path, "a NumPy .npy file", error))?;
    let &[_, width] = file.header().shape() else {
        return Err(DataError::Shape {
            path,
            array: "an array".into(),
            found: file.header().shape().to_vec(),
            expected: "a matrix [N, D]",
        });
    };
    let columns: Vec<Column> = matrix_columns("x", 0, width).collect();
    if columns.is_empty() {
        return Err(DataError::NoColumns { path });
    }
    Ok((OpenNpy { file, bytes }, columns))
}

fn header_npz(path: &Path) -> Result<(NpzArchive<BufReader<File>>, Vec<Member>), DataError> {
    let file = open(path)?;
    let path = path.display().to_string();
    let bad = |error: std::io::Error| malformed(&path, "a NumPy .npz file", error);
    let mut archive = NpzArchive::new(BufReader::new(file)).map_err(bad)?;
    let mut members = Vec::new();
    for i in 0..archive.zip_archive().len() {
        let entry = archive
            .zip_archive()
            .by_index(i)
            .map_err(|error| bad(error.into()))?;
        if let Some(name) = array_name_from_file_name(entry.name()).map(str::to_owned) {
            let header = NpyHeader::from_reader(entry).map_err(bad)?;
            members.push(Member { name, header });
        }
    }
    Ok((archive, members))
}

fn columns_of(members: &[Member]) -> Vec<Column> {
    let mut columns = Vec::new();
    for (m, member) in members.iter().enumerate() {
        match *member.header.shape() {
            [_] => columns.push(Column {
                name: member.name.clone(),
                member: m,
                index: 0,
            }),
            [_, width] => columns.extend(matrix_columns(&member.name, m, width)),
            _ => {}
        }
    }
    columns
}

fn matrix_columns(name: &str, member: usize, width: u64) -> impl Iterator<Item = Column> {
    (0..width).map(move |index| Column {
        name: format!("{name}{index}"),
        member,
        index,
    })
}

fn fields(path: &str, columns: &[Column]) -> Result<Columns, DataError> {
    let names = columns.iter().map(|column| column.name.clone());
    Columns::new(path, names.collect())
}

/// A table builder, and the slot of each column of the file.
struct Started {
    builder: TableBuilder,
    slot_of: Vec<Option<Slot>>,
}

impl Started {
    fn grow_to(&mut self, rows: u64) -> Result<(), DataError> {
        self.builder.reserve(rows)?;
        self.builder.grow(rows as usize);
        Ok(())
    }
}

fn start(
    path: &str,
    columns: &[Column],
    members: &[Member],
    request: &TableRequest,
) -> Result<Started, DataError> {
    let selection = Selection::resolve(path, &fields(path, columns)?, request)?;
    let mut slot_of = vec![None; columns.len()];
    let mut narrow = true;
    for &(column, slot) in &selection.slots {
        slot_of[column] = Some(slot);
        let dtype = members[columns[column].member].header.dtype();
        check_type(path, &columns[column].name, slot, &dtype)?;
        narrow &= !matches!(slot, Slot::Feature(_)) || kind(&dtype).is_some_and(Kind::is_narrow);
    }
    Ok(Started {
        builder: TableBuilder::new(path, selection, narrow),
        slot_of,
    })
}

/// For each column of array `member` its slot, or none if it is not selected; empty if no column is.
fn wanted_of(table: &Started, columns: &[Column], member: usize) -> Vec<Option<Slot>> {
    let mut wanted = Vec::new();
    for (column, slot) in columns.iter().zip(&table.slot_of) {
        if column.member == member {
            debug_assert_eq!(column.index, wanted.len() as u64);
            wanted.push(*slot);
        }
    }
    if wanted.iter().all(Option::is_none) {
        Vec::new()
    } else {
        wanted
    }
}

/// Checks that the shape needs no more bytes than the file has, so that memory is never reserved for nothing.
fn check_size(path: &str, header: &NpyHeader, bytes: u64) -> Result<(), DataError> {
    let item = header.dtype().num_bytes().unwrap_or(1).max(1) as u64;
    let needed = header
        .shape()
        .iter()
        .try_fold(item, |product, &n| product.checked_mul(n));
    if needed.is_some_and(|needed| needed <= bytes) {
        return Ok(());
    }
    let detail = format!(
        "the header says shape {:?}, more than the file's {bytes} bytes hold",
        header.shape()
    );
    Err(DataError::Malformed {
        path: path.into(),
        format: "a NumPy file",
        detail,
    })
}

#[derive(Clone, Copy)]
enum Kind {
    Bool,
    I8,
    I16,
    I32,
    I64,
    U8,
    U16,
    U32,
    U64,
    F16,
    F32,
    F64,
    Text,
}

impl Kind {
    /// Whether f32 holds every value of this type exactly.
    fn is_narrow(self) -> bool {
        use Kind::{Bool, F16, F32, I8, I16, U8, U16};
        matches!(self, Bool | I8 | I16 | U8 | U16 | F16 | F32)
    }
}

fn kind(dtype: &DType) -> Option<Kind> {
    let DType::Plain(plain) = dtype else {
        return None;
    };
    Some(match (plain.type_char(), plain.size_field()) {
        (TypeChar::Bool, 1) => Kind::Bool,
        (TypeChar::Int, 1) => Kind::I8,
        (TypeChar::Int, 2) => Kind::I16,
        (TypeChar::Int, 4) => Kind::I32,
        (TypeChar::Int, 8) => Kind::I64,
        (TypeChar::Uint, 1) => Kind::U8,
        (TypeChar::Uint, 2) => Kind::U16,
        (TypeChar::Uint, 4) => Kind::U32,
        (TypeChar::Uint, 8) => Kind::U64,
        (TypeChar::Float, 2) => Kind::F16,
        (TypeChar::Float, 4) => Kind::F32,
        (TypeChar::Float, 8) => Kind::F64,
        (TypeChar::ByteStr | TypeChar::UnicodeStr, _) => Kind::Text,
        _ => return None,
    })
}

fn check_type(path: &str, column: &str, slot: Slot, dtype: &DType) -> Result<(), DataError> {
    match kind(dtype) {
        Some(Kind::Text) if slot == Slot::Label => Ok(()),
        Some(Kind::Text) | None => Err(DataError::ColumnType {
            path: path.into(),
            column: column.into(),
            found: dtype.descr(),
            expected: "booleans, integers, float16, float32 or float64",
        }),
        Some(_) => Ok(()),
    }
}

/// Copies the selected columns of one array, `[N]` or `[N,D]` in row-major or column-major order, into the table.
fn scatter<R: Read>(
    builder: &mut TableBuilder,
    path: &str,
    member: &Member,
    data: R,
    wanted: &[Option<Slot>],
) -> Result<(), DataError> {
    let npy = NpyFile::with_header(member.header.clone(), data);
    let place = Place {
        path,
        wanted,
        rows: member.header.shape()[0] as usize,
        row_major: member.header.order() == Order::C,
    };
    let b = builder;
    match kind(&member.header.dtype()) {
        Some(Kind::Bool) => place.each(npy, |row, slot, v: bool| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::I8) => place.each(npy, |row, slot, v: i8| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::I16) => place.each(npy, |row, slot, v: i16| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::I32) => place.each(npy, |row, slot, v: i32| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::I64) => place.each(npy, |row, slot, v: i64| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::U8) => place.each(npy, |row, slot, v: u8| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::U16) => place.each(npy, |row, slot, v: u16| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::U32) => place.each(npy, |row, slot, v: u32| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::U64) => place.each(npy, |row, slot, v: u64| {
            b.set_integer(row, slot, i128::from(v))
        }),
        Some(Kind::F16) => place.each(npy, |row, slot, v: f16| b.set_number(row, slot, v.to_f64())),
        Some(Kind::F32) => place.each(npy, |row, slot, v: f32| {
            b.set_number(row, slot, f64::from(v))
        }),
        Some(Kind::F64) => place.each(npy, |row, slot, v: f64| b.set_number(row, slot, v)),
        Some(Kind::Text) => place.each(npy, |row, slot, v: String| {
            b.set_text(row, slot, v.as_bytes())
        }),
        None => Ok(()),
    }
}

/// Where the elements of an array go, in the order of the file.
struct Place<'a> {
    path: &'a str,
    wanted: &'a [Option<Slot>],
    rows: usize,
    row_major: bool,
}

impl Place<'_> {
    fn each<T: Deserialize, R: Read>(
        &self,
        npy: NpyFile<R>,
        mut set: impl FnMut(usize, Slot, T) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let bad = |error: &dyn std::fmt::Display| malformed(self.path, "a NumPy file", error);
        let (mut row, mut column) = (0, 0);
        for value in npy.data::<T>().map_err(|error| bad(&error))? {
            let value = value.map_err(|error| bad(&error))?;
            if let Some(slot) = self.wanted[column] {
                set(row, slot, value)?;
            }
            // Counters: two divisions per number would take longer than reading it.
            if self.row_major {
                column += 1;
                if column == self.wanted.len() {
                    (row, column) = (row + 1, 0);
                }
            } else {
                row += 1;
                if row == self.rows {
                    (row, column) = (0, column + 1);
                }
            }
        }
        Ok(())
    }
}

fn malformed(path: &str, format: &'static str, error: impl std::fmt::Display) -> DataError {
    DataError::Malformed {
        path: path.into(),
        format,
        detail: error.to_string(),
    }
}
