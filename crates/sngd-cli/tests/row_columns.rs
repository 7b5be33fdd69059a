//! Offsets, exposures and weights of rows at the command line.

use serde_json::Value;
use std::process::Command;

fn sample(data: &str, run: &str) -> (i32, String, Value) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("data.csv"), data).unwrap();
    std::fs::write(folder.path().join("run.toml"), run).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_sngd"))
        .current_dir(folder.path())
        .args(["sample", "run.toml", "--device", "cpu", "--json"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&done.stderr).into_owned();
    let json = serde_json::from_slice(&done.stdout).unwrap_or(Value::Null);
    (done.status.code().unwrap(), said, json)
}

/// A sampler with the metric at the state.
const MALA: &str =
    "[sampler]\nmethod = \"mala\"\nstep_size = 0.6\n[run]\nchains = 32\ndraws = 1000\n";

fn run(columns: &str, model: &str) -> String {
    format!("[data]\npath = \"data.csv\"\nresponse = \"y\"\n{columns}[model]\n{model}\n")
}

/// Mean, sd and Monte Carlo error of the mean of a parameter.
fn row(json: &Value, name: &str) -> (f64, f64, f64) {
    let rows = json["summary"]["rows"].as_array().unwrap();
    let row = rows.iter().find(|r| r["name"] == name).unwrap();
    let number = |key: &str| row[key].as_f64().unwrap();
    (number("mean"), number("sd"), number("mcse_mean"))
}

/// Counts over exposures with an intercept alone: the rate is Gamma(Σy, Σe) under a flat prior on its logarithm, whose mean is
/// ψ(Σy) − ln Σe and variance ψ′(Σy).
#[test]
fn a_rate_over_exposures_is_a_gamma() {
    let (mut counts, mut exposure, mut data) = (0.0, 0.0, String::from("y,e\n"));
    for i in 0..50 {
        let (y, e) = (f64::from(i * 7 % 5), 0.5 + f64::from(i % 9));
        counts += y;
        exposure += e;
        data += &format!("{y},{e}\n");
    }
    // ψ(x) and ψ′(x) by their asymptotic series, good to 1e-9 at x = 100.
    let digamma = counts.ln() - 0.5 / counts - 1.0 / (12.0 * counts * counts);
    let trigamma = 1.0 / counts + 0.5 / counts.powi(2) + 1.0 / (6.0 * counts.powi(3));
    for sampler in ["", MALA] {
        let model = format!("likelihood = \"poisson\"\n[prior]\nintercept = \"flat\"\n{sampler}");
        let columns = "features = []\nexposure = \"e\"\n";
        let (code, said, json) = sample(&data, &run(columns, &model));
        assert_eq!(code, 0, "{said}");
        let (mean, sd, mcse) = row(&json, "intercept");
        assert!(
            (mean - (digamma - exposure.ln())).abs() < 4.5 * mcse,
            "{sampler} {mean} {mcse}"
        );
        assert!((sd / trigamma.sqrt() - 1.0).abs() < 0.03, "{sampler} {sd}");
    }
}

/// A row with a weight of w counts as w rows.
#[test]
fn frequencies_are_repeated_rows() {
    let (mut short, mut long) = (String::from("y,x,w\n"), String::from("y,x\n"));
    for i in 0..60i32 {
        let (x, w) = (f64::from(i % 11) / 5.0 - 1.0, i % 4);
        let y = i32::from((i * 37) % 60 < 20 + i / 3);
        short += &format!("{y},{x},{w}\n");
        (0..w).for_each(|_| long += &format!("{y},{x}\n"));
    }
    for sampler in ["", MALA] {
        let model = format!(
            "likelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 2)\"\nintercept = \"normal(0, 2)\"\n{sampler}"
        );
        let (code, said, weighted) = sample(&short, &run("weights = \"w\"\n", &model));
        assert_eq!(code, 0, "{said}");
        let (code, said, repeated) = sample(&long, &run("", &model));
        assert_eq!(code, 0, "{said}");
        for name in ["intercept", "weights[x]"] {
            let (a, b) = (row(&weighted, name), row(&repeated, name));
            assert!(
                (a.0 - b.0).abs() < 4.5 * a.2.hypot(b.2),
                "{name} {a:?} {b:?}"
            );
            assert!((a.1 / b.1 - 1.0).abs() < 0.04, "{name} {a:?} {b:?}");
        }
    }
}

