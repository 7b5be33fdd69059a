//! Plans with the metric at the mode: the device in f32 against the CPU engine in f64, step by step: same counters, so the
//! same chain.
#![allow(clippy::print_stdout, reason = "the errors seen are worth reading")]

mod common;

use common::{gpu, gpus, noise};
use sngd_core::config::{Config, Gradient};
use sngd_core::engine::{Engine, EngineError, FaultKind, RawBlock, STATS, Span};
use sngd_core::plan::{Metric, Plan};
use sngd_core::problem::Problem;
use sngd_cpu::{CpuEngine, map, mode};
use sngd_gpu::{Gpu, GpuEngine, Tuning};

const FEW: &str =
    r#""gradient": "control_variates", "batch_size": 24, "metric": "mode", "step_size": 0.3"#;
const EXACT: &str = r#""method": "mala", "metric": "mode", "step_size": 0.4"#;
const FULL: &str = r#""method": "sngd", "metric": "mode", "batch_size": "full", "step_size": 0.4"#;

/// Problem, plan and starting points one posterior sd from the mode.
fn made(config: &Config, family: &str, (n, p): (usize, usize)) -> (Problem, Plan, Vec<f64>) {
    let problem = Problem::build(config, common::table(family, n, p)).unwrap();
    let found = map::search(&problem, 0.0, 1e-12).unwrap();
    let plan = mode::settle(config, &problem, &found.omega).unwrap().plan;
    assert_eq!(plan.metric, Metric::Mode);
    let expansion = plan.expansion.as_ref().unwrap();
    let mut init: Vec<f64> = (0..plan.chains * plan.p).map(|i| noise(23, i)).collect();
    for u in init.chunks_mut(plan.p) {
        expansion.to_internal(u);
    }
    (problem, plan, init)
}

/// The same from sections of a run file; P counts the intercept.
fn setup(
    (family, model, sampler): (&str, &str, &str),
    (n, p, c): (usize, usize, usize),
) -> (Problem, Plan, Vec<f64>) {
    let mut config = common::config(family, model, sampler, c);
    if family == "binomial" {
        config.model.trials = Some("t".into());
    }
    if p == 1 {
        config.data.intercept = false;
        config.prior.0.remove("intercept");
        return made(&config, family, (n, 1));
    }
    made(&config, family, (n, p - 1))
}

fn span(first_step: u32, draws: u32, thin: u32) -> Span {
    Span {
        first_step,
        draws,
        thin,
        warmup: false,
    }
}

fn run(engine: &mut dyn Engine, span: Span) -> RawBlock {
    engine.enqueue(span).unwrap();
    engine.collect().unwrap()
}

/// The largest distance in u of two lists of positions, `[m,P]`.
fn apart(plan: &Plan, a: &[f64], b: &[f64]) -> f64 {
    let expansion = plan.expansion.as_ref().unwrap();
    let (mut u, mut v) = (vec![0.0; plan.p], vec![0.0; plan.p]);
    let mut worst = 0.0f64;
    assert_eq!(a.len(), b.len());
    for (a, b) in a.chunks(plan.p).zip(b.chunks(plan.p)) {
        expansion.whiten(a, &mut u);
        expansion.whiten(b, &mut v);
        for (u, v) in u.iter().zip(&v) {
            let e = (u - v).abs();
            worst = if e > worst || e.is_nan() { e } else { worst };
        }
    }
    worst
}

/// The largest difference of two lists, against 1 and the size of the numbers.
fn differ(a: impl Iterator<Item = f64>, b: impl Iterator<Item = f64>) -> f64 {
    a.zip(b).fold(0.0, |worst: f64, (x, y)| {
        let e = (x - y).abs() / (1.0 + y.abs());
        if x.is_nan() && y.is_nan() {
            worst
        } else if e > worst || e.is_nan() {
            e
        } else {
            worst
        }
    })
}

