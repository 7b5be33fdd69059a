//! Each unusable input gives one sentence on stderr (what, where, what was expected, the remedy) and its exit code.

use crate::common::{Scene, csv, drawn, run};

/// Checks that stderr is one line that begins with `sngd: ` and contains every part.
fn refused(scene: &Scene, args: &[&str], code: i32, parts: &[&str]) {
    let out = run(scene, args);
    let err = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(code), "{err}");
    let lines: Vec<&str> = err.lines().filter(|l| l.starts_with("sngd: ")).collect();
    let last = lines.last().copied().unwrap_or_default();
    for part in parts {
        assert!(last.contains(part), "expected '{part}' in: {err}");
    }
}

fn sample(scene: &Scene, code: i32, parts: &[&str]) {
    refused(
        scene,
        &["sample", "run.toml", "--device", "cpu", "--quiet"],
        code,
        parts,
    );
}

const LOGIT: &str = "[model]\nlikelihood = \"bernoulli\"\n";

#[test]
fn an_unknown_key_names_the_nearest() {
    let s = Scene::new(
        &csv(60),
        "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nstepsize = 0.1\n",
    );
    sample(&s, 2, &["run.toml", "stepsize", "step_size"]);
}

#[test]
fn a_wrong_type_is_told_with_its_line() {
    let s = Scene::new(
        &csv(60),
        "[model]\nlikelihood = \"bernoulli\"\n[sampler]\nstep_size = \"fast\"\n",
    );
    sample(&s, 2, &["run.toml:7", "sampler.step_size", "fast"]);
}

#[test]
fn a_missing_file_is_named() {
    let s = Scene::new(&csv(60), LOGIT);
    std::fs::remove_file(s.path("data.csv")).unwrap();
    sample(&s, 2, &["data.csv"]);
    refused(&s, &["sample", "nowhere.toml"], 2, &["nowhere.toml"]);
}

#[test]
fn an_empty_table_is_refused() {
    let s = Scene::new("y,a,b\n", LOGIT);
    sample(&s, 2, &["data.csv", "no data rows"]);
}

#[test]
fn a_constant_column_beside_an_intercept_needs_a_proper_prior() {
    let text: String = csv(60)
        .lines()
        .enumerate()
        .map(|(i, l)| format!("{l},{}\n", if i == 0 { "one" } else { "2.5" }))
        .collect();
    let s = Scene::new(&text, &format!("{LOGIT}[prior]\nweights = \"flat\"\n"));
    let parts = ["data.csv", "`one` = 2.5", "prior.weights = \"default\""];
    sample(&s, 2, &parts);
    let s = Scene::new(&text, LOGIT);
    for intercept in ["true", "false"] {
        let set = format!("data.intercept={intercept}");
        let args = [
            "sample", "run.toml", "--device", "cpu", "--quiet", "--force", "--set", &set,
        ];
        let out = run(&s, &args);
        assert_eq!(
            out.status.code(),
            Some(0),
            "{}",
            String::from_utf8_lossy(&out.stderr)
        );
    }
}

#[test]
fn fewer_rows_than_parameters_under_a_flat_prior_is_improper() {
    let s = Scene::new(
        "y,a,b,c\n0,1,2,3\n1,2,1,5\n1,0,4,1\n",
        &format!("{LOGIT}[prior]\nweights = \"flat\"\n"),
    );
    sample(&s, 2, &["3 rows", "improper", "prior.weights"]);
}

#[test]
fn separated_data_under_a_flat_prior_are_improper() {
    let rows: String = (0..40)
        .map(|i| format!("{},{},{}\n", u8::from(i >= 20), i, i * 7 % 11))
        .collect();
    let s = Scene::new(
        &format!("y,a,b\n{rows}"),
        &format!("{LOGIT}[prior]\nweights = \"flat\"\n"),
    );
    let parts = [
        "larger `a` separates all 20 rows with y = 1 from the 20 rows with y = 0",
        "improper",
        "prior.weights = \"default\"",
    ];
    sample(&s, 2, &parts);
    refused(&s, &["check", "run.toml"], 2, &parts);
    // Whatever damping and method; and the remedy works.
    for set in [
        "sampler.damping=0.1",
        "sampler.method=\"mala\"",
        "sampler.metric=\"state\"",
    ] {
        refused(&s, &["check", "run.toml", "--set", set], 2, &parts);
    }
    let mended = ["check", "run.toml", "--set", "prior.weights=\"default\""];
    assert_eq!(run(&s, &mended).status.code(), Some(0));
}

