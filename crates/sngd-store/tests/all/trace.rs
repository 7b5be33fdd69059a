//! The trace: round trips, growth, crashes, force, and every message.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::Path;

use sngd_core::trace::{Dim, DrawBlock, NamedArray, Sink, StatInfo, TraceSchema, Variable};
use sngd_store::{Phase, StoreError, TraceReader, TraceWriter};

const C: usize = 3;
const P: usize = 6;

fn dim(name: &str, labels: &[&str]) -> Dim {
    Dim {
        name: name.into(),
        labels: labels.iter().map(|&label| label.into()).collect(),
    }
}

fn schema() -> TraceSchema {
    TraceSchema {
        chains: C,
        parameters: P,
        variables: vec![
            Variable {
                name: "scale".into(),
                dims: vec![],
                index: vec![5],
            },
            Variable {
                name: "weights".into(),
                dims: vec![dim("class", &["a", "b"]), dim("feature", &["bmi", "âge"])],
                index: vec![4, 3, 2, 1],
            },
            Variable {
                name: "intercept".into(),
                dims: vec![],
                index: vec![0],
            },
        ],
        stats: vec![
            StatInfo {
                name: "lp".into(),
                boolean: false,
            },
            StatInfo {
                name: "diverging".into(),
                boolean: true,
            },
        ],
        save_warmup: true,
        observed: vec![NamedArray {
            name: "y".into(),
            dims: vec![dim("row", &[])],
            values: vec![1.0, 0.0, 1.0],
        }],
        constant: vec![NamedArray {
            name: "X".into(),
            dims: vec![dim("row", &[]), dim("feature", &["bmi", "âge"])],
            values: vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0],
        }],
        attributes: vec![
            ("run_file".into(), r#"{"seed": 1}"#.into()),
            ("device".into(), "cpu".into()),
        ],
    }
}

/// The value of a cell, computed from its place alone.
fn value(draw: usize, chain: usize, p: usize) -> f64 {
    1e4 + 1e-3 * (draw * 100 + chain * 10 + p) as f64
}

fn block(warmup: bool, first_draw: usize, len: usize) -> DrawBlock {
    let mut block = DrawBlock {
        warmup,
        first_draw,
        len,
        values: vec![],
        stats: vec![],
        predicted: None,
    };
    for draw in first_draw..first_draw + len {
        for chain in 0..C {
            block.values.extend((0..P).map(|p| value(draw, chain, p)));
            block.stats.push(if draw % 7 == 0 {
                f64::NAN
            } else {
                -(draw as f64) - 0.25 * chain as f64
            });
            block
                .stats
                .push(f64::from(u8::from((draw + chain) % 5 == 0)));
        }
    }
    block
}

/// Checks that every stored draw is the one that was given, and that there are `draws` of them.
fn check(path: &Path, phase: Phase, draws: usize) {
    let reader = TraceReader::open(path).unwrap();
    assert_eq!((reader.chains(), reader.draws(phase)), (C, draws));
    for (v, variable) in schema().variables.iter().enumerate() {
        let samples = reader.samples(phase, &variable.name).unwrap();
        assert_eq!(samples.array.name, variable.name);
        assert_eq!(samples.array.dims, variable.dims);
        assert_eq!(reader.variables().nth(v).unwrap(), &samples.array);
        assert_eq!(
            (samples.draws, samples.chains, samples.elements),
            (draws, C, variable.index.len())
        );
        let expected: Vec<f64> = (0..draws)
            .flat_map(|draw| (0..C).map(move |chain| (draw, chain)))
            .flat_map(|(draw, chain)| variable.index.iter().map(move |&p| value(draw, chain, p)))
            .collect();
        assert_eq!(samples.values, expected);
    }
    let whole = block(false, 0, draws);
    for (s, name) in ["lp", "diverging"].into_iter().enumerate() {
        let found: Vec<u64> = reader
            .stat(phase, name)
            .unwrap()
            .values
            .iter()
            .map(|v| v.to_bits())
            .collect();
        let expected: Vec<u64> = whole
            .stats
            .iter()
            .skip(s)
            .step_by(2)
            .map(|v| v.to_bits())
            .collect();
        assert_eq!(found, expected);
    }
}

