//! The self-test of devices: what `sngd devices` prints, and that a run tests an adapter once.
#![allow(clippy::print_stdout, reason = "the times seen are worth reading")]

use crate::common::{Scene, command, csv, drawn};
use std::time::Instant;

/// Whether a software driver is here to be tested.
fn software() -> bool {
    std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d != "none")
        || sngd::adapters().iter().any(|a| a.software)
}

fn scene() -> Scene {
    Scene::new(
        &csv(60),
        "[model]\nlikelihood = \"bernoulli\"\n[run]\nchains = 2\nwarmup = 10\ndraws = 10\n",
    )
}

#[test]
fn every_kind_of_kernel_is_tested_on_every_device() {
    let scene = scene();
    let out = command(&scene, &["devices", "--json"])
        .env("XDG_CACHE_HOME", scene.path("cache"))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert_eq!(out.status.code(), Some(0), "{text}");
    let devices: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
    assert!(!devices.is_empty());
    for device in &devices {
        let test = &device["self_test"];
        println!("{}: {} s", device["name"], test["seconds"]);
        let results = test["results"].as_array().unwrap();
        for name in [
            "random numbers",
            "small metric",
            "residual noise",
            "metric in shared memory",
            "metric in panels",
            "several outputs",
            "network",
            "diagonal metric",
            "metric at the mode, all rows",
            "metric at the mode, control variates",
            "posterior",
        ] {
            let result = results.iter().find(|r| r["name"] == name);
            assert!(
                result.is_some_and(|r| r["passed"] == true),
                "{name}: {test}"
            );
        }
    }
}

#[test]
fn a_run_tests_an_adapter_once_and_remembers_it() {
    if std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "none") || !software() {
        return;
    }
    let scene = scene();
    let run = |cache: &str| {
        let args = [
            "sample", "run.toml", "--quiet", "--device", "software", "--force",
        ];
        let began = Instant::now();
        let out = command(&scene, &args)
            .env("XDG_CACHE_HOME", scene.path(cache))
            .env("LOCALAPPDATA", scene.path(cache))
            .output()
            .unwrap();
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(drawn(out.status.code()), "{err}");
        println!("{cache}: {:?}", began.elapsed());
    };
    run("cache");
    let file = scene.path("cache/sngd/self-tests.txt");
    let lines = std::fs::read_to_string(&file).unwrap();
    let parts = lines.lines().count();
    assert!(
        lines.contains("| metric at the mode, all rows\n") && parts == 1,
        "{lines}"
    );
    run("cache");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), lines);
    // Another version of the kernels, or another driver, is another line.
    std::fs::write(&file, lines.replace("sngd ", "sngd 0.0.")).unwrap();
    run("cache");
    assert_eq!(
        std::fs::read_to_string(&file).unwrap().lines().count(),
        2 * parts
    );
    // A folder that cannot be made is no error.
    run("data.csv");
}

/// So much work that a software driver is late: the device is given up, and the process ends though the driver's threads go on.
/// The machine works afterwards.
#[test]
fn a_device_that_is_late_is_given_up() {
    if std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "none") || !software() {
        return;
    }
    let scene = Scene::new(
        &csv(4000),
        "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nmethod = \"sngd\"\nbatch_size = \"full\"\nnoise = \"full\"\n[run]\nwarmup = 4\ndraws = 4\n",
    );
    let run = |chains: &str, patience: Option<&str>| {
        let args = [
            "sample", "run.toml", "--quiet", "--device", "software", "--force", "--set", chains,
        ];
        let mut command = command(&scene, &args);
        command.env("XDG_CACHE_HOME", scene.path("cache"));
        patience.map(|p| command.env("SNGD_PATIENCE", p));
        let began = Instant::now();
        let out = command.output().unwrap();
        let err = String::from_utf8_lossy(&out.stderr).into_owned();
        println!("{:?}: {err}", began.elapsed());
        (out.status.code(), err, began.elapsed())
    };
    assert!(drawn(run("run.chains=2", None).0));
    let (code, err, took) = run("run.chains=4096", Some("0.1"));
    assert_eq!(code, Some(4), "{err}");
    let last = err.lines().last().unwrap_or_default();
    for part in [
        "has not finished a step with the metric at the state of each chain",
        "given up",
        "SNGD_PATIENCE",
    ] {
        assert!(last.contains(part), "expected '{part}' in: {err}");
    }
    // Seconds on an idle machine. The bound is against a process that waits for the driver, which would take an hour.
    assert!(took.as_secs() < 300, "{took:?}");
    assert!(drawn(run("run.chains=2", None).0));
}
