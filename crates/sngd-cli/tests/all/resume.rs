//! Runs that are killed go on, and end with the bits of a run that was not.
#![cfg(unix)]

use crate::common::{Scene, command, csv, drawn, run};
use sngd_store::{Phase, TraceReader};
use std::fs;
use std::time::{Duration, Instant};

/// One run file for each way to make a step on the CPU engine.
const KINDS: [(&str, &str); 8] = [
    (
        "exact steps at the mode in double precision",
        "[model]\nlikelihood = \"bernoulli\"\n[run]\nchains = 20\nprecision = \"f64\"\n",
    ),
    (
        "exact steps at the mode",
        "[model]\nlikelihood = \"bernoulli\"\n[run]\nchains = 20\n",
    ),
    (
        "control variates",
        "[model]\nlikelihood = \"bernoulli\"\n[sampler]\ngradient = \"control_variates\"\nbatch_size = 32\n[run]\nchains = 3\nwarmup = 50\n",
    ),
    (
        "plain minibatches, a metric kept for four steps",
        "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nnoise = \"residual\"\nbatch_size = 60\nbatches = \"without_replacement\"\nstep_size = 0.1\nfisher_refresh = 4\n[run]\nchains = 3\nwarmup = 50\n",
    ),
    (
        "exact steps at the state",
        "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nmethod = \"mala\"\nstep_size = 0.5\n[run]\nchains = 3\nwarmup = 50\n",
    ),
    (
        "a running mean of squares",
        "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nmethod = \"psgld\"\nstep_size = 0.001\nbatch_size = 20\n[run]\nchains = 3\nwarmup = 50\n",
    ),
    (
        "a network, stored warm-up, held-out rows",
        "[model]\nlikelihood = \"bernoulli\"\npredictor = \"mlp\"\nhidden = [3]\n[run]\nchains = 2\nwarmup = 50\nsave_warmup = true\n",
    ),
    (
        "independent draws",
        "[model]\nlikelihood = \"gaussian\"\n[run]\nchains = 3\n",
    ),
];

fn scene(kind: usize) -> Scene {
    let (name, lines) = KINDS[kind];
    if name == "independent draws" {
        // More columns than rows.
        let mut text = (0..9).map(|i| format!("x{i},")).collect::<String>() + "y\n";
        for i in 0..6 {
            let cell = |j: usize| f64::from(((i * 37 + j * 101) % 89) as u32) / 44.0 - 1.0;
            let cells: String = (0..9).map(|j| format!("{},", cell(j))).collect();
            text += &format!("{cells}{}\n", cell(17) * 3.0);
        }
        return Scene::new(&text, lines);
    }
    Scene::new(&csv(90), lines)
}

fn arguments<'a>(name: &str, out: &'a str, draws: &'a str) -> Vec<&'a str> {
    let mut all = vec![
        "sample",
        "run.toml",
        "--device",
        "cpu",
        "--quiet",
        "--out",
        out,
        "--set",
        draws,
        "--set",
        "run.checkpoint_seconds=0.03",
    ];
    if name.contains("held-out") {
        all.extend(["--set", "data.test_fraction=0.2"]);
    }
    all
}

/// Every number of a trace, by array, as bits; and what the run measured.
fn all_of(scene: &Scene, out: &str) -> (Vec<(String, Vec<u64>)>, serde_json::Value) {
    let trace = TraceReader::open(&scene.path(out)).unwrap();
    assert_eq!(trace.attribute("status"), Some("complete"));
    let mut found = Vec::new();
    for phase in [Phase::Draws, Phase::Warmup] {
        if phase == Phase::Warmup && trace.draws(phase) == 0 {
            continue;
        }
        let bits = |v: Vec<f64>| v.into_iter().map(f64::to_bits).collect();
        for v in trace.variables() {
            let values = trace.samples(phase, &v.name).unwrap().values;
            found.push((format!("{phase:?} {}", v.name), bits(values)));
        }
        for s in trace.stats() {
            let values = trace.stat(phase, &s.name).unwrap().values;
            found.push((format!("{phase:?} {}", s.name), bits(values)));
        }
    }
    let outcome = trace.attribute("outcome").unwrap();
    let mut outcome: serde_json::Value = serde_json::from_str(outcome).unwrap();
    outcome["seconds"] = serde_json::Value::Null;
    outcome["scores"] = trace
        .attribute("sngd_predictions")
        .map_or(serde_json::Value::Null, |t| {
            serde_json::from_str(t).unwrap()
        });
    (found, outcome)
}

