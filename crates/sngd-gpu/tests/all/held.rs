//! Held-out rows scored on the device, compared with the same sums in f64 from the draws that it returned.

use crate::common::{config, gpus, setup_config};
use sngd_core::config::Config;
use sngd_core::engine::{Engine, Predicted, RawBlock, Span, add_density};
use sngd_core::likelihood::{Custom, Likelihood, Observed, WgslBody};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_cpu::forward::Forward;
use sngd_gpu::GpuEngine;
use sngd_shaders::Interpreted;
use statrs::distribution::{ContinuousCDF, Normal};
use std::sync::Arc;

fn truth(problem: &Problem, plan: &Plan, block: &RawBlock) -> Predicted {
    let held = problem.held_out.as_ref().unwrap();
    let (x, y) = problem.held_out_internal().unwrap();
    let (m, h, classes) = (y.len(), plan.h, plan.classes);
    let plain = |n: usize| vec![0.0; if classes == 0 { n } else { 0 }];
    let mut out = Predicted {
        density: vec![(f64::NEG_INFINITY, 0.0); m],
        classes: vec![0.0; m * classes],
        mean: plain(m),
        below: plain(m),
        draws: vec![],
    };
    let (mut eta, mut score) = (vec![0.0; h], vec![0.0; h]);
    let mut forward = Forward::new(problem);
    for omega in block.omega.chunks(plan.p) {
        let mut draw = (0.0, 0.0);
        for i in 0..m {
            forward.outputs(omega, &x, i, &mut eta);
            let trials = held.trials.get(i).copied().unwrap_or(1.0);
            let mut ln_p = |y: f64, trials: f64| {
                let seen = Observed { y, trials };
                problem.likelihood.log_lik_and_score(&eta, seen, &mut score)
            };
            let own = ln_p(y[i], trials);
            draw.0 += own;
            add_density(&mut out.density[i], (own, 1.0));
            if classes > 0 {
                let p: Vec<f64> = (0..classes).map(|c| ln_p(c as f64, 1.0).exp()).collect();
                let best = (0..classes).max_by(|&a, &b| p[a].total_cmp(&p[b])).unwrap();
                draw.1 += f64::from(u8::from(best == y[i] as usize));
                let row = &mut out.classes[i * classes..(i + 1) * classes];
                row.iter_mut().zip(p).for_each(|(s, p)| *s += p);
                continue;
            }
            if let Likelihood::Custom(own) = &problem.likelihood {
                out.mean[i] += own.body.mean(&eta, trials).unwrap_or(0.0);
                let seen = Observed { y: y[i], trials };
                out.below[i] += own.body.cdf(&eta, seen).unwrap_or(0.0);
                continue;
            }
            out.mean[i] += match problem.likelihood {
                Likelihood::Poisson => eta[0].exp(),
                Likelihood::Binomial(_) => trials * ln_p(1.0, 1.0).exp(),
                _ => eta[0],
            };
            let sd = match problem.likelihood {
                Likelihood::Gaussian { scale } => scale,
                Likelihood::GaussianUnknownScale => eta[1].exp(),
                _ => continue,
            };
            out.below[i] += Normal::new(eta[0], sd).unwrap().cdf(y[i]);
        }
        out.draws.push(draw);
    }
    out
}

fn near(what: &str, ours: &[f64], truth: &[f64], tolerance: f64) {
    assert_eq!(ours.len(), truth.len(), "{what}");
    for (a, b) in ours.iter().zip(truth) {
        assert!(
            (a - b).abs() <= tolerance * (1.0 + b.abs()),
            "{what}: {a} {b}"
        );
    }
}

