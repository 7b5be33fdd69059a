//! What a new trace may replace, and that nothing else is ever lost.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use sngd_core::trace::{Dim, DrawBlock, NamedArray, Sink, StatInfo, TraceSchema, Variable};
use sngd_store::{
    OldTrace, Phase, StoreError, TraceReader, TraceWriter, check_output, set_aside_before,
    try_output,
};

fn schema() -> TraceSchema {
    let dim = |name: &str, labels: &[&str]| Dim {
        name: name.into(),
        labels: labels.iter().map(|&label| label.into()).collect(),
    };
    TraceSchema {
        chains: 2,
        parameters: 3,
        variables: vec![
            Variable {
                name: "scale".into(),
                dims: vec![],
                index: vec![0],
            },
            Variable {
                name: "weights".into(),
                dims: vec![dim("feature", &["a", "b"])],
                index: vec![1, 2],
            },
        ],
        stats: vec![StatInfo {
            name: "lp".into(),
            boolean: false,
        }],
        save_warmup: true,
        observed: vec![NamedArray {
            name: "y".into(),
            dims: vec![dim("row", &[])],
            values: vec![1.0, 0.0],
        }],
        constant: vec![
            NamedArray {
                name: "half".into(),
                dims: vec![],
                values: vec![0.5],
            },
            NamedArray {
                name: "X".into(),
                dims: vec![dim("row", &[]), dim("feature", &["a", "b"])],
                values: vec![1.0, 2.0, 3.0, 4.0],
            },
        ],
        attributes: vec![],
    }
}

fn block(warmup: bool, len: usize, value: f64) -> DrawBlock {
    DrawBlock {
        warmup,
        first_draw: 0,
        len,
        values: vec![value; len * 6],
        stats: vec![value; len * 2],
        predicted: None,
    }
}

/// Writes a trace with every optional part and `draws` draws of the value `value`.
fn write(path: &Path, force: bool, draws: usize, value: f64) -> TraceWriter {
    let mut writer = TraceWriter::create(path, schema(), force)
        .unwrap()
        .with_row_terms(2)
        .unwrap();
    if draws > 0 {
        writer.block(&block(true, draws, value)).unwrap();
        writer.block(&block(false, draws, value)).unwrap();
        let terms = DrawBlock {
            values: vec![value; draws * 4],
            stats: vec![],
            ..block(false, draws, value)
        };
        writer.row_terms(&terms).unwrap();
    }
    writer.finish().unwrap();
    writer
}

/// Every file below a folder with its content, and every link with its target.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let kind = fs::symlink_metadata(&path).unwrap();
        if kind.is_dir() {
            all.insert(path.clone(), vec![]);
            all.extend(content(&path));
        } else if kind.is_symlink() {
            let target = fs::read_link(&path).unwrap();
            all.insert(path, target.to_string_lossy().as_bytes().to_vec());
        } else {
            all.insert(path.clone(), fs::read(&path).unwrap());
        }
    }
    all
}

/// The value that `write` stored, and the number of draws.
fn stored(path: &Path) -> (f64, usize) {
    let reader = TraceReader::open(path).unwrap();
    let samples = reader.samples(Phase::Draws, "scale").unwrap();
    (
        samples.values.first().copied().unwrap_or_default(),
        samples.draws,
    )
}

/// Checks that both checks refuse the path, with and without force, and that nothing in `folder` changes; returns the message.
fn refused(path: &Path, folder: &Path) -> String {
    let before = content(folder);
    let mut said = Vec::new();
    for force in [false, true] {
        said.push(
            check_output(path, &[], force)
                .expect_err("a refusal")
                .to_string(),
        );
        said.push(
            TraceWriter::create(path, schema(), force)
                .expect_err("a refusal")
                .to_string(),
        );
    }
    assert_eq!(content(folder), before);
    assert!(said.iter().all(|s| *s == said[0]), "{said:?}");
    said[0].replace(&format!("{}/", folder.display()), "")
}

fn not_ours(path: &str, found: &str) -> String {
    format!(
        "{path}: found {found} where nothing, an empty folder or, with --force, a trace written by sngd was expected; \
         nothing was changed, choose another output path or move it away yourself"
    )
}

