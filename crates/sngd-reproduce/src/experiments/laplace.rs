//! NGD at T = 1 beside Laplace's approximation and the exact posterior: marginals, a cloud, distances.

use super::{Law, epsilon_at_one, improper, largest};
use crate::data::{self, Dice};
use crate::error::Error;
use crate::figure::{Axis, BLACK_LINE, Figure, Layer, Mark, Panel, histogram};
use crate::sample::{Draws, Length, Model};
use crate::stat::{self, Gauss};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use statrs::distribution::{Continuous, ContinuousCDF, Normal};

/// The row of the list.
pub const EXPERIMENT: Experiment = Experiment {
    name: "laplace",
    claim: "NGD at T = 1 samples the posterior where Laplace's approximation holds, and departs with it elsewhere",
    run,
};

/// Rows of the two data sets and NGD's batch: the same share, so the same ε.
const SIZES: [(usize, usize); 2] = [(1000, 100), (50, 5)];
/// Agreement that was asked for before any run: a tenth of a posterior sd.
const TENTH: f64 = 0.1;
const NAMES: [&str; 3] = ["intercept", "weight of x₁", "weight of x₂"];
const P: usize = 3;

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let chains = settings.pick(32, 64, 64);
    let mut table = Table::new(&[
        "n",
        "what",
        "ngd_exact",
        "laplace_exact",
        "ngd_laplace",
        "floor_ngd_exact",
    ]);
    let (mut panels, mut worst, mut kl) = (Vec::new(), Vec::new(), Vec::new());
    for (index, &(n, b)) in SIZES.iter().enumerate() {
        (settings.tell)(&format!("N = {n}"));
        let draws = settings.pick([400, 800], [1500, 6000], [12_000, 60_000])[index];
        let length = Length::new(chains, 300, draws);
        let model = model(settings.seed, n)?;
        let epsilon = epsilon_at_one(n, b);
        let seed = settings
            .seed
            .wrapping_mul(17)
            .wrapping_add(2 * index as u64);
        let exact = model.sample("method = \"mala\"\nstep_size = 0.7", length, seed)?;
        let ngd = model.sample(
            &format!("method = \"ngd\"\nstep_size = {epsilon}\nbatch_size = {b}"),
            length,
            seed.wrapping_add(1),
        )?;
        let laplace = Gauss::new(ngd.mode.omega.clone(), stat::inverse(&ngd.mode.metric, P)?)?;
        let (mut from_exact, mut from_laplace, mut laplace_off) = (vec![], vec![], vec![]);
        for i in 0..P {
            let (_, sd) = stat::mean_sd(&exact.internal_of(i));
            let normal =
                Normal::new(laplace.mean[i], laplace.cov[i * P + i].sqrt()).map_err(improper)?;
            let [e, g] = [&exact, &ngd].map(|d| Law::of(&d.internal_of(i)));
            let l = Law::exact(|u| normal.inverse_cdf(u));
            let sds = |x: &Law, y: &Law| x.distance(y).value / sd.value;
            table.push(
                &[
                    &n.to_string(),
                    &format!("Wasserstein-1 of {}, in sds", NAMES[i]),
                ],
                &[
                    sds(&g, &e),
                    sds(&l, &e),
                    sds(&g, &l),
                    g.floor.value.hypot(e.floor.value) / sd.value,
                ],
            );
            from_exact.push((
                NAMES[i],
                (g.beyond(&e).over(sd.value), g.distance(&e).over(sd.value)),
            ));
            from_laplace.push((NAMES[i], g.beyond(&l).over(sd.value)));
            laplace_off.push((NAMES[i], l.beyond(&e).over(sd.value)));
            if i > 0 {
                panels.push(marginal(n, i, &exact, &ngd, &normal));
            }
        }
        panels.push(cloud(n, &exact, &ngd, &laplace)?);
        let fit = |d: &Draws| Gauss::fit(d);
        let (e, g) = (fit(&exact)?, fit(&ngd)?);
        let divergence = [g.kl(&e)?, laplace.kl(&e)?, g.kl(&laplace)?];
        table.push(
            &[&n.to_string(), "KL of Gaussian fits, nats"],
            &[divergence[0], divergence[1], divergence[2], f64::NAN],
        );
        kl.push(divergence);
        let beyond = from_exact.iter().map(|(n, d)| (*n, d.0)).collect();
        let whole = from_exact.iter().map(|(n, d)| (*n, d.1)).collect();
        worst.push((
            largest(whole)?,
            largest(beyond)?,
            largest(from_laplace)?,
            largest(laplace_off)?,
        ));
    }
    let [
        (near, _, _, near_laplace),
        (_, far, far_laplace, laplace_far),
    ] = &worst[..]
    else {
        return Err(Error::Numbers("a data set is missing".into()));
    };
    let ((big, _), (small, _)) = (SIZES[0], SIZES[1]);
    let apart = Bound::Above {
        bound: 0.0,
        errors: 4.0,
    };
    let checks = vec![
        Check::new(
            format!(
                "N = {big}: NGD from exact, Wasserstein-1 of {}, in sds",
                near.0
            ),
            near.1,
            Bound::Below {
                bound: TENTH,
                errors: 4.0,
            },
        ),
        Check::new(
            format!(
                "N = {small}: NGD from exact, {}, beyond the Monte Carlo floor",
                far.0
            ),
            far.1,
            apart,
        ),
        Check::new(
            format!(
                "N = {small}: NGD from Laplace, {}, beyond the Monte Carlo floor",
                far_laplace.0
            ),
            far_laplace.1,
            apart,
        ),
        Check::new(
            format!(
                "N = {small}: Laplace from exact, {}, beyond the Monte Carlo floor",
                laplace_far.0
            ),
            laplace_far.1,
            Bound::Told,
        ),
    ];
    Ok(Findings {
        figure: Figure {
            title: format!(
                "NGD at ε = {:.3}, B = N/10",
                epsilon_at_one(SIZES[0].0, SIZES[0].1)
            ),
            columns: 3,
            panels,
        },
        table,
        verdict: Verdict {
            sentence: format!(
                "With {big} rows NGD lies {:.3} sds from the exact posterior in its worst marginal (Laplace {:.3}; KL of Gaussian fits {:.4} and {:.4} nats); with {small} rows NGD lies {:.2} sds off, Laplace {:.2}, and NGD and Laplace {:.2} from each other (KL {:.3}, {:.3} and {:.3}).",
                near.1.value,
                near_laplace.1.value,
                kl[0][0],
                kl[0][1],
                far.1.value,
                laplace_far.1.value,
                far_laplace.1.value,
                kl[1][0],
                kl[1][1],
                kl[1][2],
            ),
            checks,
        },
    })
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

/// Some draws of both weights, and Laplace's 95% ellipse.
fn cloud(n: usize, exact: &Draws, ngd: &Draws, laplace: &Gauss) -> Result<Panel, Error> {
    let some = |d: &Draws| -> Vec<(f64, f64)> {
        let total = d.n * d.chains;
        // A step that is no multiple of the chains takes from all of them.
        (0..300)
            .map(|k| (k * (total / 300 + 1)) % total * P)
            .map(|at| (d.internal[at + 1], d.internal[at + 2]))
            .collect()
    };
    let c = &laplace.cov;
    let block = [c[P + 1], c[P + 2], c[2 * P + 1], c[2 * P + 2]];
    let l = stat::cholesky(&block, 2)?;
    let radius = (-2.0 * 0.05f64.ln()).sqrt();
    let ellipse = (0..=90)
        .map(|k| std::f64::consts::TAU * f64::from(k) / 90.0)
        .map(|a| {
            let (u, v) = (radius * a.cos(), radius * a.sin());
            (
                laplace.mean[1] + l[0] * u,
                laplace.mean[2] + l[2] * u + l[3] * v,
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