/// The shape of an array in its metadata.
fn shown(path: &Path, array: &str) -> Vec<u64> {
    let text = std::fs::read_to_string(path.join(array).join("zarr.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    serde_json::from_value(metadata["shape"].clone()).unwrap()
}

#[test]
fn blocks_of_any_size_come_back() {
    for sizes in [
        vec![1; 7],
        vec![100, 100],
        vec![37, 100, 63, 1],
        vec![250, 1, 49],
        vec![99, 1],
        vec![],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/t.zarr");
        let mut writer = TraceWriter::create(&path, schema(), false).unwrap();
        let mut first = 0;
        for len in sizes {
            writer.block(&block(true, first, len)).unwrap();
            writer.block(&block(false, first, len)).unwrap();
            first += len;
        }
        assert_eq!(writer.received(), (first, first));
        writer.finish().unwrap();
        check(&path, Phase::Draws, first);
        check(&path, Phase::Warmup, first);
        for array in [
            "posterior/draw",
            "sample_stats/draw",
            "warmup_posterior/draw",
            "warmup_sample_stats/draw",
        ] {
            assert_eq!(shown(&path, array), [first as u64]);
        }
    }
}

#[test]
fn a_reader_meets_full_chunks_during_the_run_and_the_tail_on_flush() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let mut writer = TraceWriter::create(&path, schema(), false).unwrap();
    check(&path, Phase::Draws, 0);
    writer.block(&block(false, 0, 99)).unwrap();
    check(&path, Phase::Draws, 0);
    writer.block(&block(false, 99, 2)).unwrap();
    check(&path, Phase::Draws, 100);
    writer.flush().unwrap();
    check(&path, Phase::Draws, 101);
    writer.block(&block(false, 101, 98)).unwrap();
    check(&path, Phase::Draws, 101);
    writer.flush().unwrap();
    check(&path, Phase::Draws, 199);
    writer.block(&block(false, 199, 60)).unwrap();
    check(&path, Phase::Draws, 200);
    // The process ends here: waiting draws are lost, the rest is complete, and no half-written file is visible.
    drop(writer);
    check(&path, Phase::Draws, 200);
    for array in [
        "posterior/scale",
        "posterior/weights",
        "posterior/draw",
        "sample_stats/lp",
        "sample_stats/draw",
    ] {
        assert!(shown(&path, array).contains(&200), "{array}");
    }
}

/// A changed bit and a missing chunk are errors, also of an array whose cells all have the fill value.
#[test]
fn damage_is_no_number() {
    for array in ["posterior/weights", "sample_stats/diverging"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.zarr");
        let mut writer = TraceWriter::create(&path, schema(), false).unwrap();
        let mut quiet = block(false, 0, 100);
        quiet
            .stats
            .iter_mut()
            .skip(1)
            .step_by(2)
            .for_each(|flag| *flag = 0.0);
        writer.block(&quiet).unwrap();
        let read = || {
            let trace = TraceReader::open(&path).unwrap();
            match array.split_once('/').unwrap() {
                ("posterior", name) => trace.samples(Phase::Draws, name),
                (_, name) => trace.stat(Phase::Draws, name),
            }
        };
        let mut folder = path.join(array).join("c");
        while folder.is_dir() {
            folder = std::fs::read_dir(&folder)
                .unwrap()
                .next()
                .unwrap()
                .unwrap()
                .path();
        }
        let whole = std::fs::read(&folder).unwrap();
        let right = read().unwrap();
        let mut seen = 0;
        for at in 4..whole.len() {
            let mut bytes = whole.clone();
            bytes[at] ^= 1;
            std::fs::write(&folder, &bytes).unwrap();
            // A few bits of a compressed stream are read by nobody.
            match read() {
                Ok(found) => assert_eq!(found, right, "{array} {at}"),
                Err(e) => seen += usize::from(matches!(e, StoreError::Damaged { .. })),
            }
        }
        assert!(
            seen * 10 >= (whole.len() - 4) * 9,
            "{array}: {seen} of {}",
            whole.len()
        );
        std::fs::remove_file(&folder).unwrap();
        let missing = read().unwrap_err().to_string();
        assert!(missing.contains("is missing"), "{missing}");
    }
}

#[test]
fn a_crash_between_two_arrays_leaves_the_shorter_length() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let mut writer = TraceWriter::create(&path, schema(), false).unwrap();
    writer.block(&block(false, 0, 100)).unwrap();
    let old = std::fs::read(path.join("posterior/weights/zarr.json")).unwrap();
    writer.block(&block(false, 100, 100)).unwrap();
    std::fs::write(path.join("posterior/weights/zarr.json"), old).unwrap();
    check(&path, Phase::Draws, 100);
}

