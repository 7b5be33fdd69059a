//! Priors in force stand in every output, and the verdict is the exit code.

use crate::common::{Scene, csv, run};
use serde_json::Value;

const LOGIT: &str = "[model]\nlikelihood = \"bernoulli\"\n";

fn json(scene: &Scene, args: &[&str]) -> (Option<i32>, Value) {
    let out = run(scene, args);
    let value = serde_json::from_slice(&out.stdout).unwrap();
    (out.status.code(), value)
}

#[test]
fn priors_in_force_are_printed_and_stored() {
    let given = format!("{LOGIT}[prior]\n\"weights.a\" = \"normal(0, 1)\"\n");
    let s = Scene::new(&csv(200), &given);
    let args = ["sample", "run.toml", "--device", "cpu", "--json"];
    let (code, done) = json(&s, &args);
    assert_eq!(code, Some(0), "{done}");
    let line = |p: &Value, name: &str| -> (String, bool) {
        let lines = p.as_array().unwrap();
        let line = lines.iter().find(|l| l["parameters"] == name).unwrap();
        let prior = line["prior"].as_str().unwrap().to_string();
        (prior, line["default"] == true)
    };
    let (_, checked) = json(&s, &["check", "run.toml", "--json"]);
    let (_, summary) = json(&s, &["summary", "run.zarr", "--json"]);
    for priors in [
        &done["summary"]["priors"],
        &checked["priors"],
        &summary["priors"],
    ] {
        assert_eq!(line(priors, "weights[a]"), ("normal(0, 1)".into(), false));
        assert!(line(priors, "weights[b]").1 && line(priors, "intercept_at_means").1);
    }
    // A prior that is printed can be pasted into the run file.
    let (own, _) = line(&checked["priors"], "weights[b]");
    let (centre, _) = line(&checked["priors"], "intercept_at_means");
    let pasted = format!("{given}\"weights.b\" = \"{own}\"\nintercept_at_means = \"{centre}\"\n");
    let t = Scene::new(&csv(200), &pasted);
    let (_, same) = json(&t, &args);
    assert_eq!(same["summary"]["rows"], done["summary"]["rows"]);
    for args in [
        vec!["check", "run.toml"],
        vec!["summary", "run.zarr"],
        vec!["sample", "run.toml", "--device", "cpu", "--force"],
    ] {
        let text = String::from_utf8(run(&s, &args).stdout).unwrap();
        for part in [
            "priors (those with * are defaults",
            "* intercept at the means of the columns",
            "  weights[a]",
            "* weights[b]",
        ] {
            assert!(text.contains(part), "expected '{part}' in: {text}");
        }
    }
}

#[test]
fn draws_that_are_not_to_be_trusted_have_exit_code_6() {
    let s = Scene::new(&csv(200), &format!("{LOGIT}[run]\ndraws = 5\n"));
    let args = ["sample", "run.toml", "--device", "cpu", "--quiet"];
    let out = run(&s, &args);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(6), "{said}");
    assert!(
        said.contains("not yet: ") && said.contains("raise run.draws"),
        "{said}"
    );
    let (code, summary) = json(&s, &["summary", "run.zarr", "--json"]);
    assert_eq!(code, Some(6));
    let fault = &summary["verdict"]["fault"];
    assert_eq!(summary["verdict"]["converged"], false);
    let remedy = fault["remedy"].as_str().unwrap();
    assert!(remedy.contains("raise run.draws"), "{fault}");
    assert!(fault["kind"].is_string() && fault["parameter"].is_string());
    // The remedy works.
    let more = [
        "sample",
        "run.toml",
        "--device",
        "cpu",
        "--quiet",
        "--force",
        "--set",
        "run.draws=1000",
    ];
    assert_eq!(run(&s, &more).status.code(), Some(0));
    assert_eq!(run(&s, &["summary", "run.zarr"]).status.code(), Some(0));
}

/// A method that does not have the posterior's spread does not end well, however many draws it takes: minibatches of SGLD heat it.
#[test]
fn a_wrong_temperature_is_seen_without_gradients() {
    let s = Scene::new(
        &csv(2000),
        &format!(
            "{LOGIT}[sampler]\nmethod = \"sgld\"\nstep_size = 0.3\nbatch_size = 100\n[run]\ndraws = 20000\n"
        ),
    );
    let args = ["sample", "run.toml", "--device", "cpu", "--json"];
    let (code, done) = json(&s, &args);
    let verdict = &done["summary"]["verdict"];
    assert_eq!(code, Some(6), "{verdict}");
    assert_eq!(verdict["fault"]["kind"], "temperature_off", "{verdict}");
    assert!(
        verdict["fault"]["value"].as_f64().unwrap() > 1.2,
        "{verdict}"
    );
}

/// A network is judged by its log density, and says whether it says more than a constant.
#[test]
fn a_network_is_judged_by_its_log_density() {
    let network = format!("{LOGIT}predictor = \"mlp\"\nhidden = [3]\n[run]\ndraws = 20000\n");
    let s = Scene::new(&csv(150), &network);
    let args = ["sample", "run.toml", "--device", "cpu", "--json"];
    let (code, done) = json(&s, &args);
    let summary = &done["summary"];
    assert_eq!(code, Some(0), "{}", summary["verdict"]);
    assert!(summary["log_density"]["rhat"].as_f64().unwrap() < 1.01);
    let gain = summary["gain"].as_f64().unwrap();
    assert!(gain > 0.1, "{gain}");
    // A response that has nothing to do with the features.
    let noise: String = (0..150)
        .map(|i| format!("{},{},{}\n", i * 7919 % 13 % 2, i % 10, i / 10))
        .collect();
    let s = Scene::new(&format!("y,a,b\n{noise}"), &network);
    let (_, done) = json(&s, &[&args[..], &["--set", "run.draws=200"]].concat());
    let noise = done["summary"]["gain"].as_f64().unwrap();
    assert!(noise < gain / 3.0, "{noise} {gain}");
}
