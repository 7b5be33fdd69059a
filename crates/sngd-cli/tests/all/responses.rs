//! How a response is read: labels, missing cells, classes that are numbers, successes out of trials. Every remedy that a message
//! names is tried.

use crate::common::{Scene, drawn, run};
use serde_json::Value;
use sngd_store::TraceReader;

/// Exit code, stderr and the summary of a run with some more settings.
fn sample(scene: &Scene, sets: &[&str]) -> (i32, String, Value) {
    let mut args = vec![
        "sample", "run.toml", "--device", "cpu", "--json", "--force", "--out", "t.zarr",
    ];
    args.extend(sets.iter().flat_map(|set| ["--set", set]));
    let out = run(scene, &args);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let json = serde_json::from_slice(&out.stdout).unwrap_or(Value::Null);
    (out.status.code().unwrap(), said, json)
}

/// The line of a refusal, which has the exit code 2.
fn refused(scene: &Scene, sets: &[&str]) -> String {
    let (code, said, _) = sample(scene, sets);
    assert_eq!(code, 2, "{said}");
    let line = said.lines().find(|l| l.starts_with("sngd: ")).unwrap();
    line.to_string()
}

fn accepted(scene: &Scene, sets: &[&str]) -> (String, Value) {
    let (code, said, json) = sample(scene, sets);
    assert!(drawn(Some(code)), "{sets:?}: {said}");
    (said, json)
}

/// Mean and Monte Carlo error of a parameter.
fn mean(json: &Value, name: &str) -> (f64, f64) {
    let rows = json["summary"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|r| r["name"] == name).unwrap();
    (
        row["mean"].as_f64().unwrap(),
        row["mcse_mean"].as_f64().unwrap(),
    )
}

/// Rows of `label,x` in which the first label is the likelier the larger x.
fn labelled(labels: [&str; 2]) -> String {
    let mut out = String::from("y,x\n");
    for i in 0..60 {
        let x = f64::from(i * 37 % 61) / 30.0 - 1.0;
        let first = f64::from(i * 71 % 59) / 59.0 < 0.5 + 0.4 * x;
        out += &format!("{},{x:.3}\n", labels[usize::from(!first)]);
    }
    out
}

const BERNOULLI: &str = "[model]\nlikelihood = \"bernoulli\"\n";
const PRIORS: &str = "[prior]\nintercept = \"normal(0, 2)\"\nweights = \"normal(0, 2)\"\n";

#[test]
fn the_level_that_is_one_is_told_stored_and_turned_round() {
    let s = Scene::new(
        &labelled(["fail", "pass"]),
        &format!("{BERNOULLI}{PRIORS}[run]\ndraws = 500\n"),
    );
    let classes = || {
        let trace = TraceReader::open(&s.path("t.zarr")).unwrap();
        let of = |(k, v): &(String, String)| (k == "classes").then(|| v.clone());
        trace.attributes().iter().find_map(of).unwrap()
    };
    let (said, json) = accepted(&s, &[]);
    let note = "note: response 'y': pass is 1, fail is 0; data.positive = \"fail\" turns it round";
    assert!(said.lines().any(|l| l.ends_with(note)), "{said}");
    assert_eq!(classes(), "[\"fail\",\"pass\"]");
    // Larger x makes fail likelier.
    let (pass, error) = mean(&json, "weights[x]");
    assert!(pass < -10.0 * error, "{pass} {error}");
    let (_, json) = accepted(&s, &["data.positive=\"fail\""]);
    assert_eq!(classes(), "[\"pass\",\"fail\"]");
    let (fail, again) = mean(&json, "weights[x]");
    assert!(
        (pass + fail).abs() < 4.5 * error.hypot(again),
        "{pass} {fail}"
    );
    assert!(refused(&s, &["data.positive=won"]).contains("expected \"fail\" or \"pass\""));
    let check = run(&s, &["check", "run.toml"]);
    assert!(String::from_utf8_lossy(&check.stdout).contains("pass is 1"));
}

#[test]
fn one_level_needs_a_meaning() {
    let rest = format!("{BERNOULLI}{PRIORS}[run]\ndraws = 200\n");
    let ones = Scene::new("y,x\n1,2\n1,3\n1,1\n1,5\n", &rest);
    accepted(&ones, &[]);
    let words = Scene::new("y,x\npass,2\npass,3\npass,1\npass,5\n", &rest);
    assert!(refused(&words, &[]).contains("set data.positive = \"pass\""));
    accepted(&words, &["data.positive=\"pass\""]);
}

