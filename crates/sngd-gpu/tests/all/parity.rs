//! The device in f32, compared with the CPU engine in f64 step by step. Both use the same Philox counters, so both make the
//! same chain.
#![allow(clippy::print_stdout, reason = "the errors seen are worth reading")]

use crate::common::{self, compare, gpus, gpus_in_turn, one_in, setup};

fn check(
    what: &str,
    (family, model, sampler): (&str, &str, &str),
    shape: (usize, usize, usize),
    steps: u32,
    tolerance: f64,
) {
    let (problem, plan, init) = setup(family, model, sampler, shape);
    for gpu in gpus_in_turn() {
        let (worst, stats) = compare(&gpu, &problem, &plan, &init, steps);
        let stats_told: Vec<String> = stats.iter().map(|s| format!("{s:.0e}")).collect();
        println!(
            "{what}, {:?}: {worst:.1e} sd, stats {}",
            gpu.tuning,
            stats_told.join(" ")
        );
        assert!(worst < tolerance, "{what}: {worst}");
        assert!(stats.iter().all(|&s| s < 0.02), "{what}: {stats:?}");
    }
}

/// Values of P at every edge of tiles, triangles and panels, with one chain and five. P counts the intercept.
#[test]
fn sizes() {
    for &p in one_in(
        3,
        &[
            1, 2, 7, 12, 13, 16, 33, 64, 65, 88, 89, 96, 97, 128, 130, 256,
        ],
    ) {
        // At the edges one chain and five, elsewhere three.
        for c in if [1, 33, 64, 65, 88, 89].contains(&p) {
            vec![1, 5]
        } else {
            vec![3]
        } {
            let n = 250 + 3 * p;
            let sampler = r#""noise": "full", "step_size": 0.3, "batch_size": 0.6"#
                .replace("0.6", &format!("{}", 3 * n / 5));
            let sampler = if p % 2 == 0 {
                sampler.replace("full\"", "full\", \"fisher_rows\": \"batch\"")
            } else {
                sampler
            };
            if p == 1 {
                // A table needs a column, so that P = 1 means one column without an intercept.
                let mut config = common::config("bernoulli", "", &sampler, c);
                config.data.intercept = false;
                config.prior.0.remove("intercept");
                let (problem, plan, init) = common::setup_config(&config, "bernoulli", n, 1);
                for gpu in gpus() {
                    let (worst, _) = compare(&gpu, &problem, &plan, &init, 5);
                    assert!(worst < 1e-3, "P = 1: {worst}");
                }
                continue;
            }
            check(
                &format!("P = {p}, C = {c}"),
                ("bernoulli", "", &sampler),
                (n, p - 1, c),
                5,
                1e-3,
            );
        }
    }
    let big = r#""noise": "residual", "step_size": 0.2, "batch_size": 800, "target": "jeffreys""#;
    check(
        "P = 300, residual",
        ("bernoulli", "", big),
        (1500, 299, 2),
        4,
        1e-3,
    );
    let softmax = r#""noise": "full", "step_size": 0.2, "batch_size": 300, "target": "jeffreys""#;
    check(
        "softmax, P = 123",
        ("softmax", "", softmax),
        (700, 40, 2),
        4,
        5e-3,
    );
}

