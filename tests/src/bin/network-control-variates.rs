//! `network-control-variates [--chains C] [--references R] [--start mode|standard] [--sampler TOML] CASE ...`, CASE one of `yacht`,
//! `digits-H` and `mnist-N-H` (H hidden units, N rows): how much of the minibatch noise first-order control variates
//! leave in a network's gradient m steps after the full gradient was taken, and the rows that a step then takes.
#![allow(clippy::print_stdout, reason = "a command line")]

use flate2::read::GzDecoder;
use sngd_core::config::Precision;
use sngd_core::engine::{Engine, STATS, Span};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::Table;
use sngd_cpu::CpuEngine;
use sngd_tests::row_noise::{Noise, Ruler, add, mean_and_error};
use sngd_tests::{refs, small, yacht};
use std::io::Read;
use std::path::Path;

/// Steps after the reference at which the noise is measured; index 5 is that of the check.
const LAGS: [usize; 9] = [0, 1, 2, 5, 10, 20, 50, 100, 200];
/// Rows over which a noise is measured, where there are as many.
const ROWS: usize = 2000;
/// εV/2, the mean share of a step's budget that the batch may take.
const SHARE: f64 = 0.1;

/// The first n training images of MNIST, means of 4 × 4 pixels.
fn mnist(n: usize) -> Option<Table> {
    let folder = refs::dataset("mnist")?;
    let read = |name: &str, skip: usize| -> Vec<u8> {
        let mut bytes = std::fs::File::open(folder.join(name)).expect("MNIST opens");
        let mut out = Vec::new();
        (GzDecoder::new(&mut bytes).read_to_end(&mut out)).expect("MNIST unpacks");
        out.split_off(skip)
    };
    let images = read("train-images-idx3-ubyte.gz", 16);
    let y = read("train-labels-idx1-ubyte.gz", 8);
    let mut columns = vec![vec![0.0; n]; 49];
    for (i, &v) in images[..n * 784].iter().enumerate() {
        let (row, column) = (i % 784 / 28, i % 28);
        columns[row / 4 * 7 + column / 4][i / 784] += f64::from(v) / (16.0 * 255.0);
    }
    let names: Vec<String> = (0..49).map(|j| format!("x{j}")).collect();
    let named = names.iter().map(String::as_str);
    let features: Vec<_> = named.zip(columns.iter().map(Vec::as_slice)).collect();
    let y: Vec<u32> = y[..n].iter().map(|&v| u32::from(v)).collect();
    Some(small::table(&features, small::labels(&y, 10)))
}

/// Problem and plan of a case; `None` where its data are not here.
fn case(name: &str, chains: usize, sampler: Option<&str>) -> Option<(Problem, Plan)> {
    let mut words = name.split('-');
    let kind = words.next()?;
    let numbers: Vec<usize> = words.map(|w| w.parse().expect("a number")).collect();
    let (mut config, problem, own) = match kind {
        "yacht" => {
            let case = yacht::load()?;
            let own = "step_size = 0.05; batch_size = 123; batches = 'without_replacement'; damping = 0.1";
            (case.config, case.problem, Some(own.to_string()))
        }
        "digits" => {
            let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/digits-mlp.toml");
            let hidden = format!("model.hidden=[{}]", numbers[0]);
            let file = sngd::RunFile::read(&path, &[hidden]).expect("the example reads");
            let prepared = sngd::prepare(file.config, &file.base).expect("the example is sound");
            (prepared.config, (*prepared.problem).clone(), None)
        }
        "mnist" => {
            let (n, hidden) = (numbers[0], numbers[1]);
            let text = format!(
                "[model]\npredictor = \"mlp\"\nhidden = [{hidden}]\nlikelihood = \"softmax\"\n[prior]\nweights = \"normal_fan_in(8)\"\nbias = \"normal(0, 1)\"\n"
            );
            let (config, problem) = small::problem(&text, mnist(n)?);
            let own = "blocks = 'unit'; step_size = 0.045; batches = 'without_replacement'; fisher_rows = 600; fisher_refresh = 20; damping = 0.001; noise = 'nominal'";
            let batch = (n / 40).max(n.min(1500));
            let own = format!("{own}; batch_size = {batch}");
            (config, problem, Some(own))
        }
        _ => return None,
    };
    if let Some(text) = sampler.or(own.as_deref()) {
        config.sampler = toml::from_str(&text.replace(';', "\n")).expect("a [sampler]");
    }
    config.run.chains = Some(chains);
    let plan = Plan::check(&config, &problem).expect("a plan");
    Some((problem, plan))
}

