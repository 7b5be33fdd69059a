//! Test loss of NGD ensembles against the batch size at fixed ε: is the best batch near εN/2, where T = 1? Softmax
//! regression on the digits, their images halved to 4 × 4.

use crate::data;
use crate::error::Error;
use crate::figure::{Axis, Figure, GREY, Layer, Mark, Panel};
use crate::sample::{Draws, Length, Model};
use crate::stat::{self, Estimate};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use sngd_diag::small_step_temperature;

/// The row of the list.
pub const EXPERIMENT: Experiment = Experiment {
    name: "ensemble-loss",
    claim: "at fixed ε an NGD ensemble's test loss is least at a batch of about εN/2",
    run,
};

const CLASSES: usize = 10;
/// Batches as multiples of εN/2.
const MULTIPLES: [f64; 7] = [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0];
/// Steps for which a metric is kept: the metric of 153 parameters is most of a step's work.
const REFRESH: u32 = 5;
/// Range of the figure: what lies above is hot enough to be of no interest.
const LOW: f64 = -0.006;
const HIGH: f64 = 0.02;
/// Independent ensembles.
const ENSEMBLES: usize = 8;

/// One ε and B.
struct Point {
    b: usize,
    temperature: f64,
    /// Mean test loss over the ensembles.
    loss: Estimate,
    /// Its part a test row, mean over the ensembles.
    rows: Vec<f64>,
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let cells: &[(usize, f64)] = settings.pick(
        &[(200, 0.2)][..],
        &[(200, 0.2), (500, 0.2)][..],
        &[(200, 0.1), (200, 0.2), (200, 0.4), (500, 0.2)][..],
    );
    let length = Length {
        chains: ENSEMBLES * settings.pick(1, 2, 2),
        warmup: settings.pick(50, 100, 200),
        draws: settings.pick(10, 60, 200),
        thin: 10,
    };
    let mut table = Table::new(&[
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
    for (index, &(n, epsilon)) in cells.iter().enumerate() {
        let (train, test) = split(settings, n)?;
        let model = Model::new(
            "[model]\nlikelihood = \"softmax\"\nbaseline = \"first\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"normal(0, 1)\"",
            data::table(&train.0, data::labels(train.1, CLASSES)),
        )?;
        let mut points: Vec<Point> = Vec::new();
        let claimed = epsilon * n as f64 / 2.0;
        for m in MULTIPLES {
            let b = (m * claimed).round() as usize;
            if !(5..=n).contains(&b) {
                continue;
            }
            (settings.tell)(&format!("N = {n}, ε = {epsilon}, B = {b}"));
            let sampler = format!(
                "method = \"ngd\"\nstep_size = {epsilon}\nbatch_size = {b}\nfisher_refresh = {REFRESH}"
            );
            let seed = settings.seed.wrapping_mul(71).wrapping_add((n + b) as u64);
            match model.sample(&sampler, length, seed) {
                Ok(draws) => points.push(point(n, epsilon, b, &draws, &test)),
                Err(e @ Error::RanAway { .. }) => (settings.tell)(&format!("left out: {e}")),
                Err(e) => return Err(e),
            }
        }
        let Some(at) = points.iter().find(|p| (p.b as f64 - claimed).abs() < 1.0) else {
            return Err(Error::Numbers(format!(
                "the ensemble at ε = {epsilon} and the claimed batch {claimed} ran away"
            )));
        };
        let mut best = at;
        for p in &points {
            let over = p.loss.minus(at.loss);
            table.push(
                &[],
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
        // What resolves the best batch: its neighbours' losses lie above by more than the error.
        let resolved = best.b != at.b && gain.value > 4.0 * gain.se;
        let ends: Vec<String> = points
            .iter()
            .map(|p| format!("{} {:.4}", p.b, p.loss.value))
            .collect();
        said.push(if best.b == at.b {
            format!("with N = {n}, ε = {epsilon} the least loss is at the claimed batch {} (losses by batch: {})", at.b, ends.join(", "))
        } else if resolved {
            format!(
                "with N = {n}, ε = {epsilon} the least loss is at B = {} (T = {:.2}), not at the claimed {} (losses by batch: {}); over another set of as many test images that difference would move by {:.4}",
                best.b, best.temperature, at.b, ends.join(", "), row_error(best, at)
            )
        } else {
            format!(
                "with N = {n}, ε = {epsilon} the best batch is not resolved between {} and {} (losses by batch: {})",
                best.b, at.b, ends.join(", ")
            )
        });
        checks.push(Check::new(
            format!(
                "N = {n}, ε = {epsilon}: loss at the claimed B = {} less the least, at B = {}",
                at.b, best.b
            ),
            gain,
            Bound::Told,
        ));
        let dots: Vec<_> = points
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
            .collect();
        let label = format!("N = {n}, ε = {epsilon}");
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
            sentence: format!("Softmax regression on digits: {}.", said.join("; ")),
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
        title: "NGD ensembles on digits".into(),
        columns: 1,
        panels: vec![Panel::new(
            "Softmax regression, 4 × 4 pixels",
            Axis::log("B / (εN/2)"),
            Axis::linear("test loss less that at B = εN/2, nats").over(LOW, HIGH),
            layers,
        )],
    }
}

type Rows = (Vec<Vec<f64>>, Vec<u32>);

/// Training columns and labels; test rows and labels. Images alternate by a fixed stride.
fn split(settings: &Settings<'_>, n: usize) -> Result<(Rows, Rows), Error> {
    let (pixels, labels) = data::digits(settings)?;
    let halved: Vec<Vec<f64>> = pixels
        .iter()
        .map(|image| {
            let at = |r: usize, c: usize| image.get(8 * r + c).copied().unwrap_or(0.0);
            (0..16)
                .map(|k| (2 * (k / 4), 2 * (k % 4)))
                .map(|(r, c)| 0.25 * (at(r, c) + at(r + 1, c) + at(r, c + 1) + at(r + 1, c + 1)))
                .collect()
        })
        .collect();
    let total = halved.len();
    if total < 2 * n {
        return Err(Error::Numbers(format!(
            "found {total} digits, expected at least {}",
            2 * n
        )));
    }
    let mut order: Vec<usize> = (0..total).collect();
    let mut dice = data::Dice::new(settings.seed, 60);
    for i in (1..total).rev() {
        order.swap(i, (dice.uniform() * (i + 1) as f64) as usize);
    }
    let (first, rest) = order.split_at(n);
    let columns = (0..16)
        .map(|j| first.iter().map(|&i| halved[i][j]).collect())
        .collect();
    let pick = |rows: &[usize]| rows.iter().map(|&i| labels[i]).collect();
    let test = rest.iter().map(|&i| halved[i].clone()).collect();
    Ok(((columns, pick(first)), (test, pick(rest))))
}

fn point(n: usize, epsilon: f64, b: usize, draws: &Draws, test: &Rows) -> Point {
    let m = test.1.len();
    let each = draws.chains / ENSEMBLES;
    let d = draws.p / (CLASSES - 1);
    let mut mean = vec![vec![0.0; m]; ENSEMBLES];
    let mut eta = [0.0; CLASSES];
    for (k, theta) in draws.values.chunks(draws.p).enumerate() {
        let ensemble = &mut mean[k % draws.chains / each];
        for (i, x) in test.0.iter().enumerate() {
            for c in 1..CLASSES {
                let w = &theta[(c - 1) * d..c * d];
                eta[c] = w[0] + w[1..].iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
            }
            let top = eta.iter().fold(f64::MIN, |a, b| a.max(*b));
            let sum: f64 = eta.iter().map(|e| (e - top).exp()).sum();
            ensemble[i] += (eta[test.1[i] as usize] - top).exp() / sum / (draws.n * each) as f64;
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
        temperature: small_step_temperature(epsilon, n, b),
        loss: stat::over_chains(&losses),
        rows,
    }
}

/// Standard error over test images of the difference of two losses on the same images.
fn row_error(a: &Point, b: &Point) -> f64 {
    let differences: Vec<f64> = a.rows.iter().zip(&b.rows).map(|(a, b)| a - b).collect();
    stat::over_chains(&differences).se
}