/// Runs 31 steps on both engines and compares every draw.
fn check(what: &str, (problem, plan, init): &(Problem, Plan, Vec<f64>), tolerance: f64) {
    let mut oracle = CpuEngine::<f64>::new(problem, plan, init, Some(1)).unwrap();
    let b = run(&mut oracle, span(0, 31, 1));
    for gpu in gpus() {
        let mut ours = GpuEngine::new(gpu.clone(), problem, plan, init).unwrap();
        let a = run(&mut ours, span(0, 31, 1));
        assert_eq!(a.faults, b.faults, "{what}");
        assert_eq!(a.fallbacks, b.fallbacks, "{what}");
        assert!(a.predicted.is_none());
        let row = plan.chains * plan.p;
        let errors: Vec<f64> = [1, 5, 30]
            .map(|i| apart(plan, &a.omega[i * row..][..row], &b.omega[i * row..][..row]))
            .to_vec();
        let gradients = differ(a.gradient.iter().copied(), b.gradient.iter().copied());
        let stats: Vec<f64> = (0..STATS.len())
            .map(|k| {
                let of = |block: &RawBlock| -> Vec<f64> {
                    let column = block.stats.iter().skip(k).step_by(STATS.len());
                    column.copied().collect()
                };
                differ(of(&a).into_iter(), of(&b).into_iter())
            })
            .collect();
        let tell = |v: &[f64]| {
            let each: Vec<String> = v.iter().map(|e| format!("{e:.0e}")).collect();
            each.join(" ")
        };
        println!(
            "{what}, {:?}: {} sd, gradient {gradients:.1e}, stats {}",
            gpu.tuning,
            tell(&errors),
            tell(&stats)
        );
        assert!(errors.iter().all(|e| *e < tolerance), "{what}: {errors:?}");
        assert!(gradients < 20.0 * tolerance, "{what}: gradient {gradients}");
        assert!(
            stats.iter().all(|s| *s < 20.0 * tolerance),
            "{what}: {stats:?}"
        );
        let state = ours.state().unwrap();
        assert_eq!(state.step, 31);
        let expected = oracle.state().unwrap();
        assert!(
            apart(plan, &state.omega, &expected.omega) < tolerance,
            "{what}"
        );
    }
}

/// P at the seams of tiles and vectors, C and N too, with few rows a step.
#[test]
fn few_rows_at_every_size() {
    for (p, c, n) in [
        (1, 3, 40),
        (5, 70, 300),
        (64, 1, 500),
        (130, 3, 700),
        (300, 3, 1500),
    ] {
        let case = setup(("bernoulli", "", FEW), (n, p, c));
        assert_eq!(case.1.gradient, Gradient::ControlVariates);
        check(&format!("few rows, P = {p}, C = {c}"), &case, 3e-4);
    }
}

/// Batches below and above a tile of rows, one row too.
#[test]
fn few_rows_of_every_batch() {
    for batch in [1, 2, 7, 65, 250] {
        let sampler = FEW.replace("24", &batch.to_string());
        let case = setup(("bernoulli", "", &sampler), (400, 20, 3));
        assert_eq!(case.1.batch, batch);
        check(&format!("batches of {batch}"), &case, 3e-4);
    }
}

const FAMILIES: [(&str, &str); 5] = [
    ("bernoulli", ""),
    ("bernoulli", r#", "link": "probit""#),
    ("binomial", ""),
    ("binomial", r#", "link": "cloglog""#),
    ("poisson", ""),
];

#[test]
fn few_rows_of_every_likelihood() {
    for (family, model) in FAMILIES {
        let case = setup((family, model, FEW), (300, 9, 3));
        check(&format!("few rows, {family} {model}"), &case, 3e-4);
    }
}

#[test]
fn all_rows_at_every_size() {
    for (p, c, n) in [
        (1, 3, 40),
        (5, 70, 300),
        (64, 1, 500),
        (130, 3, 700),
        (300, 17, 1500),
    ] {
        for sampler in [EXACT, FULL] {
            let case = setup(("bernoulli", "", sampler), (n, p, c));
            assert!(case.1.full_batch);
            check(
                &format!("all rows, {sampler}, P = {p}, C = {c}"),
                &case,
                3e-4,
            );
        }
    }
}

#[test]
fn all_rows_of_every_likelihood() {
    for (family, model) in FAMILIES {
        let case = setup((family, model, EXACT), (300, 9, 5));
        check(&format!("all rows, {family} {model}"), &case, 3e-4);
    }
}
