//! Rows with offsets and weights on the device in f32, compared with the CPU engine in f64 step by step.
#![allow(clippy::print_stdout, reason = "the errors seen are worth reading")]

use crate::common::{self, compare, gpus_in_turn, noise, one_in, table};
use sngd_core::config::Config;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;

/// The columns that rows have beside their features.
#[derive(Debug, Clone, Copy)]
enum Columns {
    Offset,
    Weights,
    Both,
}

/// A model's family and its further keys.
type Model<'a> = (&'a str, &'a str);

/// The problem, plan and starting points of three chains over 300 rows. Weights are fractions, some are 0 and some above 1.
fn setup((family, model): Model<'_>, columns: Columns, sampler: &str) -> (Problem, Plan, Vec<f64>) {
    let (n, d) = (300, 4);
    let mut sampler = sampler.to_string();
    for (key, default) in [("step_size", "0.1"), ("batch_size", "120")] {
        if !(sampler.contains(key) || key == "batch_size" && sampler.contains("mala")) {
            sampler = format!(r#"{sampler}, "{key}": {default}"#);
        }
    }
    let network = model.contains("mlp");
    if network && !sampler.contains("damping") {
        sampler += r#", "damping": 0.1"#;
    }
    let mut config: Config = common::config(family, model, &sampler, 3);
    if network {
        config.prior.0.remove("intercept");
    }
    if family == "binomial" {
        config.model.trials = Some("t".into());
    }
    let mut data = table(family, n, d);
    if matches!(columns, Columns::Offset | Columns::Both) {
        data.offset = Some((0..n).map(|i| 0.4 * noise(29, i)).collect());
    }
    if matches!(columns, Columns::Weights | Columns::Both) {
        data.weights = Some((0..n).map(|i| [0.0, 0.5, 1.0, 2.5][i % 4]).collect());
    }
    let problem = Problem::build(&config, data).unwrap();
    let plan = Plan::check(&config, &problem).unwrap_or_else(|e| panic!("{sampler}: {e}"));
    let scale = if network { 0.5 } else { 0.1 };
    let init = (0..plan.chains * plan.p)
        .map(|i| scale * noise(23, i))
        .collect();
    (problem, plan, init)
}

/// Largest differences in posterior sds, those of the suite `parity` for the same models without such columns. Errors seen are 1e-6 to
/// 1e-5; in a softmax with an empirical Fisher matrix of a batch, nearly singular along the shift that all classes share, 1e-3.
const LIKE_PARITY: f64 = 1e-3;
const SEVERAL: f64 = 2e-3;

fn check(model: Model<'_>, columns: Columns, samplers: &[&str], tolerance: f64) {
    for sampler in one_in(3, samplers) {
        let (problem, plan, init) = setup(model, columns, sampler);
        for gpu in gpus_in_turn() {
            let (worst, stats) = compare(&gpu, &problem, &plan, &init, 12);
            let told: Vec<String> = stats.iter().map(|s| format!("{s:.0e}")).collect();
            let what = format!("{model:?}, {columns:?}, {sampler}, {:?}", gpu.tuning);
            println!("{what}: {worst:.1e} sd, stats {}", told.join(" "));
            assert!(worst < tolerance, "{what}: {worst}");
            assert!(stats.iter().all(|&s| s < 0.02), "{what}: {stats:?}");
        }
    }
}

/// Every kind of sum over rows: W of each kind, second moments, corrections, in one kernel for few parameters and in several.
const SAMPLERS: [&str; 12] = [
    r#""noise": "residual""#,
    r#""noise": "residual", "noise_rows": "batch", "damping": 0.02"#,
    r#""noise": "residual", "fisher_rows": "batch", "batches": "epochs""#,
    r#""noise": "full", "fisher_rows": "batch", "target": "jeffreys""#,
    r#""noise": "full", "fisher_rows": "batch", "fisher": "empirical""#,
    r#""noise": "residual", "fisher": "empirical""#,
    r#""noise": "full", "fisher": "monte_carlo", "fisher_labels": 3, "damping": 0.01"#,
    r#""noise": "full", "correction": "probe", "target": "jeffreys", "fisher_rows": 200"#,
    r#""method": "mala", "step_size": 0.5, "target": "jeffreys", "damping": 0.02"#,
    r#""blocks": "diagonal", "target": "jeffreys", "damping": 0.02"#,
    r#""blocks": "diagonal", "fisher": "empirical""#,
    r#""method": "sgld""#,
];

#[test]
fn poisson_rates() {
    check(("poisson", ""), Columns::Both, &SAMPLERS, LIKE_PARITY);
    let few = [SAMPLERS[0], SAMPLERS[3], SAMPLERS[8]];
    for columns in [Columns::Offset, Columns::Weights] {
        check(("poisson", ""), columns, &few, LIKE_PARITY);
    }
}

#[test]
fn several_outputs() {
    check(("gaussian", ""), Columns::Both, &SAMPLERS, SEVERAL);
    check(("softmax", ""), Columns::Weights, &SAMPLERS[..8], SEVERAL);
}

#[test]
fn binomials() {
    let samplers = [SAMPLERS[0], SAMPLERS[3], SAMPLERS[4], SAMPLERS[6]];
    for model in [
        ("bernoulli", ""),
        ("binomial", r#", "link": "cloglog""#),
        ("gaussian", r#", "scale": 1.5"#),
    ] {
        check(model, Columns::Both, &samplers, SEVERAL);
    }
}

/// Differences of metrics and divisions by past gradients magnify rounding.
#[test]
fn what_magnifies_rounding() {
    let samplers = [
        r#""noise": "full", "correction": "finite_difference", "target": "jeffreys""#,
        r#""method": "psgld""#,
    ];
    check(("poisson", ""), Columns::Both, &samplers, 2e-2);
}

const TANH: &str = r#", "predictor": "mlp", "hidden": [5]"#;

#[test]
fn networks() {
    let samplers = [
        r#""noise": "residual", "correction": "off""#,
        r#""noise": "residual", "noise_rows": "batch", "fisher_rows": "batch", "correction": "off", "blocks": "unit""#,
        r#""noise": "full", "fisher": "empirical", "correction": "off""#,
        r#""noise": "residual", "fisher": "empirical", "fisher_rows": "batch", "correction": "off""#,
        r#""noise": "full", "fisher": "monte_carlo", "fisher_labels": 2, "correction": "off""#,
        r#""method": "mala", "step_size": 0.3"#,
        r#""method": "sgld""#,
    ];
    let gaussian = format!("{TANH}, \"scale\": 1.5");
    for (model, columns) in [
        (("gaussian", gaussian.as_str()), Columns::Both),
        (("poisson", TANH), Columns::Offset),
        (("softmax", TANH), Columns::Weights),
    ] {
        check(model, columns, &samplers, SEVERAL);
        let magnified = [
            r#""noise": "full""#,
            r#""noise": "full", "fisher": "empirical""#,
            r#""method": "psgld""#,
        ];
        check(model, columns, &magnified, 2e-2);
    }
}

/// Rows without columns keep their two numbers on the device; rows with one have four, and nothing else grows.
#[test]
fn only_what_is_asked_for_is_stored() {
    let (mut problem, mut plan, _) = setup(("poisson", ""), Columns::Both, SAMPLERS[0]);
    let all = sngd_gpu::memory(&plan, &problem);
    problem.offset.clear();
    problem.weights.clear();
    (plan.offsets, plan.frequencies) = (false, None);
    let plain = sngd_gpu::memory(&plan, &problem);
    for ((name, more), (_, bytes)) in all.iter().zip(&plain) {
        let factor = if name == "obs" { 2 } else { 1 };
        assert_eq!(*more, factor * bytes, "{name}");
    }
}
