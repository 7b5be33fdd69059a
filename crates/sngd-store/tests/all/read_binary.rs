//! Parquet, `.npy` and `.npz`: values, labels, and every message that CSV does not have.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};

use half::f16;
use npyz::{AutoSerialize, WriterBuilder};
use parquet::data_type::{
    BoolType, ByteArray, ByteArrayType, DataType, DoubleType, FixedLenByteArray,
    FixedLenByteArrayType, FloatType, Int32Type, Int64Type,
};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use sngd_core::config::MissingCells;
use sngd_core::table::{Response, ResponseKind, TableRequest};
use sngd_store::{column_names, read_table};
use tempfile::TempDir;

fn request(response: &str) -> TableRequest {
    TableRequest {
        response: response.into(),
        response_kind: ResponseKind::Number,
        features: None,
        trials: None,
        trials_role: "trials",
        offset: None,
        weights: None,
        missing: Default::default(),
    }
}

fn labels(response: &str) -> TableRequest {
    TableRequest {
        response_kind: ResponseKind::Label,
        ..request(response)
    }
}

fn label_response(path: &Path, response: &str) -> (Vec<u32>, Vec<String>) {
    let asked = TableRequest {
        features: Some(vec![]),
        ..labels(response)
    };
    match read_table(path, &asked).unwrap().response {
        Response::Labels { index, levels } => (index, levels),
        Response::Numbers(_) => panic!(),
    }
}

fn message(dir: &TempDir, path: &Path, request: &TableRequest) -> String {
    let error = read_table(path, request).unwrap_err();
    error
        .to_string()
        .replace(&format!("{}/", dir.path().display()), "")
}