#[test]
fn a_batch_larger_than_the_data_is_refused() {
    let s = Scene::new(&csv(60), &format!("{LOGIT}[sampler]\nbatch_size = 61\n"));
    sample(
        &s,
        2,
        &["sampler.batch_size", "61", "60 rows", "at most 60"],
    );
}

#[test]
fn a_batch_whose_noise_is_too_hot_names_batches_that_are_not() {
    let s = Scene::new(
        &csv(400),
        &format!("{LOGIT}[sampler]\nmethod = \"sngd\"\nbatch_size = 10\nstep_size = 0.5\n"),
    );
    sample(
        &s,
        2,
        &[
            "sampler.batch_size",
            "hotter than the posterior",
            "batch_size = \"full\"",
            "lower step_size",
        ],
    );
    // The remedies work. A run file with another temperature is refused with the lowest one that works.
    for set in ["sampler.batch_size=\"full\"", "sampler.step_size=0.01"] {
        let out = run(&s, &["check", "run.toml", "--set", set]);
        assert_eq!(out.status.code(), Some(0), "{set}");
    }
    let args = ["check", "run.toml", "--set", "sampler.temperature=0.5"];
    refused(
        &s,
        &args,
        2,
        &["sampler.temperature", "at least", "batch_size = \"full\""],
    );
}

#[test]
fn a_diverging_run_stops_with_chain_step_and_remedy() {
    // SGLD's step is in units of 1/N, and these counts curve the cost by far more than N.
    let rows: String = (0..50)
        .map(|i| format!("{},{}\n", 30 + i * i % 71, (i * 13 % 50) as f64 / 10.0))
        .collect();
    let s = Scene::new(
        &format!("y,a\n{rows}"),
        "[model]\nlikelihood = \"poisson\"\n[prior]\nweights = \"flat\"\n[sampler]\nmethod = \"sgld\"\nstep_size = 1.0\n[run]\nchains = 8\nwarmup = 10\ndraws = 200\n",
    );
    sample(&s, 4, &["chain", "step", "step_size"]);
}

/// Every number of this run is finite; only the log posterior shows that it is lost.
#[test]
fn a_run_that_strays_on_finite_numbers_is_stopped() {
    let rows: String = (0..200)
        .map(|i| format!("{},{},{}\n", i * i % 7 % 3, i % 17, i * 13 % 29))
        .collect();
    let text = |step: f64, refresh: u32| {
        format!(
            "[model]\npredictor = \"mlp\"\nhidden = [8]\nlikelihood = \"softmax\"\n[prior]\nweights = \"normal(0, 30)\"\nbias = \"normal(0, 30)\"\n[sampler]\nstep_size = {step}\nbatch_size = 150\nfisher_refresh = {refresh}\ndamping = 1e-4\nnoise = \"nominal\"\ntemperature = 4.0\n[run]\nchains = 4\nwarmup = 100\ndraws = 200\n"
        )
    };
    let s = Scene::new(&format!("y,a,b\n{rows}"), &text(0.5, 20));
    sample(
        &s,
        4,
        &["chain", "ran away", "log posterior", "fisher_refresh"],
    );
}

#[test]
fn an_output_that_exists_is_refused_without_force() {
    let s = Scene::new(
        &csv(60),
        &format!("{LOGIT}[sampler]\nbatch_size = 60\n[run]\nchains = 2\ndraws = 20\nwarmup = 20\n"),
    );
    let go = |extra: &[&str]| {
        let mut args = vec![
            "sample", "run.toml", "--device", "cpu", "--quiet", "--out", "t.zarr",
        ];
        args.extend_from_slice(extra);
        run(&s, &args)
    };
    assert!(drawn(go(&[]).status.code()));
    refused(
        &s,
        &[
            "sample", "run.toml", "--device", "cpu", "--quiet", "--out", "t.zarr",
        ],
        2,
        &["t.zarr", "--force"],
    );
    assert!(drawn(go(&["--force"]).status.code()));
}

#[test]
fn no_such_device_is_exit_code_3() {
    let s = Scene::new(&csv(60), LOGIT);
    refused(
        &s,
        &["sample", "run.toml", "--device", "quantum9000"],
        3,
        &["quantum9000", "run.device"],
    );
}

#[test]
fn text_and_missing_values_are_told_with_row_and_column() {
    let s = Scene::new("y,a,b\n0,1,2\n1,x7,3\n", LOGIT);
    sample(&s, 2, &["data.csv", "row 2", "`a`", "x7"]);
    let s = Scene::new("y,a,b\n0,1,2\n1,4,\n", LOGIT);
    sample(&s, 2, &["data.csv", "row 2", "`b`"]);
}