fn checkpoint(scene: &Scene, out: &str) -> std::path::PathBuf {
    sngd::checkpoint::path(&scene.path(out))
}

/// Starts a run and kills it so many milliseconds after its second checkpoint, if it has not ended by then; returns the draws that its trace then shows.
fn killed(scene: &Scene, arguments: &[&str], out: &str, after: u64) -> usize {
    let mut child = command(scene, arguments).spawn().unwrap();
    let begun = Instant::now();
    let second = checkpoint(scene, out).with_extension("checkpoint-old");
    while !second.exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    std::thread::sleep(Duration::from_millis(after));
    child.kill().unwrap();
    child.wait().unwrap();
    TraceReader::open(&scene.path(out)).map_or(0, |t| t.draws(Phase::Draws))
}

/// Killed twice at moments that differ by kind, each kind of run ends with the bits of one that was not.
#[test]
fn a_killed_run_goes_on_with_the_same_bits() {
    let mut cut = 0;
    for (kind, (name, _)) in KINDS.iter().enumerate() {
        let s = scene(kind);
        let draws = match *name {
            "independent draws" => 60_000,
            "a network, stored warm-up, held-out rows" => 3_000,
            _ => 12_000,
        };
        let set = format!("run.draws={draws}");
        let whole = run(&s, &arguments(name, "whole.zarr", &set));
        assert!(
            drawn(whole.status.code()),
            "{name}: {}",
            String::from_utf8_lossy(&whole.stderr)
        );
        let after = 17 * (kind as u64 + 1);
        let kept = killed(&s, &arguments(name, "cut.zarr", &set), "cut.zarr", after);
        cut += usize::from(kept < draws);
        let resume = ["resume", "cut.zarr", "--quiet"];
        killed(&s, &resume, "cut.zarr", after / 2);
        let done = run(&s, &resume);
        assert!(
            drawn(done.status.code()),
            "{name}: {}",
            String::from_utf8_lossy(&done.stderr)
        );
        let (right, found) = (all_of(&s, "whole.zarr"), all_of(&s, "cut.zarr"));
        for ((array, right), (_, found)) in right.0.iter().zip(&found.0) {
            let first = right.iter().zip(found).position(|(a, b)| a != b);
            assert_eq!((found.len(), first), (right.len(), None), "{name}: {array}");
        }
        assert_eq!(found.1, right.1, "{name}");
    }
    assert!(cut >= 4, "{cut} of the runs were killed before their end");
}