/// The cells of a column, by their physical type; `None` is a missing cell, which only optional columns have.
enum Cells {
    Bool(Vec<bool>),
    I32(Vec<i32>),
    I64(Vec<i64>),
    F32(Vec<f32>),
    F64(Vec<Option<f64>>),
    Text(Vec<Option<&'static str>>),
    Bytes(Vec<Vec<u8>>),
}

fn cells<T: DataType>(
    group: &mut SerializedRowGroupWriter<std::fs::File>,
    cells: Vec<Option<T::T>>,
    optional: bool,
) {
    let mut column = group.next_column().unwrap().unwrap();
    let levels: Vec<i16> = cells.iter().map(|c| i16::from(c.is_some())).collect();
    let present: Vec<T::T> = cells.into_iter().flatten().collect();
    let levels = optional.then_some(levels.as_slice());
    column
        .typed::<T>()
        .write_batch(&present, levels, None)
        .unwrap();
    column.close().unwrap();
}

/// A file of such columns, each with its type in the words of a Parquet schema.
fn parquet(columns: Vec<(&str, Cells)>) -> (TempDir, PathBuf) {
    parquet_of_pandas(columns, None)
}

/// The same with what pandas writes of its index beside the columns, as JSON.
fn parquet_of_pandas(columns: Vec<(&str, Cells)>, metadata: Option<&str>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.parquet");
    let fields = columns.iter().map(|(field, _)| match field.ends_with('}') {
        true => format!("{field} "),
        false => format!("{field}; "),
    });
    let schema = format!("message t {{ {}}}", fields.collect::<String>());
    let schema = parse_message_type(&schema).unwrap().into();
    let file = std::fs::File::create(&path).unwrap();
    let mut writer =
        SerializedFileWriter::new(file, schema, WriterProperties::builder().build().into())
            .unwrap();
    let mut group = writer.next_row_group().unwrap();
    for (field, column) in columns {
        let optional = field.starts_with("optional");
        let g = &mut group;
        match column {
            Cells::Bool(v) => cells::<BoolType>(g, v.into_iter().map(Some).collect(), optional),
            Cells::I32(v) => cells::<Int32Type>(g, v.into_iter().map(Some).collect(), optional),
            Cells::I64(v) => cells::<Int64Type>(g, v.into_iter().map(Some).collect(), optional),
            Cells::F32(v) => cells::<FloatType>(g, v.into_iter().map(Some).collect(), optional),
            Cells::F64(v) => cells::<DoubleType>(g, v, optional),
            Cells::Text(v) => {
                let v = v.into_iter().map(|t| t.map(ByteArray::from)).collect();
                cells::<ByteArrayType>(g, v, optional);
            }
            Cells::Bytes(v) => {
                let fixed = |b| Some(FixedLenByteArray::from(ByteArray::from(b)));
                cells::<FixedLenByteArrayType>(g, v.into_iter().map(fixed).collect(), optional);
            }
        }
    }
    group.close().unwrap();
    if let Some(json) = metadata {
        let pair = KeyValue::new("pandas".to_owned(), json.to_owned());
        writer.append_key_value_metadata(pair);
    }
    writer.close().unwrap();
    (dir, path)
}

#[test]
fn the_index_of_a_pandas_table_is_no_feature_unless_it_is_asked_for() {
    let columns = |index: &'static str| {
        vec![
            ("required int64 y", Cells::I64(vec![5, 6])),
            ("required int64 x", Cells::I64(vec![1, 2])),
            (index, Cells::I64(vec![8, 9])),
        ]
    };
    let (level, named) = ("required int64 __index_level_0__", "required int64 id");
    let says_id = Some("{\"index_columns\": [\"id\"], \"columns\": []}");
    let counts = Some("{\"index_columns\": [{\"kind\": \"range\", \"start\": 0}]}");
    for (index, metadata, left_out) in [
        (level, None, Some("__index_level_0__")),
        (named, says_id, Some("id")),
        (named, counts, None),
        (named, Some("no JSON"), None),
        ("required int64 __index_level_a__", None, None),
    ] {
        let (_dir, path) = parquet_of_pandas(columns(index), metadata);
        let table = read_table(&path, &request("y")).unwrap();
        let notes: Vec<String> = (left_out.iter())
            .map(|name| format!("left out the column `{name}`, the index of a pandas table"))
            .collect();
        assert_eq!(table.notes, notes);
        assert_eq!(table.feature_names.len(), 2 - notes.len());
    }
    let (_dir, path) = parquet_of_pandas(columns(named), says_id);
    assert_eq!(column_names(&path).unwrap(), ["y", "x"]);
    let asked = TableRequest {
        features: Some(vec!["id".into()]),
        ..request("y")
    };
    let table = read_table(&path, &asked).unwrap();
    assert_eq!(
        (table.features.to_vec(), table.notes.len()),
        (vec![8.0, 9.0], 0)
    );
    let table = read_table(&path, &request("id")).unwrap();
    assert_eq!((table.feature_names.len(), table.notes.len()), (2, 0));
}

fn some<T>(values: Vec<T>) -> Vec<Option<T>> {
    values.into_iter().map(Some).collect()
}

fn three() -> Vec<(&'static str, Cells)> {
    vec![
        ("required int64 i", Cells::I64(vec![1, 2, 3])),
        ("optional float f", Cells::F32(vec![0.5, 1.5, 2.5])),
        (
            "optional double d",
            Cells::F64(some(vec![1e-300, 2.0, 3.0])),
        ),
        ("required boolean t", Cells::Bool(vec![true, false, true])),
        ("optional int32 u (UINT_8)", Cells::I32(vec![255, 0, 7])),
        (
            "optional byte_array s (STRING)",
            Cells::Text(some(vec!["1.0", "1", "02"])),
        ),
        (
            "required byte_array c (UTF8)",
            Cells::Text(some(vec!["b", "a", "b"])),
        ),
    ]
}

#[test]
fn parquet_numbers() {
    let (_dir, path) = parquet(three());
    assert_eq!(
        column_names(&path).unwrap(),
        ["i", "f", "d", "t", "u", "s", "c"]
    );
    let features = Some(["u", "t", "i", "f"].map(String::from).to_vec());
    let table = read_table(
        &path,
        &TableRequest {
            features,
            ..request("d")
        },
    )
    .unwrap();
    assert_eq!(
        table.features.to_vec(),
        [255.0, 1.0, 1.0, 0.5, 0.0, 0.0, 2.0, 1.5, 7.0, 1.0, 3.0, 2.5]
    );
    assert_eq!(table.response, Response::Numbers(vec![1e-300, 2.0, 3.0]));
}