#[test]
fn the_coordinate_goes_on_beyond_its_first_chunk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let one = TraceSchema {
        chains: 1,
        parameters: 1,
        variables: vec![Variable {
            name: "a".into(),
            dims: vec![],
            index: vec![0],
        }],
        stats: vec![],
        save_warmup: false,
        ..schema()
    };
    let mut writer = TraceWriter::create(&path, one, false).unwrap();
    let n = 10_050;
    let values: Vec<f64> = (0..n).map(f64::from).collect();
    writer
        .block(&DrawBlock {
            warmup: false,
            first_draw: 0,
            len: n as usize,
            values: values.clone(),
            stats: vec![],
            predicted: None,
        })
        .unwrap();
    writer.finish().unwrap();
    assert_eq!(
        TraceReader::open(&path)
            .unwrap()
            .samples(Phase::Draws, "a")
            .unwrap()
            .values,
        values
    );
    assert_eq!(shown(&path, "posterior/draw"), [n as u64]);
    assert!(path.join("posterior/draw/c/1").is_file());
}

#[test]
fn large_draws_take_smaller_chunks() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let p = 1 << 20;
    let large = TraceSchema {
        chains: 8,
        parameters: p,
        variables: vec![Variable {
            name: "a".into(),
            dims: vec![],
            index: vec![p - 1],
        }],
        stats: vec![],
        save_warmup: false,
        ..schema()
    };
    TraceWriter::create(&path, large, false).unwrap();
    let text = std::fs::read_to_string(path.join("posterior/a/zarr.json")).unwrap();
    let metadata: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        metadata["chunk_grid"]["configuration"]["chunk_shape"],
        serde_json::json!([8, 4])
    );
}

