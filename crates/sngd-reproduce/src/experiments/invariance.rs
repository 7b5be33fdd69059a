//! Is the law of p the same whichever link the model is written in? One Bernoulli model in three coordinates, three
//! samplers, all pushed forward to p.

use super::{Law, epsilon_at_one, improper, largest};
use crate::data;
use crate::error::Error;
use crate::figure::{Axis, BLACK_LINE, Figure, Layer, Mark, Panel, histogram};
use crate::sample::{Length, Model};
use crate::stat::{self, Estimate};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use statrs::distribution::{Beta, Continuous, ContinuousCDF};
use statrs::function::erf::erfc;

/// The row of the list.
pub const EXPERIMENT: Experiment = Experiment {
    name: "invariance",
    claim: "SNGD with the volume in its target samples functions: its law does not depend on the parameters",
    run,
};

/// k of n.
const K: u32 = 8;
const N: u32 = 40;
/// Batch of NGD, at the ε where its law gives T = 1.
const NGD_BATCH: usize = 5;
/// The longer of SNGD's two steps.
const EPSILON: f64 = 0.1;
const BATCH: usize = 20;
const LINKS: [&str; 3] = ["logit", "probit", "cloglog"];

fn inverse(link: &str) -> fn(f64) -> f64 {
    match link {
        "logit" => data::logistic,
        "probit" => |x| 0.5 * erfc(-x / std::f64::consts::SQRT_2),
        _ => |x| -(-x.exp()).exp_m1(),
    }
}

struct Method {
    name: &'static str,
    /// Sampler lines at two steps; one where there is nothing to extrapolate.
    at: Vec<String>,
}

fn methods() -> Vec<Method> {
    let ngd = epsilon_at_one(N as usize, NGD_BATCH);
    let sngd = |target: &str| {
        [EPSILON, EPSILON / 2.0].map(|e| {
            format!("target = \"{target}\"\nstep_size = {e}\nbatch_size = {BATCH}\nbatches = \"without_replacement\"\ndamping = 0.01")
        }).to_vec()
    };
    vec![
        Method {
            name: "NGD at T = 1",
            at: vec![format!(
                "method = \"ngd\"\nstep_size = {ngd}\nbatch_size = {NGD_BATCH}"
            )],
        },
        Method {
            name: "SNGD, κ = 0",
            at: sngd("posterior"),
        },
        Method {
            name: "SNGD, κ = 1",
            at: sngd("jeffreys"),
        },
    ]
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let (k, n) = (f64::from(K), f64::from(N));
    let truth = Beta::new(k + 0.5, n - k + 0.5).map_err(improper)?;
    let total = n + 1.0;
    let sd = ((k + 0.5) * (n - k + 0.5) / (total * total * (total + 1.0))).sqrt();
    let exact = Law::exact(|u| truth.inverse_cdf(u));
    let length = Length::new(
        settings.pick(32, 64, 64),
        400,
        settings.pick(2_000, 10_000, 80_000),
    );
    let mut table = Table::new(&["method", "link", "other", "w1_over_sd", "floor", "floor_sd"]);
    let (mut panels, mut worst_pair, mut to_exact, mut raw) =
        (Vec::new(), Vec::new(), Vec::new(), 0.0f64);
    for method in methods() {
        let mut laws = Vec::new();
        let mut layers = vec![Layer::new(
            "Beta(k+½, n−k+½)",
            BLACK_LINE,
            Mark::Line,
            (1..200)
                .map(|i| f64::from(i) / 200.0 * 0.5)
                .map(|p| (p, truth.pdf(p)))
                .collect(),
        )];
        for (i, link) in LINKS.iter().enumerate() {
            (settings.tell)(&format!("{}, {link}", method.name));
            let labels = (0..N).map(|i| u32::from(i < K)).collect();
            let model = Model::new(
                &format!(
                    "[model]\nlikelihood = \"bernoulli\"\nlink = \"{link}\"\n[prior]\nintercept = \"flat\""
                ),
                data::table(&[], data::labels(labels, 2)),
            )?;
            let mut at = Vec::new();
            for (j, sampler) in method.at.iter().enumerate() {
                let seed = settings
                    .seed
                    .wrapping_mul(101)
                    .wrapping_add((10 * i + j) as u64);
                let draws = model.sample(sampler, length, seed)?;
                let to_p = inverse(link);
                let chains = draws.map(|t| to_p(t[0]));
                if j + 1 == method.at.len() {
                    let all = stat::pooled(&chains);
                    layers.push(Layer::new(
                        *link,
                        i + 1,
                        Mark::Line,
                        histogram(&all, 0.0, 0.5, 50),
                    ));
                }
                at.push(Law::of(&chains));
            }
            if method.name.ends_with('1') && at.len() == 2 {
                raw = raw.max(at[1].beyond(&exact).value / sd);
            }
            laws.push(match at.len() {
                2 => Law::extrapolated(&at[0], &at[1]),
                _ => at.remove(0),
            });
        }
        let mut tell = |link: &str, other: &str, a: &Law, b: &Law| {
            let floor = a.floor.value.hypot(b.floor.value);
            let d = a.distance(b);
            table.push(
                &[method.name, link, other],
                &[d.value / sd, floor / sd, d.se / sd],
            );
        };
        let mut pairs = Vec::new();
        for i in 0..LINKS.len() {
            tell(LINKS[i], "Beta", &laws[i], &exact);
            to_exact.push(((method.name, LINKS[i]), laws[i].beyond(&exact).over(sd)));
            for j in 0..i {
                tell(LINKS[i], LINKS[j], &laws[i], &laws[j]);
                pairs.push(((LINKS[j], LINKS[i]), laws[i].beyond(&laws[j]).over(sd)));
            }
        }
        worst_pair.push((method.name, largest(pairs)?));
        panels.push(Panel::new(
            method.name,
            Axis::linear("p"),
            Axis::linear("density"),
            layers,
        ));
    }
    Ok(Findings {
        figure: Figure {
            title: format!("{K} of {N}: the law of p by link"),
            columns: 3,
            panels,
        },
        table,
        verdict: verdict(&worst_pair, to_exact, raw)?,
    })
}

