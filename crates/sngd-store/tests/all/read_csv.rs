//! CSV: values, labels, and every message.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::PathBuf;

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

fn file(content: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.csv");
    std::fs::write(&path, content).unwrap();
    (dir, path)
}

/// The error message without the directory.
fn message(content: impl AsRef<[u8]>, request: &TableRequest) -> String {
    let (dir, path) = file(content);
    let error = read_table(&path, request).unwrap_err();
    error
        .to_string()
        .replace(&format!("{}/", dir.path().display()), "")
}

#[test]
fn reads_features_response_and_trials_in_the_asked_order() {
    let (_dir, path) = file(
        "\u{feff}a,b , y,n,note\n1, 2.5,-3e2,4,text\n\n 5,\"6\",7,+8,\"x,\ny\"\n9,1e3,True,0,\n",
    );
    let asked = TableRequest {
        features: Some(vec!["b".into(), "a".into()]),
        trials: Some("n".into()),
        offset: None,
        weights: None,
        ..request("y")
    };
    let table = read_table(&path, &asked).unwrap();
    assert_eq!(table.source, path.display().to_string());
    assert_eq!(table.feature_names, ["b", "a"]);
    assert_eq!(table.features.to_vec(), [2.5, 1.0, 6.0, 5.0, 1000.0, 9.0]);
    assert_eq!(table.response, Response::Numbers(vec![-300.0, 7.0, 1.0]));
    assert_eq!(table.trials, Some(vec![4.0, 8.0, 0.0]));
    assert_eq!(table.rows(), 3);
    assert_eq!(column_names(&path).unwrap(), ["a", "b", "y", "n", "note"]);
}

#[test]
fn all_other_columns_are_features_by_default_and_none_is_allowed() {
    let (_dir, path) = file("a,y,b\n1,2,3\n4,5,6\n");
    let table = read_table(&path, &request("y")).unwrap();
    assert_eq!(table.feature_names, ["a", "b"]);
    assert_eq!(table.features.to_vec(), [1.0, 3.0, 4.0, 6.0]);
    let (_dir, path) = file("y\n1\n2\n");
    let table = read_table(&path, &request("y")).unwrap();
    assert_eq!((table.rows(), table.features.len()), (2, 0));
}

#[test]
fn labels_are_canonical_and_sorted() {
    let (_dir, path) = file("y,x\n10,1\n2.0,1\n2,1\n+10,1\n");
    let Response::Labels { index, levels } = read_table(&path, &labels("y")).unwrap().response
    else {
        panic!()
    };
    assert_eq!(
        (index, levels),
        (vec![1, 0, 0, 1], vec!["2".to_owned(), "10".to_owned()])
    );
    let (_dir, path) = file("y,x\nvirginica,1\nsetosa,1\n virginica ,1\n1.0,1\n");
    let Response::Labels { index, levels } = read_table(&path, &labels("y")).unwrap().response
    else {
        panic!()
    };
    assert_eq!(index, [2, 1, 2, 0]);
    assert_eq!(levels, ["1", "setosa", "virginica"]);
    let (_dir, path) = file("y,x\nonly,1\nonly,1\n");
    let Response::Labels { index, levels } = read_table(&path, &labels("y")).unwrap().response
    else {
        panic!()
    };
    assert_eq!((index, levels), (vec![0, 0], vec!["only".to_owned()]));
}

