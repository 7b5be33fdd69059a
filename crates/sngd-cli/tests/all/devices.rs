//! The self-test of devices: what `sngd devices` tells, and that a run tests an adapter once.

use crate::common::{Scene, command, csv};
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
        assert_eq!(out.status.code(), Some(0), "{err}");
        println!("{cache}: {:?}", began.elapsed());
    };
    run("cache");
    let file = scene.path("cache/sngd/self-tests.txt");
    let lines = std::fs::read_to_string(&file).unwrap();
    let parts = lines.lines().count();
    assert!(
        lines.contains("| random numbers\n") && parts >= 2,
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