#[test]
fn a_missing_label_is_no_class() {
    for spelling in ["", "n/a", "?", ".", "#N/A", "None"] {
        let csv = labelled(["case", "control"]) + &format!("{spelling},0.5\n");
        let s = Scene::new(&csv, &format!("{BERNOULLI}{PRIORS}[run]\ndraws = 100\n"));
        let said = refused(&s, &[]);
        assert!(said.contains("row 61 (line 62), column `y`"), "{said}");
        assert!(said.contains("data.missing = \"drop\""), "{said}");
        if spelling == "?" {
            let (said, _) = accepted(&s, &["data.missing=drop"]);
            let note = "note: left out 1 of 61 rows, in which a cell is missing";
            assert!(said.lines().any(|l| l.ends_with(note)), "{said}");
            let trace = TraceReader::open(&s.path("t.zarr")).unwrap();
            let constant = trace.constant();
            let rows = constant.iter().find(|a| a.name == "left_out").unwrap();
            assert_eq!(rows.values, [60.0]);
        }
    }
}

#[test]
fn a_real_valued_response_has_no_classes() {
    let rows: String = (0..60)
        .map(|i| format!("{},{}\n", f64::from(i * 37 % 61) / 7.0, i * 5 % 17))
        .collect();
    let s = Scene::new(
        &format!("y,x\n{rows}"),
        &format!("[model]\nlikelihood = \"softmax\"\n{PRIORS}[run]\ndraws = 100\n"),
    );
    for set in [
        "model.likelihood=\"softmax\"",
        "model.likelihood=\"bernoulli\"",
    ] {
        assert!(refused(&s, &[set]).contains("set model.likelihood = \"gaussian\""));
    }
    accepted(&s, &["model.likelihood=\"gaussian\""]);
}

/// The same data in four forms have the same posterior, to the bit.
#[test]
fn trials_in_every_form_are_one_posterior() {
    let mut csv = String::from("y,x,n,f,p\n");
    for i in 0..40u32 {
        let (n, x) = (1 + i * 7 % 12, f64::from(i * 37 % 41) / 20.0 - 1.0);
        let y = (f64::from(n) * (0.5 + 0.3 * x)).round() as u32;
        let p = f64::from(y) / f64::from(n);
        csv += &format!("{y},{x:.3},{n},{},{p:.6}\n", n - y);
    }
    let model = |trials: &str| {
        format!(
            "features = [\"x\"]\n[model]\nlikelihood = \"binomial\"\n{trials}{PRIORS}[run]\ndraws = 200\n"
        )
    };
    let s = Scene::new(&csv, &model(""));
    let said = refused(&s, &[]);
    for remedy in [
        "trials = \"COLUMN\"",
        "trials = 10",
        "failures = \"COLUMN\"",
    ] {
        assert!(said.contains(remedy), "{said}");
    }
    let slope = |sets: &[&str]| mean(&accepted(&s, sets).1, "weights[x]").0;
    let column = slope(&["model.trials=n"]);
    assert_eq!(slope(&["model.failures=f"]), column);
    assert_eq!(slope(&["data.response=p", "model.trials=n"]), column);
    // Rows without trials add nothing.
    let longer = csv.clone() + "0,0.9,0,0,0\n0,-0.9,0,0,0\n";
    let z = Scene::new(&longer, &model("trials = \"n\"\n"));
    let (said, json) = accepted(&z, &[]);
    assert_eq!(mean(&json, "weights[x]").0, column);
    let note = "note: left out 2 of 42 rows, which have 0 trials and add nothing";
    assert!(said.lines().any(|l| l.ends_with(note)), "{said}");
}

/// A number of trials is a column of that number.
#[test]
fn a_number_of_trials_is_a_column_of_it() {
    let mut csv = String::from("y,x,n\n");
    for i in 0..30 {
        csv += &format!("{},{},10\n", i * 7 % 11, i * 5 % 13);
    }
    let s = Scene::new(
        &csv,
        &format!(
            "features = [\"x\"]\n[model]\nlikelihood = \"binomial\"\n{PRIORS}[run]\ndraws = 200\n"
        ),
    );
    let slope = |set: &str| mean(&accepted(&s, &[set]).1, "weights[x]").0;
    assert_eq!(slope("model.trials=10"), slope("model.trials=n"));
    assert!(refused(&s, &["model.trials=9"]).contains("found 10 successes of 9 trials"));
    assert!(refused(&s, &["model.failures=none"]).contains("the failures column"));
}

/// Where a softmax of one logit per class is refused beside flat priors, each of the remedies runs.
#[test]
fn the_remedies_of_a_flat_softmax_run() {
    let rows: String = (0..60)
        .map(|i| format!("{},{}\n", ["bus", "car", "train"][i * 7 % 3], i * 37 % 41))
        .collect();
    let s = Scene::new(
        &format!("y,x\n{rows}"),
        "[model]\nlikelihood = \"softmax\"\n[run]\ndraws = 100\n",
    );
    let flat = "prior.intercept=\"flat\"";
    let said = refused(&s, &[flat]);
    assert!(
        said.contains("set baseline = \"first\" or give prior.intercept and prior.weights"),
        "{said}"
    );
    accepted(&s, &[flat, "model.baseline=first"]);
    let proper = [
        "prior.intercept=\"normal(0, 2.5)\"",
        "prior.weights=\"normal(0, 2.5)\"",
    ];
    accepted(&s, &proper);
}
