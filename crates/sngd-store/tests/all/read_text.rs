//! Tables of text as other programs write them: separators, decimal commas, row names, preambles, compression.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::io::Write;

use sngd_core::table::{Response, ResponseKind, Table, TableRequest};
use sngd_store::{column_names, read_table};

fn request(features: Option<&[&str]>) -> TableRequest {
    TableRequest {
        response: "y".into(),
        response_kind: ResponseKind::Number,
        features: features.map(|names| names.iter().map(|&name| name.into()).collect()),
        trials: None,
        trials_role: "trials",
        offset: None,
        weights: None,
        missing: Default::default(),
    }
}

/// The table, or what is said in its place.
fn read(name: &str, content: impl AsRef<[u8]>, features: Option<&[&str]>) -> Result<Table, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, content).unwrap();
    read_table(&path, &request(features)).map_err(|error| {
        let folder = format!("{}/", dir.path().display());
        error.to_string().replace(&folder, "")
    })
}

fn response(table: &Table) -> &[f64] {
    match &table.response {
        Response::Numbers(numbers) => numbers,
        Response::Labels { .. } => panic!(),
    }
}

/// Reads a table of `y` and `x` that holds 1.5, 2 and -2.25, 3, and gives its notes.
fn is_the_table(name: &str, content: impl AsRef<[u8]>) -> Vec<String> {
    let table = read(name, content, None).unwrap();
    assert_eq!(table.feature_names, ["x"], "{name}");
    assert_eq!(response(&table), [1.5, -2.25], "{name}");
    assert_eq!(table.features.to_vec(), [2.0, 3.0], "{name}");
    table.notes
}

#[test]
fn the_separator_and_the_decimal_mark_are_found() {
    for (name, content) in [
        ("t.csv", "y,x\n1.5,2\n-2.25,3\n"),
        ("t.csv", "y;x\n1.5;2\n-2.25;3\n"),
        ("t.csv", "y;x\n1,5;2\n-2,25;3\n"),
        ("t.csv", "\u{feff}y;x\r\n1,5;2\r\n-2,25;3,0\r\n"),
        ("t.csv", "y;x\n1,5;2,000\n-2,25;3\n"),
        ("t.TSV", "y\tx\n1.5\t2\n-2.25\t3\n"),
        ("t.tsv", "y\tx\n1,5\t2\n-2,25\t3,0\n"),
        ("t.txt", "y|x\n1.5|2\n-2.25|3"),
        ("t.txt", "y|x\n1,5|2\n-2,25|3"),
    ] {
        assert!(is_the_table(name, content).is_empty(), "{content}");
    }
}

#[test]
fn a_comma_with_two_readings_is_refused() {
    assert_eq!(
        read("t.csv", "y;x\n1,5;2\n2.5;3\n", None).unwrap_err(),
        "t.csv: found both `1,5` and `2.5` where one decimal mark was expected in all numbers; write the file again with a \
         point in all of them"
    );
    assert_eq!(
        read("t.csv", "y;x\n1,234;2\n2,345;3\n", None).unwrap_err(),
        "t.csv: found `1,234`, whose comma may stand before decimals or between thousands, where a number of one reading \
         was expected; write the file again with decimal points and without thousands separators"
    );
    // A column that is not used says nothing.
    let table = read("t.csv", "y;x;n\n1,5;2;1.5\n2,5;3;1.5\n", Some(&["x"])).unwrap();
    assert_eq!(response(&table), [1.5, 2.5]);
}

/// What the beginning of a file does not show is refused where it comes.
#[test]
fn a_mark_that_comes_late_is_refused_at_its_row() {
    let late = |first: &str, last: &str| {
        let rows = format!("{first};1\n").repeat(5000);
        read("t.csv", format!("y;x\n{rows}{last};1\n"), None).unwrap_err()
    };
    for (first, last) in [
        ("1", "1,5"),
        ("1", "1,234"),
        ("1,5", "1.5"),
        ("1.5", "1,5"),
        ("1,5", "1.234,5"),
    ] {
        let said = late(first, last);
        let start = format!("t.csv, row 5001 (line 5002), column `y`: found the text `{last}`");
        assert!(said.starts_with(&start), "{said}");
    }
}

#[test]
fn commas_between_thousands_are_left_out_with_a_note() {
    let table = read(
        "t.csv",
        "y,x\n1.5,\"11,140\"\n2.5,\"1,012,130.5\"\n3.5,7\n",
        None,
    )
    .unwrap();
    assert_eq!(table.features.to_vec(), [11140.0, 1_012_130.5, 7.0]);
    assert_eq!(
        table.notes,
        ["commas in numbers are read as thousands separators: `11,140` in column `x` is 11140"]
    );
    let table = read("t.tsv", "y\tx\n1.5\t11,140\n", None).unwrap();
    assert_eq!(
        (table.features.to_vec(), table.notes.len()),
        (vec![11140.0], 1)
    );
    let said = read("t.csv", "y,x\n1.5,\"1,5\"\n", None).unwrap_err();
    assert!(said.contains("column `x`: found the text `1,5`"), "{said}");
}

