//! Algebraic limits: no noise, all rows, zero temperature; the same seed and a different one.

use sngd_core::config::Precision;
use sngd_core::plan::Plan;
use sngd_cpu::{CpuEngine, map};
use sngd_tests::drive::{self, Draws, Kind, kinds};
use sngd_tests::small::{logistic, problem};

const MODEL: &str = "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"flat\"\n";

/// T = 0, no noise, all rows: plain natural gradient descent for any seed; here it is Newton's method, written
/// out again in the plainest form.
#[test]
fn zero_temperature_is_deterministic_descent() {
    let sampler = "[sampler]\nmethod = \"sngd\"\ntemperature = 0.0\nnoise = \"none\"\nbatch_size = \"full\"\nstep_size = 0.7\n[run]\nchains = 3\nwarmup = 0\ndraws = 6\n";
    for kind in [Kind::Cpu64, Kind::Cpu32].into_iter().chain(kinds()) {
        let mut runs = Vec::new();
        for seed in [1, 99] {
            let (mut config, problem) = problem(&format!("{MODEL}{sampler}"), logistic(90, 3));
            config.seed = seed;
            let plan = Plan::check(&config, &problem).unwrap();
            let init: Vec<f64> = [0.3, -0.2, 0.1, 0.4].repeat(3);
            let mut engine = drive::engine(kind, &problem, &plan, &init)
                .unwrap()
                .unwrap();
            runs.push(
                Draws::of(engine.as_mut(), &problem, &plan)
                    .unwrap()
                    .internal,
            );
            if kind == Kind::Cpu64 {
                let by_hand = newton(&problem, &[0.3, -0.2, 0.1, 0.4], 0.7, 6, 1);
                for (draw, expected) in by_hand.iter().enumerate() {
                    for c in 0..3 {
                        for (i, e) in expected.iter().enumerate() {
                            let got = runs[0][(draw * 3 + c) * 4 + i];
                            assert!((got - e).abs() < 1e-11, "draw {draw}: {got} {e}");
                        }
                    }
                }
            }
        }
        assert!(
            runs[0] == runs[1],
            "{kind:?}: the seed leaks into a deterministic run"
        );
    }
}

/// `fisher_refresh = 3` keeps the metric for three steps and changes nothing else.
#[test]
fn a_frozen_metric_is_refreshed_on_time() {
    let sampler = "[sampler]\ntemperature = 0.0\nnoise = \"none\"\nbatch_size = \"full\"\nfisher_refresh = 3\nstep_size = 0.5\n[run]\nchains = 1\nwarmup = 0\ndraws = 8\n";
    let (config, problem) = problem(&format!("{MODEL}{sampler}"), logistic(90, 3));
    let plan = Plan::check(&config, &problem).unwrap();
    let init = [0.3, -0.2, 0.1, 0.4];
    for kind in [Kind::Cpu64].into_iter().chain(kinds()) {
        let mut engine = drive::engine(kind, &problem, &plan, &init)
            .unwrap()
            .unwrap();
        let got = Draws::of(engine.as_mut(), &problem, &plan)
            .unwrap()
            .internal;
        let expected = newton(&problem, &init, 0.5, 8, 3).concat();
        for (g, e) in got.iter().zip(&expected) {
            assert!(
                (g - e).abs() < if kind == Kind::Cpu64 { 1e-11 } else { 1e-4 },
                "{kind:?}: {g} {e}"
            );
        }
    }
}

