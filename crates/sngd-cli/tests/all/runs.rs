//! Whole runs: identical bits, summaries, interruption.

use crate::common::{Scene, command, csv, drawn, run};
use sngd_store::{Phase, TraceReader};
use std::time::{Duration, Instant};

const RUN: &str = "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nbatch_size = 40\nbatches = \"without_replacement\"\nstep_size = 0.2\n[run]\nchains = 3\nwarmup = 30\ndraws = 120\n";

fn values(scene: &Scene, out: &str, extra: &[&str]) -> Vec<f64> {
    let mut args = vec![
        "sample", "run.toml", "--device", "cpu", "--quiet", "--out", out,
    ];
    args.extend_from_slice(extra);
    let done = run(scene, &args);
    assert!(
        drawn(done.status.code()),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let trace = TraceReader::open(&scene.path(out)).unwrap();
    let mut all = trace.samples(Phase::Draws, "weights").unwrap().values;
    all.extend(trace.samples(Phase::Draws, "intercept").unwrap().values);
    all
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_does_not() {
    let s = Scene::new(&csv(80), RUN);
    let first = values(&s, "a.zarr", &[]);
    assert_eq!(first.len(), 3 * 120 * 3);
    assert!(first == values(&s, "b.zarr", &[]));
    assert!(first == values(&s, "c.zarr", &["--threads", "1"]));
    assert!(first != values(&s, "d.zarr", &["--set", "seed=2"]));
}

#[test]
fn summary_speaks_json_and_check_runs_nothing() {
    let s = Scene::new(&csv(80), RUN);
    values(&s, "a.zarr", &[]);
    let out = run(&s, &["summary", "a.zarr", "--json"]);
    assert!(drawn(out.status.code()));
    let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    assert!(json.to_string().contains("weights[a]"));
    let out = run(&s, &["check", "run.toml", "--json"]);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    serde_json::from_slice::<serde_json::Value>(&out.stdout).unwrap();
    assert!(!s.path("run.zarr").exists());
}

/// The root of a whole trace has the metadata of every group and array, as they stand in their own files.
#[test]
fn a_whole_trace_has_consolidated_metadata() {
    let s = Scene::new(&csv(80), RUN);
    values(&s, "a.zarr", &[]);
    let read = |path: &str| -> serde_json::Value {
        let text = std::fs::read_to_string(s.path("a.zarr").join(path).join("zarr.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    let root = read("");
    let all = root["consolidated_metadata"]["metadata"]
        .as_object()
        .unwrap();
    assert_eq!(root["consolidated_metadata"]["kind"], "inline");
    for name in [
        "posterior",
        "posterior/weights",
        "posterior/draw",
        "sample_stats/lp",
    ] {
        assert_eq!(all[name], read(name), "{name}");
    }
    assert_eq!(all["posterior"]["attributes"]["status"], "complete");
    for (name, metadata) in all {
        assert_eq!(metadata, &read(name), "{name}");
    }
}

#[test]
fn the_name_alone_prints_help_and_a_failure_is_json_where_json_is_asked_for() {
    let s = Scene::new(&csv(80), RUN);
    let out = run(&s, &[]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2));
    assert!(
        said.contains("Usage: sngd") && said.contains("Sample what a run file describes"),
        "{said}"
    );
    for args in [
        vec!["sample", "none.toml", "--json"],
        vec!["check", "none.toml", "--json"],
        vec!["summary", "none.zarr", "--json"],
    ] {
        let out = run(&s, &args);
        let json: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
        let error = &json["error"];
        let message = error["message"].as_str().unwrap();
        assert_eq!(
            error["exit_code"].as_i64(),
            out.status.code().map(i64::from)
        );
        assert!(
            String::from_utf8_lossy(&out.stderr).contains(message),
            "{message}"
        );
    }
}

/// The number of kernels that a step starts on a GPU is known without one: by stage, in all, and as text.
#[test]
fn check_counts_dispatches() {
    let s = Scene::new(&csv(80), RUN);
    let counted = |extra: &[&str]| {
        let mut args = vec!["check", "run.toml"];
        args.extend_from_slice(extra);
        let words = String::from_utf8(run(&s, &args).stdout).unwrap();
        args.push("--json");
        let json: serde_json::Value = serde_json::from_slice(&run(&s, &args).stdout).unwrap();
        let total = json["gpu_dispatches_per_step"].as_f64().unwrap();
        assert!(
            words.contains(&format!("{total} dispatches a step on a GPU")),
            "{words}"
        );
        let stages = json["gpu_dispatches"].as_object().unwrap().clone();
        let sum: f64 = stages.values().map(|v| v.as_f64().unwrap()).sum();
        assert!((sum - total).abs() < 1e-9, "{stages:?}");
        (total, stages)
    };
    let (each, stages) = counted(&[]);
    // One pass over the batch and one over all rows for the metric; noise and update are one each.
    assert_eq!(stages["rows"], 2.0);
    assert_eq!(stages["update"], 1.0);
    let (kept, stages) = counted(&["--set", "sampler.fisher_refresh=4"]);
    assert_eq!(stages["rows"], 1.25);
    assert!(kept < each, "{kept} of {each}");
}

/// Ctrl-C finishes the draw, closes the trace and exits with 130; the draws until then are complete and finite.
#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_whole_draws() {
    let s = Scene::new(&csv(80), RUN);
    let mut child = command(
        &s,
        &[
            "sample",
            "run.toml",
            "--device",
            "cpu",
            "--quiet",
            "--out",
            "i.zarr",
            "--set",
            "run.draws=50000000",
        ],
    )
    .spawn()
    .unwrap();
    let begun = Instant::now();
    let kept = || TraceReader::open(&s.path("i.zarr")).map_or(0, |t| t.draws(Phase::Draws));
    while kept() < 100 && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = child.id().to_string();
    assert!(
        std::process::Command::new("kill")
            .args(["-INT", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let trace = TraceReader::open(&s.path("i.zarr")).unwrap();
    let n = trace.draws(Phase::Draws);
    assert!(n >= 100);
    let samples = trace.samples(Phase::Draws, "weights").unwrap();
    assert_eq!(samples.values.len(), n * 3 * 2);
    assert!(samples.values.iter().all(|v| v.is_finite()));
}

/// `sngd summary TRACE | head -0`: whoever closes standard output has read enough.
#[test]
fn a_closed_standard_output_is_no_error() {
    let s = Scene::new(&csv(80), RUN);
    values(&s, "a.zarr", &[]);
    let mut child = command(&s, &["summary", "a.zarr"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let done = child.wait_with_output().unwrap();
    assert!(drawn(done.status.code()));
    assert_eq!(String::from_utf8_lossy(&done.stderr), "");
}

#[test]
fn what_is_no_trace_or_no_command_is_one_sentence() {
    let s = Scene::new(&csv(80), RUN);
    for args in [
        &["summary", "none.zarr"][..],
        &["sampel", "run.toml"],
        &["sample", "--nope"],
        &["sample", "run.toml", "--set", "sampler.step_size"],
    ] {
        let out = run(&s, args);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{err}");
        assert!(
            err.starts_with("sngd: ") && err.lines().count() == 1,
            "{err}"
        );
    }
}

/// Runs the examples of `docs/likelihoods.md` as a user would.
#[test]
fn the_example_likelihoods_run() {
    let s = Scene::new(&csv(10), RUN);
    for (name, own) in [
        ("negative_binomial", "size"),
        ("student_t", "scale"),
        ("weibull", "shape"),
    ] {
        let file = format!(
            "{}/../../examples/likelihoods/{name}.toml",
            env!("CARGO_MANIFEST_DIR")
        );
        let args = [
            "sample",
            &file,
            "--device",
            "cpu",
            "--quiet",
            "--out",
            "own.zarr",
            "--force",
            "--set",
            "run.draws=40",
            "--set",
            "run.warmup=20",
        ];
        let out = run(&s, &args);
        assert!(
            drawn(out.status.code()),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
        let trace = TraceReader::open(&s.path("own.zarr")).unwrap();
        let values = trace.samples(Phase::Draws, own).unwrap().values;
        assert!(values.iter().all(|v| v.is_finite() && *v > 0.0), "{name}");
    }
}