#[test]
fn a_folder_that_is_not_a_trace_is_refused_with_and_without_force() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("work");
    fs::create_dir(&path).unwrap();
    fs::write(path.join("run.toml"), "seed = 1").unwrap();
    assert_eq!(
        refused(&path, dir.path()),
        not_ours(
            "work",
            "a folder that is not a trace of sngd and holds `run.toml`"
        )
    );
    // Another program's Zarr directory, and files that only look like a trace's.
    for root in [
        r#"{"zarr_format":3,"node_type":"group","attributes":{}}"#,
        r#"{"zarr_format":3,"node_type":"group","attributes":{"inference_library":"sngd"}}"#,
        r#"{"zarr_format":3,"node_type":"group","attributes":{"sngd_trace":"{}"}}"#,
        r#"{"zarr_format":3,"node_type":"group","attributes":{"inference_library":"sngd","sngd_trace":"no"}}"#,
        r#"{"zarr_format":3,"node_type":"array","attributes":{"inference_library":"sngd","sngd_trace":"{}"}}"#,
        "{",
    ] {
        fs::write(path.join("zarr.json"), root).unwrap();
        let said = refused(&path, dir.path());
        assert!(said.contains("found a folder that is not a trace of sngd"));
    }
    fs::write(dir.path().join("thesis"), "thesis").unwrap();
    assert_eq!(
        refused(&dir.path().join("thesis"), dir.path()),
        not_ours("thesis", "something that is not a folder")
    );
}

#[test]
fn a_path_without_a_name_of_its_own_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (path, found) in [
        ("", "\"\": found an empty path where"),
        (".", ".: found a path that ends without a name where"),
        ("..", "..: found a path that ends without a name where"),
        ("/", "/: found a path that ends without a name where"),
        ("a/..", "a/..: found a path that ends without a name where"),
    ] {
        let said = refused(Path::new(path), dir.path());
        assert!(said.starts_with(found), "{said}");
        assert!(
            said.ends_with("choose a path such as run.zarr"),
            "{path}: {said}"
        );
    }
}

#[test]
fn a_folder_with_a_file_that_the_run_reads_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("data/deep")).unwrap();
    fs::write(root.join("run.toml"), "").unwrap();
    let csv = root.join("data/deep/d.csv");
    fs::write(&csv, "").unwrap();
    let say = |path: &Path, force| {
        let run = root.join("run.toml");
        let inputs = [("run file", run.as_path()), ("data file", csv.as_path())];
        check_output(path, &inputs, force).map_err(|e| e.to_string())
    };
    for force in [false, true] {
        for (path, what) in [
            (root.to_path_buf(), "run file"),
            (root.join("data/.."), "run file"),
            (root.join("data/deep/"), "data file"),
            (root.join("data"), "data file"),
            (csv.clone(), "data file"),
            (PathBuf::from("/"), "run file"),
        ] {
            let said = say(&path, force).unwrap_err();
            assert!(
                said.contains(&format!("found the {what} ")) && said.contains(" in it where"),
                "{said}"
            );
        }
        assert_eq!(say(&root.join("t.zarr"), force), Ok(()));
    }
    // Also under the name of a file of a trace: without the check it could be replaced.
    let path = root.join("t.zarr");
    drop(write(&path, false, 3, 1.0));
    let chunk = path.join("posterior/scale/c/0/0");
    let said = check_output(&path, &[("data file", &chunk)], true).unwrap_err();
    assert!(matches!(said, StoreError::NotAFolder { .. }), "{said}");
}

#[test]
fn an_empty_folder_may_be_used() {
    let dir = tempfile::tempdir().unwrap();
    for force in [false, true] {
        let path = dir.path().join(format!("{force}.zarr"));
        fs::create_dir(&path).unwrap();
        check_output(&path, &[], force).unwrap();
        try_output(&path).unwrap();
        assert!(content(&path).is_empty());
        drop(write(&path, force, 3, 1.0));
        assert_eq!(stored(&path), (1.0, 3));
    }
}

#[test]
fn a_part_of_a_trace_is_not_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    drop(write(&path, false, 3, 1.0));
    for part in ["posterior", "posterior/scale", "new", "new/deep/t.zarr"] {
        let said = refused(&path.join(part), dir.path());
        assert!(said.contains("found a path inside the trace "), "{said}");
    }
    // A copy of a group elsewhere has all attributes except the root's mark.
    let copy = dir.path().join("copy");
    fs::rename(path.join("posterior"), &copy).unwrap();
    assert_eq!(
        refused(&copy, dir.path()),
        not_ours(
            "copy",
            "a folder that is not a trace of sngd and holds `chain`"
        )
    );
}