/// Damped Newton for logistic regression on internal coordinates, by Gaussian elimination.
fn newton(
    problem: &sngd_core::problem::Problem,
    start: &[f64],
    epsilon: f64,
    n: usize,
    refresh: usize,
) -> Vec<Vec<f64>> {
    let p = start.len();
    let mut w = start.to_vec();
    let mut out = Vec::new();
    let mut frozen = Vec::new();
    for t in 0..n {
        out.push(w.clone());
        let mut g = vec![0.0; p];
        problem.prior_cost(&w, true, &mut vec![0.0; p], &mut g);
        let mut m: Vec<Vec<f64>> = problem
            .prior_information()
            .chunks(p)
            .map(<[f64]>::to_vec)
            .collect();
        for (row, y) in problem.x.to_vec().chunks(p).zip(&problem.y) {
            let eta: f64 = row.iter().zip(&w).map(|(a, b)| a * b).sum();
            let mu = 1.0 / (1.0 + (-eta).exp());
            for i in 0..p {
                g[i] -= (y - mu) * row[i];
                for j in 0..p {
                    m[i][j] += mu * (1.0 - mu) * row[i] * row[j];
                }
            }
        }
        if t % refresh == 0 {
            frozen.clone_from(&m);
        }
        let mut m = frozen.clone();
        for i in 0..p {
            for j in i + 1..p {
                let f = m[j][i] / m[i][i];
                for k in i..p {
                    let v = m[i][k];
                    m[j][k] -= f * v;
                }
                g[j] -= f * g[i];
            }
        }
        for i in (0..p).rev() {
            g[i] = (g[i] - (i + 1..p).map(|k| m[i][k] * g[k]).sum::<f64>()) / m[i][i];
        }
        w.iter_mut().zip(&g).for_each(|(w, d)| *w -= epsilon * d);
    }
    out
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_does_not() {
    for kind in kinds() {
        for method in ["sngd", "mala", "psgld", "sgld", "sgrld"] {
            let batch = if method == "mala" { "\"full\"" } else { "30" };
            let damping = "damping = 0.01";
            let text = format!(
                "{MODEL}[sampler]\nmethod = \"{method}\"\nbatch_size = {batch}\n{damping}\nfisher = \"monte_carlo\"\n[run]\nchains = 5\nwarmup = 7\ndraws = 20\n"
            );
            let run = |seed: u64| {
                let (mut config, problem) = problem(&text, logistic(120, 4));
                config.seed = seed;
                drive::sample(kind, &config, &problem).unwrap().internal
            };
            assert!(run(5) == run(5), "{kind:?} {method}: two runs differ");
            assert!(run(5) != run(6), "{kind:?} {method}: the seed does nothing");
        }
    }
}

/// A chain does not depend on the number of other chains, nor on the number of threads.
#[test]
fn a_chain_is_the_same_alone_and_among_others() {
    let text = |c: usize| {
        format!(
            "{MODEL}[sampler]\nbatch_size = 30\nstep_size = 0.2\nfisher_rows = \"batch\"\nnoise = \"full\"\n[run]\nchains = {c}\nwarmup = 0\ndraws = 15\n"
        )
    };
    let run = |c: usize, threads: usize| {
        let (config, problem) = problem(&text(c), logistic(120, 4));
        let plan = Plan::check(&config, &problem).unwrap();
        let mode = map::find(&problem, &plan).unwrap();
        let init = drive::dispersed(&plan, &mode, 1.0);
        let mut e = CpuEngine::new(Precision::F32, &problem, &plan, &init, Some(threads)).unwrap();
        Draws::of(&mut e, &problem, &plan).unwrap()
    };
    let (one, many, threaded) = (run(1, 1), run(6, 1), run(6, 2));
    assert!(one.chains_of(2) == many.chains_of(2)[..1].to_vec());
    assert!(many.internal == threaded.internal);
}

/// A method that refreshes no metric says so, rather than take the key and do nothing, or worse, with it.
#[test]
fn what_refreshes_no_metric_has_no_refresh() {
    for method in ["mala", "sgld", "psgld"] {
        let sampler = format!("[sampler]\nmethod = \"{method}\"\nfisher_refresh = 3\n");
        let (config, problem) = problem(&format!("{MODEL}{sampler}"), logistic(90, 3));
        let refused = Plan::check(&config, &problem)
            .expect_err(method)
            .to_string();
        assert!(
            refused.contains("fisher_refresh") && refused.contains(method),
            "{refused}"
        );
    }
}
