//! Test loss of NGD ensembles against the batch size at fixed ε: is the best batch near εN/2, where T = 1? Softmax
//! regressions and a perceptron on the digits, their images halved to 4 × 4, and on MNIST at 7 × 7.

use crate::data;
use crate::error::Error;
use crate::figure::{Axis, Figure, GREY, Layer, Mark, Panel};
use crate::sample::{Length, Model};
use crate::stat::{self, Estimate};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use sngd_core::draws::Draws;
use sngd_core::features::Features;
use sngd_core::likelihood::Observed;
use sngd_cpu::forward::Forward;
use sngd_diag::small_step_temperature;

/// The entry in the list of experiments.
pub const EXPERIMENT: Experiment = Experiment {
    name: "ensemble-loss",
    claim: "at fixed ε an NGD ensemble's test loss is least at a batch of about εN/2",
    run,
};

const CLASSES: usize = 10;
/// Batch sizes as multiples of εN/2.
const MULTIPLES: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// Steps for which a metric is kept: the metric of 153 parameters is most of the work of a step.
const REFRESH: u32 = 5;
/// Range of the figure. Points above it have too high a temperature to be of interest.
const LOW: f64 = -0.006;
const HIGH: f64 = 0.02;
/// Number of independent ensembles.
const ENSEMBLES: usize = 8;

/// A model and the data that it is fitted to.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    /// Whether the data are the digits; otherwise MNIST.
    digits: bool,
    /// Number of units in a perceptron's hidden layer; 0 for a linear predictor.
    hidden: usize,
    n: usize,
    epsilon: f64,
}

const fn softmax(n: usize, epsilon: f64) -> Case {
    Case {
        name: "softmax",
        digits: true,
        hidden: 0,
        n,
        epsilon,
    }
}

const PERCEPTRON: Case = Case {
    name: "perceptron",
    digits: true,
    hidden: 8,
    n: 500,
    epsilon: 0.2,
};

const MNIST: Case = Case {
    name: "MNIST softmax",
    digits: false,
    hidden: 0,
    n: 1000,
    epsilon: 0.2,
};

impl Case {
    fn label(&self) -> String {
        format!("{}, N = {}, ε = {}", self.name, self.n, self.epsilon)
    }

    fn lines(&self) -> String {
        if self.hidden == 0 {
            return "[model]\nlikelihood = \"softmax\"\nbaseline = \"first\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"normal(0, 1)\"".into();
        }
        format!(
            "[model]\npredictor = \"mlp\"\nhidden = [{}]\nlikelihood = \"softmax\"\n[prior]\nweights = \"normal_fan_in(4)\"\nbias = \"normal(0, 1)\"",
            self.hidden
        )
    }

    /// Damping of the metric: that of a perceptron is nearly singular where data do not determine its weights.
    fn damping(&self) -> f64 {
        if self.hidden == 0 { 0.0 } else { 0.01 }
    }
}

/// Results at one step size ε and batch size B.
struct Point {
    b: usize,
    temperature: f64,
    /// Mean test loss over the ensembles, in nats.
    loss: Estimate,
    /// Loss of each test row, mean over the ensembles.
    rows: Vec<f64>,
}

/// The loss of an ensemble for each multiple of the claimed batch. Runs that run away are left out.
fn losses(
    settings: &Settings<'_>,
    case: &Case,
    model: &Model,
    test: &Rows,
    length: Length,
) -> Result<Vec<Point>, Error> {
    let (n, epsilon) = (case.n, case.epsilon);
    let mut points = Vec::new();
    for m in MULTIPLES {
        let b = (m * epsilon * n as f64 / 2.0).round() as usize;
        if !(5..=n).contains(&b) {
            continue;
        }
        (settings.progress)(&format!("{}, B = {b}", case.label()));
        let sampler = format!(
            "method = \"ngd\"\nstep_size = {epsilon}\nbatch_size = {b}\nfisher_refresh = {REFRESH}\ndamping = {}",
            case.damping()
        );
        let seed = settings.seed.wrapping_mul(71).wrapping_add((n + b) as u64);
        match model.sample(&sampler, length, seed) {
            Ok(run) => points.push(point(case, b, model, &run.draws, test)),
            Err(e @ Error::RanAway { .. }) => (settings.progress)(&format!("left out: {e}")),
            Err(e) => return Err(e),
        }
    }
    Ok(points)
}