#[test]
fn lines_above_the_header_are_left_out_with_a_note() {
    let notes = is_the_table("t.csv", "Report 2026\n\ny,x\n1.5,2\n-2.25,3\n");
    assert_eq!(notes, ["left out the line above the header, `Report 2026`"]);
    let notes = is_the_table(
        "t.csv",
        "Report\nof 2026, by us, all\ny;x\n1,5;2\n-2,25;3\n",
    );
    assert_eq!(
        notes,
        ["left out the 2 lines above the header, the first of them `Report`"]
    );
    let said = read("t.csv", "Report\n\ny,x\n1.5,2\nbad,3\n", None).unwrap_err();
    assert!(
        said.starts_with("t.csv, row 2 (line 5), column `y`: found the text `bad`"),
        "{said}"
    );
    // One column whose labels hold a separator.
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, "y\na;b\nc;d\n").unwrap();
    let labels = TableRequest {
        response_kind: ResponseKind::Label,
        ..request(None)
    };
    let levels = vec!["a;b".to_owned(), "c;d".to_owned()];
    let table = read_table(&path, &labels).unwrap();
    let index = vec![0, 1];
    assert_eq!(table.response, Response::Labels { index, levels });
    // A header that lacks names is no preamble: the row below is not a header.
    let said = read("t.csv", "y,x\n1.5,2,u\n1.5,3,v\n", None).unwrap_err();
    assert!(
        said.starts_with("t.csv, row 1 (line 2): found 3 cells"),
        "{said}"
    );
}

#[test]
fn an_index_of_the_rows_is_no_feature() {
    for content in [
        ",y,x\n0,1.5,2\n1,-2.25,3\n",
        "\"\";y;x\n\"a\";1,5;2\n\"b\";-2,25;3\n",
    ] {
        assert_eq!(
            is_the_table("t.csv", content),
            ["left out the first column as an index of the rows, since it has no name"]
        );
    }
    for content in [
        "\"y\",\"x\"\n\"1\",1.5,2\n\"2\",-2.25,3\n",
        "\"y\";\"x\"\n\"1\";1,5;2\n\"2\";-2,25;3\n",
    ] {
        assert_eq!(
            is_the_table("t.csv", content),
            [
                "left out the first cell of each row as the name of the row, since rows have one cell more than the header"
            ]
        );
    }
    // What cannot be names of rows is not taken for them: an empty last cell, one name twice, one column of decimal commas.
    for content in ["y,x\n1,2,\n2,3,\n", "y,x\n1,2,3\n1,3,4\n", "y\n1,5\n2,7\n"] {
        let said = read("t.csv", content, None).unwrap_err();
        assert!(said.contains("where the header has"), "{said}");
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, "y,x\na,1.5,2\n").unwrap();
    assert_eq!(column_names(&path).unwrap(), ["y", "x"]);
}

#[test]
fn names_of_columns_that_are_not_used_do_not_matter() {
    let table = read("t.csv", "y,x,x,,z\n1,2,2,9,1\n2,3,3,9,0\n", Some(&["z"])).unwrap();
    assert_eq!(
        (response(&table), table.features.to_vec()),
        (&[1.0, 2.0][..], vec![1.0, 0.0])
    );
    assert!(table.notes.is_empty());
    let said = read("t.csv", "y,x,,z\n1,2,2,1\n", Some(&[""])).unwrap_err();
    assert!(said.contains("found no column ``"), "{said}");
}

/// The beginning that is looked at ends within a line, or is shorter than the header.
#[test]
fn long_lines_and_long_headers_are_read() {
    let text = "x".repeat(3000);
    let rows = format!("1,5;\"{text};{text}\";2\n").repeat(600);
    let table = read("t.csv", format!("Report\ny;t;x\n{rows}"), Some(&["x"])).unwrap();
    assert_eq!(response(&table), [1.5; 600]);
    assert_eq!(table.features.to_vec(), [2.0; 600]);
    let names: Vec<String> = (0..200_000).map(|i| format!("a_column_{i}")).collect();
    let wide = format!(
        "y;{}\n1,5{}\n2,5{}\n",
        names.join(";"),
        ";3".repeat(200_000),
        ";4".repeat(200_000)
    );
    assert!(names.join(";").len() > 2 << 20);
    let table = read("t.csv", wide, Some(&["a_column_199999"])).unwrap();
    assert_eq!(
        (response(&table), table.features.to_vec()),
        (&[1.5, 2.5][..], vec![3.0, 4.0])
    );
}

#[test]
fn compressed_text_is_read() {
    let plain = "y;x\n1,5;2\n-2,25;3\n";
    let gzip = |text: &str| {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        to.write_all(text.as_bytes()).unwrap();
        to.finish().unwrap()
    };
    assert!(is_the_table("t.csv.gz", gzip(plain)).is_empty());
    // Several members are one text.
    let (one, other) = plain.split_at(9);
    assert!(is_the_table("t.txt.GZ", [gzip(one), gzip(other)].concat()).is_empty());
    let zst = zstd::encode_all(plain.as_bytes(), 3).unwrap();
    assert!(is_the_table("t.tsv.zst", &zst).is_empty());
    let said = read("t.csv.gz", gzip("y,x\n1,2\nbad,2\n"), None).unwrap_err();
    assert!(
        said.starts_with("t.csv.gz, row 2 (line 3), column `y`"),
        "{said}"
    );

    let long = gzip(&format!("y,x\n{}", "1.5,2\n".repeat(600_000)));
    for (name, content) in [
        ("t.csv.gz", plain.as_bytes()),
        ("t.csv.gz", &gzip(plain)[..20]),
        ("t.csv.gz", &long[..long.len() - 20]),
    ] {
        let said = read(name, content, None).unwrap_err();
        assert!(
            said.starts_with("t.csv.gz: found content that is not a gzip file as expected"),
            "{said}"
        );
    }
    for content in [plain.as_bytes(), &zst[..zst.len() - 3]] {
        let said = read("t.csv.zst", content, None).unwrap_err();
        assert!(said.contains("not a Zstandard file"), "{said}");
    }
    let said = read("t.parquet.gz", "", None).unwrap_err();
    assert!(
        said.starts_with("t.parquet.gz: found a compressed file of another kind where .csv"),
        "{said}"
    );
}