/// One lag of one reference.
struct Point {
    /// |ω − ω̃|² in the metric, over P.
    distance: f64,
    plain: Noise,
    cv: Noise,
}

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
        let lp: Vec<f64> = (block.stats.chunks(STATS.len())).map(|s| s[1]).collect();
        (block.omega, mean_and_error(&lp).0)
    };
    run(0, 1, 3000);
    (0..references)
        .map(|k| run(3000 + k * gap, gap, 1))
        .collect()
}

/// What a step costs by the noise of one kind: the mean over directions, or the worst direction.
struct Cost<'a> {
    plan: &'a Plan,
    /// B that plain steps need, with replacement.
    batch: f64,
    /// Share of the plain noise that control variates leave, by lag.
    left: Vec<f64>,
}

impl Cost<'_> {
    /// εN²/(2B)·noise = `share` gives B; `of` is the mean over directions or the largest eigenvalue.
    fn new<'a>(
        plan: &'a Plan,
        points: &[Vec<Point>],
        share: f64,
        of: fn(&Noise) -> f64,
    ) -> Cost<'a> {
        let mean = |k: usize, part: fn(&Point) -> &Noise| -> f64 {
            points[k].iter().map(|x| of(part(x))).sum::<f64>() / points[k].len() as f64
        };
        let n = plan.n as f64;
        Cost {
            plan,
            batch: plan.step_size.at(0) * n * n * mean(0, |x| &x.plain) / (2.0 * share),
            left: (0..LAGS.len())
                .map(|k| mean(k, |x| &x.cv) / mean(k, |x| &x.plain))
                .collect(),
        }
    }

    /// Mean of the share left over the m steps from a reference to the next; by straight lines between the lags.
    fn mean_left(&self, m: usize) -> f64 {
        let at = |l: usize| {
            let k = LAGS.iter().rposition(|&x| x <= l).expect("lag 0");
            let next = (k + 1).min(LAGS.len() - 1);
            let part = (l - LAGS[k]) as f64 / (LAGS[next] - LAGS[k]).max(1) as f64;
            self.left[k] + part * (self.left[next] - self.left[k])
        };
        (0..m).map(at).sum::<f64>() / m as f64
    }

    /// The batch without replacement that is as noisy as b rows with it.
    fn distinct(&self, b: f64) -> f64 {
        let n = self.plan.n as f64;
        b * n / (b + n - 1.0)
    }

    /// Rows a step with control variates refreshed every m steps: of the two batch gradients, and of the full one.
    fn rows(&self, m: usize, replacement: bool) -> (f64, f64) {
        let b = self.batch * self.mean_left(m);
        let b = if replacement { b } else { self.distinct(b) };
        (2.0 * b, self.plan.n as f64 / m as f64)
    }

    /// The period with the fewest rows.
    fn best(&self, replacement: bool) -> String {
        let all = |m: usize| self.rows(m, replacement).0 + self.rows(m, replacement).1;
        let m = (1..=LAGS[LAGS.len() - 1]).min_by(|&a, &b| all(a).total_cmp(&all(b)));
        let m = m.expect("a period");
        let plain = if replacement {
            self.batch
        } else {
            self.distinct(self.batch)
        };
        format!(
            "{:.0} at m = {m} against {plain:.0} plain, {:.2} of it",
            all(m),
            all(m) / plain
        )
    }
}

fn measure(name: &str, from_mode: bool, references: u32, problem: &Problem, plan: &Plan) {
    let (n, p, c) = (plan.n as f64, plan.p, plan.chains);
    let gap = (LAGS[LAGS.len() - 1] as u32 + 50).next_multiple_of(plan.refresh);
    let stretches = chain(problem, plan, from_mode, (references, gap));
    let mut ruler = Ruler::new(problem, plan, ROWS);
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
                check = Some(ruler.from_batches(&metric, state(LAGS[5]), state(0), (1000, 50)));
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
    let (mut chains, mut references, mut start, mut sampler) = (4, 6, "standard".into(), None);
    let mut cases = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut next = || args.next().expect("a value");
        match a.as_str() {
            "--chains" => chains = next().parse().expect("a number"),
            "--references" => references = next().parse().expect("a number"),
            "--start" => start = next(),
            "--sampler" => sampler = Some(next()),
            _ => cases.push(a),
        }
    }
    for name in &cases {
        match case(name, chains, sampler.as_deref()) {
            Some((problem, plan)) => measure(name, start == "mode", references, &problem, &plan),
            None => println!("{name}: no such case, or its data are not here"),
        }
    }
}