#[test]
fn a_file_that_cannot_be_opened() {
    let dir = tempfile::tempdir().unwrap();
    let say = |name: &str| {
        let error = read_table(&dir.path().join(name), &request("y"))
            .unwrap_err()
            .to_string();
        error.replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(
        say("pima.csv"),
        "pima.csv: no such file was found where a data file was expected; check `path` under [data], which is relative \
         to the run file"
    );
    assert_eq!(
        say("pima.xlsx"),
        "pima.xlsx: found the extension .xlsx where .csv, .tsv or .txt, any of these with .gz or .zst, .parquet, .npy or \
         .npz was expected; convert the file to one of these, or rename it"
    );
    assert_eq!(
        say("pima"),
        "pima: found no extension where .csv, .tsv or .txt, any of these with .gz or .zst, .parquet, .npy or .npz was \
         expected; convert the file to one of these, or rename it"
    );
    std::fs::create_dir(dir.path().join("d.csv")).unwrap();
    assert_eq!(
        say("d.csv"),
        "d.csv: the file cannot be read (it is a directory) where a readable data file was expected; check it and its \
         permissions"
    );
    assert!(
        column_names(&dir.path().join("pima.csv"))
            .unwrap_err()
            .to_string()
            .contains("no such file")
    );
}

#[test]
fn a_header_that_cannot_be_used() {
    assert_eq!(
        message("", &request("y")),
        "t.csv: found no columns where a response column was expected; check that the file is complete"
    );
    assert_eq!(
        message("a,y\n", &request("y")),
        "t.csv: found 2 columns but no data rows where at least one was expected; check that the file is complete"
    );
    assert_eq!(
        message("a,b;y\n1,2;3\n", &request("y")),
        "t.csv: found lines that commas and semicolons both divide into equal numbers of cells where one separator was \
         expected; write the file again with one of them, and with quotes around cells that hold the other"
    );
    assert_eq!(
        message("a,,y\n0,1,2\n", &request("y")),
        "t.csv: found no name for column 2 where every column is expected to have one, since all are used; name it in the \
         header, or list the columns to use in `features`"
    );
    assert_eq!(
        message("a,y,a\n1,2,3\n", &request("y")),
        "t.csv: found the column name `a` twice, at columns 1 and 3, where unique names were expected, since all columns \
         are used; rename one of them, or list the columns to use in `features`"
    );
    let named = TableRequest {
        features: Some(vec!["a".into()]),
        ..request("y")
    };
    assert_eq!(
        message("a,y,a\n1,2,3\n", &named),
        "t.csv: found the column name `a` twice, at columns 1 and 3, where a column that is used was expected to have a \
         name of its own; rename one of them"
    );
    assert!(message("y,a,y\n1,2,3\n", &named).contains("a name of its own"));
}

#[test]
fn a_column_that_is_not_there() {
    assert_eq!(
        message("glucose,bmi,diabetes\n1,2,3\n", &request("diabets")),
        "t.csv: found no column `diabets` where the response column was expected; did you mean `diabetes`? The columns are \
         `glucose`, `bmi`, `diabetes`"
    );
    let header: Vec<String> = (0..13).map(|i| format!("c{i}")).collect();
    let asked = TableRequest {
        features: Some(vec!["zzz".into()]),
        ..request("c0")
    };
    assert_eq!(
        message(format!("{}\n", header.join(",")), &asked),
        "t.csv: found no column `zzz` where the feature column was expected; choose one of the columns `c0`, `c1`, `c2`, `c3`, \
         `c4`, `c5`, `c6`, `c7`, `c8`, `c9` and 3 more"
    );
    let asked = TableRequest {
        trials: Some("N".into()),
        offset: None,
        weights: None,
        ..request("y")
    };
    assert_eq!(
        message("y,n\n1,2\n", &asked),
        "t.csv: found no column `N` where the trials column was expected; did you mean `n`? The columns are `y`, `n`"
    );
    let asked = TableRequest {
        features: Some(vec!["a".into(), "y".into()]),
        ..request("y")
    };
    assert_eq!(
        message("a,y\n1,2\n", &asked),
        "t.csv: found column `y` asked for both as response and as feature where one use of a column was expected; \
         correct [data] in the run file"
    );
}

#[test]
fn a_cell_that_cannot_be_used() {
    assert_eq!(
        message("a,y\n1,2\n3\n", &request("y")),
        "t.csv, row 2 (line 3): found 1 cells where the header has 2; correct the row, or quote the cells that hold \
         the separator"
    );
    assert!(
        message("a,y\n1.5,2,3\n", &request("y"))
            .contains("row 1 (line 2): found 3 cells where the header has 2")
    );
    for (cell, shown) in [
        ("", "empty"),
        ("NA", "NA"),
        ("NaN", "NaN"),
        ("nan", "nan"),
        ("null", "null"),
        (" N/A", "N/A"),
        ("n/a", "n/a"),
        ("#N/A", "#N/A"),
        ("<NA>", "<NA>"),
        ("None", "None"),
        ("NULL", "NULL"),
        ("?", "?"),
        (".", "."),
    ] {
        let label = message(format!("a,y\n1,one\n1,{cell}\n"), &labels("y"));
        assert!(
            label.starts_with(&format!(
                "t.csv, row 2 (line 3), column `y`: found a missing cell ({shown}) where a label was expected"
            )),
            "{label}"
        );
        assert_eq!(
            message(format!("a,y\n1,2\n\n{cell},2\n"), &request("y")),
            format!(
                "t.csv, row 2 (line 4), column `a`: found a missing cell ({shown}) where a finite number was expected; \
                 fill it in, leave the column out, or set data.missing = \"drop\" to leave out every row with a missing cell"
            )
        );
    }
    assert_eq!(
        message("a,y\n1,yes\n1,\n", &labels("y")),
        "t.csv, row 2 (line 3), column `y`: found a missing cell (empty) where a label was expected; fill it in, \
         leave the column out, or set data.missing = \"drop\" to leave out every row with a missing cell"
    );
    assert_eq!(
        message("a,y\n1,2\n1,high\n", &request("y")),
        "t.csv, row 2 (line 3), column `y`: found the text `high` where a finite number was expected; correct the cell, \
         or encode the column as numbers"
    );
    assert!(message("a,y\n\"1,5\",2\n", &request("y")).contains("found the text `1,5`"));
    let long = "x".repeat(50);
    assert!(
        message(format!("a,y\n{long},2\n"), &request("y"))
            .contains(&format!("the text `{}…`", &long[..40]))
    );
    assert!(message(b"a,y\n\xff,2\n", &request("y")).contains("found the text `\u{fffd}`"));
    for cell in ["inf", "-Infinity", "1e999"] {
        assert_eq!(
            message(format!("a,y\n{cell},2\n"), &request("y")),
            format!(
                "t.csv, row 1 (line 2), column `a`: found `{cell}` where a finite number was expected; correct the \
                 cell, or remove the row"
            )
        );
    }
}

#[test]
fn a_column_that_is_not_asked_for_may_hold_anything() {
    let (_dir, path) = file("a,y,id\n1,2,\n3,4,NA\n");
    let asked = TableRequest {
        features: Some(vec!["a".into()]),
        ..request("y")
    };
    assert_eq!(
        read_table(&path, &asked).unwrap().features.to_vec(),
        [1.0, 3.0]
    );
}

#[test]
fn lines_are_those_of_an_editor() {
    for (content, line) in [
        ("a,y\r\n1,2\r\nbad,2\r\n", 3),
        ("a,y\r\n1,2\r\n\r\n\r\nbad,2", 5),
        ("\na,y\n1,2\n\"bad\",2", 4),
        ("a,y,s\n1,2,\"two\nlines\"\nbad,2,x\n", 4),
        ("a,y\r1,2\rbad,2\r", 3),
    ] {
        let said = message(
            content,
            &TableRequest {
                features: Some(vec!["a".into()]),
                ..request("y")
            },
        );
        assert!(
            said.starts_with(&format!(
                "t.csv, row 2 (line {line}), column `a`: found the text `bad`"
            )),
            "{said}"
        );
    }
}

/// A row with a missing cell is left out whatever the column, and a level that only such rows have is no level.
#[test]
fn rows_with_a_missing_cell_are_left_out_where_that_is_asked_for() {
    let (_dir, path) = file(
        "a,y,n,o,w,id\n1,red,1,10,100,\n,only,2,20,200,x\n3,?,3,30,300,x\n4,blue,NA,40,400,x\n5,amber,5,.,500,x\n\
         6,none,6,60,null,x\n7,blue,7,70,700,?\n8,red,8,80,800,x\n",
    );
    let asked = TableRequest {
        features: Some(vec!["a".into()]),
        trials: Some("n".into()),
        offset: Some("o".into()),
        weights: Some("w".into()),
        missing: MissingCells::Drop,
        ..labels("y")
    };
    let table = read_table(&path, &asked).unwrap();
    assert_eq!(table.left_out, [1, 2, 3, 4, 5]);
    assert_eq!(table.features.to_vec(), [1.0, 7.0, 8.0]);
    let (index, levels) = (vec![1, 0, 1], vec!["blue".to_owned(), "red".to_owned()]);
    assert_eq!(table.response, Response::Labels { index, levels });
    assert_eq!(table.trials, Some(vec![1.0, 7.0, 8.0]));
    assert_eq!(table.offset, Some(vec![10.0, 70.0, 80.0]));
    assert_eq!(table.weights, Some(vec![100.0, 700.0, 800.0]));
    assert_eq!((table.rows(), table.source_row(1)), (3, 6));
    // What is no number is not missing, and a table needs a row.
    let drop = TableRequest {
        missing: MissingCells::Drop,
        ..request("y")
    };
    assert!(message("a,y\n,2\nhigh,3\n", &drop).contains("row 2 (line 3), column `a`"));
    assert!(message("a,y\n,2\ninf,3\n", &drop).contains("found `inf`"));
    assert_eq!(
        message("a,y\n,2\n3,\n", &drop),
        "t.csv: found a missing cell in each of its 2 rows where a row with every cell was expected; list the columns to \
         use in `features`, without those that are mostly empty"
    );
}