#[test]
fn parquet_labels() {
    let (_dir, path) = parquet(three());
    assert_eq!(
        label_response(&path, "c"),
        (vec![1, 0, 1], vec!["a".into(), "b".into()])
    );
    assert_eq!(
        label_response(&path, "s"),
        (vec![0, 0, 1], vec!["1".into(), "2".into()])
    );
    assert_eq!(
        label_response(&path, "u"),
        (vec![2, 0, 1], vec!["0".into(), "7".into(), "255".into()])
    );
    assert_eq!(
        label_response(&path, "t"),
        (vec![1, 0, 1], vec!["false".into(), "true".into()])
    );
    assert_eq!(
        label_response(&path, "f"),
        (
            vec![0, 1, 2],
            vec!["0.5".into(), "1.5".into(), "2.5".into()]
        )
    );
}

#[test]
fn parquet_over_several_batches() {
    let n = 20_000;
    let numbers: Vec<f64> = (0..n).map(f64::from).collect();
    let (dir, path) = parquet(vec![
        ("required double y", Cells::F64(some(numbers.clone()))),
        ("optional double x", Cells::F64(some(numbers.clone()))),
    ]);
    let table = read_table(&path, &request("y")).unwrap();
    assert_eq!(table.features.to_vec(), numbers);
    assert_eq!(table.response, Response::Numbers(numbers.clone()));
    drop(dir);

    let mut holes: Vec<Option<f64>> = numbers.into_iter().map(Some).collect();
    holes[12_345] = None;
    let (dir, path) = parquet(vec![
        ("optional double y", Cells::F64(holes.clone())),
        ("optional double x", Cells::F64(holes)),
    ]);
    assert_eq!(
        message(&dir, &path, &request("y")),
        "t.parquet, row 12346, column `y`: found a missing cell (null) where a finite number was expected; fill it in, \
         leave the column out, or set data.missing = \"drop\" to leave out every row with a missing cell"
    );
}

/// Integers without sign, decimals and half precision are the numbers that they stand for; f32 takes those that it holds exactly.
#[test]
fn parquet_numbers_of_every_kind() {
    let half = |v: f32| f16::from_f32(v).to_le_bytes().to_vec();
    let (_dir, path) = parquet(vec![
        ("required int32 y", Cells::I32(vec![-1, 2])),
        (
            "required int32 u (INTEGER(32,false))",
            Cells::I32(vec![-1, 7]),
        ),
        ("required int64 w (UINT_64)", Cells::I64(vec![-1, 7])),
        (
            "required int32 s (INTEGER(8,true))",
            Cells::I32(vec![-128, 7]),
        ),
        (
            "required int64 d (DECIMAL(18,2))",
            Cells::I64(vec![-1234, 5]),
        ),
        (
            "required fixed_len_byte_array(3) e (DECIMAL(5,1))",
            Cells::Bytes(vec![vec![0xff, 0xff, 0xfe], vec![0x01, 0, 0]]),
        ),
        (
            "required fixed_len_byte_array(2) h (FLOAT16)",
            Cells::Bytes(vec![half(0.5), half(-2.0)]),
        ),
    ]);
    let table = read_table(&path, &request("y")).unwrap();
    assert_eq!(table.response, Response::Numbers(vec![-1.0, 2.0]));
    let max = [f64::from(u32::MAX), u64::MAX as f64];
    assert_eq!(
        table.features.to_vec(),
        [
            max[0], max[1], -128.0, -12.34, -0.2, 0.5, 7.0, 7.0, 7.0, 0.05, 6553.6, -2.0
        ]
    );
    let narrow = TableRequest {
        features: Some(["s", "h"].map(String::from).to_vec()),
        ..request("y")
    };
    assert!(
        read_table(&path, &narrow)
            .unwrap()
            .features
            .as_f32()
            .is_some()
    );
}

