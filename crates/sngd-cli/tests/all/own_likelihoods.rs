//! A likelihood of the user's own that would hang, exhaust or crash a compiler, an evaluator or a device: one sentence and an
//! exit code within seconds, on the CPU engine and on a software driver, and both work afterwards.
#![allow(clippy::print_stdout, reason = "the times seen are worth reading")]

use crate::common::{Scene, command, drawn};
use std::time::{Duration, Instant};

/// Longest time that any of these may take.
const SOON: Duration = Duration::from_secs(20);

/// A normal response around η, with `trap` at the start of `log_lik` and `more` beside the functions.
fn text(more: &str, trap: &str) -> String {
    format!(
        "{more}
fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {{
    var extra = 0.0;
    {trap}
    let r = obs.x - eta[0];
    return extra - 0.5 * r * r - 0.91893853;
}}
fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {{
    return array<f32, H>(obs.x - eta[0]);
}}
fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {{
    return array<f32, HH>(1.0);
}}
"
    )
}

/// Forty rows whose response is near 0, and a run that starts near the mode, or far from it.
fn scene(wgsl: &str, init_scale: f64) -> Scene {
    let mut csv = String::from("y,a\n");
    for i in 0..40 {
        csv += &format!("{},{}\n", (i * 17 % 40) as f64 / 20.0 - 1.0, i % 7);
    }
    let scene = Scene::new(
        &csv,
        &format!(
            "[model]\nlikelihood = \"custom\"\nwgsl = \"own.wgsl\"\n[sampler]\nmethod = \"sngd\"\nstep_size = 0.2\n[run]\nchains = 4\nwarmup = 20\ndraws = 20\ninit_scale = {init_scale}\n"
        ),
    );
    std::fs::write(scene.path("own.wgsl"), wgsl).unwrap();
    scene
}

/// The devices that this machine has.
fn devices() -> Vec<&'static str> {
    if std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "none") {
        return vec!["cpu"];
    }
    let gpu = sngd::adapters().iter().any(|a| a.software);
    [Some("cpu"), gpu.then_some("software")]
        .into_iter()
        .flatten()
        .collect()
}

/// Runs it on each device and checks exit code, time, and that the last line of stderr is a sentence with every part.
fn refused(wgsl: &str, init_scale: f64, code: i32, parts: &[&str]) {
    let scene = scene(wgsl, init_scale);
    for device in devices() {
        let began = Instant::now();
        let args = [
            "sample", "run.toml", "--quiet", "--device", device, "--force",
        ];
        let out = command(&scene, &args).output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert_eq!(out.status.code(), Some(code), "{device}: {err}");
        assert!(began.elapsed() < SOON, "{device}: {:?}", began.elapsed());
        let lines: Vec<&str> = err.lines().filter(|l| l.starts_with("sngd: ")).collect();
        let last = lines.last().copied().unwrap_or_default();
        for part in parts {
            assert!(last.contains(part), "{device}: expected '{part}' in: {err}");
        }
        println!("{device}, {:?}: {last}", began.elapsed());
    }
}

/// Runs to the end on each device.
fn welcome(wgsl: &str) {
    let scene = scene(wgsl, 1.0);
    for device in devices() {
        let args = [
            "sample", "run.toml", "--quiet", "--device", device, "--force",
        ];
        let out = command(&scene, &args).output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr);
        assert!(drawn(out.status.code()), "{device}: {err}");
    }
}

const ENDLESS: &str = "var i = 0u; while i < 1u { extra += 1e-9; i *= 1u; }";

#[test]
fn what_is_within_the_limits_runs() {
    welcome(&text("", ""));
    welcome(&text(
        "",
        "for (var i = 0u; i < 900u; i++) { extra += 0.0 * f32(i); }",
    ));
}

#[test]
fn an_endless_loop_is_found_before_the_run() {
    refused(
        &text("", ENDLESS),
        1.0,
        2,
        &["own.wgsl:4", "10000 iterations"],
    );
    let own =
        "fn count() -> f32 { var n = 0.0; loop { n += 1.0; if n < 0.0 { break; } } return n; }";
    refused(
        &text(own, "extra = count();"),
        1.0,
        2,
        &["own.wgsl:1", "10000 iterations"],
    );
}

