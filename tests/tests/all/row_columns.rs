//! Offsets and frequencies of rows with the metric at the state: chains of a table with frequencies are those of the long table,
//! closed forms, the noise of minibatches, and what is refused.

use sngd::from_wgsl;
use sngd_core::config::Config;
use sngd_core::differences;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_core::table::{Response, Table};
use sngd_cpu::{map, preflight};
use sngd_tests::compare::assert_moments;
use sngd_tests::drive::{self, Draws, Kind, kinds};
use sngd_tests::likelihoods::{custom, wgsl};
use sngd_tests::small;
use statrs::function::gamma::digamma;
use std::sync::Arc;

/// Numbers in [0, 1) without a pattern that a model could see.
fn wave(i: usize, k: usize) -> f64 {
    ((i * (7 * k + 37) * 7919 + k * 104_729) % 10_007) as f64 / 10_007.0
}

/// A table of 40 rows with two features that count 0 to 3 times. What rows that count 0 times hold is of no use to any model.
fn counted(model: &str) -> Table {
    let n = 40;
    let weights: Vec<f64> = (0..n).map(|i| (i * i % 4 + i % 3) as f64).collect();
    let column = |k: usize| -> Vec<f64> {
        let value = |i: usize| 2.0 * wave(i, k) - 1.0;
        (0..n)
            .map(|i| value(i) * if weights[i] == 0.0 { 1e4 } else { 1.0 })
            .collect()
    };
    let class = |levels: usize| {
        let index: Vec<u32> = (0..n)
            .map(|i| (wave(i, 5) * levels as f64) as u32)
            .collect();
        small::labels(&index, levels)
    };
    let response = if model.contains("softmax") {
        class(3)
    } else if model.contains("bernoulli") {
        class(2)
    } else if model.contains("gaussian") || model.contains("custom") {
        Response::Numbers((0..n).map(|i| 3.0 * wave(i, 5)).collect())
    } else {
        Response::Numbers((0..n).map(|i| (4.0 * wave(i, 5)).floor()).collect())
    };
    let (a, b) = (column(1), column(2));
    let mut out = small::table(&[("a", &a), ("b", &b)], response);
    out.trials = model.contains("binomial").then(|| vec![5.0; n]);
    if !model.contains("softmax") {
        out.offset = Some((0..n).map(|i| wave(i, 3) - 0.5).collect());
    }
    out.weights = Some(weights);
    out
}

/// The table in which every row stands as often as it counts.
fn long(short: &Table) -> Table {
    let times = short.weights.as_deref().expect("weights");
    let rows: Vec<usize> = (0..times.len())
        .flat_map(|i| std::iter::repeat_n(i, times[i] as usize))
        .collect();
    let pick = |v: &Vec<f64>| -> Vec<f64> { rows.iter().map(|&i| v[i]).collect() };
    Table {
        trials: short.trials.as_ref().map(pick),
        offset: short.offset.as_ref().map(pick),
        ..Table::new(
            short.source.clone(),
            short.feature_names.clone(),
            short.features.gather(&rows),
            match &short.response {
                Response::Numbers(v) => Response::Numbers(pick(v)),
                Response::Labels { index, levels } => Response::Labels {
                    index: rows.iter().map(|&i| index[i]).collect(),
                    levels: levels.clone(),
                },
            },
        )
    }
}

fn problem(text: &str, table: Table) -> (Config, Problem) {
    let mut config = small::config(text);
    if text.contains("custom") {
        let own = from_wgsl(wgsl("student_t"), 1, custom("student_t").auxiliary);
        config.model.custom = Some(Arc::new(own.expect("a body")));
    }
    let problem = Problem::build(&config, table).expect("the problem builds");
    (config, problem)
}

/// Draws from given starts, internal coordinates, `[C,P]`; `None` if there is no such engine.
fn chain(kind: Kind, config: &Config, problem: &Problem, init: &[f64]) -> Option<Draws> {
    let plan = Plan::check(config, problem).expect("the plan is sound");
    let mut engine = drive::engine(kind, problem, &plan, init).expect("loads")?;
    let d = Draws::of(engine.as_mut(), problem, &plan).expect("runs");
    assert!(d.faults.is_empty(), "{kind:?} {:?}", d.faults);
    Some(d)
}