#[test]
fn an_entry_that_the_trace_does_not_hold_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    drop(write(&path, false, 3, 1.0));
    for entry in [
        "notes.txt",
        "posterior/.notes",
        "posterior/scale/c/0/0.bak",
        "posterior/scale/c/0/.1",
        "posterior/weights/c/readme",
        "sample_stats/lp/zarr.json.old",
        "constant_data/half/d",
    ] {
        fs::write(path.join(entry), "mine").unwrap();
        assert_eq!(
            refused(&path, dir.path()),
            not_ours(
                "t.zarr",
                &format!("a trace that holds `{entry}`, which sngd did not write")
            )
        );
        fs::remove_file(path.join(entry)).unwrap();
    }
    // Arrays and groups that another program added are somebody's work too.
    for entry in [
        "posterior_predictive",
        "posterior/slopes",
        "posterior/scale/c/x",
        "posterior/scale/0",
    ] {
        fs::create_dir(path.join(entry)).unwrap();
        fs::write(path.join(entry).join("zarr.json"), "{}").unwrap();
        let said = refused(&path, dir.path());
        assert!(said.contains(&format!("holds `{entry}`, which")), "{said}");
        fs::remove_dir_all(path.join(entry)).unwrap();
    }
    // Files that a killed run was about to publish are part of the trace.
    for staged in [
        ".zarr.json.new",
        "posterior/scale/.zarr.json.new",
        "posterior/scale/c/0/.1.new",
    ] {
        fs::write(path.join(staged), "").unwrap();
    }
    let mut writer = write(&path, true, 4, 2.0);
    assert_eq!(writer.conclude(true), &OldTrace::Removed);
    assert_eq!(stored(&path), (2.0, 4));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn links_are_not_followed() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    drop(write(&path, false, 3, 1.0));
    let link = dir.path().join("link");
    symlink("t.zarr", &link).unwrap();
    for path in [link.clone(), dir.path().join("link/")] {
        let said = refused(&path, dir.path());
        assert!(
            said.contains("found a symbolic link, which is not followed"),
            "{said}"
        );
    }
    // A link that leads nowhere would be written through.
    fs::remove_file(&link).unwrap();
    symlink("nowhere", &link).unwrap();
    assert!(refused(&link, dir.path()).contains("found a symbolic link"));

    // Inside the old trace: chunks, a whole array and the root's metadata kept elsewhere.
    for inner in ["posterior/scale/c/0", "posterior/scale", "zarr.json"] {
        let elsewhere = dir.path().join("elsewhere");
        fs::rename(path.join(inner), &elsewhere).unwrap();
        symlink(&elsewhere, path.join(inner)).unwrap();
        let said = refused(&path, dir.path());
        assert!(
            said.contains(&format!("holds `{inner}`, which"))
                || said.contains("not a trace of sngd"),
            "{said}"
        );
        fs::remove_file(path.join(inner)).unwrap();
        fs::rename(&elsewhere, path.join(inner)).unwrap();
    }

    // A folder above may be a link: people keep their traces on another disk.
    fs::remove_file(&link).unwrap();
    symlink(".", &link).unwrap();
    let mut writer = write(&link.join("t.zarr"), true, 2, 2.0);
    writer.conclude(true);
    assert_eq!(stored(&path), (2.0, 2));
}

#[test]
fn the_old_trace_goes_when_the_new_one_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside) = (dir.path().join("t.zarr"), dir.path().join("t.zarr.old"));
    drop(write(&path, false, 150, 1.0));
    assert_eq!(
        TraceWriter::create(&path, schema(), false)
            .unwrap_err()
            .to_string(),
        format!(
            "{}: found an existing path where a new trace was to be written; choose another output path, or pass --force \
             to replace an old trace",
            path.display()
        )
    );
    let mut writer = write(&path, true, 20, 2.0);
    assert_eq!(writer.old_trace(), &OldTrace::SetAside(aside.clone()));
    assert_eq!((stored(&path), stored(&aside)), ((2.0, 20), (1.0, 150)));
    assert_eq!(writer.conclude(true), &OldTrace::Removed);
    drop(writer);
    assert_eq!(stored(&path), (2.0, 20));
    assert!(!aside.exists());
}

