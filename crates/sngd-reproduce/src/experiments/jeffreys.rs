//! SNGD with κ = 1 samples the cost over the Riemannian volume: four models whose distribution is then known in closed form.

use super::improper;
use crate::data;
use crate::error::Error;
use crate::figure::{Axis, BLACK_LINE, Figure, Layer, Mark, Panel, histogram};
use crate::sample::{Length, Model};
use crate::stat::{self, richardson};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use sngd_core::draws::Draws;
use sngd_core::table::Response;
use statrs::distribution::{Beta, Continuous, Gamma, StudentsT};
use statrs::function::gamma::digamma;

/// The entry in the list of experiments.
pub const EXPERIMENT: Experiment = Experiment {
    name: "jeffreys",
    claim: "with the volume √|M| in its target, SNGD recovers closed-form Jeffreys posteriors",
    run,
};

/// The larger of the two step sizes.
const EPSILON: f64 = 0.1;
/// Damping, which bounds the metric where the Fisher information vanishes; no part of the target.
const DAMPING: f64 = 0.01;

/// Steps per draw: neighbouring states are nearly the same.
const THIN: usize = 5;

/// A function of the draws with known mean and sd.
struct Quantity {
    name: &'static str,
    of: fn(&[f64]) -> f64,
    mean: f64,
    sd: f64,
    /// Density to draw in the figure, if any.
    density: Option<Box<dyn Fn(f64) -> f64>>,
}

struct Case {
    law: &'static str,
    model: Model,
    batch: usize,
    quantities: Vec<Quantity>,
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let chains = settings.pick(32, 64, 64);
    let draws = settings.pick(1_500, 10_000, 60_000);
    let mut table = Table::new(&[
        "law",
        "quantity",
        "moment",
        "truth",
        "at_epsilon",
        "mcse_at_epsilon",
        "at_half",
        "mcse_at_half",
        "extrapolated",
        "mcse",
    ]);
    let (mut checks, mut panels) = (Vec::new(), Vec::new());
    let mut bias = 0.0f64;
    for case in [beta()?, gamma()?, dirichlet()?, student()?] {
        (settings.progress)(case.law);
        let sample = |epsilon: f64, seed: u64| -> Result<Draws, Error> {
            let run = case.model.sample(
                &format!(
                    "target = \"jeffreys\"\nstep_size = {epsilon}\nbatch_size = {}\nbatches = \"without_replacement\"\ndamping = {DAMPING}",
                    case.batch
                ),
                Length::new(chains, (20.0 / epsilon) as usize, draws).thinned(THIN),
                seed,
            )?;
            Ok(run.draws)
        };
        let full = sample(EPSILON, settings.seed)?;
        let half = sample(EPSILON / 2.0, settings.seed.wrapping_add(1 << 32))?;
        for q in &case.quantities {
            let (mean_full, sd_full) = stat::mean_sd(&full.map(q.of));
            let (mean_half, sd_half) = stat::mean_sd(&half.map(q.of));
            for (moment, truth, f, h) in [
                ("mean", q.mean, mean_full, mean_half),
                ("sd", q.sd, sd_full, sd_half),
            ] {
                let limit = richardson(f, h);
                bias = bias.max(((h.value - truth) / q.sd).abs());
                table.push(
                    &[case.law, q.name, moment],
                    &[truth, f.value, f.se, h.value, h.se, limit.value, limit.se],
                );
                checks.push(Check::new(
                    format!("{}: {moment} of {} as ε → 0", case.law, q.name),
                    limit,
                    Bound::Equals { truth, errors: 4.0 },
                ));
            }
        }
        panels.push(panel(&case, &half));
    }
    let z = |c: &Check| match c.bound {
        Bound::Equals { truth, .. } => ((c.measured - truth) / c.mcse).abs(),
        _ => 0.0,
    };
    checks.sort_by(|a, b| z(b).total_cmp(&z(a)));
    let agree = checks.iter().filter(|c| c.passed).count();
    let sentence = format!(
        "{agree} of {} means and sds of Beta, Gamma, Dirichlet and Student-t laws, extrapolated from ε = {EPSILON} and {} to ε = 0, agree with the closed form; unextrapolated at ε = {} the largest distance is {:.1}% of an sd, step bias and Monte Carlo error together.",
        checks.len(),
        EPSILON / 2.0,
        EPSILON / 2.0,
        100.0 * bias
    );
    Ok(Findings {
        figure: Figure {
            title: format!("SNGD, κ = 1, ε = {}", EPSILON / 2.0),
            columns: 2,
            panels,
        },
        table,
        verdict: Verdict { sentence, checks },
    })
}

fn panel(case: &Case, draws: &Draws) -> Panel {
    let q = &case.quantities[0];
    let (low, high) = (q.mean - 4.0 * q.sd, q.mean + 4.0 * q.sd);
    let low = if q.mean - 4.0 * q.sd < 0.0 { 0.0 } else { low };
    let mut layers = Vec::new();
    if let Some(density) = &q.density {
        let curve = (1..200)
            .map(|i| low + (high - low) * f64::from(i) / 200.0)
            .map(|x| (x, density(x)));
        layers.push(Layer::new(
            "closed form",
            BLACK_LINE,
            Mark::Line,
            curve.collect(),
        ));
    }
    let all = stat::pooled(&draws.map(q.of));
    layers.push(Layer::new(
        "SNGD",
        2,
        Mark::Dots,
        histogram(&all, low, high, 40),
    ));
    Panel::new(
        case.law,
        Axis::linear(q.name),
        Axis::linear("density"),
        layers,
    )
}