/// A run may be made longer after its end: it then has the bits of one that was as long from the start.
#[test]
fn a_whole_run_can_be_extended() {
    let s = scene(1);
    let (short, long) = ("run.draws=150", "run.draws=380");
    assert!(drawn(
        run(&s, &arguments("", "a.zarr", short)).status.code()
    ));
    assert!(drawn(run(&s, &arguments("", "b.zarr", long)).status.code()));
    let done = run(&s, &["resume", "a.zarr", "--draws", "380", "--quiet"]);
    assert!(
        drawn(done.status.code()),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(all_of(&s, "a.zarr"), all_of(&s, "b.zarr"));
    for wrong in [["--draws", "200"], ["--threads", "0"]] {
        let out = run(&s, &[&["resume", "a.zarr"][..], &wrong].concat());
        assert_eq!(out.status.code(), Some(2), "{wrong:?}");
    }
    // An extension that is killed is gone on with to its own length.
    assert!(drawn(
        run(&s, &arguments("", "c.zarr", "run.draws=12000"))
            .status
            .code()
    ));
    let _ = fs::remove_file(checkpoint(&s, "a.zarr").with_extension("checkpoint-old"));
    killed(
        &s,
        &["resume", "a.zarr", "--draws", "12000", "--quiet"],
        "a.zarr",
        30,
    );
    let done = run(&s, &["resume", "a.zarr", "--quiet"]);
    assert!(
        drawn(done.status.code()),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(all_of(&s, "a.zarr"), all_of(&s, "c.zarr"));
}

/// A checkpoint of another trace changes nothing.
#[test]
fn a_checkpoint_of_another_trace_is_not_used() {
    let s = scene(1);
    for (out, draws) in [("a.zarr", "run.draws=100"), ("b.zarr", "run.draws=250")] {
        assert!(drawn(run(&s, &arguments("", out, draws)).status.code()));
    }
    fs::copy(checkpoint(&s, "a.zarr"), checkpoint(&s, "b.zarr")).unwrap();
    let before = all_of(&s, "b.zarr");
    let out = run(&s, &["resume", "b.zarr", "--draws", "400"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("a checkpoint of another trace"), "{said}");
    assert_eq!(all_of(&s, "b.zarr"), before);
}

/// SIGTERM ends a run with its own exit code and leaves a checkpoint to go on from.
#[test]
fn a_terminated_run_says_so_and_goes_on() {
    let s = scene(1);
    let mut child = command(&s, &arguments("", "t.zarr", "run.draws=200000"))
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !checkpoint(&s, "t.zarr").exists() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let pid = child.id().to_string();
    let sent = std::process::Command::new("kill")
        .args(["-TERM", &pid])
        .status();
    assert!(sent.unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(143));
    let kept = TraceReader::open(&s.path("t.zarr"))
        .unwrap()
        .draws(Phase::Draws) as u64;
    let at = sngd::checkpoint::Checkpoint::read(&s.path("t.zarr")).unwrap();
    assert_eq!(at.run.draws, kept);
}

/// A checkpoint that is cut short is passed over for the one before it; without any the trace is left as it is.
#[test]
fn a_torn_checkpoint_is_not_used() {
    let s = scene(1);
    let set = "run.draws=12000";
    let whole = run(&s, &arguments("", "whole.zarr", set));
    assert!(drawn(whole.status.code()));
    killed(&s, &arguments("", "cut.zarr", set), "cut.zarr", 40);
    let file = checkpoint(&s, "cut.zarr");
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let done = run(&s, &["resume", "cut.zarr", "--quiet"]);
    assert!(
        drawn(done.status.code()),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    assert_eq!(all_of(&s, "cut.zarr").0, all_of(&s, "whole.zarr").0);
    // A flipped bit, in both.
    let mut bytes = fs::read(&file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 4;
    fs::write(&file, &bytes).unwrap();
    fs::write(file.with_extension("checkpoint-old"), &bytes).unwrap();
    let refused = run(&s, &["resume", "cut.zarr"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(
        said.contains("damaged") && said.contains("sngd sample"),
        "{said}"
    );
    assert_eq!(all_of(&s, "cut.zarr").0, all_of(&s, "whole.zarr").0);
}

/// Another data file, another run file and a trace without a checkpoint are refused, and what differs is named.
#[test]
fn what_changed_is_named() {
    let s = scene(1);
    assert!(drawn(
        run(&s, &arguments("", "a.zarr", "run.draws=100"))
            .status
            .code()
    ));
    let refused = |part: &str| {
        let out = run(&s, &["resume", "a.zarr", "--draws", "200"]);
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(2), "{said}");
        assert!(said.contains(part), "{said}");
    };
    let data = fs::read_to_string(s.path("data.csv")).unwrap();
    fs::write(s.path("data.csv"), data.replacen('1', "2", 1)).unwrap();
    refused("data.csv: found other contents");
    fs::write(s.path("data.csv"), &data).unwrap();
    let text = fs::read_to_string(s.path("run.toml")).unwrap();
    fs::write(
        s.path("run.toml"),
        text.replace("chains = 20", "chains = 21"),
    )
    .unwrap();
    refused("run.chains = 21, expected 20");
    fs::write(s.path("run.toml"), &text).unwrap();
    let out = run(&s, &["resume", "a.zarr", "--draws", "200", "--quiet"]);
    assert!(
        drawn(out.status.code()),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    fs::remove_file(checkpoint(&s, "a.zarr")).unwrap();
    fs::remove_file(checkpoint(&s, "a.zarr").with_extension("checkpoint-old")).unwrap();
    refused("no checkpoint");
}
