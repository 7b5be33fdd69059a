//! `network-control-variates [--chains C] [--references R] [--rows R] [--start mode|standard] [--sampler TOML] CASE ...`, CASE one
//! of `yacht`, `digits-H` and `mnist-N-H` (H hidden units, N rows): measures how much minibatch noise remains in a network's
//! gradient with first-order control variates, m steps after the full gradient was computed, and the rows that a step then needs.
//! With fewer `--rows` than there are in the data the mean noise stays right and the worst direction is overestimated.
#![allow(clippy::print_stdout, reason = "a command line")]

mod cases;
mod cost;
mod noise;

use cost::{Cost, LAGS, Point};
use noise::{Noise, Ruler, add, mean_and_error};
use sngd_core::config::Precision;
use sngd_core::engine::{Engine, Span};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_cpu::CpuEngine;

/// εV/2: mean share of a step's noise budget that the minibatch noise may use.
const SHARE: f64 = 0.1;

/// States `[R][gap, C, P]` of a chain at T = 1, after a warm-up of 3000 steps, and the mean minibatch log posterior of each stretch.
fn chain(
    problem: &Problem,
    plan: &Plan,
    from_mode: bool,
    (references, gap): (u32, u32),
) -> Vec<(Vec<f64>, f64)> {
    let net = problem.network.as_ref().expect("a network");
    let mut starts = vec![0.0; plan.chains * plan.p];
    if from_mode {
        let mode = sngd_cpu::map::find(problem, plan).expect("a mode").omega;
        let each = starts.chunks_mut(plan.p);
        each.for_each(|s| s.copy_from_slice(&mode));
    } else {
        let each = starts.chunks_mut(plan.p).zip(0..);
        each.for_each(|(s, c)| net.start(s, plan.seed, c));
    }
    let engine = CpuEngine::new(Precision::F32, problem, plan, &starts, None);
    let mut engine = engine.expect("an engine");
    let mut run = |first_step: u32, draws: u32, thin: u32| {
        let warmup = first_step == 0;
        let span = Span {
            first_step,
            draws,
            thin,
            warmup,
        };
        engine.enqueue(span).expect("a span is taken");
        let block = engine.collect().expect("a span is done");
        assert!(block.faults.is_empty(), "{:?}", block.faults);
        let lp: Vec<f64> = (block.stats.chunks(Stat::COUNT))
            .map(|s| s[Stat::LpMinibatch.at()])
            .collect();
        (block.omega, mean_and_error(&lp).0)
    };
    run(0, 1, 3000);
    (0..references)
        .map(|k| run(3000 + k * gap, gap, 1))
        .collect()
}