#[test]
fn a_run_that_is_not_whole_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside) = (dir.path().join("t.zarr"), dir.path().join("t.zarr.old"));
    drop(write(&path, false, 150, 1.0));
    let before = content(dir.path());

    // No draw, concluded or dropped; a block that waits in memory is not a draw on disk.
    let mut writer = write(&path, true, 0, 2.0);
    assert_eq!(writer.conclude(false), &OldTrace::PutBack);
    drop(writer);
    assert_eq!(content(dir.path()), before);
    drop(TraceWriter::create(&path, schema(), true).unwrap());
    assert_eq!(content(dir.path()), before);
    let mut writer = TraceWriter::create(&path, schema(), true).unwrap();
    writer.block(&block(false, 5, 2.0)).unwrap();
    drop(writer);
    assert_eq!(content(dir.path()), before);

    // A schema or a disk that causes an error.
    let none = TraceSchema {
        chains: 0,
        ..schema()
    };
    TraceWriter::create(&path, none, true).unwrap_err();
    assert_eq!(content(dir.path()), before);

    // With draws, both stay, and the old trace is complete.
    let mut writer = write(&path, true, 5, 2.0);
    assert_eq!(writer.conclude(false), &OldTrace::SetAside(aside.clone()));
    drop(writer);
    assert_eq!((stored(&path), stored(&aside)), ((2.0, 5), (1.0, 150)));
    assert_eq!(set_aside_before(&path), vec![aside.clone()]);

    // The old trace does not block the next run, which does not touch it.
    let left = content(&aside);
    let mut writer = write(&path, true, 6, 3.0);
    let second = dir.path().join("t.zarr.old-2");
    assert_eq!(writer.old_trace(), &OldTrace::SetAside(second.clone()));
    writer.conclude(true);
    assert_eq!((stored(&path), content(&aside) == left), ((3.0, 6), true));
    assert!(!second.exists());
}

#[test]
fn a_taken_name_is_not_replaced_by_the_old_trace() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    drop(write(&path, false, 3, 1.0));
    fs::write(dir.path().join("t.zarr.old"), "mine").unwrap();
    fs::create_dir(dir.path().join("t.zarr.old-2")).unwrap();
    let mut writer = write(&path, true, 2, 2.0);
    let aside = dir.path().join("t.zarr.old-3");
    assert_eq!(writer.old_trace(), &OldTrace::SetAside(aside));
    writer.conclude(true);
    assert_eq!(fs::read(dir.path().join("t.zarr.old")).unwrap(), b"mine");
    assert!(dir.path().join("t.zarr.old-2").is_dir());
    // Neither folder is a trace, so the message names neither.
    assert!(set_aside_before(&path).is_empty());
}

#[test]
fn what_came_into_the_old_trace_meanwhile_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, aside) = (dir.path().join("t.zarr"), dir.path().join("t.zarr.old"));
    drop(write(&path, false, 3, 1.0));
    let mut writer = write(&path, true, 2, 2.0);
    fs::write(aside.join("sample_stats/notes.txt"), "mine").unwrap();
    assert_eq!(
        writer.conclude(true),
        &OldTrace::Left {
            path: aside.clone(),
            why: "it holds `sample_stats/notes.txt`, which sngd did not write".into()
        }
    );
    assert_eq!((stored(&path), stored(&aside)), ((2.0, 2), (1.0, 3)));
}

#[cfg(unix)]
#[test]
fn a_trace_that_another_run_writes_is_left_to_it() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let writer = write(&path, false, 3, 1.0);
    let before = content(dir.path());
    for said in [
        TraceWriter::create(&path, schema(), true).unwrap_err(),
        try_output(&path).unwrap_err(),
    ] {
        assert!(matches!(said, StoreError::Busy { .. }), "{said}");
    }
    assert_eq!(content(dir.path()), before);
    drop(writer);
    try_output(&path).unwrap();
    drop(write(&path, true, 2, 2.0));
    assert_eq!(stored(&path), (2.0, 2));
}

#[test]
fn a_parent_that_cannot_be_written_is_told_early() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let path = dir.path().join("file/t.zarr");
    let said = try_output(&path).unwrap_err().to_string();
    assert!(
        said.contains("file/t.zarr: the trace could not be written ("),
        "{said}"
    );
    // Folders that do not exist yet are tested in the nearest one that does; nothing is left there.
    try_output(&dir.path().join("new/deep/t.zarr")).unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
