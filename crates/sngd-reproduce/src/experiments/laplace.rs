//! NGD at T = 1, Laplace's approximation and the exact posterior: marginals, a cloud of draws, distances.

use super::{Law, epsilon_at_one, improper, largest};
use crate::data::{self, Dice};
use crate::error::Error;
use crate::figure::{Axis, BLACK_LINE, Figure, Layer, Mark, Panel, histogram};
use crate::sample::{Length, Model, Sampled};
use crate::stat::{self, Estimate, Gauss};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use sngd_core::draws::Draws;
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// The entry in the list of experiments.
pub const EXPERIMENT: Experiment = Experiment {
    name: "laplace",
    claim: "NGD at T = 1 samples the posterior where Laplace's approximation holds, and departs with it elsewhere",
    run,
};

/// Rows of the data sets and NGD's batch sizes: the same share, so the same ε.
const SIZES: [(usize, usize); 4] = [(50, 5), (200, 20), (1000, 100), (4000, 400)];
/// Distance that counts as agreement with the largest set: a tenth of a posterior sd.
const TENTH: f64 = 0.1;
const NAMES: [&str; 3] = ["intercept", "weight of x₁", "weight of x₂"];
const P: usize = 3;
/// Sizes of the data sets with marginals and clouds in the figure.
const DRAWN: [usize; 2] = [50, 1000];