/// Columns that hold no numbers are refused by what they hold; beside a group of columns the others are read.
#[test]
fn parquet_columns_that_are_no_numbers() {
    let columns = || {
        vec![
            (
                "required group g { required double inner; }",
                Cells::F64(some(vec![9.0])),
            ),
            ("required double y", Cells::F64(some(vec![1.5]))),
            ("required int32 day (DATE)", Cells::I32(vec![3])),
            (
                "required int64 at (TIMESTAMP(MILLIS,true))",
                Cells::I64(vec![3]),
            ),
        ]
    };
    let (dir, path) = parquet(columns());
    for (name, found) in [
        ("g", "group of columns"),
        ("day", "date"),
        ("at", "timestamp"),
    ] {
        let asked = TableRequest {
            features: Some(vec![name.into()]),
            ..request("y")
        };
        let said = message(&dir, &path, &asked);
        assert!(
            said.contains(&format!(
                "column `{name}`: found values of type {found} where"
            )),
            "{said}"
        );
    }
    let none = TableRequest {
        features: Some(vec![]),
        ..request("y")
    };
    let table = read_table(&path, &none).unwrap();
    assert_eq!(table.response, Response::Numbers(vec![1.5]));
}

#[test]
fn parquet_messages() {
    let (dir, path) = parquet(three());
    assert_eq!(
        message(&dir, &path, &request("i")),
        "t.parquet, column `s`: found values of type text where numbers or booleans were expected; convert the column, \
         or leave it out of `features`"
    );
    let (dir, path) = parquet(vec![(
        "optional byte_array c (STRING)",
        Cells::Text(vec![Some("b"), None]),
    )]);
    assert_eq!(
        message(&dir, &path, &labels("c")),
        "t.parquet, row 2, column `c`: found a missing cell (null) where a label was expected; fill it in, leave \
         the column out, or set data.missing = \"drop\" to leave out every row with a missing cell"
    );
    let (dir, path) = parquet(vec![(
        "required double y",
        Cells::F64(some(vec![1.0, f64::NAN])),
    )]);
    assert!(
        message(&dir, &path, &request("y"))
            .contains("row 2, column `y`: found a missing cell (NaN)")
    );
    let (dir, path) = parquet(vec![(
        "required double y",
        Cells::F64(some(vec![f64::INFINITY])),
    )]);
    assert!(
        message(&dir, &path, &request("y"))
            .contains("row 1, column `y`: found `inf` where a finite number")
    );
    let (dir, path) = parquet(vec![(
        "required double y",
        Cells::F64(some(Vec::<f64>::new())),
    )]);
    assert!(message(&dir, &path, &request("y")).contains("found 1 columns but no data rows"));

    std::fs::write(&path, "a,b\n1,2\n").unwrap();
    let said = message(&dir, &path, &request("y"));
    assert!(
        said.starts_with("t.parquet: found content that is not Parquet as expected ("),
        "{said}"
    );
    assert!(
        said.ends_with("); write the file again, or correct its extension"),
        "{said}"
    );
}

fn npy_bytes<T: AutoSerialize + Clone>(shape: &[u64], order: npyz::Order, values: &[T]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = npyz::WriteOptions::new()
        .default_dtype()
        .shape(shape)
        .order(order)
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    writer.extend(values.iter().cloned()).unwrap();
    writer.finish().unwrap();
    bytes
}

fn npy(bytes: &[u8]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.npy");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn npy_in_both_orders() {
    for (order, values) in [
        (npyz::Order::C, [1.0_f32, 2.0, 3.0, 4.0, 5.0, 6.0]),
        (npyz::Order::Fortran, [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]),
    ] {
        let (_dir, path) = npy(&npy_bytes(&[2, 3], order, &values));
        assert_eq!(column_names(&path).unwrap(), ["x0", "x1", "x2"]);
        let table = read_table(&path, &request("x1")).unwrap();
        assert_eq!(table.feature_names, ["x0", "x2"]);
        assert_eq!(table.features.to_vec(), [1.0, 3.0, 4.0, 6.0]);
        assert_eq!(table.response, Response::Numbers(vec![2.0, 5.0]));
    }
}

