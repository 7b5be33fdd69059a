//! Where a trace may go, from the user's side: bad paths are refused before anything is computed, and an old trace is never
//! lost to a run that does not end well.

use crate::common::{Scene, command, csv, drawn, run};
use sngd_store::{Phase, TraceReader};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const RUN: &str = "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nbatch_size = 60\n[run]\nchains = 2\ndraws = 20\nwarmup = 20\n";

/// Every file below a folder, with its content.
fn content(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(content(&path));
            all.insert(path, vec![]);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(path, bytes);
        }
    }
    all
}

/// Runs `sngd sample run.toml` on the CPU; returns its exit code and standard error.
fn sample(scene: &Scene, extra: &[&str]) -> (Option<i32>, String) {
    let mut args = vec!["sample", "run.toml", "--device", "cpu"];
    args.extend_from_slice(extra);
    let out = run(scene, &args);
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

/// Checks that `sample` with and without `--force`, and `check` unless `extra` has `--out`, refuse with one sentence,
/// and that nothing changes.
fn refused(scene: &Scene, extra: &[&str], parts: &[&str]) {
    let before = content(&scene.path("."));
    let mut commands = vec![
        vec!["sample", "run.toml", "--device", "cpu"],
        vec!["sample", "run.toml", "--device", "cpu", "--force"],
    ];
    if !extra.contains(&"--out") {
        commands.push(vec!["check", "run.toml"]);
    }
    for mut args in commands {
        args.extend_from_slice(extra);
        let out = run(scene, &args);
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{args:?}: {err}");
        assert!(
            err.starts_with("sngd: ") && err.lines().count() == 1,
            "{args:?}: {err}"
        );
        for part in parts {
            assert!(err.contains(part), "expected '{part}' in: {err}");
        }
        assert!(content(&scene.path(".")) == before, "{args:?}");
    }
}

/// Draws per chain in a trace.
fn draws(scene: &Scene, name: &str) -> usize {
    TraceReader::open(&scene.path(name)).map_or(0, |t| t.draws(Phase::Draws))
}

#[test]
fn an_empty_output_path_is_refused_with_its_line() {
    let s = Scene::new(&csv(60), &format!("{RUN}[output]\npath = \"\"\n"));
    refused(
        &s,
        &[],
        &["run.toml:13: output.path: found an empty text, expected a path"],
    );
    let s = Scene::new(&csv(60), RUN);
    refused(
        &s,
        &["--set", "output.path="],
        &["output.path: found an empty text"],
    );
    let clap = "a value is required for '--out <PATH>'";
    refused(&s, &["--out", ""], &[clap]);
}

/// The bug behind this file: a second run with `--force` emptied the folder of the run file.
#[test]
fn the_folder_of_the_run_file_or_of_the_data_is_never_an_output() {
    for (path, parts) in [
        (".", ["the run file run.toml in it", "run.zarr"]),
        ("./", ["the run file run.toml in it", "run.zarr"]),
        ("sub/..", ["the run file run.toml in it", "run.zarr"]),
        ("..", ["the run file run.toml in it", "run.zarr"]),
        ("/", ["the run file run.toml in it", "run.zarr"]),
        ("sub", ["the data file sub/data.csv in it", "run.zarr"]),
        ("nowhere/..", ["ends without a name", "run.zarr"]),
    ] {
        let s = Scene::new(&csv(60), RUN);
        std::fs::create_dir(s.path("sub")).unwrap();
        std::fs::rename(s.path("data.csv"), s.path("sub/data.csv")).unwrap();
        let set = format!("output.path={path}");
        let data = ["--set", "data.path=sub/data.csv"];
        refused(&s, &[&data[..], &["--set", &set]].concat(), &parts);
        refused(&s, &[&data[..], &["--out", path]].concat(), &parts);
    }
}

/// The data cannot be read, yet the message is about the path: it is checked before anything is read or computed.
#[test]
fn the_path_is_checked_first() {
    let s = Scene::new("no table", RUN);
    std::fs::create_dir(s.path("work")).unwrap();
    std::fs::write(s.path("work/thesis.txt"), "mine").unwrap();
    let parts = ["work: found a folder that is not a trace of sngd and holds `thesis.txt`"];
    refused(&s, &["--set", "output.path=work"], &parts);
    refused(&s, &["--out", "work"], &parts);
    std::fs::remove_file(s.path("work/thesis.txt")).unwrap();
    let (code, err) = sample(&s, &["--out", "work"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("data.csv"), "{err}");
}

#[test]
fn only_a_whole_trace_of_ours_is_replaced_and_check_lets_it_stand() {
    let s = Scene::new(&csv(60), RUN);
    assert!(drawn(sample(&s, &[]).0));
    let out = run(&s, &["check", "run.toml"]);
    assert!(out.status.success());
    let (code, err) = sample(&s, &["--quiet"]);
    assert_eq!(code, Some(2));
    assert!(err.contains("run.zarr") && err.contains("--force"), "{err}");
    refused(
        &s,
        &["--out", "run.zarr/posterior"],
        &["found a path inside the trace"],
    );
    std::fs::write(s.path("run.zarr/posterior/notes.txt"), "mine").unwrap();
    refused(
        &s,
        &["--set", "run.draws=30"],
        &["run.zarr: found a trace that holds `posterior/notes.txt`, which sngd did not write"],
    );
    std::fs::remove_file(s.path("run.zarr/posterior/notes.txt")).unwrap();
    assert!(drawn(sample(&s, &["--force", "--set", "run.draws=30"]).0));
    assert_eq!(draws(&s, "run.zarr"), 30);
    assert!(!s.path("run.zarr.old").exists());
}

/// Two run files whose names differ before the last ending have two traces.
#[test]
fn a_run_file_with_two_endings_keeps_the_first() {
    let s = Scene::new(&csv(60), RUN);
    std::fs::copy(s.path("run.toml"), s.path("run.v2.toml")).unwrap();
    let out = run(&s, &["sample", "run.v2.toml", "--device", "cpu", "--quiet"]);
    assert!(drawn(out.status.code()));
    assert_eq!(draws(&s, "run.v2.zarr"), 20);
    assert!(!s.path("run.zarr").exists());
}

/// SGLD with far too large a step, as in `bad_input.rs`: it fails in the warm-up, before any draw.
#[test]
fn a_run_that_fails_before_its_first_draw_puts_the_old_trace_back() {
    let rows: String = (0..50)
        .map(|i| format!("{},{}\n", 30 + i * i % 71, (i * 13 % 50) as f64 / 10.0))
        .collect();
    let s = Scene::new(
        &format!("y,a\n{rows}"),
        "[model]\nlikelihood = \"poisson\"\n[prior]\nweights = \"flat\"\n[run]\nchains = 8\nwarmup = 20\ndraws = 20\n",
    );
    assert!(drawn(sample(&s, &[]).0));
    let before = content(&s.path("."));
    let (code, err) = sample(
        &s,
        &[
            "--force",
            "--quiet",
            "--set",
            "sampler.method=sgld",
            "--set",
            "sampler.step_size=1.0",
            "--set",
            "run.warmup=5000",
        ],
    );
    assert_eq!(code, Some(4), "{err}");
    assert!(
        err.ends_with("; the old trace is back in run.zarr\n"),
        "{err}"
    );
    assert!(content(&s.path(".")) == before);
}

/// Starts a long run that replaces `run.zarr`, and sends a signal once the old trace is set aside as `aside` and the new
/// one has draws; returns its exit code and standard error.
#[cfg(unix)]
fn ended_by(scene: &Scene, signal: &str, aside: &str) -> (Option<i32>, String) {
    use std::time::{Duration, Instant};
    let child = command(
        scene,
        &[
            "sample",
            "run.toml",
            "--device",
            "cpu",
            "--quiet",
            "--force",
            "--set",
            "run.draws=50000000",
        ],
    )
    .stderr(std::process::Stdio::piped())
    .spawn()
    .unwrap();
    let begun = Instant::now();
    let replaced = || scene.path(aside).exists() && draws(scene, "run.zarr") >= 100;
    while !replaced() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let pid = child.id().to_string();
    let kill = std::process::Command::new("kill")
        .args([signal, &pid])
        .status();
    assert!(kill.unwrap().success());
    let out = child.wait_with_output().unwrap();
    (
        out.status.code(),
        String::from_utf8_lossy(&out.stderr).into_owned(),
    )
}

#[cfg(unix)]
#[test]
fn an_interrupted_or_killed_run_leaves_the_old_trace_and_the_next_run_tells() {
    let s = Scene::new(&csv(60), RUN);
    assert!(drawn(sample(&s, &[]).0));
    let whole = content(&s.path("run.zarr"))
        .into_values()
        .collect::<Vec<_>>();
    let kept = |name: &str| content(&s.path(name)).into_values().collect::<Vec<_>>() == whole;

    let (code, err) = ended_by(&s, "-INT", "run.zarr.old");
    assert_eq!(code, Some(130), "{err}");
    assert!(
        err.ends_with(
            "; the trace holds them in run.zarr; the old trace is in run.zarr.old; `sngd resume run.zarr` goes on\n"
        ),
        "{err}"
    );
    assert!(draws(&s, "run.zarr") >= 100 && kept("run.zarr.old"));

    // The trace of the interrupted run is the old trace of the killed one.
    let (code, _) = ended_by(&s, "-KILL", "run.zarr.old-2");
    assert_eq!(code, None);
    assert!(draws(&s, "run.zarr") >= 100 && draws(&s, "run.zarr.old-2") >= 100);
    assert!(kept("run.zarr.old"));

    // Those old traces do not block the next run. It reports them, and removes only the trace that it replaced itself.
    let (code, err) = sample(&s, &["--force"]);
    assert!(drawn(code), "{err}");
    for old in ["run.zarr.old", "run.zarr.old-2"] {
        let note = format!("note: {old} is a trace that an earlier run set aside");
        assert!(err.contains(&note), "{err}");
    }
    assert_eq!(draws(&s, "run.zarr"), 20);
    assert!(kept("run.zarr.old") && s.path("run.zarr.old-2").is_dir());
    assert!(!s.path("run.zarr.old-3").exists());
}

#[cfg(unix)]
#[test]
fn a_folder_that_cannot_be_written_is_exit_code_5_before_the_data_are_read() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let s = Scene::new(&csv(60), RUN);
    std::fs::create_dir(s.path("locked")).unwrap();
    assert!(drawn(sample(&s, &["--out", "locked/t.zarr"]).0));
    std::fs::write(s.path("data.csv"), "no table").unwrap();
    let mode = |name: &str, mode| {
        let to = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(s.path(name), to).unwrap();
    };
    mode(".", 0o755);
    mode("locked", 0o555);
    // Root may write anywhere, so under root the program runs as the user nobody.
    let root = std::fs::create_dir(s.path("locked/probe")).is_ok();
    if root {
        std::fs::remove_dir(s.path("locked/probe")).unwrap();
    }
    let before = content(&s.path("."));
    for out in ["locked/new.zarr", "locked/deep/new.zarr", "locked/t.zarr"] {
        let args = [
            "sample", "run.toml", "--device", "cpu", "--force", "--out", out,
        ];
        let mut program = command(&s, &args);
        if root {
            program.uid(65534);
        }
        let done = program.output().unwrap();
        let err = String::from_utf8_lossy(&done.stderr).into_owned();
        assert_eq!(done.status.code(), Some(5), "{err}");
        assert!(
            err.starts_with(&format!("sngd: {out}: the trace could not be written (")),
            "{err}"
        );
    }
    assert!(content(&s.path(".")) == before);
    mode("locked", 0o755);
}
