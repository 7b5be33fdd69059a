//! Problems, plans and a device for the tests.
#![allow(clippy::print_stdout, reason = "a skipped suite must be heard")]

use sngd_core::config::{Config, Precision};
use sngd_core::engine::{Engine, RawBlock, Span};
use sngd_core::features::Features;
use sngd_core::philox::{Stream, at, normals_f64, uniform};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_core::table::{Response, Table};
use sngd_cpu::CpuEngine;
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine, Tuning};

/// A device, which may be a software driver. Without one it is `None` and prints a line, or fails where `SNGD_TEST_DRIVER`
/// is set.
pub fn gpu() -> Option<Gpu> {
    if std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "none") {
        println!("SKIPPED: SNGD_TEST_DRIVER = none asks for no device");
        return None;
    }
    match Gpu::open(&DeviceSelector::Auto).or_else(|_| Gpu::open(&DeviceSelector::Software)) {
        Ok(g) => Some(g),
        Err(e) => {
            assert!(
                std::env::var_os("SNGD_TEST_DRIVER").is_none(),
                "SNGD_TEST_DRIVER is set, but {e}"
            );
            println!("SKIPPED, NO VULKAN DEVICE: {e}");
            None
        }
    }
}

/// The device with each form of the kernels. On a second Vulkan driver only the form for real GPUs: all other suites run
/// whole steps of the other form there.
pub fn gpus() -> Vec<Gpu> {
    let Some(gpu) = gpu() else { return vec![] };
    let forms = match second_driver() {
        true => &[Tuning::Hardware][..],
        false => &[Tuning::Hardware, Tuning::Software],
    };
    forms
        .iter()
        .copied()
        .map(|tuning| {
            let mut gpu = gpu.clone();
            gpu.tuning = tuning;
            gpu
        })
        .collect()
}

/// The forms of the kernels for one case out of a series: both in `cargo xtask long`, else the other one than for the case before. A
/// software driver takes seconds to compile a case, and each form meets every kernel in half of the cases.
pub fn gpus_in_turn() -> Vec<Gpu> {
    thread_local! {
        // each test has a thread of its own
        static CASES: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }
    let mut gpus = gpus();
    if !long() && gpus.len() > 1 {
        let case = CASES.replace(CASES.get() + 1);
        gpus = vec![gpus.swap_remove(case % gpus.len())];
    }
    gpus
}

/// Whether every case is asked for, however long it takes: `cargo xtask long`.
fn long() -> bool {
    std::env::var_os("SNGD_TEST_LONG").is_some()
}

/// Whether this is a second Vulkan driver, on which tests run fewer cases; not in `cargo xtask long`.
pub fn second_driver() -> bool {
    std::env::var("SNGD_TEST_DRIVER").is_ok_and(|d| d == "swiftshader") && !long()
}

/// The configurations of a test: all of them, but only one in `of` on a second driver. Every kernel and regime still runs.
pub fn one_in<T>(of: usize, all: &[T]) -> impl Iterator<Item = &T> {
    all.iter().step_by(if second_driver() { of } else { 1 })
}

/// A standard normal that depends on nothing but `seed` and `i`.
pub fn noise(seed: u64, i: usize) -> f64 {
    normals_f64(at(seed, Stream::Split, 0, 0, i as u32))[0]
}

/// A config from the sections of a run file, as JSON.
pub fn config(family: &str, model: &str, sampler: &str, chains: usize) -> Config {
    let text = format!(
        r#"{{"seed": 7, "data": {{"path": "none", "response": "y"}},
            "model": {{"likelihood": "{family}" {model}}},
            "prior": {{"weights": "normal(0, 2)", "intercept": "normal(0.5, 3)"}},
            "sampler": {{{sampler}}}, "run": {{"chains": {chains}}}}}"#
    );
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"))
}