/// Features are stored in f32 where every type of theirs allows it, and keep their values; the response does not matter.
#[test]
fn features_of_narrow_types_are_held_in_f32() {
    let c = npyz::Order::C;
    let half = [0.5, -2.0, 1e-7].map(f16::from_f64);
    let narrow = [
        ("b", npy_bytes(&[3], c, &[true, false, true])),
        ("i", npy_bytes(&[3], c, &[-128_i8, 0, 127])),
        ("s", npy_bytes(&[3], c, &[65_535_u16, 1, 0])),
        ("h", npy_bytes(&[3], c, &half)),
        ("f", npy_bytes(&[3], c, &[0.1_f32, 16_777_215.0, -1e-30])),
        ("y", npy_bytes(&[3], c, &[1e300, 2.0, 3.0])),
    ];
    let (_dir, path) = npz(&narrow);
    let features = read_table(&path, &request("y")).unwrap().features;
    assert_eq!(features.as_f32().map(|v| v.len()), Some(15));
    let (tenth, small) = (f64::from(0.1_f32), f64::from(-1e-30_f32));
    let expected = [
        [1.0, -128.0, 65_535.0, 0.5, tenth],
        [0.0, 0.0, 1.0, -2.0, 16_777_215.0],
        [1.0, 127.0, 0.0, half[2].to_f64(), small],
    ];
    assert_eq!(features.to_vec(), expected.concat());
    for wide in [
        npy_bytes(&[3], c, &[16_777_217_i32, 0, 1]),
        npy_bytes(&[3], c, &[0.1, 0.2, 0.3]),
    ] {
        let (_dir, path) = npz(&[&narrow[..], &[("w", wide)]].concat());
        let features = read_table(&path, &request("y")).unwrap().features;
        assert_eq!(features.as_f64().map(|v| v.len()), Some(18));
    }
    for (columns, narrow) in [(["f", "t", "u"], true), (["f", "t", "i"], false)] {
        let (_dir, path) = parquet(three());
        let features = Some(columns.map(String::from).to_vec());
        let asked = TableRequest {
            features,
            ..request("d")
        };
        let features = read_table(&path, &asked).unwrap().features;
        assert_eq!(features.as_f32().is_some(), narrow, "{columns:?}");
    }
}

#[test]
fn npy_integers_and_labels() {
    let large = 9_007_199_254_740_993_i64;
    let (_dir, path) = npy(&npy_bytes(
        &[3, 2],
        npyz::Order::C,
        &[large, 1, large - 1, 2, -1, 3],
    ));
    let (index, levels) = label_response(&path, "x0");
    assert_eq!((index, levels.len()), (vec![2, 1, 0], 3));
    let (_dir, path) = npy(&npy_bytes(&[2, 1], npyz::Order::C, &[true, false]));
    assert_eq!(
        read_table(&path, &request("x0")).unwrap().response,
        Response::Numbers(vec![1.0, 0.0])
    );
}