/// Distances in one data set: the largest over the marginals, in sds of the exact posterior.
struct Size {
    n: usize,
    /// NGD from exact: the distance itself, and beyond the Monte Carlo floor.
    ngd: (&'static str, Estimate),
    beyond: (&'static str, Estimate),
    laplace: (&'static str, Estimate),
    between: (&'static str, Estimate),
    /// KL divergence of Gaussian fits, in nats: NGD from exact, Laplace from exact.
    kl: [f64; 2],
    /// (mean of NGD − mode)/(mean of the posterior − mode), where the latter is largest.
    side: Estimate,
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let mut table = Table::new(&[
        "n",
        "what",
        "ngd_exact",
        "laplace_exact",
        "ngd_laplace",
        "floor_ngd_exact",
    ]);
    let (mut panels, mut sizes) = (Vec::new(), Vec::new());
    for index in 0..SIZES.len() {
        sizes.push(size(settings, index, &mut table, &mut panels)?);
    }
    panels.push(against_rows(&sizes));
    Ok(Findings {
        figure: Figure {
            title: format!(
                "Logistic regression, NGD at ε = {:.3} and B = N/10",
                epsilon_at_one(10, 1)
            ),
            columns: 3,
            panels,
        },
        table,
        verdict: verdict(&sizes)?,
    })
}

fn size(
    settings: &Settings<'_>,
    index: usize,
    table: &mut Table,
    panels: &mut Vec<Panel>,
) -> Result<Size, Error> {
    let (n, b) = SIZES[index];
    (settings.progress)(&format!("N = {n}"));
    let draws = settings.pick(
        [800, 800, 400, 200],
        [4000, 3000, 1500, 1500],
        [24_000, 14_000, 7_000, 5_000],
    )[index];
    let length = Length::new(settings.pick(32, 64, 64), 300, draws);
    let model = model(settings.seed, n)?;
    let epsilon = epsilon_at_one(n, b);
    let seed = settings
        .seed
        .wrapping_mul(17)
        .wrapping_add(2 * index as u64);
    let exact = model
        .sample("method = \"mala\"\nstep_size = 0.7", length, seed)?
        .draws;
    let Sampled { draws: ngd, mode } = model.sample(
        &format!("method = \"ngd\"\nstep_size = {epsilon}\nbatch_size = {b}"),
        length,
        seed.wrapping_add(1),
    )?;
    let laplace = Gauss::new(mode.omega, stat::inverse(&mode.metric, P)?)?;
    let [mut whole, mut beyond, mut off, mut between] = [const { Vec::new() }; 4];
    let mut side = (
        0.0,
        Estimate {
            value: f64::NAN,
            se: f64::NAN,
        },
    );
    for (i, &name) in NAMES.iter().enumerate() {
        let (mean, sd) = stat::mean_sd(&exact.internal_of(i));
        let normal =
            Normal::new(laplace.mean[i], laplace.cov[i * P + i].sqrt()).map_err(improper)?;
        let [e, g] = [&exact, &ngd].map(|d| Law::of(&d.internal_of(i)));
        let l = Law::exact(|u| normal.inverse_cdf(u));
        let sds = |x: &Law, y: &Law| x.distance(y).over(sd.value);
        table.push(
            &[&n.to_string(), &format!("Wasserstein-1 of {name}, in sds")],
            &[
                sds(&g, &e).value,
                sds(&l, &e).value,
                sds(&g, &l).value,
                g.floor.value.hypot(e.floor.value) / sd.value,
            ],
        );
        whole.push((name, sds(&g, &e)));
        beyond.push((name, g.beyond(&e).over(sd.value)));
        off.push((name, l.beyond(&e).over(sd.value)));
        between.push((name, g.beyond(&l).over(sd.value)));
        let (ngd_mean, _) = stat::mean_sd(&ngd.internal_of(i));
        let shift = (mean.value - laplace.mean[i]) / sd.value;
        if shift.abs() > side.0 {
            let there = ngd_mean.value - laplace.mean[i];
            let exact_shift = mean.value - laplace.mean[i];
            let ratio = there / exact_shift;
            side = (
                shift.abs(),
                Estimate {
                    value: ratio,
                    se: (ngd_mean.se.hypot(ratio * mean.se) / exact_shift).abs(),
                },
            );
        }
        if (n, i) == (SIZES[0].0, 0) || (DRAWN.contains(&n) && i == 1) {
            panels.push(marginal(n, i, &exact, &ngd, &normal));
        }
    }
    if DRAWN.contains(&n) {
        panels.push(cloud(n, &exact, &ngd, &laplace)?);
    }
    let (e, g) = (Gauss::fit(&exact)?, Gauss::fit(&ngd)?);
    let kl = [g.kl(&e)?, laplace.kl(&e)?];
    table.push(
        &[&n.to_string(), "KL of Gaussian fits, nats"],
        &[kl[0], kl[1], g.kl(&laplace)?, f64::NAN],
    );
    Ok(Size {
        n,
        ngd: largest(whole)?,
        beyond: largest(beyond)?,
        laplace: largest(off)?,
        between: largest(between)?,
        kl,
        side: side.1,
    })
}

fn verdict(sizes: &[Size]) -> Result<Verdict, Error> {
    let [small, .., large] = sizes else {
        return Err(Error::Numbers("a data set is missing".into()));
    };
    let apart = Bound::Above {
        bound: 0.0,
        errors: 4.0,
    };
    let floor = "beyond the Monte Carlo floor";
    let checks = vec![
        Check::new(
            format!(
                "N = {}: NGD from exact, Wasserstein-1 of {}, in sds",
                large.n, large.ngd.0
            ),
            large.ngd.1,
            Bound::Below {
                bound: TENTH,
                errors: 4.0,
            },
        ),
        Check::new(
            format!(
                "N = {}: NGD from exact, {}, {floor}",
                small.n, small.beyond.0
            ),
            small.beyond.1,
            apart,
        ),
        Check::new(
            format!(
                "N = {}: NGD from Laplace, {}, {floor}",
                small.n, small.between.0
            ),
            small.between.1,
            apart,
        ),
        Check::new(
            format!(
                "N = {}: Laplace from exact, {}, {floor}",
                small.n, small.laplace.0
            ),
            small.laplace.1,
            Bound::Reported,
        ),
        Check::new(
            format!(
                "N = {}: NGD's shift from the mode over the posterior's",
                sizes[1].n
            ),
            sizes[1].side,
            Bound::Reported,
        ),
    ];
    let series: Vec<String> = sizes
        .iter()
        .map(|s| {
            format!(
                "{:.3} (Laplace {:.3}; KL {:.4} and {:.4} nats) with {} rows",
                s.ngd.1.value, s.laplace.1.value, s.kl[0], s.kl[1], s.n
            )
        })
        .collect();
    Ok(Verdict {
        sentence: format!(
            "NGD at T = 1 lies from the exact posterior in its worst marginal, in sds: {}; its mean is shifted from the mode to the other side than the posterior's, so that it is about twice as far from the posterior as Laplace's approximation, and both distances fall as the rows grow.",
            series.join(", ")
        ),
        checks,
    })
}

fn against_rows(sizes: &[Size]) -> Panel {
    let line = |of: &dyn Fn(&Size) -> Estimate| -> Vec<(f64, f64, f64)> {
        sizes
            .iter()
            .map(|s| (s.n as f64, of(s).value.max(1e-3), of(s).se))
            .collect()
    };
    let first = sizes
        .first()
        .map_or((1.0, 1.0), |s| (s.n as f64, s.ngd.1.value));
    let guide = |n: f64| (n, first.1 * (first.0 / n).sqrt());
    Panel::new(
        "Worst marginal",
        Axis::log("N"),
        Axis::log("Wasserstein-1, sds"),
        vec![
            Layer::new("N^−½", 7, Mark::Dashed, vec![guide(50.0), guide(4000.0)]),
            Layer::dots("NGD from exact", 2, &line(&|s| s.ngd.1)),
            Layer::dots("Laplace from exact", 1, &line(&|s| s.laplace.1)),
            Layer::dots("NGD from Laplace", 3, &line(&|s| s.between.1)),
        ],
    )
}

fn marginal(n: usize, i: usize, exact: &Draws, ngd: &Draws, normal: &Normal) -> Panel {
    let (mean, sd) = stat::mean_sd(&exact.internal_of(i));
    let (low, high) = (mean.value - 4.0 * sd.value, mean.value + 5.0 * sd.value);
    let line = |d: &Draws| histogram(&stat::pooled(&d.internal_of(i)), low, high, 50);
    let curve = (0..=150)
        .map(|k| low + (high - low) * f64::from(k) / 150.0)
        .map(|x| (x, normal.pdf(x)));
    Panel::new(
        format!("N = {n}"),
        Axis::linear(NAMES[i]),
        Axis::linear("density"),
        vec![
            Layer::new("exact (MALA)", BLACK_LINE, Mark::Line, line(exact)),
            Layer::new("Laplace", 1, Mark::Dashed, curve.collect()),
            Layer::new("NGD, T = 1", 2, Mark::Line, line(ngd)),
        ],
    )
}

/// A panel with some draws of both weights, and Laplace's 95% ellipse.
fn cloud(n: usize, exact: &Draws, ngd: &Draws, laplace: &Gauss) -> Result<Panel, Error> {
    let some = |d: &Draws| -> Vec<(f64, f64)> {
        let total = d.n * d.chains;
        // A stride that is no multiple of the number of chains takes draws from all of them.
        (0..180)
            .map(|k| (k * (total / 180 + 1)) % total * P)
            .map(|at| (d.internal[at + 1], d.internal[at + 2]))
            .collect()
    };
    let c = &laplace.cov;
    let block = [c[P + 1], c[P + 2], c[2 * P + 1], c[2 * P + 2]];
    // [2,2], column-major: L₁₁, L₂₁, ·, L₂₂.
    let l = stat::factor(&block, 2)?.l;
    let radius = (-2.0 * 0.05f64.ln()).sqrt();
    let ellipse = (0..=90)
        .map(|k| std::f64::consts::TAU * f64::from(k) / 90.0)
        .map(|a| {
            let (u, v) = (radius * a.cos(), radius * a.sin());
            (
                laplace.mean[1] + l[0] * u,
                laplace.mean[2] + l[1] * u + l[3] * v,
            )
        });
    Ok(Panel::new(
        format!("N = {n}"),
        Axis::linear(NAMES[1]),
        Axis::linear(NAMES[2]),
        vec![
            Layer::new("exact (MALA)", BLACK_LINE, Mark::Cloud, some(exact)),
            Layer::new("NGD, T = 1", 2, Mark::Cloud, some(ngd)),
            Layer::new("Laplace, 95%", 1, Mark::Dashed, ellipse.collect()),
        ],
    ))
}

fn model(seed: u64, n: usize) -> Result<Model, Error> {
    let mut dice = Dice::new(seed, 30 + n as u32);
    let x = data::columns(&mut dice, n, 2);
    let y = (0..n)
        .map(|i| {
            let p = data::logistic(data::linear(&x, -0.8, &[1.2, -0.8], i));
            u32::from(dice.uniform() < p)
        })
        .collect();
    Model::new(
        "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 5)\"\nintercept = \"normal(0, 5)\"",
        data::table(&x, data::labels(y, 2)),
    )
}