/// Measures a case and prints its table.
fn measure(
    name: &str,
    from_mode: bool,
    (references, rows): (u32, usize),
    problem: &Problem,
    plan: &Plan,
) {
    let (n, p, c) = (plan.n as f64, plan.p, plan.chains);
    let gap = (LAGS[LAGS.len() - 1] as u32 + 50).next_multiple_of(plan.refresh);
    let stretches = chain(problem, plan, from_mode, (references, gap));
    let mut ruler = Ruler::new(problem, plan, rows);
    let mut points: Vec<Vec<Point>> = LAGS.iter().map(|_| Vec::new()).collect();
    let mut check = None;
    for (k, (states, _)) in stretches.iter().enumerate() {
        for chain in 0..c {
            let state = |lag: usize| &states[(lag * c + chain) * p..][..p];
            let metric = ruler.metric(state(0), chain as u32, 3000 + k as u32 * gap);
            let held = ruler.by_row(state(0));
            for (at, &lag) in points.iter_mut().zip(&LAGS) {
                let rows = ruler.by_row(state(lag));
                let (mut less, mut step) = (rows.clone(), state(lag).to_vec());
                add(&mut less, -1.0, &held);
                add(&mut step, -1.0, state(0));
                at.push(Point {
                    distance: metric.square(&step) / p as f64,
                    plain: Noise::of(rows, p, &metric),
                    cv: Noise::of(less, p, &metric),
                });
            }
            if check.is_none() {
                check = Some(ruler.by_batches(&metric, state(LAGS[5]), state(0), (1000, 50)));
            }
        }
    }
    let mean = Cost::new(plan, &points, SHARE, |x| x.mean);
    let worst = Cost::new(plan, &points, 1.0, |x| x.top);
    let epsilon = plan.step_size.at(0);
    let lp: Vec<String> = stretches.iter().map(|s| format!("{:.0}", s.1)).collect();
    println!(
        "\n## {name}: N = {n}, P = {p}, N/P = {:.1}, ε = {epsilon}, λ = {}, {} blocks, B of the chains {}\n",
        n / p as f64,
        plan.damping,
        plan.blocks.blocks.len(),
        plan.batch
    );
    println!(
        "Seed {}, {c} chains from {}, {references} references each, {gap} steps apart; mean ln posterior between them: {}.",
        plan.seed,
        if from_mode {
            "the mode"
        } else {
            "standard starts"
        },
        lp.join(" ")
    );
    let per_row = |b: f64, share: f64| 2.0 * share * b / (epsilon * n);
    println!(
        "V = {:.3}·N/B, largest eigenvalue {:.2}·N/B. Plain B for εV/2 = {SHARE}: {:.0}, without replacement {:.0}; for the whole budget in the worst direction: {:.0}, {:.0}.",
        per_row(mean.batch, SHARE),
        per_row(worst.batch, 1.0),
        mean.batch,
        mean.distinct(mean.batch),
        worst.batch,
        worst.distinct(worst.batch)
    );
    let [plain, cv] = check.expect("a reference");
    let first = |k: usize| &points[k][0];
    println!(
        "Check, N·noise of a row by rows and by batches: plain {:.4} ± {:.4}, {:.4} ± {:.4}; control variates {} steps on {:.4} ± {:.4}, {:.4} ± {:.4}; 0 steps on {}.\n",
        n * first(5).plain.mean,
        n * first(5).plain.error,
        n * plain.0,
        n * plain.1,
        LAGS[5],
        n * first(5).cv.mean,
        n * first(5).cv.error,
        n * cv.0,
        n * cv.1,
        first(0).cv.mean
    );
    println!(
        "| m | distance²/P | V_cv/V quartile, median, quartile | mean over a period | rows, control variates (full gradient free) | worst direction: ratio | mean over a period | rows |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (k, at) in points.iter().enumerate().skip(1) {
        let mut ratios: Vec<f64> = at.iter().map(|x| x.cv.mean / x.plain.mean).collect();
        ratios.sort_by(f64::total_cmp);
        let q = |part: usize| ratios[((ratios.len() - 1) * part + 2) / 4];
        let m = LAGS[k];
        let distance = at.iter().map(|x| x.distance).sum::<f64>() / at.len() as f64;
        let cost = |x: &Cost<'_>| {
            let (batches, full) = x.rows(m, true);
            format!("{:.0} ({batches:.0})", batches + full)
        };
        println!(
            "| {m} | {distance:.3} | {:.3}, {:.3}, {:.3} | {:.3} | {} | {:.3} | {:.3} | {} |",
            q(1),
            q(2),
            q(3),
            mean.mean_left(m),
            cost(&mean),
            worst.left[k],
            worst.mean_left(m),
            cost(&worst)
        );
    }
    println!(
        "\nFewest rows a step: {}; without replacement {}.",
        mean.best(true),
        mean.best(false)
    );
    println!(
        "Worst direction: {}; without replacement {}.",
        worst.best(true),
        worst.best(false)
    );
}

fn main() {
    let (mut chains, mut references, mut rows) = (4, 6, 10_000);
    let (mut start, mut sampler) = (String::from("standard"), None);
    let mut cases = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut next = || args.next().expect("a value");
        match a.as_str() {
            "--chains" => chains = next().parse().expect("a number"),
            "--references" => references = next().parse().expect("a number"),
            "--rows" => rows = next().parse().expect("a number"),
            "--start" => start = next(),
            "--sampler" => sampler = Some(next()),
            _ => cases.push(a),
        }
    }
    for name in &cases {
        match cases::case(name, chains, sampler.as_deref()) {
            Some((problem, plan)) => {
                measure(name, start == "mode", (references, rows), &problem, &plan)
            }
            None => println!("{name}: no such case, or its data are not here"),
        }
    }
}