#[test]
fn npy_messages() {
    let (dir, path) = npy(&npy_bytes(&[3], npyz::Order::C, &[1.0, 2.0, 3.0]));
    assert_eq!(
        message(&dir, &path, &request("x0")),
        "t.npy: found an array of shape [3] where a matrix [N, D] was expected; reshape it, or leave it out"
    );
    let (dir, path) = npy(&npy_bytes(
        &[2, 2],
        npyz::Order::C,
        &[1.0, 2.0, f64::NEG_INFINITY, 3.0],
    ));
    assert!(
        message(&dir, &path, &request("x1"))
            .starts_with("t.npy, row 2, column `x0`: found `-inf` where")
    );
    let (dir, path) = npy(&npy_bytes::<f64>(&[0, 2], npyz::Order::C, &[]));
    assert!(message(&dir, &path, &request("x1")).contains("found 2 columns but no data rows"));
    let (dir, path) = npy(&npy_bytes::<f64>(&[2, 0], npyz::Order::C, &[]));
    assert!(message(&dir, &path, &request("x1")).contains("found no columns"));

    let whole = npy_bytes(&[2, 2], npyz::Order::C, &[1.0, 2.0, 3.0, 4.0]);
    let (dir, path) = npy(&whole[..40]);
    assert!(message(&dir, &path, &request("x0")).contains("not a NumPy .npy file as expected"));
    // A header may declare more than the file has; memory must not be reserved for it.
    let header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (999999999, 2), }\n";
    let mut boasting = b"\x93NUMPY\x01\x00".to_vec();
    boasting.extend((header.len() as u16).to_le_bytes());
    boasting.extend(header);
    let (dir, path) = npy(&boasting);
    let said = message(&dir, &path, &request("x0"));
    assert!(
        said.contains("the header says shape [999999999, 2], more than the file's"),
        "{said}"
    );
}

fn npz(arrays: &[(&str, Vec<u8>)]) -> (TempDir, PathBuf) {
    use std::io::Write;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.npz");
    let mut writer = npyz::npz::NpzWriter::create(&path).unwrap();
    for (name, bytes) in arrays {
        let zip = writer.zip_writer();
        zip.start_file(
            npyz::npz::file_name_from_array_name(name),
            Default::default(),
        )
        .unwrap();
        zip.write_all(bytes).unwrap();
    }
    writer.zip_writer().finish().unwrap();
    (dir, path)
}

/// `numpy.array(["b", "a", "b"])`, type `<U1`.
fn text_array() -> Vec<u8> {
    let mut bytes = Vec::new();
    let dtype = npyz::DType::new_scalar("<U1".parse().unwrap());
    let mut writer = npyz::WriteOptions::<str>::new()
        .dtype(dtype)
        .shape(&[3])
        .writer(&mut bytes)
        .begin_nd()
        .unwrap();
    for cell in ["b", "a", "b"] {
        writer.push(cell).unwrap();
    }
    writer.finish().unwrap();
    bytes
}

