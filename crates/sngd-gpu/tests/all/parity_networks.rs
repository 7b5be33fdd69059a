//! Networks and blocked metrics on the device in f32, compared with the CPU engine in f64 step by step. Both use the same
//! Philox counters, so both make the same chain. Damping keeps a random network's metric far from singular, so that rounding
//! does not grow between steps: errors are 1e-6 to 1e-4 of a parameter's spread, up to 5e-3 where the correction is a
//! difference.
#![allow(clippy::print_stdout, reason = "the errors seen are worth reading")]

use crate::common::{compare, gpus, gpus_in_turn, noise, one_in, table};
use sngd_core::config::{Config, Storage};
use sngd_core::engine::EngineError;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_gpu::GpuEngine;

/// A run of a network: the likelihood, further keys of `[model]`, and `[sampler]`.
struct Case<'a> {
    family: &'a str,
    model: &'a str,
    sampler: &'a str,
    /// Rows, features, chains.
    shape: (usize, usize, usize),
}

impl Case<'_> {
    fn setup(&self) -> (Problem, Plan, Vec<f64>) {
        let (n, d, chains) = self.shape;
        let mut sampler = self.sampler.to_string();
        for (key, default) in [
            ("step_size", "0.2"),
            ("batch_size", "96"),
            ("damping", "0.1"),
        ] {
            let taken = key == "batch_size" && sampler.contains("mala");
            if !(sampler.contains(key) || taken) {
                sampler = format!(r#"{sampler}, "{key}": {default}"#);
            }
        }
        // A linear predictor's intercept has a separate prior.
        let intercept = if self.model.contains("mlp") {
            ""
        } else {
            r#", "intercept": "normal(0.5, 3)""#
        };
        let trials = if self.family == "binomial" {
            r#", "trials": "t""#
        } else {
            ""
        };
        let text = format!(
            r#"{{"seed": 7, "data": {{"path": "none", "response": "y"}},
                "model": {{"likelihood": "{}" {} {trials}}}, "prior": {{"weights": "normal(0, 1)" {intercept}}},
                "sampler": {{{sampler}}}, "run": {{"chains": {chains}}}}}"#,
            self.family, self.model
        );
        let config: Config = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
        let problem = Problem::build(&config, table(self.family, n, d)).unwrap();
        let plan = Plan::check(&config, &problem).unwrap_or_else(|e| panic!("{text}: {e}"));
        let init = (0..plan.chains * plan.p)
            .map(|i| 0.5 * noise(23, i))
            .collect();
        (problem, plan, init)
    }

    fn check(&self, steps: u32, tolerance: f64) {
        let (problem, plan, init) = self.setup();
        for gpu in gpus_in_turn() {
            let (worst, stats) = compare(&gpu, &problem, &plan, &init, steps);
            let told: Vec<String> = stats.iter().map(|s| format!("{s:.0e}")).collect();
            let what = format!(
                "{} {} {}, P = {}, C = {}, {:?}",
                self.family, self.model, self.sampler, plan.p, plan.chains, gpu.tuning
            );
            println!("{what}: {worst:.1e} sd, stats {}", told.join(" "));
            assert!(worst < tolerance, "{what}: {worst}");
            assert!(stats.iter().all(|&s| s < 0.02), "{what}: {stats:?}");
        }
    }
}

const TANH: &str = r#", "predictor": "mlp", "hidden": [5]"#;
const KNOWN: &str = r#", "scale": 1.5"#;

/// Runs each sampler on a network with each of two likelihoods.
fn each(samplers: &[&str], model: &str, steps: u32, tolerance: f64) {
    for (family, keys) in [("gaussian", KNOWN), ("softmax", "")] {
        for sampler in one_in(3, samplers) {
            let model = format!("{keys}{model}");
            let case = Case {
                family,
                model: &model,
                sampler,
                shape: (300, 4, 3),
            };
            case.check(steps, tolerance);
        }
    }
}