/// Rows with large weights: the rate is Gamma(Σwy, Σw), and no chain counts as run away, though a log density without the
/// weights would be a hundred times smaller.
#[test]
fn large_frequencies_count() {
    let (mut counts, mut rows, mut data) = (0.0, 0.0, String::from("y,w\n"));
    for i in 0..40 {
        let (y, w) = (f64::from(i * 7 % 5), 80.0 + f64::from(i % 9));
        counts += w * y;
        rows += w;
        data += &format!("{y},{w}\n");
    }
    let sngd = "[sampler]\nmethod = \"sngd\"\nbatch_size = \"full\"\nstep_size = 0.3\n[run]\nchains = 32\ndraws = 1000\n";
    for sampler in ["", MALA, sngd] {
        let model = format!("likelihood = \"poisson\"\n[prior]\nintercept = \"flat\"\n{sampler}");
        let columns = "features = []\nweights = \"w\"\n";
        let (code, said, json) = sample(&data, &run(columns, &model));
        assert_eq!(code, 0, "{said}");
        let (mean, sd, mcse) = row(&json, "intercept");
        let expected = counts.ln() - 0.5 / counts - rows.ln();
        assert!(
            (mean - expected).abs() < 4.5 * mcse,
            "{sampler} {mean} {expected} {mcse}"
        );
        assert!((sd * counts.sqrt() - 1.0).abs() < 0.03, "{sampler} {sd}");
    }
}

/// Known precisions: weighted least squares, whose covariance is σ²(XᵀWX)⁻¹ under flat priors and a known σ.
#[test]
fn precisions_are_weighted_least_squares() {
    let (mut data, sigma) = (String::from("y,x,w\n"), 0.7);
    let mut s = [0.0; 5];
    for i in 0..40 {
        let (x, w) = (f64::from(i % 13) - 6.0, 0.2 + f64::from(i % 7));
        let y = 1.5 + 0.3 * x + f64::from((i * 29) % 17 - 8) / 10.0;
        data += &format!("{y},{x},{w}\n");
        for (sum, term) in s.iter_mut().zip([w, w * x, w * x * x, w * y, w * x * y]) {
            *sum += term;
        }
    }
    let det = s[0] * s[2] - s[1] * s[1];
    let slope = (s[0] * s[4] - s[1] * s[3]) / det;
    let model = format!(
        "likelihood = \"gaussian\"\nscale = {sigma}\n[prior]\nweights = \"flat\"\nintercept = \"flat\""
    );
    let columns = "weights = \"w\"\nweights_kind = \"precision\"\n";
    let (code, said, json) = sample(&data, &run(columns, &model));
    assert_eq!(code, 0, "{said}");
    let (mean, sd, mcse) = row(&json, "weights[x]");
    assert!((mean - slope).abs() < 4.5 * mcse, "{mean} {slope} {mcse}");
    assert!(
        (sd / (sigma * (s[0] / det).sqrt()) - 1.0).abs() < 0.03,
        "{sd}"
    );
}

#[test]
fn columns_that_cannot_serve_are_refused() {
    let data = "y,x,e,w,e2\n1,0.5,2,1,1\n0,-0.5,-1,2,2\n1,1.5,1,-1,1\n0,-1,1,0,3\n";
    let bernoulli = "likelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 1)\"";
    for (columns, model, words) in [
        (
            "exposure = \"e\"\n",
            "likelihood = \"poisson\"",
            vec!["row 2", "exposure of -1"],
        ),
        (
            "weights = \"w\"\n",
            bernoulli,
            vec!["row 3", "weight of -1"],
        ),
        (
            "offset = \"e\"\nexposure = \"w\"\n",
            bernoulli,
            vec!["data.exposure", "one of the two"],
        ),
        (
            "offset = \"e\"\n",
            "likelihood = \"softmax\"",
            vec!["data.offset", "several"],
        ),
        (
            "weights_kind = \"precision\"\n",
            bernoulli,
            vec!["data.weights_kind", "data.weights"],
        ),
        (
            "weights = \"e2\"\n",
            "likelihood = \"poisson\"\n[prior]\nweights = \"normal(0, 1)\"\n[sampler]\nnoise = \"nominal\"\nbatch_size = 2",
            vec!["sampler.noise", "nominal", "data.weights", "residual"],
        ),
        (
            "weights = \"x\"\nfeatures = [\"x\"]\n",
            bernoulli,
            vec!["x", "weights"],
        ),
    ] {
        let (code, said, _) = sample(data, &run(columns, model));
        assert_eq!(code, 2, "{said}");
        for word in words {
            assert!(said.contains(word), "{word}: {said}");
        }
    }
}