#[test]
fn a_loop_of_millions_is_found_before_the_run() {
    let trap = "for (var i = 0u; i < 3000000u; i++) { extra += 0.0 * f32(i); }";
    refused(&text("", trap), 1.0, 2, &["own.wgsl:4", "10000 iterations"]);
}

/// Where neither the check nor the mode goes, but chains that start far away.
#[test]
fn an_endless_loop_that_only_a_chain_meets_ends_the_run() {
    let trap = format!("if abs(eta[0]) > 2.5 {{ {ENDLESS} }}");
    refused(&text("", &trap), 60.0, 4, &["own.wgsl", "iterations"]);
}

#[test]
fn an_index_out_of_range_is_found_before_the_run() {
    let trap = "var a: array<f32, 4>; extra = a[1000000u + u32(abs(obs.x))];";
    refused(
        &text("", trap),
        1.0,
        2,
        &["own.wgsl:4", "index out of range"],
    );
    refused(
        &text("", "var a: array<f32, 4>; extra = a[1000000];"),
        1.0,
        2,
        &["own.wgsl:4"],
    );
}

#[test]
fn a_large_array_is_refused() {
    let trap = "var a: array<f32, 1000000>; extra = a[u32(abs(obs.x))];";
    refused(
        &text("", trap),
        1.0,
        2,
        &["own.wgsl:4", "4000000 bytes", "16384"],
    );
    let more = "var<private> a: array<f32, 1000000>;";
    refused(
        &text(more, "extra = a[u32(abs(obs.x))];"),
        1.0,
        2,
        &["own.wgsl:1", "outside functions"],
    );
}

#[test]
fn recursion_is_refused() {
    let more = "fn f(x: f32) -> f32 { if x > 3.0 { return x; } return f(x + 1.0); }";
    refused(
        &text(more, "extra = 0.0 * f(obs.x);"),
        1.0,
        2,
        &["own.wgsl:", "recursive"],
    );
}

#[test]
fn long_texts_are_refused() {
    let statements = "extra += 1.0;\n".repeat(100_000);
    refused(
        &text("", &statements),
        1.0,
        2,
        &["own.wgsl:1", "bytes", "65536"],
    );
    let cases: String = (0..100_000)
        .map(|i| format!("case {i}u: {{ extra = 1.0; }}\n"))
        .collect();
    let switch = format!("switch u32(abs(obs.x)) {{ {cases} default: {{}} }}");
    refused(
        &text("", &switch),
        1.0,
        2,
        &["own.wgsl:1", "bytes", "65536"],
    );
    // Short, but 2^24 operations for a compiler that puts functions in place of their calls.
    let mut doubling = String::from("fn f0(x: f32) -> f32 { return x + 1.0; }\n");
    for i in 1..=24 {
        let before = i - 1;
        doubling += &format!("fn f{i}(x: f32) -> f32 {{ return f{before}(x) + f{before}(x); }}\n");
    }
    refused(
        &text(&doubling, "extra = 0.0 * f24(obs.x);"),
        1.0,
        2,
        &["own.wgsl:", "operations in f", "20000"],
    );
}

#[test]
fn long_chains_of_operators_are_refused() {
    let chain = format!("extra = 0.0 * (obs.x{});", "+1.0".repeat(12_000));
    refused(&text("", &chain), 1.0, 2, &["own.wgsl:4", "500", "let"]);
    let signs = format!("extra = 0.0 * {}obs.x;", "-(".repeat(5_000));
    refused(&text("", &signs), 1.0, 2, &["own.wgsl"]);
    let members = format!("extra = 0.0 * obs{}.x;", ".xy".repeat(16_000));
    refused(&text("", &members), 1.0, 2, &["own.wgsl:4", "500"]);
    let elses = "else if obs.x > 1.0 { extra = 0.0; } ".repeat(1_500);
    let ladder = format!("if obs.x > 2.0 {{ extra = 0.0; }} {elses}");
    refused(
        &text("", &ladder),
        1.0,
        2,
        &["own.wgsl:", "inside each other"],
    );
}