/// Without corrections the engines differ by rounding alone.
#[test]
fn likelihoods() {
    for (family, keys) in one_in(
        2,
        &[
            ("gaussian", KNOWN),
            ("gaussian", ""),
            ("bernoulli", ""),
            ("binomial", r#", "link": "cloglog""#),
            ("poisson", ""),
            ("softmax", ""),
            ("softmax", r#", "baseline": "first""#),
        ],
    ) {
        for sampler in [
            r#""noise": "full", "correction": "off""#,
            r#""noise": "residual", "correction": "off""#,
        ] {
            let case = Case {
                family,
                model: &format!("{keys}{TANH}"),
                sampler,
                shape: (300, 4, 3),
            };
            case.check(15, 2e-4);
        }
    }
}

#[test]
fn shapes() {
    let full = r#""noise": "full", "correction": "off""#;
    for model in one_in(
        3,
        &[
            r#", "predictor": "mlp", "hidden": [7], "activation": "relu""#,
            r#", "predictor": "mlp", "hidden": [7], "activation": "gelu", "bias": false"#,
            r#", "predictor": "mlp", "hidden": [6, 5]"#,
            r#", "predictor": "mlp", "hidden": [6, 5], "activation": "gelu""#,
            r#", "predictor": "mlp", "hidden": [4, 3, 2], "bias": false"#,
            r#", "predictor": "mlp", "hidden": [1]"#,
        ],
    ) {
        each(&[full], model, 15, 2e-4);
    }
    // At the edges of triangles and panels, one chain and many.
    for (hidden, c) in one_in(3, &[(12, 1), (16, 2), (22, 1), (10, 70)]) {
        let case = Case {
            family: "gaussian",
            model: &format!(r#"{KNOWN}, "predictor": "mlp", "hidden": [{hidden}]"#),
            sampler: full,
            shape: (300, 6, *c),
        };
        case.check(5, 2e-4);
    }
}

#[test]
fn methods() {
    each(
        &[
            r#""method": "ngd""#,
            r#""method": "sgld", "step_size": 0.1"#,
            r#""method": "mala", "step_size": 0.3"#,
            r#""noise": "nominal", "temperature": 2.0, "correction": "off""#,
            r#""noise": "residual", "noise_rows": "batch", "correction": "off""#,
            r#""noise": "residual", "fisher_refresh": 3"#,
        ],
        TANH,
        15,
        2e-4,
    );
    // pSGLD divides by the size of past gradients, however small they are.
    each(&[r#""method": "psgld", "step_size": 0.1"#], TANH, 15, 2e-2);
    each(
        &[r#""method": "mala", "step_size": 0.3, "target": "jeffreys""#],
        TANH,
        12,
        2e-4,
    );
}

#[test]
fn metrics() {
    each(
        &[
            r#""noise": "full", "correction": "off", "fisher": "empirical""#,
            r#""noise": "full", "correction": "off", "fisher": "monte_carlo", "fisher_labels": 3"#,
            r#""noise": "full", "correction": "off", "fisher_rows": "batch", "fisher": "empirical""#,
            r#""noise": "residual", "correction": "off", "fisher_rows": "batch""#,
            r#""noise": "residual", "correction": "off", "fisher_rows": 120, "batches": "epochs""#,
            r#""noise": "residual", "correction": "off", "batch_size": "full""#,
        ],
        TANH,
        12,
        2e-4,
    );
}

/// A network's correction is a difference over δ = 0.01, which magnifies rounding a hundredfold.
#[test]
fn corrections() {
    each(
        &[
            r#""noise": "full""#,
            r#""noise": "residual", "fisher_rows": "batch""#,
            r#""noise": "full", "target": "jeffreys""#,
            r#""noise": "full", "fisher": "empirical""#,
            r#""method": "sgrld", "fisher": "monte_carlo""#,
        ],
        TANH,
        12,
        2e-2,
    );
}

const SAMPLERS: [&str; 4] = [
    r#""noise": "full", "correction": "off""#,
    r#""noise": "residual", "correction": "off""#,
    r#""noise": "residual", "fisher_rows": "batch", "fisher": "empirical", "correction": "off""#,
    r#""method": "ngd""#,
];

#[test]
fn blocks_of_networks() {
    let kinds = [
        ("layer", "gaussian"),
        ("layer", "softmax"),
        ("unit", "softmax"),
        ("unit", "gaussian"),
        ("diagonal", "gaussian"),
        ("diagonal", "softmax"),
    ];
    for (blocks, family) in one_in(2, &kinds) {
        for sampler in one_in(3, &SAMPLERS) {
            let case = Case {
                family,
                model: r#", "predictor": "mlp", "hidden": [6, 3]"#,
                sampler: &format!(r#"{sampler}, "blocks": "{blocks}""#),
                shape: (300, 4, 3),
            };
            case.check(12, 2e-4);
        }
        let case = Case {
            family,
            model: TANH,
            sampler: &format!(r#""noise": "full", "target": "jeffreys", "blocks": "{blocks}""#),
            shape: (300, 4, 3),
        };
        case.check(12, 2e-2);
    }
}

/// Blocks that end inside tiles, panels and groups of eight, with factors that skip what is between blocks.
#[test]
fn seams_of_blocks() {
    for (blocks, hidden) in [
        ("layer", "18"),
        ("unit", "18"),
        ("unit", "9, 7"),
        ("diagonal", "20"),
    ] {
        for sampler in one_in(3, &SAMPLERS) {
            let case = Case {
                family: "softmax",
                model: &format!(r#", "predictor": "mlp", "hidden": [{hidden}]"#),
                sampler: &format!(r#"{sampler}, "blocks": "{blocks}""#),
                shape: (300, 11, 2),
            };
            case.check(5, 2e-4);
        }
    }
}

#[test]
fn blocks_of_linear_predictors() {
    for (family, blocks) in [
        ("gaussian", "layer"),
        ("softmax", "unit"),
        ("gaussian", "unit"),
    ] {
        for sampler in one_in(3, &SAMPLERS) {
            let case = Case {
                family,
                model: "",
                sampler: &format!(r#"{sampler}, "blocks": "{blocks}""#),
                shape: (300, 6, 3),
            };
            case.check(12, 2e-4);
        }
        let case = Case {
            family,
            model: "",
            sampler: &format!(r#""noise": "full", "target": "jeffreys", "blocks": "{blocks}""#),
            shape: (300, 6, 3),
        };
        case.check(12, 2e-2);
    }
    // Tiles without any entry of a block are omitted; here there are several per side.
    let case = Case {
        family: "softmax",
        model: "",
        sampler: r#""noise": "residual", "correction": "off", "blocks": "unit""#,
        shape: (700, 70, 2),
    };
    case.check(4, 2e-4);
}

#[test]
fn narrow_features_and_what_does_not_fit() {
    let case = Case {
        family: "bernoulli",
        model: TANH,
        sampler: r#""noise": "full", "correction": "off""#,
        shape: (301, 5, 3),
    };
    let (problem, plan, init) = case.setup();
    for storage in [Storage::F16, Storage::Bf16] {
        let plan = Plan {
            storage,
            ..plan.clone()
        };
        for gpu in gpus() {
            let (worst, _) = compare(&gpu, &problem, &plan, &init, 12);
            assert!(worst < 2e-4, "{storage:?}: {worst}");
        }
    }
    let Some(gpu) = gpus().pop() else { return };
    // Drivers differ in the largest binding they allow, but 2.4 GB of activations are too much for all of them.
    let (problem, plan, _) = Case {
        shape: (3001, 5, 3),
        ..case
    }
    .setup();
    let many = Plan {
        chains: 20_000,
        ..plan
    };
    let init = vec![0.1; many.chains * many.p];
    let Err(EngineError::DoesNotFit(text)) = GpuEngine::new(gpu, &problem, &many, &init) else {
        panic!("20000 chains fit");
    };
    println!("{text}");
    assert!(
        text.contains("the largest fisher_rows that fits is"),
        "{text}"
    );
    assert!(text.contains("the most chains that fit are"), "{text}");
}
