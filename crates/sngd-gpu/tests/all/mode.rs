//! Plans with the metric at the mode: the device in f32, compared with the CPU engine in f64 step by step. Both use the same
//! Philox counters, so both make the same chain.
#![allow(clippy::print_stdout, reason = "the errors seen are worth reading")]

use crate::common::{self, gpu, gpus, gpus_in_turn, noise, one_in};
use sngd_core::config::{Config, Gradient, Precision, Schedule, StepSize, Storage};
use sngd_core::engine::{Engine, EngineError, FaultKind, RawBlock, Span};
use sngd_core::likelihood::{Custom, Likelihood, WgslBody};
use sngd_core::plan::{Metric, Plan};
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_cpu::{CpuEngine, map, mode};
use sngd_gpu::{GpuEngine, Tuning, dispatches, memory};
use sngd_shaders::Interpreted;
use std::sync::Arc;

const FEW: &str =
    r#""gradient": "control_variates", "batch_size": 24, "metric": "mode", "step_size": 0.3"#;
const EXACT: &str = r#""method": "mala", "metric": "mode", "step_size": 0.4"#;
const FULL: &str = r#""method": "sngd", "metric": "mode", "batch_size": "full", "step_size": 0.4"#;

/// Problem, plan, and starting points one posterior sd from the mode.
fn made(config: &Config, family: &str, (n, p): (usize, usize)) -> (Problem, Plan, Vec<f64>) {
    let mut problem = Problem::build(config, common::table(family, n, p)).unwrap();
    let found = map::search(&problem, 0.0, 1e-12).unwrap();
    let plan = mode::settle(config, &mut problem, &found).unwrap().plan;
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

/// The largest difference in any coordinate of u between two lists of positions, `[m,P]`.
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

/// The largest difference between two lists, relative to 1 plus the size of the numbers.
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
    let mut oracle = CpuEngine::new(Precision::F64, problem, plan, init, Some(1)).unwrap();
    let b = run(&mut oracle, span(0, 31, 1));
    for gpu in gpus_in_turn() {
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
        let stats: Vec<f64> = (0..Stat::COUNT)
            .map(|k| {
                let of = |block: &RawBlock| -> Vec<f64> {
                    let column = block.stats.iter().skip(k).step_by(Stat::COUNT);
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

/// Few rows per step, with P, C and N at the edges of tiles and vectors. In one case P is so large that vectors do not fit
/// workgroup memory.
#[test]
fn few_rows_at_every_size() {
    for &(p, c, n, batch) in one_in(
        2,
        &[
            (1, 3, 40, 24),
            (5, 70, 300, 24),
            (64, 1, 500, 24),
            (1100, 2, 2500, 1200),
            (130, 3, 700, 100),
            (300, 3, 1500, 200),
        ],
    ) {
        let sampler = FEW.replace("24", &batch.to_string());
        // Where a batch has little information on many parameters, rounding errors would grow in long steps.
        let sampler = sampler.replace("0.3", if p > 1000 { "0.1" } else { "0.3" });
        let case = setup(("bernoulli", "", &sampler), (n, p, c));
        assert_eq!(case.1.gradient, Gradient::ControlVariates);
        check(&format!("few rows, P = {p}, C = {c}"), &case, 2e-5);
    }
}

/// Batches smaller and larger than a tile of rows, and a batch of one row.
#[test]
fn few_rows_of_every_batch() {
    for batch in [1, 2, 7, 65, 250] {
        let sampler = FEW.replace("24", &batch.to_string());
        let case = setup(("bernoulli", "", &sampler), (400, 20, 3));
        assert_eq!(case.1.batch, batch);
        check(&format!("batches of {batch}"), &case, 2e-5);
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
    for &(family, model) in one_in(2, &FAMILIES) {
        let case = setup((family, model, FEW), (300, 9, 3));
        check(&format!("few rows, {family} {model}"), &case, 2e-5);
    }
}

#[test]
fn all_rows_at_every_size() {
    for &(p, c, n) in one_in(
        2,
        &[
            (1, 3, 40),
            (5, 70, 300),
            (64, 1, 500),
            (130, 3, 700),
            (300, 17, 1500),
        ],
    ) {
        for sampler in [EXACT, FULL] {
            let case = setup(("bernoulli", "", sampler), (n, p, c));
            assert!(case.1.full_batch);
            check(
                &format!("all rows, {sampler}, P = {p}, C = {c}"),
                &case,
                2e-5,
            );
        }
    }
}

#[test]
fn all_rows_of_every_likelihood() {
    for &(family, model) in one_in(2, &FAMILIES) {
        let case = setup((family, model, EXACT), (300, 9, 5));
        check(&format!("all rows, {family} {model}"), &case, 2e-5);
    }
}

/// Designs of 16 bits are packed in pairs, also across rows of an odd number of columns, and take half of the memory.
#[test]
fn sixteen_bit_designs() {
    for (family, model, few) in [
        ("bernoulli", "", FEW.into()),
        ("softmax", "", FEW.replace("24", "150")),
    ] {
        for sampler in [few.as_str(), EXACT] {
            for storage in [Storage::F16, Storage::Bf16] {
                let mut config = common::config(family, model, sampler, 3);
                config.data.storage = storage;
                let case = made(&config, family, (301, 8));
                let columns = case.1.expansion.as_ref().unwrap().columns;
                assert_eq!(columns, 9);
                let x = memory(&case.1, &case.0).into_iter().find(|b| b.0 == "x");
                assert_eq!(x.unwrap().1, 2 * (301 * 9 + 1));
                let tolerance = if family == "softmax" { 2e-4 } else { 2e-5 };
                check(
                    &format!("{storage:?}, {family}, {sampler}"),
                    &case,
                    tolerance,
                );
            }
        }
    }
}

/// A scale with a flat prior, estimated together with the coefficients.
#[test]
fn auxiliary_output() {
    for sampler in [FEW, EXACT, FULL] {
        for (n, p, c) in [(60, 3, 3), (400, 40, 5)] {
            let mut config = common::config("gaussian", r#", "scale": "unknown""#, sampler, c);
            config.prior.0.insert("scale".into(), "flat".into());
            let case = made(&config, "gaussian", (n, p - 2));
            assert_eq!(case.1.p, p);
            assert!(case.1.expansion.as_ref().unwrap().quadratic_prior);
            check(&format!("auxiliary, {sampler}, P = {p}"), &case, 2e-5);
        }
    }
}

/// Several linear outputs, where the design is not whitened. A shift common to all classes moves coordinates of u more than
/// it moves the differences of predictors that matter, so f32 is less exact than with one output.
#[test]
fn several_outputs() {
    for sampler in [&FEW.replace("24", "150"), EXACT, FULL] {
        for model in ["", r#", "baseline": "first""#] {
            for (n, d, c) in [(200, 3, 3), (500, 30, 9)] {
                let case = setup(("softmax", model, sampler), (n, d, c));
                assert!(!case.1.expansion.as_ref().unwrap().whitened);
                let tolerance = 2e-4;
                check(
                    &format!("softmax {model}, {sampler}, D = {d}"),
                    &case,
                    tolerance,
                );
            }
        }
    }
}

/// A chain's bits do not depend on how spans are cut or on how many other chains run.
#[test]
fn bits_do_not_depend_on_spans_or_neighbours() {
    let Some(gpu) = gpu() else { return };
    for sampler in [FEW, EXACT] {
        let (problem, plan, init) = setup(("bernoulli", "", sampler), (700, 20, 40));
        let p = plan.p;
        let mut whole = GpuEngine::new(gpu.clone(), &problem, &plan, &init).unwrap();
        let all = run(&mut whole, span(3, 12, 2));
        let mut cut = GpuEngine::new(gpu.clone(), &problem, &plan, &init).unwrap();
        let mut pieces = Vec::new();
        for (first, draws) in [(3, 1), (5, 7), (19, 4)] {
            cut.enqueue(span(first, draws, 2)).unwrap();
        }
        for _ in 0..3 {
            pieces.push(cut.collect().unwrap());
        }
        let joined = |of: fn(&RawBlock) -> &Vec<f64>| -> Vec<u64> {
            let numbers = pieces.iter().flat_map(of);
            numbers.map(|x| x.to_bits()).collect()
        };
        let bits = |v: &[f64]| -> Vec<u64> { v.iter().map(|x| x.to_bits()).collect() };
        assert_eq!(joined(|b| &b.omega), bits(&all.omega), "{sampler}");
        assert_eq!(joined(|b| &b.gradient), bits(&all.gradient));
        assert_eq!(joined(|b| &b.stats), bits(&all.stats));
        assert_eq!(cut.state().unwrap(), whole.state().unwrap());
        // An engine that is loaded afresh goes on from another's state.
        let state = cut.state().unwrap();
        let mut fresh = GpuEngine::new(gpu.clone(), &problem, &plan, &init).unwrap();
        fresh.restore(&state).unwrap();
        let (on, again) = (
            run(&mut cut, span(27, 9, 2)),
            run(&mut fresh, span(27, 9, 2)),
        );
        assert_eq!(bits(&on.omega), bits(&again.omega), "{sampler}");
        assert_eq!(bits(&on.stats), bits(&again.stats), "{sampler}");
        for chains in [1, 17] {
            let fewer = Plan {
                chains,
                ..plan.clone()
            };
            let mut engine =
                GpuEngine::new(gpu.clone(), &problem, &fewer, &init[..chains * p]).unwrap();
            let some = run(&mut engine, span(3, 12, 2));
            let width = plan.chains * p;
            for (few, many) in some.omega.chunks(chains * p).zip(all.omega.chunks(width)) {
                assert_eq!(bits(few), bits(&many[..chains * p]), "{sampler}, {chains}");
            }
        }
    }
}

/// Priors that are not quadratic: on some coefficients, on all, and on a scale.
#[test]
fn other_priors() {
    for sampler in [&FEW.replace("24", "120"), EXACT, FULL] {
        for (family, weights, intercept, scale, p) in [
            (
                "gaussian",
                "student_t(3, 0, 1)",
                "normal(0, 2)",
                "half_cauchy(1)",
                5,
            ),
            ("gaussian", "normal(0, 1)", "flat", "exponential(1)", 20),
            ("gaussian", "laplace(0, 0.5)", "flat", "inv_gamma(3, 2)", 12),
            (
                "gaussian",
                "normal(0, 1)",
                "cauchy(0, 1)",
                "half_normal(0, 1)",
                7,
            ),
            ("bernoulli", "cauchy(0, 1)", "student_t(4, 1, 1)", "", 90),
            ("bernoulli", "normal(0, 1)", "laplace(0, 1)", "", 9),
            ("softmax", "student_t(3, 0, 1)", "cauchy(0, 1)", "", 6),
        ] {
            let model = match family {
                "gaussian" => r#", "scale": "unknown""#,
                "softmax" => r#", "baseline": "first""#,
                _ => "",
            };
            let mut config = common::config(family, model, sampler, 3);
            let mut say = |name: &str, text: &str| {
                config.prior.0.insert(name.into(), text.into());
            };
            say("weights", weights);
            say("intercept", intercept);
            if !scale.is_empty() {
                say("scale", scale);
            }
            let case = made(&config, family, (250, p));
            assert!(!case.1.expansion.as_ref().unwrap().quadratic_prior);
            let what = format!("{family}, {weights} {intercept} {scale}, {sampler}");
            check(&what, &case, 2e-5);
        }
    }
}

/// Two linear outputs and an auxiliary one, coupled: mean, log sd, and a number that is drawn to 0.3 times the log sd.
const COUPLED: &str = "
fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let r = (obs.x - eta[0]) * exp_of(-eta[1]);
    let d = eta[2] - 0.3 * eta[1];
    return -eta[1] - 0.5 * r * r - 0.5 * d * d;
}
fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let inverse = exp_of(-eta[1]);
    let r = (obs.x - eta[0]) * inverse;
    let d = eta[2] - 0.3 * eta[1];
    return array<f32, H>(r * inverse, r * r - 1.0 + 0.3 * d, -d);
}
fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(exp_of(-2.0 * eta[1]), 0.0, 2.09, 0.0, -0.3, 1.0);
}
";

/// A likelihood that is written only in WGSL.
fn own(text: &str, linear: usize) -> Custom {
    let wgsl = WgslBody {
        file: "own.wgsl".into(),
        text: text.into(),
    };
    let body = Interpreted::new(&wgsl, linear + 1, linear).unwrap();
    Custom {
        name: "own".into(),
        linear_outputs: linear,
        auxiliary: Some("extra".into()),
        body: Arc::new(body),
        wgsl: Some(wgsl),
    }
}

fn custom_config(own: Custom, sampler: &str) -> Config {
    let mut config = common::config("custom", "", sampler, 3);
    config.model.custom = Some(Arc::new(own));
    config
        .prior
        .0
        .insert("extra".into(), "half_normal(0, 2)".into());
    config
}

/// User-defined likelihoods with one and with two linear outputs, each with an auxiliary one.
#[test]
fn custom_likelihoods() {
    let counts = include_str!("../../../../examples/likelihoods/negative_binomial.wgsl");
    for (text, linear, family) in [(counts, 1, "poisson"), (COUPLED, 2, "gaussian")] {
        for sampler in [&FEW.replace("24", "100"), EXACT, FULL] {
            let config = custom_config(own(text, linear), sampler);
            let case = made(&config, family, (220, 4));
            assert_eq!(case.1.expansion.as_ref().unwrap().whitened, linear == 1);
            check(&format!("custom, K = {linear}, {sampler}"), &case, 2e-4);
        }
    }
}

#[test]
fn a_custom_likelihood_without_wgsl_is_refused() {
    let Some(gpu) = gpu() else { return };
    let config = custom_config(own(COUPLED, 2), EXACT);
    let (mut problem, plan, init) = made(&config, "gaussian", (100, 2));
    let mut bare = own(COUPLED, 2);
    bare.wgsl = None;
    problem.likelihood = Likelihood::Custom(Arc::new(bare));
    let told = GpuEngine::new(gpu, &problem, &plan, &init).unwrap_err();
    assert!(told.to_string().contains("run.device = \"cpu\""), "{told}");
}

/// A step size that changes from step to step, many steps per dispatch, and temperatures of 0, 1 and 2.
#[test]
fn schedules_long_spans_and_temperatures() {
    for sampler in [FEW, EXACT, FULL] {
        let (problem, mut plan, init) = setup(("bernoulli", "", sampler), (500, 12, 3));
        plan.step_size = StepSize::Schedule(Schedule::Ruler { initial: 0.9 });
        for temperature in [0.0, 1.0, 2.0] {
            plan.temperature = temperature;
            if plan.metropolis && temperature == 0.0 {
                continue;
            }
            let mut oracle =
                CpuEngine::new(Precision::F64, &problem, &plan, &init, Some(1)).unwrap();
            let b = run(&mut oracle, span(5, 4, 150));
            for gpu in gpus() {
                let mut ours = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
                let a = run(&mut ours, span(5, 4, 150));
                let far = apart(&plan, &a.omega, &b.omega);
                println!("ruler, {sampler}, T = {temperature}: {far:.1e}");
                assert!(far < 2e-5, "{sampler}, T = {temperature}: {far}");
                let stats = differ(a.stats.iter().copied(), b.stats.iter().copied());
                assert!(stats < 1e-4, "{sampler}, T = {temperature}: {stats}");
            }
        }
    }
}

/// A chain that starts far too far from the mode ends, at the same step and with the same results as on the CPU. The other
/// chains go on.
#[test]
fn a_diverged_chain_ends_alone() {
    for sampler in [FEW, FULL] {
        let (problem, plan, mut init) = setup(("bernoulli", "", sampler), (200, 5, 3));
        let p = plan.p;
        let far: &mut [f64] = &mut init[p..2 * p];
        far.fill(4e5);
        plan.expansion.as_ref().unwrap().to_internal(far);
        let mut oracle = CpuEngine::new(Precision::F64, &problem, &plan, &init, Some(1)).unwrap();
        let b = run(&mut oracle, span(0, 3, 2));
        assert_eq!(b.faults.len(), 1);
        assert_eq!(b.faults[0].kind, FaultKind::Diverged);
        for gpu in gpus() {
            let mut ours = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
            let a = run(&mut ours, span(0, 3, 2));
            assert_eq!(a.faults, b.faults, "{sampler}");
            assert_eq!(a.fallbacks, b.fallbacks);
            for (i, (x, y)) in a.omega.iter().zip(&b.omega).enumerate() {
                assert_eq!(x.is_nan(), y.is_nan(), "{sampler}, {i}");
                assert!(
                    y.is_nan() || (x - y).abs() < 1e-5 * (1.0 + y.abs()),
                    "{sampler}, {i}"
                );
            }
            for (i, (x, y)) in a.stats.iter().zip(&b.stats).enumerate() {
                if i % Stat::COUNT == Stat::Diverging.at() {
                    assert!(
                        x == y || (x.is_nan() && y.is_nan()),
                        "{sampler}, {i}: {x} {y}"
                    );
                }
            }
        }
    }
}

/// A step whose gradient is not finite is not made, and is counted.
#[test]
fn a_step_that_is_not_finite_is_not_made() {
    for sampler in [FEW, FULL] {
        let (problem, plan, mut init) = setup(("poisson", "", sampler), (30, 3, 3));
        let p = plan.p;
        let far: &mut [f64] = &mut init[p..2 * p];
        far.fill(5e4);
        plan.expansion.as_ref().unwrap().to_internal(far);
        let kept = far.to_vec();
        let mut oracle = CpuEngine::new(Precision::F64, &problem, &plan, &init, Some(1)).unwrap();
        let b = run(&mut oracle, span(0, 3, 2));
        assert!(b.fallbacks > 0);
        for gpu in gpus() {
            let mut ours = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
            let a = run(&mut ours, span(0, 3, 2));
            assert_eq!(
                (a.fallbacks, &a.faults),
                (b.fallbacks, &b.faults),
                "{sampler}"
            );
            for draw in a.omega.chunks(3 * p) {
                for (x, y) in draw[p..2 * p].iter().zip(&kept) {
                    assert!(
                        (x - y).abs() < 1e-5 * y.abs().max(1.0),
                        "{sampler}: {x} {y}"
                    );
                }
            }
        }
    }
}

/// Memory and dispatches that `sngd check` reports are those of the engine.
#[test]
fn memory_and_dispatches_are_told() {
    for (sampler, stages) in [
        (FEW, vec!["subsampled"]),
        (
            EXACT,
            vec![
                "propose",
                "predictor",
                "residuals",
                "transpose",
                "fold",
                "settle",
            ],
        ),
    ] {
        let (problem, plan, init) = setup(("bernoulli", "", sampler), (300, 9, 5));
        let memory = memory(&plan, &problem);
        let of = |name: &str| memory.iter().find(|(n, _)| n == name).unwrap().1;
        assert_eq!(of("x"), 4 * 300 * 9);
        assert_eq!(of("rows"), 4 * 300 * 8);
        let told = dispatches(&plan, Tuning::Hardware);
        let names: Vec<&str> = told.iter().map(|(n, _)| n.as_str()).collect();
        assert_eq!(names, stages);
        let Some(gpu) = gpu() else { return };
        let mut engine = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
        let before = engine.state().unwrap();
        let timed: Vec<String> = engine
            .time_stages(2)
            .unwrap()
            .into_iter()
            .map(|t| t.0)
            .collect();
        assert_eq!(timed, stages);
        assert_eq!(engine.state().unwrap(), before);
    }
}

#[test]
fn what_does_not_fit_is_told_with_what_does() {
    let Some(gpu) = gpu() else { return };
    for sampler in [FEW, EXACT] {
        let (problem, plan, _) = setup(("bernoulli", "", sampler), (100, 5, 2));
        let many = Plan {
            chains: 70_000,
            ..plan.clone()
        };
        let init = vec![0.0; 70_000 * plan.p];
        let told = GpuEngine::new(gpu.clone(), &problem, &many, &init).unwrap_err();
        let EngineError::DoesNotFit(text) = told else {
            panic!("{told:?}")
        };
        assert!(
            text.contains("the most chains that fit are 65535"),
            "{text}"
        );
    }
}

/// Rows in one chunk for GPUs and in several for software drivers give the same sums, bit for bit: they are in the order of
/// rows.
#[test]
fn chunks_of_rows_do_not_change_sums() {
    let case = setup(("bernoulli", "", EXACT), (9000, 3, 70));
    check("chunks", &case, 2e-5);
    let (problem, plan, init) = case;
    let blocks: Vec<RawBlock> = gpus()
        .into_iter()
        .map(|gpu| {
            let mut engine = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
            let fold = dispatches(&plan, Tuning::Software)
                .into_iter()
                .find(|d| d.0 == "fold");
            assert_eq!(fold.unwrap().1, 3.0);
            run(&mut engine, span(0, 5, 1))
        })
        .collect();
    for pair in blocks.windows(2) {
        assert_eq!(pair[0], pair[1]);
    }
}

/// With the metric at the mode a chain's bits do not depend on how many others run, over all rows and over a few: no sum is
/// split by chains, though the rows of a dispatch are.
#[test]
fn a_chain_has_the_same_bits_alone_and_among_others() {
    const CHAINS: usize = 40;
    let samplers = [EXACT, FULL, FEW];
    for (&sampler, family) in samplers.iter().zip(["bernoulli", "softmax", "poisson"]) {
        // So many rows that 40 chains take two dispatches for them on a software driver, and one chain takes one.
        let (problem, plan, init) = setup((family, "", sampler), (9000, 9, CHAINS));
        for gpu in gpus() {
            let draws = |chains: usize| -> Vec<Vec<u64>> {
                let plan = Plan {
                    chains,
                    ..plan.clone()
                };
                let init = &init[..chains * plan.p];
                let mut engine = GpuEngine::new(gpu.clone(), &problem, &plan, init).unwrap();
                let block = run(&mut engine, span(0, 12, 1));
                let draw = |w: &[f64]| w.iter().map(|w| w.to_bits()).collect();
                block.omega.chunks(plan.p).map(draw).collect()
            };
            let all = draws(CHAINS);
            for chains in [1, 7, 17] {
                for (i, draw) in draws(chains).iter().enumerate() {
                    let (step, chain) = (i / chains, i % chains);
                    assert!(
                        *draw == all[step * CHAINS + chain],
                        "{family}, {:?}: chain {chain} of {chains} at step {step}",
                        gpu.tuning
                    );
                }
            }
        }
    }
}