type Pair = ((&'static str, &'static str), Estimate);

fn verdict(
    pairs: &[(&'static str, Pair)],
    to_exact: Vec<((&'static str, &'static str), Estimate)>,
    raw: f64,
) -> Result<Verdict, Error> {
    let [ngd, flat, volume] = pairs else {
        return Err(Error::Numbers("a method is missing".into()));
    };
    let invariant: Vec<_> = to_exact
        .into_iter()
        .filter(|((m, _), _)| *m == volume.0)
        .collect();
    let ((_, link), to_beta) = largest(invariant)?;
    let same = Bound::Equals {
        truth: 0.0,
        errors: 4.0,
    };
    let beyond = "Wasserstein-1 distance beyond the Monte Carlo floor, in sds of p";
    let differ = |(name, ((a, b), d)): &(&'static str, Pair)| {
        Check::new(
            format!("{name}: {a} from {b}, more than any two links under κ = 1, {beyond}"),
            d.minus(volume.1.1),
            Bound::Above {
                bound: 0.0,
                errors: 4.0,
            },
        )
    };
    let checks = vec![
        Check::new(
            format!("{}, ε → 0: {link} from Beta, {beyond}", volume.0),
            to_beta,
            same,
        ),
        Check::new(
            format!(
                "{}, ε → 0: {} from {}, {beyond}",
                volume.0, volume.1.0.0, volume.1.0.1
            ),
            volume.1.1,
            same,
        ),
        differ(ngd),
        differ(flat),
    ];
    let agree = if checks[0].passed && checks[1].passed {
        "agrees with Beta in every link"
    } else {
        "does not agree with Beta in every link"
    };
    Ok(Verdict {
        sentence: format!(
            "SNGD with κ = 1 {agree}, while links differ by up to {:.2} sds of p under NGD and {:.2} under κ = 0; at ε = {} without extrapolation κ = 1 is {:.3} sds from Beta beyond the Monte Carlo floor, the bias of its step.",
            ngd.1.1.value,
            flat.1.1.value,
            EPSILON / 2.0,
            raw
        ),
        checks,
    })
}