fn cases(
    likelihood: (&str, &str),
    samplers: &[(&str, &str)],
    shape: (usize, usize, usize),
    steps: u32,
    tolerance: f64,
) {
    for (what, sampler) in one_in(3, samplers) {
        let mut sampler = (*sampler).to_string();
        for (key, default) in [("step_size", "0.3"), ("batch_size", "96")] {
            if !sampler.contains(key) {
                sampler = format!(r#"{sampler}, "{key}": {default}"#);
            }
        }
        check(
            &format!(
                "{} {} {what}, (N, D, C) = {shape:?}",
                likelihood.0, likelihood.1
            ),
            (likelihood.0, likelihood.1, &sampler),
            shape,
            steps,
            tolerance,
        );
    }
}

#[test]
fn noise_policies() {
    cases(
        ("bernoulli", ""),
        &[
            ("none", r#""noise": "none""#),
            ("nominal", r#""noise": "nominal", "damping": 0.001"#),
            ("residual over all rows", r#""noise": "residual""#),
            (
                "residual from the batch",
                r#""noise": "residual", "noise_rows": "batch""#,
            ),
            (
                "residual, one batch for both",
                r#""noise": "residual", "fisher_rows": "batch""#,
            ),
            ("ngd", r#""method": "ngd""#),
        ],
        (400, 5, 3),
        25,
        1e-3,
    );
}

#[test]
fn corrections() {
    cases(
        ("bernoulli", ""),
        &[
            ("off", r#""noise": "full", "correction": "off""#),
            (
                "closed, jeffreys",
                r#""noise": "full", "target": "jeffreys""#,
            ),
            (
                "3 probes",
                r#""noise": "full", "correction": "probe", "probes": 3, "target": "jeffreys""#,
            ),
            ("refresh 4", r#""noise": "full", "fisher_refresh": 4"#),
            (
                "refresh 4, jeffreys, damped, over rows",
                r#""noise": "full", "fisher_refresh": 4, "target": "jeffreys", "damping": 0.01, "fisher_rows": 200"#,
            ),
            (
                "refresh 4, probes",
                r#""noise": "residual", "fisher_refresh": 4, "correction": "probe", "probes": 2"#,
            ),
            (
                "refresh 4, diagonal",
                r#""blocks": "diagonal", "fisher_refresh": 4, "noise": "full""#,
            ),
            (
                "empirical",
                r#""noise": "full", "fisher": "empirical", "target": "jeffreys""#,
            ),
            (
                "sgrld, batch metric",
                r#""method": "sgrld", "fisher_rows": "batch", "damping": 0.01"#,
            ),
        ],
        (400, 5, 3),
        25,
        1e-3,
    );
}

#[test]
fn random_finite_difference() {
    cases(
        ("bernoulli", ""),
        &[
            (
                "posterior",
                r#""noise": "full", "correction": "finite_difference""#,
            ),
            (
                "jeffreys",
                r#""noise": "full", "correction": "finite_difference", "target": "jeffreys""#,
            ),
            (
                "refresh 3",
                r#""noise": "full", "correction": "finite_difference", "fisher_refresh": 3"#,
            ),
        ],
        (400, 5, 3),
        25,
        2e-2,
    );
}

#[test]
fn diagonal_metrics() {
    cases(
        ("bernoulli", ""),
        &[
            ("sgld", r#""method": "sgld""#),
            ("psgld", r#""method": "psgld""#),
            (
                "fisher diagonal",
                r#""blocks": "diagonal", "target": "jeffreys""#,
            ),
            (
                "fisher diagonal, empirical",
                r#""blocks": "diagonal", "fisher": "empirical""#,
            ),
        ],
        (400, 5, 3),
        40,
        1e-3,
    );
}

#[test]
fn mala() {
    for (d, target) in [(5, "posterior"), (5, "jeffreys"), (99, "posterior")] {
        check(
            &format!("mala, {target}, D = {d}"),
            (
                "bernoulli",
                "",
                &format!(r#""method": "mala", "step_size": 0.5, "target": "{target}""#),
            ),
            (600, d, 3),
            20,
            1e-3,
        );
    }
}

#[test]
fn damping_and_its_volume() {
    cases(
        ("bernoulli", ""),
        &[
            ("full, damped", r#""noise": "full", "damping": 0.02"#),
            (
                "full, damped, jeffreys",
                r#""noise": "full", "damping": 0.02, "target": "jeffreys""#,
            ),
            (
                "probe, damped, jeffreys",
                r#""noise": "full", "damping": 0.02, "target": "jeffreys", "correction": "probe""#,
            ),
            (
                "residual, damped",
                r#""noise": "residual", "damping": 0.02"#,
            ),
            (
                "residual that falls back, damped",
                r#""noise": "residual", "damping": 0.02, "temperature": 0.1, "batch_size": 20"#,
            ),
            (
                "residual that falls back",
                r#""noise": "residual", "temperature": 0.1, "batch_size": 20"#,
            ),
            (
                "diagonal, damped, jeffreys",
                r#""blocks": "diagonal", "damping": 0.02, "target": "jeffreys""#,
            ),
        ],
        (400, 5, 3),
        25,
        1e-3,
    );
    cases(
        ("bernoulli", ""),
        &[(
            "differences, damped, jeffreys",
            r#""noise": "full", "damping": 0.02, "correction": "finite_difference", "target": "jeffreys""#,
        )],
        (400, 5, 3),
        25,
        2e-2,
    );
    check(
        "mala, damped, jeffreys",
        (
            "bernoulli",
            "",
            r#""method": "mala", "step_size": 0.5, "target": "jeffreys", "damping": 0.02"#,
        ),
        (600, 5, 3),
        20,
        1e-3,
    );
}

const LIKELIHOODS: [(&str, &str); 9] = [
    ("gaussian", r#", "scale": 1.5"#),
    ("gaussian", ""),
    ("bernoulli", r#", "link": "probit""#),
    ("bernoulli", r#", "link": "cloglog""#),
    ("binomial", r#", "link": "logit""#),
    ("binomial", r#", "link": "cloglog""#),
    ("poisson", ""),
    ("softmax", ""),
    ("softmax", r#", "baseline": "first""#),
];

#[test]
fn likelihoods_dense() {
    for &l in one_in(2, &LIKELIHOODS) {
        cases(
            l,
            &[
                ("residual", r#""noise": "residual""#),
                ("full, jeffreys", r#""noise": "full", "target": "jeffreys""#),
                ("empirical", r#""noise": "full", "fisher": "empirical""#),
                (
                    "probe",
                    r#""noise": "full", "correction": "probe", "target": "jeffreys""#,
                ),
                (
                    "batch metric",
                    r#""noise": "full", "fisher_rows": "batch", "damping": 0.01"#,
                ),
            ],
            (400, 4, 3),
            20,
            2e-3,
        );
    }
}

#[test]
fn likelihoods_diagonal_and_mala() {
    for &l in one_in(2, &LIKELIHOODS) {
        cases(
            l,
            &[
                ("psgld", r#""method": "psgld", "step_size": 0.1"#),
                (
                    "fisher diagonal",
                    r#""blocks": "diagonal", "target": "jeffreys""#,
                ),
                (
                    "differences",
                    r#""noise": "full", "correction": "finite_difference""#,
                ),
            ],
            (400, 4, 3),
            20,
            2e-2,
        );
        check(
            &format!("{l:?} mala"),
            (l.0, l.1, r#""method": "mala", "step_size": 0.5"#),
            (300, 4, 3),
            20,
            2e-3,
        );
    }
}

#[test]
fn monte_carlo_fisher() {
    for &l in one_in(2, &LIKELIHOODS) {
        cases(
            l,
            &[(
                "monte carlo",
                r#""noise": "full", "fisher": "monte_carlo", "fisher_labels": 3, "damping": 0.01"#,
            )],
            (400, 4, 3),
            12,
            5e-3,
        );
    }
}

#[test]
fn rows_and_schedules() {
    cases(
        ("bernoulli", ""),
        &[
            (
                "without replacement",
                r#""noise": "residual", "batches": "without_replacement""#,
            ),
            ("epochs", r#""noise": "full", "batches": "epochs""#),
            ("full batch", r#""noise": "full", "batch_size": "full""#),
            (
                "sampled metric",
                r#""noise": "residual", "fisher_rows": 150, "batches": "without_replacement""#,
            ),
            (
                "refresh 4, residual",
                r#""noise": "residual", "fisher_refresh": 4"#,
            ),
            (
                "polynomial",
                r#""noise": "full", "step_size": {"kind": "polynomial", "initial": 0.4, "offset": 5, "power": 0.5}"#,
            ),
            (
                "cyclical",
                r#""noise": "residual", "step_size": {"kind": "cyclical", "initial": 0.3, "cycle": 7}"#,
            ),
            ("cold", r#""noise": "full", "temperature": 0.0"#),
        ],
        (400, 5, 3),
        20,
        1e-3,
    );
}

#[test]
fn narrow_features() {
    for storage in ["f16", "bf16"] {
        let mut config = common::config(
            "poisson",
            "",
            r#""noise": "full", "step_size": 0.3, "batch_size": 96"#,
            3,
        );
        config.data.storage = serde_json::from_value(storage.into()).unwrap();
        let (problem, plan, init) = common::setup_config(&config, "poisson", 301, 5);
        for gpu in gpus() {
            let (worst, _) = compare(&gpu, &problem, &plan, &init, 20);
            println!("{storage}: {worst:.1e}");
            assert!(worst < 1e-3, "{storage}: {worst}");
        }
    }
}