#[test]
fn npz_columns_and_matrices() {
    let c = npyz::Order::C;
    let (_dir, path) = npz(&[
        ("X", npy_bytes(&[3, 2], c, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        ("age", npy_bytes(&[3], c, &[7_u8, 8, 9])),
        ("y", npy_bytes(&[3], c, &[1_i64, 0, 1])),
    ]);
    assert_eq!(column_names(&path).unwrap(), ["X0", "X1", "age", "y"]);
    let table = read_table(&path, &request("y")).unwrap();
    assert_eq!(table.feature_names, ["X0", "X1", "age"]);
    assert_eq!(
        table.features.to_vec(),
        [1.0, 2.0, 7.0, 3.0, 4.0, 8.0, 5.0, 6.0, 9.0]
    );
    assert_eq!(table.response, Response::Numbers(vec![1.0, 0.0, 1.0]));
    assert_eq!(
        label_response(&path, "y"),
        (vec![1, 0, 1], vec!["0".into(), "1".into()])
    );
}

#[test]
fn npz_text_is_a_label_and_no_feature() {
    let c = npyz::Order::C;
    let (dir, path) = npz(&[
        ("s", text_array()),
        ("y", npy_bytes(&[3], c, &[1.0, 2.0, 3.0])),
    ]);
    assert_eq!(
        label_response(&path, "s"),
        (vec![1, 0, 1], vec!["a".into(), "b".into()])
    );
    assert_eq!(
        message(&dir, &path, &request("y")),
        "t.npz, column `s`: found values of type '<U1' where booleans, integers, float16, float32 or float64 were expected; \
         convert the column, or leave it out of `features`"
    );
}

#[test]
fn npz_messages() {
    let c = npyz::Order::C;
    let (dir, path) = npz(&[
        ("y", npy_bytes(&[3], c, &[1.0, 2.0, 3.0])),
        ("x", npy_bytes(&[2], c, &[1.0, 2.0])),
    ]);
    assert_eq!(
        message(&dir, &path, &request("y")),
        "t.npz: found 2 rows in array `x` where the 3 rows of array `y` were expected; save arrays of one length, or \
         list `features` without it"
    );
    let (dir, path) = npz(&[
        ("y", npy_bytes(&[1], c, &[1.0])),
        ("k", npy_bytes(&[1, 1, 2], c, &[1.0, 2.0])),
    ]);
    assert_eq!(
        message(&dir, &path, &request("y")),
        "t.npz: found the array `k` of shape [1, 1, 2] where a column [N] or a matrix [N, D] was expected; reshape it, \
         or leave it out"
    );
    let asked = TableRequest {
        features: Some(vec![]),
        ..request("y")
    };
    assert_eq!(read_table(&path, &asked).unwrap().rows(), 1);
    let (dir, path) = npz(&[
        ("X0", npy_bytes(&[1], c, &[1.0])),
        ("X", npy_bytes(&[1, 1], c, &[1.0])),
    ]);
    assert!(
        message(&dir, &path, &request("X0"))
            .contains("found the column name `X0` twice, at columns 1 and 2")
    );
    let (dir, path) = npz(&[]);
    assert!(message(&dir, &path, &request("y")).contains("found no columns"));
    std::fs::write(&path, "no zip").unwrap();
    assert!(
        message(&dir, &path, &request("y"))
            .contains("content that is not a NumPy .npz file as expected")
    );
}

/// A null of Parquet, and a NaN of either, are missing cells like those of a text file.
#[test]
fn rows_with_a_missing_cell_are_left_out_of_binary_files_too() {
    let drop = TableRequest {
        missing: MissingCells::Drop,
        ..request("y")
    };
    let (_dir, path) = parquet(vec![
        (
            "optional double y",
            Cells::F64(vec![Some(1.0), None, Some(3.0), Some(4.0)]),
        ),
        (
            "required double x",
            Cells::F64(some(vec![5.0, 6.0, f64::NAN, 8.0])),
        ),
    ]);
    let table = read_table(&path, &drop).unwrap();
    assert_eq!(table.response, Response::Numbers(vec![1.0, 4.0]));
    assert_eq!(table.features.to_vec(), [5.0, 8.0]);
    assert_eq!(table.left_out, [1, 2]);

    let (_dir, path) = parquet(vec![(
        "optional byte_array y (STRING)",
        Cells::Text(vec![Some("b"), None, Some("NA"), Some("a")]),
    )]);
    let asked = TableRequest {
        missing: MissingCells::Drop,
        ..labels("y")
    };
    let table = read_table(&path, &asked).unwrap();
    let (index, levels) = (vec![1, 0], vec!["a".to_owned(), "b".to_owned()]);
    assert_eq!(table.response, Response::Labels { index, levels });

    // In either order: the cells of a row do not come together.
    for order in [npyz::Order::C, npyz::Order::Fortran] {
        let numbers = match order {
            npyz::Order::C => [1.0f32, 2.0, f32::NAN, 4.0, 5.0, 6.0],
            npyz::Order::Fortran => [1.0, f32::NAN, 5.0, 2.0, 4.0, 6.0],
        };
        let x = npy_bytes(&[3, 2], order, &numbers);
        let (_dir, path) = npz(&[
            ("x", x),
            ("y", npy_bytes(&[3], npyz::Order::C, &[7.0, 8.0, 9.0])),
        ]);
        let table = read_table(&path, &drop).unwrap();
        assert_eq!(table.features.to_vec(), [1.0, 2.0, 5.0, 6.0]);
        assert_eq!(table.response, Response::Numbers(vec![7.0, 9.0]));
        assert_eq!(table.left_out, [1]);
    }
}
