//! Compares the peers' scripts on small data; skipped with a message where Python or their packages are not installed.

#![allow(clippy::print_stderr, reason = "a skipped test says so")]

use npyz::WriterBuilder;
use npyz::npz::NpzWriter;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The peers' Python beside the target folder's programs, if it has the packages that the scripts import.
fn python() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_sngd")).ancestors().nth(2)?;
    let program = target.join(if cfg!(windows) {
        "peers/Scripts/python.exe"
    } else {
        "peers/bin/python"
    });
    let works = Command::new(&program)
        .args(["-c", "import numpy, sklearn, statsmodels, numpyro"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !works {
        eprintln!(
            "SKIPPED: {} is not there or lacks a package; cargo xtask peers installs it",
            program.display()
        );
    }
    works.then_some(program)
}

/// Writes 300 rows of two features, with y by the likelihood from fixed sequences, to p.npz and p.json in `dir`.
fn write(dir: &Path, likelihood: &str, prior_sd: f64) -> PathBuf {
    let n = 300u64;
    let frac = |i: u64, m: u64, k: u64| (i * m % k) as f64 / k as f64;
    let x: Vec<f64> = (0..n)
        .flat_map(|i| [4.0 * frac(i, 37, 101) - 2.0, 2.0 * frac(i, 53, 97)])
        .collect();
    let exposure: Vec<f64> = (0..n).map(|i| 0.5 + 2.0 * frac(i, 29, 83)).collect();
    let y: Vec<i64> = (0..n as usize)
        .map(|i| {
            let (eta, u) = (x[2 * i] - x[2 * i + 1], frac(i as u64, 71, 89));
            match likelihood {
                "poisson" => (exposure[i] * eta.exp() + u).floor() as i64,
                "softmax" => (3.0 * (0.6 * u + 0.4 / (1.0 + (-eta).exp()))) as i64,
                _ => i64::from(u < 1.0 / (1.0 + (-eta).exp())),
            }
        })
        .collect();
    let mut file = NpzWriter::create(dir.join("p.npz")).unwrap();
    let mut array = |name: &str, shape: &[u64], values: &[f64]| {
        let out = file.array(name, Default::default()).unwrap();
        let mut out = out.default_dtype().shape(shape).begin_nd().unwrap();
        out.extend(values).unwrap();
        out.finish().unwrap();
    };
    array("x", &[n, 2], &x);
    if likelihood == "poisson" {
        array("exposure", &[n], &exposure);
    }
    let out = file.array("y", Default::default()).unwrap();
    let mut out = out.default_dtype().shape(&[n]).begin_nd().unwrap();
    out.extend(y).unwrap();
    out.finish().unwrap();
    let words = serde_json::json!({ "name": "p", "data": "p.npz", "likelihood": likelihood, "prior_sd": prior_sd });
    let path = dir.join("p.json");
    std::fs::write(&path, words.to_string()).unwrap();
    path
}

/// Runs a script; returns its standard output.
fn run(python: &Path, script: &str, problem: &Path, more: &[&str]) -> String {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../benches/peers");
    let out = Command::new(python)
        .arg(scripts.join(script))
        .arg("--problem")
        .arg(problem)
        .args(more)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{script}: {said}");
    String::from_utf8(out.stdout).unwrap()
}

fn line(text: &str) -> Value {
    serde_json::from_str(text.lines().next().expect("a line")).unwrap()
}

fn numbers(json: &Value, key: &str) -> Vec<f64> {
    json[key]
        .as_array()
        .unwrap_or_else(|| panic!("no {key} in {json}"))
        .iter()
        .map(|v| v.as_f64().unwrap())
        .collect()
}

/// scikit-learn's penalty is our prior: its fit is the mode that the Newton method of our reference script finds.
#[test]
fn fits_and_reference_agree() {
    let Some(python) = python() else { return };
    for likelihood in ["bernoulli", "poisson"] {
        let dir = tempfile::tempdir().unwrap();
        // A strong prior, so that a wrong penalty shows.
        let problem = write(dir.path(), likelihood, 0.3);
        let reference = dir.path().join("r.json");
        let said = run(
            &python,
            "laplace_reference.py",
            &problem,
            &["--out", &reference.display().to_string()],
        );
        assert!(said.contains("effective sample size"), "{said}");
        let reference: Value =
            serde_json::from_str(&std::fs::read_to_string(reference).unwrap()).unwrap();
        let (mode, sd) = (numbers(&reference, "mode"), numbers(&reference, "sd"));
        for solver in ["newton-cholesky", "lbfgs"] {
            let fit = line(&run(
                &python,
                "sklearn_fit.py",
                &problem,
                &["--solver", solver],
            ));
            assert!(fit["sd"].is_null() && fit["seconds"].as_f64().unwrap() > 0.0);
            for (j, found) in numbers(&fit, "mean").iter().enumerate() {
                let off = (found - mode[j]).abs() / sd[j];
                assert!(off < 0.02, "{likelihood} {solver}: {j} is {off} sd off");
            }
        }
        // With a very weak prior the sds are the standard errors.
        let problem = write(dir.path(), likelihood, 100.0);
        let flat = dir.path().join("f.json");
        run(
            &python,
            "laplace_reference.py",
            &problem,
            &["--out", &flat.display().to_string()],
        );
        let flat: Value = serde_json::from_str(&std::fs::read_to_string(flat).unwrap()).unwrap();
        let (mode, sd) = (numbers(&flat, "mode"), numbers(&flat, "sd"));
        let fit = line(&run(&python, "statsmodels_fit.py", &problem, &[]));
        let (mean, error) = (numbers(&fit, "mean"), numbers(&fit, "sd"));
        for j in 0..3 {
            let off = (mean[j] - mode[j]).abs() / sd[j];
            assert!(off < 0.01, "{likelihood}: {j} is {off} sd off");
            // The posterior of 300 rows is a little wider than its Laplace approximation.
            assert!(
                (error[j] / sd[j] - 1.0).abs() < 0.08,
                "{likelihood}: sd {j}"
            );
        }
    }
}

/// Lines at growing numbers of draws, parameters in order: the softmax has three classes with an intercept and two weights each.
#[test]
fn numpyro_writes_moments_as_it_goes() {
    let Some(python) = python() else { return };
    let dir = tempfile::tempdir().unwrap();
    let problem = write(dir.path(), "softmax", 1.0);
    let out = run(
        &python,
        "numpyro_nuts.py",
        &problem,
        &["--warmup", "50", "--draws", "100"],
    );
    let lines: Vec<Value> = out
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert!(lines.len() > 2, "{out}");
    assert!(lines[0]["ess"].is_number(), "{out}");
    let mut before = (0.0, 0);
    for l in &lines {
        assert_eq!((numbers(l, "mean").len(), numbers(l, "sd").len()), (9, 9));
        let now = (l["seconds"].as_f64().unwrap(), l["draws"].as_u64().unwrap());
        assert!(
            now.0 > before.0 && now.1 > before.1,
            "{now:?} after {before:?}"
        );
        assert!(l["before_draws"].as_f64().unwrap() < now.0);
        assert!(l["ess"].is_null() || l["ess"].as_f64().unwrap() > 0.0);
        before = now;
    }
    assert_eq!(before.1, 400);
}