/// Runs three blocks on each form of the kernels: one of warm-up, which is not scored, and two of kept draws.
fn check(config: &Config, family: &str, d: usize, (draws, thin): (u32, u32)) {
    let (problem, plan, init) = setup_config(config, family, 300, d);
    assert!(plan.held > 0);
    for gpu in gpus() {
        let mut engine = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
        let mut span = Span {
            first_step: 0,
            draws: 3,
            thin: 1,
            warmup: true,
        };
        engine.enqueue(span).unwrap();
        assert_eq!(engine.collect().unwrap().predicted, None);
        (span.first_step, span.draws, span.thin, span.warmup) = (3, draws, thin, false);
        for _ in 0..2 {
            engine.enqueue(span).unwrap();
            span.first_step += draws * thin;
        }
        for _ in 0..2 {
            let block = engine.collect().unwrap();
            let ours = block.predicted.clone().unwrap();
            let truth = truth(&problem, &plan, &block);
            let ln = |p: &Predicted| -> Vec<f64> {
                p.density.iter().map(|(max, sum)| max + sum.ln()).collect()
            };
            near(family, &ln(&ours), &ln(&truth), 2e-5);
            near(family, &ours.classes, &truth.classes, 2e-5);
            near(family, &ours.mean, &truth.mean, 2e-5);
            near(family, &ours.below, &truth.below, 2e-5);
            let draws = |p: &Predicted| -> Vec<f64> { p.draws.iter().map(|d| d.0).collect() };
            near(family, &draws(&ours), &draws(&truth), 2e-5);
            let hits = |p: &Predicted| -> Vec<f64> { p.draws.iter().map(|d| d.1).collect() };
            assert_eq!(hits(&ours), hits(&truth), "{family}");
        }
    }
}

#[test]
fn sums_are_those_of_the_draws() {
    let mlp = r#", "predictor": "mlp", "hidden": [5, 4]"#;
    let cases = [
        ("gaussian", "", 150),
        ("gaussian", r#", "scale": 0.7"#, 40),
        ("gaussian", mlp, 70),
        ("bernoulli", r#", "link": "probit""#, 131),
        ("binomial", r#", "link": "cloglog""#, 64),
        ("poisson", "", 65),
        ("softmax", r#", "baseline": "first""#, 90),
        ("softmax", mlp, 140),
    ];
    for (family, model, held) in cases {
        let sampler = r#""noise": "full", "step_size": 0.1, "batch_size": 40, "damping": 0.05"#;
        let mut config = config(family, model, sampler, 5);
        config.data.test_fraction = f64::from(held) / 300.0;
        if model == mlp {
            config.prior.0.remove("intercept");
        }
        if family == "binomial" {
            config.model.trials = Some("t".into());
        }
        check(&config, family, 4, (9, 2));
    }
}

/// A user-defined likelihood with a mean and a distribution function, and one without: its sums are 0.
#[test]
fn a_users_own_likelihood_is_scored_too() {
    let whole = include_str!("../../../../examples/likelihoods/student_t.wgsl");
    let bare = whole
        .replace("fn mean(", "fn other_mean(")
        .replace("fn cdf(", "fn other_cdf(");
    for text in [whole, &bare] {
        let wgsl = WgslBody {
            file: "student_t.wgsl".into(),
            text: text.into(),
        };
        let own = Custom {
            name: "student_t".into(),
            linear_outputs: 1,
            auxiliary: Some("scale".into()),
            body: Arc::new(Interpreted::new(&wgsl, 2, 1).unwrap()),
            wgsl: Some(wgsl),
        };
        let sampler = r#""noise": "full", "step_size": 0.1, "batch_size": 40, "damping": 0.05"#;
        let mut config = config("custom", "", sampler, 5);
        config.data.test_fraction = 0.3;
        config.model.custom = Some(Arc::new(own));
        let prior = "half_normal(0, 2)".into();
        config.prior.0.insert("scale".into(), prior);
        check(&config, "gaussian", 4, (9, 2));
    }
}

/// There are so many chains that the rows need three tiles.
#[test]
fn tiles_of_rows_make_up_the_whole() {
    let sampler = r#""method": "sgld", "step_size": 0.1, "batch_size": 2"#;
    let model = r#", "predictor": "mlp", "hidden": [2]"#;
    let mut config = config("poisson", model, sampler, 10_000);
    config.data.test_fraction = 0.5;
    config.prior.0.remove("intercept");
    check(&config, "poisson", 1, (2, 1));
}

/// A tile of one row is too small for so many chains; still their memory is counted, as the message of a refusal needs.
#[test]
fn chains_beyond_a_tile_are_counted() {
    let sampler = r#""method": "sgld", "step_size": 0.1, "batch_size": 2"#;
    let mut config = config("poisson", "", sampler, 2_000_000);
    config.data.test_fraction = 0.5;
    let (problem, plan, _) = setup_config(&config, "poisson", 300, 2);
    assert!(plan.held > 0);
    let bytes: u64 = sngd_gpu::memory(&plan, &problem)
        .iter()
        .map(|(_, b)| b)
        .sum();
    assert!(bytes > 2_000_000 * 4);
}