#[test]
fn a_softmax_with_a_flat_direction_is_improper() {
    let rows: String = (0..60)
        .map(|i| format!("{},{}\n", i % 3, i * 7 % 13))
        .collect();
    let s = Scene::new(
        &format!("y,a\n{rows}"),
        "[model]\nlikelihood = \"softmax\"\n[prior]\nintercept = \"flat\"\n",
    );
    sample(&s, 2, &["model.baseline", "improper", "first"]);
}

#[test]
fn a_network_that_cannot_be_is_refused() {
    let with = |model: &str, rest: &str| {
        Scene::new(
            &csv(60),
            &format!("[model]\nlikelihood = \"bernoulli\"\n{model}\n{rest}"),
        )
    };
    let mlp = "predictor = \"mlp\"\nhidden = [3]";
    sample(
        &with("predictor = \"mlp\"", ""),
        2,
        &["model.hidden", "[32, 16]"],
    );
    sample(
        &with("hidden = [3]", ""),
        2,
        &["model.hidden", "predictor = \"mlp\""],
    );
    sample(
        &with("predictor = \"mlp\"\nhidden = [3, 0]", ""),
        2,
        &[
            "run.toml",
            "model.hidden",
            "found 0",
            "whole numbers from 1 to 65536",
        ],
    );
    sample(
        &with(mlp, "[prior]\nweights = \"flat\"\n"),
        2,
        &["prior.weights", "flat", "improper", "normal_fan_in(1)"],
    );
    sample(
        &with(mlp, "[prior]\nlayer2_weights = \"normal(0, 1)\"\n"),
        2,
        &["layer2_weights", "did you mean"],
    );
    sample(
        &with(mlp, "[sampler]\ncorrection = \"closed_form\"\n"),
        2,
        &[
            "sampler.correction",
            "closed_form",
            "a network",
            "finite_difference",
        ],
    );
    sample(
        &with(mlp, "[sampler]\nmethod = \"mala\"\nblocks = \"unit\"\n"),
        2,
        &["sampler.blocks", "unit", "mala", "full"],
    );
    sample(
        &with(mlp, "[run]\ninit = \"map\"\n"),
        2,
        &["run.init", "map", "standard"],
    );
}

const OWN: &str = "[model]\nlikelihood = \"custom\"\nwgsl = \"own.wgsl\"\n";
const EXPONENTIAL: &str = "fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    return eta[0] - (obs.x + 1.0) * exp_of(eta[0]);
}
fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    return array<f32, H>(1.0 - (obs.x + 1.0) * exp_of(eta[0]));
}
fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(1.0);
}
";

#[test]
fn a_likelihood_that_does_not_fit_itself_is_refused_by_its_piece() {
    let s = Scene::new(&csv(60), OWN);
    sample(&s, 2, &["model.wgsl", "own.wgsl"]);
    let write = |text: &str| std::fs::write(s.path("own.wgsl"), text).unwrap();
    write(&EXPONENTIAL.replace("1.0 - (obs", "1.0 + (obs"));
    sample(&s, 2, &["own.wgsl", "score[0]", "log_lik", "correct score"]);
    write(&EXPONENTIAL.replace("(1.0);", "(-1.0);"));
    sample(&s, 2, &["own.wgsl", "fisher", "positive semi-definite"]);
    write(&EXPONENTIAL.replace("exp_of(eta[0]);\n}\nfn score", "expo(eta[0]);\n}\nfn score"));
    sample(&s, 2, &["own.wgsl:2", "expo"]);
    write(&EXPONENTIAL.replace("fn fisher", "fn fischer"));
    sample(&s, 2, &["own.wgsl", "`fn fisher` is missing"]);
    write(EXPONENTIAL);
    let out = run(&s, &["check", "run.toml"]);
    assert!(
        out.status.success(),
        "{}",
        String::from_utf8_lossy(&out.stderr)
    );
    let set = |text: &str, parts: &[&str]| {
        let args = [
            "sample", "run.toml", "--device", "cpu", "--quiet", "--set", text,
        ];
        refused(&s, &args, 2, parts);
    };
    set("sampler.fisher=monte_carlo", &["draw_label", "exact"]);
    set("model.likelihood=poisson", &["model.wgsl", "custom"]);
    set("model.auxiliary=weights", &["model.auxiliary", "shape"]);
    set("model.outputs=9", &["model.outputs", "8"]);
    let none = Scene::new(&csv(60), "[model]\nlikelihood = \"custom\"\n");
    sample(&none, 2, &["model.wgsl", "FILE.wgsl"]);
}