/// A table of `n` rows and `d` skewed features, with a response that fits the family.
pub fn table(family: &str, n: usize, d: usize) -> Table {
    let mut features = Vec::with_capacity(n * d);
    let mut signal = vec![0.0; n];
    for i in 0..n {
        for j in 0..d {
            let z = noise(11, i * d + j)
                + if j > 0 {
                    0.3 * features[i * d + j - 1]
                } else {
                    0.0
                };
            features.push(z);
            signal[i] += z * (if j % 2 == 0 { 0.6 } else { -0.4 }) / (d as f64).sqrt();
        }
        signal[i] += 0.3;
    }
    let u = |i: usize| uniform(at(13, Stream::Split, 0, 0, i as u32)[0]);
    let logistic = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut trials = None;
    let response = match family {
        "gaussian" => Response::Numbers(
            (0..n)
                .map(|i| 2.0 + 3.0 * signal[i] + noise(17, i))
                .collect(),
        ),
        "bernoulli" => Response::Labels {
            index: (0..n)
                .map(|i| u32::from(u(i) < logistic(signal[i])))
                .collect(),
            levels: vec!["no".into(), "yes".into()],
        },
        "binomial" => {
            let t: Vec<f64> = (0..n).map(|i| 1.0 + (i % 7) as f64).collect();
            let y = (0..n)
                .map(|i| (t[i] * logistic(signal[i] + 0.3 * noise(19, i))).round())
                .collect();
            trials = Some(t);
            Response::Numbers(y)
        }
        "poisson" => Response::Numbers(
            (0..n)
                .map(|i| (signal[i] + 0.3 * noise(19, i)).exp().round())
                .collect(),
        ),
        "softmax" => Response::Labels {
            index: (0..n)
                .map(|i| ((u(i) * 2.0 + signal[i].tanh() + 1.0) as u32).min(2))
                .collect(),
            levels: vec!["a".into(), "b".into(), "c".into()],
        },
        other => panic!("no family {other}"),
    };
    Table {
        trials,
        ..Table::new(
            "test",
            (0..d).map(|j| format!("x{j}")).collect(),
            Features::new(d, features),
            response,
        )
    }
}

/// Problem, plan and starting points `[C,P]`.
pub fn setup(
    family: &str,
    model: &str,
    sampler: &str,
    (n, d, c): (usize, usize, usize),
) -> (Problem, Plan, Vec<f64>) {
    let mut config = config(family, model, sampler, c);
    if family == "binomial" {
        config.model.trials = Some("t".into());
    }
    setup_config(&config, family, n, d)
}

/// The same from a whole config.
pub fn setup_config(
    config: &Config,
    family: &str,
    n: usize,
    d: usize,
) -> (Problem, Plan, Vec<f64>) {
    let problem = Problem::build(config, table(family, n, d)).unwrap();
    let plan = Plan::check(config, &problem).unwrap();
    let init = (0..plan.chains * plan.p)
        .map(|i| 0.1 * noise(23, i))
        .collect();
    (problem, plan, init)
}

fn span(draws: u32) -> Span {
    Span {
        first_step: 0,
        draws,
        thin: 1,
        warmup: false,
    }
}

fn run(engine: &mut dyn Engine, draws: u32) -> RawBlock {
    engine.enqueue(span(draws)).unwrap();
    engine.collect().unwrap()
}

/// The largest error of ω in units of each parameter's sd over draws and chains, and the largest error of each statistic.
pub fn compare(
    gpu: &Gpu,
    problem: &Problem,
    plan: &Plan,
    init: &[f64],
    steps: u32,
) -> (f64, Vec<f64>) {
    let mut ours = GpuEngine::new(gpu.clone(), problem, plan, init).unwrap();
    let mut oracle = CpuEngine::new(Precision::F64, problem, plan, init, Some(1)).unwrap();
    let (a, b) = (run(&mut ours, steps), run(&mut oracle, steps));
    assert_eq!(a.faults, b.faults);
    assert_eq!(a.fallbacks, b.fallbacks);
    let p = plan.p;
    let mut worst = 0.0f64;
    for j in 0..p {
        let column: Vec<f64> = b.omega.iter().skip(j).step_by(p).copied().collect();
        let mean = column.iter().sum::<f64>() / column.len() as f64;
        let sd =
            (column.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / column.len() as f64).sqrt();
        for (x, y) in a.omega.iter().skip(j).step_by(p).zip(&column) {
            let e = (x - y).abs() / sd;
            worst = if e > worst || e.is_nan() { e } else { worst };
        }
    }
    let s = Stat::COUNT;
    let stats = (0..s)
        .map(|k| {
            a.stats
                .iter()
                .zip(&b.stats)
                .skip(k)
                .step_by(s)
                .fold(0.0f64, |w, (x, y)| {
                    if x.is_nan() && y.is_nan() {
                        return w;
                    }
                    let e = (x - y).abs() / (1.0 + y.abs());
                    if e > w || e.is_nan() { e } else { w }
                })
        })
        .collect();
    (worst, stats)
}