/// What the losses say of a case, in a sentence.
fn verdict(case: &Case, points: &[Point], (at, best): (&Point, &Point), resolved: bool) -> String {
    let ends: Vec<String> = points
        .iter()
        .map(|p| format!("{} {:.4}", p.b, p.loss.value))
        .collect();
    if best.b == at.b {
        format!(
            "{}: the least loss is at the claimed batch {} (losses by batch: {})",
            case.label(),
            at.b,
            ends.join(", ")
        )
    } else if resolved {
        format!(
            "{}: the least loss is at B = {} (T = {:.2}), not at the claimed {} (losses by batch: {}); over another set of as many test images that difference would move by {:.4}",
            case.label(),
            best.b,
            best.temperature,
            at.b,
            ends.join(", "),
            row_error(best, at)
        )
    } else {
        format!(
            "{}: the best batch is not resolved between {} and {} (losses by batch: {})",
            case.label(),
            best.b,
            at.b,
            ends.join(", ")
        )
    }
}

/// (B over the claimed batch, loss above that of the claimed batch, its standard error) of each point.
fn dots(points: &[Point], at: &Point, claimed: f64) -> Vec<(f64, f64, f64)> {
    points
        .iter()
        .map(|p| {
            let over = p.loss.minus(at.loss);
            let alone = p.b == at.b;
            (
                p.b as f64 / claimed,
                over.value,
                if alone { 0.0 } else { over.se },
            )
        })
        .collect()
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let cases = settings.pick(
        vec![softmax(200, 0.2)],
        vec![softmax(200, 0.2), softmax(500, 0.2)],
        vec![
            softmax(200, 0.1),
            softmax(200, 0.2),
            softmax(200, 0.4),
            softmax(500, 0.2),
            PERCEPTRON,
            MNIST,
        ],
    );
    let length = Length {
        chains: ENSEMBLES * settings.pick(1, 2, 2),
        warmup: settings.pick(50, 100, 200),
        draws: settings.pick(10, 60, 200),
        thin: 10,
    };
    let mut table = Table::new(&[
        "model",
        "n",
        "epsilon",
        "b",
        "temperature",
        "test_loss",
        "mcse",
        "over_claimed",
        "mcse_over_claimed",
        "test_set_error",
    ]);
    let (mut checks, mut said, mut layers) = (Vec::new(), Vec::new(), Vec::new());
    for (index, case) in cases.iter().enumerate() {
        let (n, epsilon) = (case.n, case.epsilon);
        let Some((train, test)) = split(settings, case)? else {
            (settings.progress)(&format!(
                "{} left out: name the data with --mnist",
                case.name
            ));
            continue;
        };
        let model = Model::new(
            &case.lines(),
            data::table(&train.0, data::labels(train.1, CLASSES)),
        )?;
        let claimed = epsilon * n as f64 / 2.0;
        let points = losses(settings, case, &model, &test, length)?;
        let Some(at) = points.iter().find(|p| (p.b as f64 - claimed).abs() < 1.0) else {
            return Err(Error::Numbers(format!(
                "the ensemble at ε = {epsilon} and the claimed batch {claimed} ran away"
            )));
        };
        let mut best = at;
        for p in &points {
            let over = p.loss.minus(at.loss);
            table.push(
                &[case.name],
                &[
                    n as f64,
                    epsilon,
                    p.b as f64,
                    p.temperature,
                    p.loss.value,
                    p.loss.se,
                    over.value,
                    over.se,
                    row_error(p, at),
                ],
            );
            if p.loss.value < best.loss.value {
                best = p;
            }
        }
        let gain = at.loss.minus(best.loss);
        // The best batch differs from εN/2 if its loss is lower by more than four standard errors.
        let resolved = best.b != at.b && gain.value > 4.0 * gain.se;
        said.push(verdict(case, &points, (at, best), resolved));
        checks.push(Check::new(
            format!(
                "{}: loss at the claimed B = {} less the least, at B = {}",
                case.label(),
                at.b,
                best.b
            ),
            gain,
            Bound::Reported,
        ));
        let dots = dots(&points, at, claimed);
        let label = case.label();
        layers.push(Layer::new(
            "",
            index + 1,
            Mark::Line,
            dots.iter().map(|d| (d.0, d.1)).collect(),
        ));
        layers.push(Layer::dots(label, index + 1, &dots));
    }
    Ok(Findings {
        figure: figure(layers),
        table,
        verdict: Verdict {
            sentence: format!("NGD ensembles: {}.", said.join("; ")),
            checks,
        },
    })
}

fn figure(mut layers: Vec<Layer>) -> Figure {
    layers.push(Layer::new(
        "B = εN/2",
        GREY,
        Mark::Dashed,
        vec![(1.0, LOW), (1.0, HIGH)],
    ));
    Figure {
        title: "NGD ensembles".into(),
        columns: 1,
        panels: vec![Panel::new(
            "Digits at 4 × 4 pixels, MNIST at 7 × 7",
            Axis::log("B / (εN/2)"),
            Axis::linear("test loss less that at B = εN/2, nats").over(LOW, HIGH),
            layers,
        )],
    }
}