#[test]
fn data_beside_the_draws_and_attributes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let mut writer = TraceWriter::create(&path, schema(), false).unwrap();
    let reader = TraceReader::open(&path).unwrap();
    let observed = reader.observed().unwrap();
    let [y] = &observed[..] else { panic!() };
    assert_eq!((y.name.as_str(), &y.values), ("y", &vec![1.0, 0.0, 1.0]));
    assert_eq!(y.dims, [dim("row", &["0", "1", "2"])]);
    let [x] = reader.constant() else { panic!() };
    assert_eq!(x.values, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(x.dims[1], dim("feature", &["bmi", "âge"]));
    assert_eq!(reader.attribute("run_file"), Some(r#"{"seed": 1}"#));
    assert_eq!(reader.attribute("inference_library"), Some("sngd"));
    assert_eq!(
        reader.attribute("inference_library_version"),
        Some(env!("CARGO_PKG_VERSION"))
    );
    assert!(reader.attribute("created_at").unwrap().ends_with('Z'));
    assert!(reader.attribute("sngd_trace").is_some());
    assert_eq!(reader.attributes().len(), 6);
    writer
        .set_attributes(&[("status".into(), "complete".into())])
        .unwrap();
    assert_eq!(
        TraceReader::open(&path).unwrap().attribute("status"),
        Some("complete")
    );
    for group in [
        "posterior",
        "sample_stats",
        "warmup_posterior",
        "observed_data",
        "constant_data",
    ] {
        let text = std::fs::read_to_string(path.join(group).join("zarr.json")).unwrap();
        assert!(
            text.contains(r#""run_file": "{\"seed\": 1}""#) && text.contains("complete"),
            "{group}: {text}"
        );
    }
}

#[test]
fn a_large_array_beside_the_draws() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let values: Vec<f64> = (0..1_500_000).map(f64::from).collect();
    let x = NamedArray {
        name: "X".into(),
        dims: vec![dim("row", &[]), dim("f", &["a", "b", "c"])],
        values: values.clone(),
    };
    TraceWriter::create(
        &path,
        TraceSchema {
            constant: vec![x],
            ..schema()
        },
        false,
    )
    .unwrap();
    assert_eq!(
        TraceReader::open(&path).unwrap().constant()[0].values,
        values
    );
}

#[test]
fn warmup_is_stored_only_when_asked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let mut writer = TraceWriter::create(
        &path,
        TraceSchema {
            save_warmup: false,
            ..schema()
        },
        false,
    )
    .unwrap();
    writer.block(&block(true, 0, 120)).unwrap();
    writer.block(&block(false, 0, 5)).unwrap();
    writer.finish().unwrap();
    check(&path, Phase::Draws, 5);
    assert!(!path.join("warmup_posterior").exists());
    let reader = TraceReader::open(&path).unwrap();
    assert_eq!(reader.draws(Phase::Warmup), 0);
    assert_eq!(
        reader
            .samples(Phase::Warmup, "scale")
            .unwrap_err()
            .to_string(),
        format!(
            "{}: found no group `warmup_posterior` in the trace where one was expected; it has the kept draws only, the \
             run did not store its warm-up",
            path.display()
        )
    );
    assert_eq!(
        reader
            .samples(Phase::Draws, "weight")
            .unwrap_err()
            .to_string(),
        format!(
            "{}/posterior: found no variable `weight` in the trace where one was expected; it has `scale`, `weights`, \
             `intercept`",
            path.display()
        )
    );
}

#[test]
fn a_number_that_is_not_finite_never_becomes_a_draw() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let mut writer = TraceWriter::create(&path, schema(), false).unwrap();
    writer.block(&block(false, 0, 100)).unwrap();
    let mut bad = block(false, 100, 20);
    bad.values[(7 * C + 2) * P + 3] = f64::NAN;
    let error = writer.block(&bad).unwrap_err();
    assert!(matches!(
        error,
        StoreError::NonFinite {
            chain: 2,
            draw: 107,
            ..
        }
    ));
    assert_eq!(
        error.to_string(),
        "the value of `weights[a, âge]` in chain 2 at draw 107 is NaN where a finite number was expected; the block was \
         not stored, try a smaller step_size or some damping"
    );
    let mut bad = block(true, 0, 1);
    bad.values[P] = f64::NEG_INFINITY;
    assert!(writer.block(&bad).unwrap_err().to_string().starts_with(
        "the value of `intercept` in chain 1 at warm-up draw 0 is -inf where a finite number was expected"
    ));
    writer.finish().unwrap();
    check(&path, Phase::Draws, 100);
    check(&path, Phase::Warmup, 0);
}

#[test]
fn blocks_out_of_order_or_of_another_size() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = TraceWriter::create(&dir.path().join("t.zarr"), schema(), false).unwrap();
    writer.block(&block(false, 0, 2)).unwrap();
    assert_eq!(
        writer.block(&block(false, 3, 2)).unwrap_err().to_string(),
        "the block at draw 3 cannot be stored: found first draw 3 where first draw 2 was expected; blocks come in order \
         and whole"
    );
    let mut short = block(false, 2, 2);
    short.values.pop();
    assert_eq!(
        writer.block(&short).unwrap_err().to_string(),
        "the block at draw 2 cannot be stored: found 35 values where 36 was expected; blocks come in order and whole"
    );
    let mut short = block(false, 2, 2);
    short.stats.pop();
    assert!(
        writer
            .block(&short)
            .unwrap_err()
            .to_string()
            .contains("found 11 statistics where 12 was expected")
    );
}