/// Starts near the mode of a linear predictor, or at a network's standard start.
fn starts(config: &Config, problem: &Problem) -> Vec<f64> {
    let plan = Plan::check(config, problem).expect("the plan is sound");
    let Some(net) = &problem.network else {
        let mode = map::find(problem, &plan).expect("a mode");
        return drive::dispersed(&plan, &mode, 1.0);
    };
    let mut out = vec![0.0; plan.chains * plan.p];
    for (c, omega) in out.chunks_mut(plan.p).enumerate() {
        net.start(omega, 1, c as u32);
    }
    out
}

/// Largest difference between draws and their statistics, relative to their size; a number that is none in one of them is far off.
fn apart(a: &Draws, b: &Draws) -> f64 {
    let pairs = |a: &[f64], b: &[f64]| -> f64 {
        let far = |(a, b): (&f64, &f64)| {
            let far = (a - b).abs() / (1.0 + b.abs());
            if far.is_nan() { f64::INFINITY } else { far }
        };
        a.iter().zip(b).map(far).fold(0.0, f64::max)
    };
    let mut worst = pairs(&a.internal, &b.internal);
    for stat in [Stat::LpMinibatch, Stat::GradNorm, Stat::AcceptanceRate] {
        worst = worst.max(pairs(&a.stat(stat), &b.stat(stat)));
    }
    worst
}

const LINEAR: [&str; 6] = [
    "likelihood = \"poisson\"",
    "likelihood = \"bernoulli\"",
    "likelihood = \"binomial\"\ntrials = \"t\"\nlink = \"cloglog\"",
    "likelihood = \"gaussian\"",
    "likelihood = \"softmax\"",
    "likelihood = \"custom\"",
];
const NETWORKS: [&str; 3] = [
    "predictor = \"mlp\"\nhidden = [3]\nlikelihood = \"gaussian\"\nscale = 1.0",
    "predictor = \"mlp\"\nhidden = [3]\nlikelihood = \"poisson\"",
    "predictor = \"mlp\"\nhidden = [3]\nlikelihood = \"softmax\"",
];