type Rows = (Vec<Vec<f64>>, Vec<u32>);

/// Number of MNIST test images, taken from a random order.
const MNIST_TEST: usize = 3000;

/// Training columns and labels; test rows and labels. `None` if MNIST is needed and its path is not set.
fn split(settings: &Settings<'_>, case: &Case) -> Result<Option<(Rows, Rows)>, Error> {
    let (pixels, labels) = match (&settings.mnist, case.digits) {
        (_, true) => data::digits(settings)?,
        (Some(path), false) => data::images(path.clone())?,
        (None, false) => return Ok(None),
    };
    let halved: Vec<Vec<f64>> = pixels.iter().map(|image| halved(image)).collect();
    let (total, n) = (halved.len(), case.n);
    if total < 2 * n {
        return Err(Error::Numbers(format!(
            "found {total} images, expected at least {}",
            2 * n
        )));
    }
    let mut order: Vec<usize> = (0..total).collect();
    let mut dice = data::Dice::new(settings.seed, 60);
    for i in (1..total).rev() {
        order.swap(i, (dice.uniform() * (i + 1) as f64) as usize);
    }
    let (first, rest) = order.split_at(n);
    let rest = if case.digits {
        rest
    } else {
        &rest[..rest.len().min(MNIST_TEST)]
    };
    // A pixel that is the same in every training image carries no information.
    let varies = |j: &usize| first.iter().any(|&i| halved[i][*j] != halved[first[0]][*j]);
    let kept: Vec<usize> = (0..halved[0].len()).filter(varies).collect();
    let columns = kept
        .iter()
        .map(|&j| first.iter().map(|&i| halved[i][j]).collect())
        .collect();
    let pick = |rows: &[usize]| rows.iter().map(|&i| labels[i]).collect();
    let row = |i: &usize| kept.iter().map(|&j| halved[*i][j]).collect();
    let test = rest.iter().map(row).collect();
    Ok(Some(((columns, pick(first)), (test, pick(rest)))))
}

/// Halves a square image: means of 2 × 2 pixels.
fn halved(image: &[f64]) -> Vec<f64> {
    let side = (image.len() as f64).sqrt() as usize;
    let half = side / 2;
    let at = |r: usize, c: usize| image.get(side * r + c).copied().unwrap_or(0.0);
    (0..half * half)
        .map(|k| (2 * (k / half), 2 * (k % half)))
        .map(|(r, c)| 0.25 * (at(r, c) + at(r + 1, c) + at(r, c + 1) + at(r + 1, c + 1)))
        .collect()
}

fn point(case: &Case, b: usize, model: &Model, draws: &Draws, test: &Rows) -> Point {
    let m = test.1.len();
    let each = draws.chains / ENSEMBLES;
    let problem = model.problem();
    let mut forward = Forward::new(problem);
    let h = problem.likelihood.outputs();
    let x: Vec<f64> = test
        .0
        .iter()
        .flat_map(|row| {
            problem
                .intercept
                .then_some(1.0)
                .into_iter()
                .chain(row.iter().copied())
        })
        .collect();
    let x = Features::new(problem.design_columns(), x);
    let mut mean = vec![vec![0.0; m]; ENSEMBLES];
    let (mut eta, mut score) = (vec![0.0; m * h], vec![0.0; h]);
    for (k, theta) in draws.values.chunks(draws.p).enumerate() {
        let ensemble = &mut mean[k % draws.chains / each];
        forward.outputs(theta, &x, 0, &mut eta);
        for (i, eta) in eta.chunks(h).enumerate() {
            let obs = Observed {
                y: f64::from(test.1[i]),
                trials: 1.0,
            };
            let ln_p = problem.likelihood.log_lik_and_score(eta, obs, &mut score);
            ensemble[i] += ln_p.exp() / (draws.n * each) as f64;
        }
    }
    let loss = |p: &f64| -p.max(1e-300).ln();
    let losses: Vec<f64> = mean
        .iter()
        .map(|e| e.iter().map(loss).sum::<f64>() / m as f64)
        .collect();
    let rows = (0..m)
        .map(|i| mean.iter().map(|e| loss(&e[i])).sum::<f64>() / ENSEMBLES as f64)
        .collect();
    Point {
        b,
        temperature: small_step_temperature(case.epsilon, case.n, b),
        loss: stat::over_chains(&losses),
        rows,
    }
}

/// Standard error over test images of the difference of two losses on the same images.
fn row_error(a: &Point, b: &Point) -> f64 {
    let differences: Vec<f64> = a.rows.iter().zip(&b.rows).map(|(a, b)| a - b).collect();
    stat::over_chains(&differences).se
}