#[test]
fn a_schema_that_cannot_be_stored() {
    let dir = tempfile::tempdir().unwrap();
    let say = |change: &dyn Fn(&mut TraceSchema)| {
        let mut schema = schema();
        change(&mut schema);
        let path = dir.path().join("t.zarr");
        let error = TraceWriter::create(&path, schema, false)
            .unwrap_err()
            .to_string();
        assert!(!path.exists());
        error
            .strip_prefix("the schema of the trace cannot be stored: ")
            .unwrap()
            .to_owned()
    };
    assert_eq!(say(&|s| s.chains = 0), "it has no chains");
    assert_eq!(
        say(&|s| s.variables[0].name = "weights".into()),
        "the name `weights` is used twice in group `posterior`; rename one"
    );
    assert_eq!(
        say(&|s| s.stats[0].name = "draw".into()),
        "the name `draw` is used twice in group `sample_stats`; rename one"
    );
    assert_eq!(
        say(&|s| s.variables[0].name = "feature".into()),
        "`feature` names both a variable and a dimension of group `posterior`; rename one"
    );
    assert_eq!(
        say(&|s| s.variables[1].dims[0].name = "feature".into()),
        "`weights` has the dimension `feature` twice; rename one"
    );
    assert_eq!(
        say(&|s| s.variables[0].dims = vec![dim("feature", &["one"])]),
        "the dimension `feature` has other labels in `weights` than in another variable of group `posterior`; give the \
         two dimensions two names"
    );
    assert_eq!(
        say(&|s| s.variables[0].index.clear()),
        "`scale` has 0 positions where its labels make 1 elements"
    );
    assert_eq!(
        say(&|s| s.variables[0].index[0] = 6),
        "`scale` points at parameter 6 where there are 6"
    );
    assert_eq!(
        say(&|s| s.variables[0].name = "a/b".into()),
        "\"a/b\" in group `posterior` cannot be a name in Zarr; use a name of letters, digits and `_`"
    );
    assert_eq!(
        say(&|s| s.constant[0].values.truncate(5)),
        "`X` has 5 values, which do not fill the shape [2, 2]"
    );
}

#[test]
fn a_path_that_is_not_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let say = |path: &Path| {
        TraceReader::open(path)
            .unwrap_err()
            .to_string()
            .replace(&format!("{}/", dir.path().display()), "")
    };
    assert_eq!(
        say(&dir.path().join("t.zarr")),
        "t.zarr: found nothing where a trace directory was expected; give the path that a run wrote as its output"
    );
    std::fs::create_dir(dir.path().join("d")).unwrap();
    assert!(say(&dir.path().join("d")).starts_with("d: found a directory without zarr.json where"));
    std::fs::write(dir.path().join("f"), "").unwrap();
    assert!(say(&dir.path().join("f")).starts_with("f: found a file where"));
    std::fs::write(
        dir.path().join("d/zarr.json"),
        r#"{"zarr_format":3,"node_type":"group"}"#,
    )
    .unwrap();
    assert!(
        say(&dir.path().join("d"))
            .starts_with("d: found a Zarr directory without a posterior group where")
    );
    std::fs::write(dir.path().join("d/zarr.json"), "{").unwrap();
    let said = say(&dir.path().join("d"));
    assert!(
        said.contains("found a trace that cannot be decoded (")
            && said.ends_with("it is damaged, run again"),
        "{said}"
    );
}

#[test]
fn a_disk_that_refuses() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let said = TraceWriter::create(&dir.path().join("file/t.zarr"), schema(), false)
        .unwrap_err()
        .to_string();
    assert!(
        said.contains("file/t.zarr: the trace could not be written ("),
        "{said}"
    );
    assert!(
        said.ends_with("); check the space and the permissions there"),
        "{said}"
    );

    let path = dir.path().join("t.zarr");
    let mut writer = TraceWriter::create(&path, schema(), false).unwrap();
    writer.block(&block(false, 0, 1)).unwrap();
    std::fs::create_dir_all(path.join("posterior/weights/c/0/0/0/0/in_the_way")).unwrap();
    let said = writer.finish().unwrap_err().to_string();
    assert!(
        said.contains("t.zarr/posterior/weights: the trace could not be written ("),
        "{said}"
    );
    check(&path, Phase::Draws, 0);
    std::fs::remove_dir_all(path.join("posterior/weights/c/0/0/0/0")).unwrap();
    writer.finish().unwrap();
    check(&path, Phase::Draws, 1);
}