/// Over all rows a step's noise does not depend on the rows, so that both tables give the same chain, up to rounding: density,
/// gradient, metric, corrections and volume are then those of the long table at every state.
fn same_chains(models: &[&str], samplers: &[(&str, f64)]) {
    let mut wrong = Vec::new();
    for model in models {
        for (s, (sampler, loose)) in samplers.iter().enumerate() {
            let batch = if sampler.contains("mala") {
                ""
            } else {
                "batch_size = \"full\"\n"
            };
            let step = if sampler.contains("psgld") { 0.05 } else { 0.2 };
            let text = format!(
                "[model]\n{model}\n[prior]\nweights = \"normal(0, 2)\"\n{}[sampler]\nstep_size = {step}\n{batch}{sampler}\n[run]\nchains = 2\nwarmup = 0\ndraws = 10\n",
                if model.contains("mlp") {
                    ""
                } else {
                    "intercept = \"normal(0, 5)\"\n"
                }
            );
            let short = counted(model);
            let (config, many) = problem(&text, long(&short));
            let (_, few) = problem(&text, short);
            assert!(few.rows() < many.rows());
            let norms = (few.log_norm, many.log_norm);
            assert!((norms.0 - norms.1).abs() < 1e-9, "{model}: {norms:?}");
            let init = starts(&config, &many);
            // A device takes one sampler in three: the parity suite compares each of its steps with the CPU engine's.
            let device = kinds()
                .into_iter()
                .filter(|k| *k != Kind::Gpu || s % 3 == 0);
            for kind in [Kind::Cpu64].into_iter().chain(device) {
                let Some(a) = chain(kind, &config, &few, &init) else {
                    continue;
                };
                let b = chain(kind, &config, &many, &init).expect("an engine");
                let bound = if kind == Kind::Cpu64 { 1e-9 } else { *loose };
                let far = apart(&a, &b);
                if far >= bound {
                    wrong.push(format!("{model} {sampler} {kind:?}: {far:e} apart"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_table_of_frequencies_gives_the_chains_of_the_long_table() {
    same_chains(
        &LINEAR,
        &[
            ("noise = \"full\"\ntarget = \"jeffreys\"", 1e-3),
            ("noise = \"residual\"\ndamping = 0.05", 1e-3),
            ("noise = \"full\"\nfisher = \"empirical\"", 1e-3),
            (
                "method = \"mala\"\ntarget = \"jeffreys\"\ndamping = 0.02",
                1e-3,
            ),
            (
                "noise = \"full\"\ntarget = \"jeffreys\"\ncorrection = \"finite_difference\"",
                5e-2,
            ),
            (
                "noise = \"full\"\ntarget = \"jeffreys\"\ncorrection = \"probe\"\nprobes = 2",
                1e-3,
            ),
            ("method = \"sgld\"", 1e-3),
            ("method = \"psgld\"", 1e-3),
            (
                "blocks = \"diagonal\"\ntarget = \"jeffreys\"\ndamping = 0.02",
                1e-3,
            ),
            ("blocks = \"diagonal\"\nfisher = \"empirical\"", 1e-3),
        ],
    );
}

#[test]
fn so_it_does_over_networks() {
    same_chains(
        &NETWORKS,
        &[
            (
                "noise = \"full\"\ndamping = 0.1\ncorrection = \"off\"",
                1e-3,
            ),
            ("noise = \"full\"\ndamping = 0.1", 5e-2),
            (
                "noise = \"full\"\ndamping = 0.1\nfisher = \"empirical\"\ncorrection = \"off\"",
                1e-3,
            ),
            (
                "method = \"mala\"\ndamping = 0.1\ntarget = \"jeffreys\"",
                1e-3,
            ),
            (
                "noise = \"residual\"\ndamping = 0.1\nblocks = \"unit\"\ncorrection = \"off\"",
                1e-3,
            ),
            ("method = \"psgld\"\ncorrection = \"off\"", 1e-3),
        ],
    );
}

/// A network leaves the response as it is, so that an offset of a Gaussian row is the same as a smaller response.
#[test]
fn an_offset_of_a_gaussian_shifts_its_response() {
    let text = |sampler: &str| {
        format!(
            "[model]\n{}\n[prior]\nweights = \"normal(0, 2)\"\n[sampler]\nstep_size = 0.2\ndamping = 0.1\nbatch_size = 15\n{sampler}\n[run]\nchains = 2\nwarmup = 0\ndraws = 10\n",
            NETWORKS[0]
        )
    };
    let mut with = counted(NETWORKS[0]);
    with.weights = None;
    let mut without = with.clone();
    let (offset, Response::Numbers(y)) = (
        without.offset.take().expect("an offset"),
        &mut without.response,
    ) else {
        panic!("numbers");
    };
    y.iter_mut().zip(&offset).for_each(|(y, o)| *y -= o);
    for sampler in [
        "noise = \"full\"\ncorrection = \"off\"",
        "fisher = \"monte_carlo\"",
    ] {
        let (config, added) = problem(&text(sampler), with.clone());
        let (_, taken) = problem(&text(sampler), without.clone());
        let init = starts(&config, &added);
        for kind in [Kind::Cpu64].into_iter().chain(kinds()) {
            let a = chain(kind, &config, &added, &init).expect("an engine");
            let b = chain(kind, &config, &taken, &init).expect("an engine");
            let (far, bound) = (apart(&a, &b), if kind == Kind::Cpu64 { 1e-9 } else { 5e-3 });
            assert!(far < bound, "{sampler} {kind:?}: {far:e} apart");
        }
    }
}

/// Counts over exposures e that count w times: with an intercept alone the rate is Gamma(Σwy, Σwe) under a flat prior on its logarithm,
/// Gamma(Σwy + ½, Σwe) in Jeffreys' measure.
#[test]
fn rates_over_exposures_are_gamma() {
    let n = 40;
    let of = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..n).map(f).collect() };
    let y = of(&|i| (3.0 * wave(i, 1)).floor());
    let exposure = of(&|i| 0.3 + 2.0 * wave(i, 2));
    let weights = of(&|i| 0.5 + (i % 3) as f64);
    let sum = |v: &[f64]| -> f64 { v.iter().zip(&weights).map(|(v, w)| v * w).sum() };
    let (counts, time) = (sum(&y), sum(&exposure));
    let mut data = small::table(&[], Response::Numbers(y));
    data.offset = Some(exposure.iter().map(|e| e.ln()).collect());
    data.weights = Some(weights.clone());
    // (sampler, shape of the Gamma, bias in sds that the step is allowed)
    for (sampler, shape, bias) in [
        ("method = \"mala\"\nstep_size = 0.6", counts, 0.0),
        (
            "method = \"mala\"\nstep_size = 0.6\ntarget = \"jeffreys\"",
            counts + 0.5,
            0.0,
        ),
        (
            "method = \"sngd\"\nstep_size = 0.05\nbatch_size = 25\nbatches = \"without_replacement\"",
            counts,
            0.04,
        ),
        (
            "step_size = 0.05\nbatch_size = 25\nbatches = \"without_replacement\"\ntarget = \"jeffreys\"",
            counts + 0.5,
            0.04,
        ),
    ] {
        let text = format!(
            "[model]\nlikelihood = \"poisson\"\n[prior]\nintercept = \"flat\"\n[sampler]\n{sampler}\n[run]\nchains = 48\nwarmup = 300\ndraws = 2000\nthin = 2\ninit_scale = 1.0\n"
        );
        // ψ′ by a difference of ψ.
        let mean = digamma(shape) - time.ln();
        let sd = differences::slope(digamma, shape, 1e-3).sqrt();
        for kind in kinds() {
            let (config, problem) = problem(&text, data.clone());
            let d = drive::sample(kind, &config, &problem).expect("an engine");
            assert!(d.faults.is_empty(), "{kind:?} {sampler} {:?}", d.faults);
            assert_moments(
                &format!("{kind:?} {sampler}"),
                &d.chains_of(0),
                mean,
                sd,
                bias,
            );
        }
    }
}

/// A Gaussian with known σ, whose rows count once or nine times. Residual noise takes off what minibatches of whole rows bring, w² times
/// the spread of an observation: with w times, or with the law's share, draws would spread by a tenth more.
#[test]
fn residual_noise_knows_that_rows_come_whole() {
    let (n, sigma) = (60, 0.8);
    let of = |f: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..n).map(f).collect() };
    let x = of(&|i| 2.0 * wave(i, 1) - 0.7);
    let offset = of(&|i| wave(i, 2) - 0.5);
    let weights = of(&|i| if i % 4 == 1 { 9.0 } else { 1.0 });
    let y = of(&|i| 1.0 + 0.5 * x[i] + offset[i] + sigma * 3.0 * (wave(i, 3) - 0.5));
    // Precision and its product with the mean, prior normal(0, 10) included.
    let (mut a, mut b) = ([0.01, 0.0, 0.01], [0.0, 0.0]);
    for i in 0..n {
        let w = weights[i] / (sigma * sigma);
        let left = y[i] - offset[i];
        a = [a[0] + w, a[1] + w * x[i], a[2] + w * x[i] * x[i]];
        b = [b[0] + w * left, b[1] + w * x[i] * left];
    }
    let det = a[0] * a[2] - a[1] * a[1];
    let mean = [
        (a[2] * b[0] - a[1] * b[1]) / det,
        (a[0] * b[1] - a[1] * b[0]) / det,
    ];
    let sd = [(a[2] / det).sqrt(), (a[0] / det).sqrt()];
    let mut data = small::table(&[("x", &x)], Response::Numbers(y));
    (data.offset, data.weights) = (Some(offset), Some(weights));
    for noise_rows in ["fisher", "batch"] {
        let text = format!(
            "[model]\nlikelihood = \"gaussian\"\nscale = {sigma}\n[prior]\nweights = \"normal(0, 10)\"\nintercept = \"normal(0, 10)\"\n[sampler]\nmethod = \"sngd\"\nstep_size = 0.05\nbatch_size = 40\nnoise_rows = \"{noise_rows}\"\nbatches = \"without_replacement\"\n[run]\nchains = 64\nwarmup = 300\ndraws = 2000\nthin = 5\ninit_scale = 1.0\n"
        );
        for kind in kinds() {
            let (config, problem) = problem(&text, data.clone());
            let d = drive::sample(kind, &config, &problem).expect("an engine");
            assert!(d.faults.is_empty(), "{kind:?} {:?}", d.faults);
            assert_eq!(d.fallbacks, 0, "{kind:?}, noise_rows = {noise_rows}");
            for i in 0..2 {
                let what = format!("{kind:?}, noise_rows = {noise_rows}, parameter {i}");
                assert_moments(&what, &d.chains_of(i), mean[i], sd[i], 0.0);
            }
        }
    }
}

/// Rows that all count three times make the noise of minibatches, relative to the metric, three times as large: so says the law, and so
/// says the preflight.
#[test]
fn the_law_and_the_preflight_know_that_rows_come_whole() {
    let reported = |times: Option<f64>| {
        let text = "[model]\nlikelihood = \"poisson\"\n[prior]\nweights = \"flat\"\nintercept = \"flat\"\n[sampler]\nmethod = \"sngd\"\nbatch_size = 20\nstep_size = 0.05\n";
        let mut data = counted("poisson");
        data.weights = times.map(|w| vec![w; 40]);
        data.features.change_rows(|_, row| {
            row.iter_mut().for_each(|x| *x = x.clamp(-1.0, 1.0));
        });
        let (config, problem) = problem(text, data);
        let plan = Plan::check(&config, &problem).expect("the plan is sound");
        let mode = map::find(&problem, &plan).expect("a mode");
        let reach = preflight::reach(&plan, &mode);
        (plan.law_temperature(), reach.temperature)
    };
    let (once, thrice) = (reported(None), reported(Some(3.0)));
    assert!(
        (thrice.0 / once.0 - 3.0).abs() < 1e-9,
        "{once:?} {thrice:?}"
    );
    assert!(
        (thrice.1 / once.1 - 3.0).abs() < 1e-4,
        "{once:?} {thrice:?}"
    );
}

/// The law's own noise is no multiple of the metric where weights differ; over all rows there is none.
#[test]
fn nominal_noise_is_refused_beside_weights() {
    let plan = |batch: &str| {
        let text = format!(
            "[model]\nlikelihood = \"poisson\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"flat\"\n[sampler]\nnoise = \"nominal\"\nbatch_size = {batch}\n"
        );
        let (config, problem) = problem(&text, counted("poisson"));
        Plan::check(&config, &problem)
    };
    let refused = plan("20").expect_err("a batch").to_string();
    assert!(
        refused.contains("data.weights") && refused.contains("residual"),
        "{refused}"
    );
    plan("\"full\"").expect("all rows");
}

/// A batch of the rows of a short table would bring the noise of all that they stand for.
#[test]
fn a_short_table_is_taken_whole() {
    let plan = |batch: &str, weights: bool| {
        let text = format!(
            "[model]\nlikelihood = \"poisson\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"flat\"\n[sampler]\nmethod = \"sngd\"\n{batch}"
        );
        let mut data = counted("poisson");
        data.weights = weights.then(|| vec![500.0; 40]);
        data.features
            .change_rows(|_, row| row.iter_mut().for_each(|x| *x /= 1e4));
        let (config, problem) = problem(&text, data);
        let plan = Plan::check(&config, &problem).expect("the plan is sound");
        let mode = map::find(&problem, &plan).expect("a mode");
        (plan.full_batch, preflight::residual(&plan, &mode))
    };
    assert_eq!(plan("", true), (true, Ok(())));
    assert_eq!(plan("", false), (true, Ok(())));
    let refused = plan("batch_size = 20\nbatches = \"with_replacement\"\n", true).1;
    let message = refused.expect_err("noise of 20 rows").to_string();
    assert!(message.contains("batch_size = \"full\""), "{message}");
}