fn beta_quantity(
    name: &'static str,
    of: fn(&[f64]) -> f64,
    a: f64,
    b: f64,
) -> Result<Quantity, Error> {
    let law = Beta::new(a, b).map_err(improper)?;
    let total = a + b;
    Ok(Quantity {
        name,
        of,
        mean: a / total,
        sd: (a * b / (total * total * (total + 1.0))).sqrt(),
        density: Some(Box::new(move |x| law.pdf(x))),
    })
}

fn beta() -> Result<Case, Error> {
    let labels = (0..30).map(|i| u32::from(i < 7)).collect();
    Ok(Case {
        law: "Bernoulli, 7 of 30: Beta(7½, 23½)",
        model: Model::new(
            "[model]\nlikelihood = \"bernoulli\"\n[prior]\nintercept = \"flat\"",
            data::table(&[], data::labels(labels, 2)),
        )?,
        batch: 15,
        quantities: vec![beta_quantity("p", |t| data::logistic(t[0]), 7.5, 23.5)?],
    })
}

fn gamma() -> Result<Case, Error> {
    let y = vec![3.0, 1.0, 0.0, 2.0, 4.0, 1.0, 2.0, 0.0];
    let (shape, rate) = (y.iter().sum::<f64>() + 0.5, y.len() as f64);
    let law = Gamma::new(shape, rate).map_err(improper)?;
    Ok(Case {
        law: "Poisson, 13 in 8: Gamma(13½, 8)",
        model: Model::new(
            "[model]\nlikelihood = \"poisson\"\n[prior]\nintercept = \"flat\"",
            data::table(&[], Response::Numbers(y)),
        )?,
        batch: 4,
        quantities: vec![Quantity {
            name: "λ",
            of: |t| t[0].exp(),
            mean: shape / rate,
            sd: shape.sqrt() / rate,
            density: Some(Box::new(move |x| law.pdf(x))),
        }],
    })
}

fn share(t: &[f64], class: usize) -> f64 {
    let e = [1.0, t[0].exp(), t[1].exp()];
    e[class] / (e[0] + e[1] + e[2])
}

fn dirichlet() -> Result<Case, Error> {
    let labels: Vec<u32> = [(0, 5), (1, 9), (2, 3)]
        .iter()
        .flat_map(|&(class, m)| vec![class; m])
        .collect();
    Ok(Case {
        law: "three classes, 5, 9, 3: Dirichlet(5½, 9½, 3½)",
        model: Model::new(
            "[model]\nlikelihood = \"softmax\"\nbaseline = \"first\"\n[prior]\nintercept = \"flat\"",
            data::table(&[], data::labels(labels, 3)),
        )?,
        batch: 9,
        quantities: vec![
            beta_quantity("p₁", |t| share(t, 0), 5.5, 13.0)?,
            beta_quantity("p₂", |t| share(t, 1), 9.5, 9.0)?,
            beta_quantity("p₃", |t| share(t, 2), 3.5, 15.0)?,
        ],
    })
}

/// Normal with unknown μ and σ: μ is Student-t and SS/σ² is χ², both with n degrees of freedom.
fn student() -> Result<Case, Error> {
    let y: Vec<f64> = (0..24)
        .map(|i| 10.0 + 3.0 * (f64::from(i * 29 % 24) / 24.0 - 0.3))
        .collect();
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let squares: f64 = y.iter().map(|v| (v - mean) * (v - mean)).sum();
    let law = StudentsT::new(mean, squares.sqrt() / n, n).map_err(improper)?;
    // ψ₁(n/2): its series, and the integral of the remainder.
    let terms = 100_000;
    let trigamma = (0..terms)
        .map(|k| (n / 2.0 + f64::from(k)).powi(-2))
        .sum::<f64>()
        + 1.0 / (n / 2.0 + f64::from(terms) - 0.5);
    Ok(Case {
        law: "normal, μ and σ unknown, n = 24: Student-t and χ²",
        model: Model::new(
            "[model]\nlikelihood = \"gaussian\"\n[prior]\nintercept = \"flat\"\nscale = \"flat\"",
            data::table(&[], Response::Numbers(y)),
        )?,
        batch: 12,
        quantities: vec![
            Quantity {
                name: "μ",
                of: |t| t[0],
                mean,
                sd: (squares / n / (n - 2.0)).sqrt(),
                density: Some(Box::new(move |x| law.pdf(x))),
            },
            Quantity {
                name: "log σ",
                of: |t| t[1].ln(),
                mean: 0.5 * (squares.ln() - digamma(n / 2.0) - 2f64.ln()),
                sd: 0.5 * trigamma.sqrt(),
                density: None,
            },
        ],
    })
}
