//! Is the distribution of p the same in whichever link the model is written? One Bernoulli model in three coordinates, three
//! samplers, all draws transformed to p.

use super::{Law, epsilon_at_one, improper, largest};
use crate::data;
use crate::error::Error;
use crate::figure::{Axis, BLACK_LINE, Corner, Figure, Layer, Mark, Panel, histogram};
use crate::sample::{Length, Model};
use crate::stat::{self, Estimate};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use statrs::distribution::{Beta, Continuous, ContinuousCDF};
use statrs::function::erf::erfc;

/// The entry in the list of experiments.
pub const EXPERIMENT: Experiment = Experiment {
    name: "invariance",
    claim: "SNGD with the volume in its target samples functions: its law does not depend on the parameters",
    run,
};

/// Number of successes k, of n trials.
const K: u32 = 32;
const N: u32 = 40;
/// Batch size of NGD, at the ε where its law gives T = 1.
const NGD_BATCH: usize = 2;
/// The larger of SNGD's two step sizes.
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
    /// Sampler settings at two step sizes, or at one if there is nothing to extrapolate.
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

/// Largest distances of a method, in sds of p, beyond the Monte Carlo floor.
struct Measured {
    name: &'static str,
    /// Between links, at the given step size.
    links: (String, Estimate),
    /// Between links, extrapolated to ε = 0.
    links_limit: (String, Estimate),
    /// From Beta, at the given step size.
    beta: (String, Estimate),
    /// From Beta, extrapolated to ε = 0.
    beta_limit: (String, Estimate),
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let (k, n) = (f64::from(K), f64::from(N));
    let truth = Beta::new(k + 0.5, n - k + 0.5).map_err(improper)?;
    let total = n + 1.0;
    let sd = ((k + 0.5) * (n - k + 0.5) / (total * total * (total + 1.0))).sqrt();
    let exact = Law::exact(|u| truth.inverse_cdf(u));
    let mut table = Table::new(&[
        "method",
        "at",
        "law",
        "from",
        "w1_over_sd",
        "floor",
        "floor_sd",
    ]);
    let (mut panels, mut measured) = (Vec::new(), Vec::new());
    for (m, method) in methods().iter().enumerate() {
        let curve = (1..200).map(|i| 0.5 + 0.5 * f64::from(i) / 200.0);
        let mut layers = vec![Layer::new(
            "Beta(k+½, n−k+½)",
            BLACK_LINE,
            Mark::Line,
            curve.map(|p| (p, truth.pdf(p))).collect(),
        )];
        let (mut step, mut limit) = (Vec::new(), Vec::new());
        for (i, link) in LINKS.iter().enumerate() {
            (settings.progress)(&format!("{}, {link}", method.name));
            let mut at = chains(settings, method, m, link)?;
            let Some(last) = at.pop() else { continue };
            let all = stat::pooled(&last);
            layers.push(Layer::new(
                *link,
                i + 1,
                Mark::Line,
                histogram(&all, 0.5, 1.0, 50),
            ));
            let last = Law::of(&last);
            limit.push(match at.pop() {
                Some(longer) => Law::extrapolated(&Law::of(&longer), &last),
                None => last.clone(),
            });
            step.push(last);
        }
        let mut worst = |at: &str, laws: &[Law]| {
            let (mut pairs, mut beta) = (Vec::new(), Vec::new());
            let mut compare = |i: usize, other: &Law, name: &str| {
                let d = laws[i].distance(other);
                let floor = laws[i].floor.value.hypot(other.floor.value);
                table.push(
                    &[method.name, at, LINKS[i], name],
                    &[d.value / sd, floor / sd, d.se / sd],
                );
                (
                    format!("{} from {name}", LINKS[i]),
                    laws[i].beyond(other).over(sd),
                )
            };
            for i in 0..laws.len() {
                beta.push(compare(i, &exact, "Beta"));
                for j in 0..i {
                    pairs.push(compare(i, &laws[j], LINKS[j]));
                }
            }
            Ok::<_, Error>((largest(pairs)?, largest(beta)?))
        };
        let (links, beta) = worst("its step", &step)?;
        let (links_limit, beta_limit) = worst("the limit", &limit)?;
        measured.push(Measured {
            name: method.name,
            links,
            links_limit,
            beta,
            beta_limit,
        });
        panels.push(
            Panel::new(
                method.name,
                Axis::linear("p"),
                Axis::linear("density"),
                layers,
            )
            .legend_at(Corner::UpperLeft),
        );
    }
    Ok(Findings {
        figure: Figure {
            title: format!("{K} of {N}: the law of p by link"),
            columns: 3,
            panels,
        },
        table,
        verdict: verdict(&measured)?,
    })
}

/// p of each draw, chain by chain, at each of the method's steps.
fn chains(
    settings: &Settings<'_>,
    method: &Method,
    m: usize,
    link: &str,
) -> Result<Vec<Vec<Vec<f64>>>, Error> {
    let labels = (0..N).map(|i| u32::from(i < K)).collect();
    let model = Model::new(
        &format!(
            "[model]\nlikelihood = \"bernoulli\"\nlink = \"{link}\"\n[prior]\nintercept = \"flat\""
        ),
        data::table(&[], data::labels(labels, 2)),
    )?;
    let length = Length::new(64, 400, settings.pick(1_800, 4_000, 20_000)).thinned(5);
    let to_p = inverse(link);
    let place = LINKS.iter().position(|l| *l == link).unwrap_or(0);
    let mut at = Vec::new();
    for (j, sampler) in method.at.iter().enumerate() {
        let own = (100 * m + 10 * place + j) as u64;
        let seed = settings.seed.wrapping_mul(1009).wrapping_add(own);
        at.push(
            model
                .sample(sampler, length, seed)?
                .draws
                .map(|t| to_p(t[0])),
        );
    }
    Ok(at)
}

fn verdict(measured: &[Measured]) -> Result<Verdict, Error> {
    let [ngd, flat, volume] = measured else {
        return Err(Error::Numbers("a method is missing".into()));
    };
    let beyond = "Wasserstein-1 beyond the Monte Carlo floor, in sds of p";
    let same = |what: &(String, Estimate)| {
        Check::new(
            format!("{}, ε → 0: {}, {beyond}", volume.name, what.0),
            what.1,
            Bound::Equals {
                truth: 0.0,
                errors: 4.0,
            },
        )
    };
    let differ = |m: &Measured| {
        Check::new(
            format!(
                "{}: {}, more than any two links under κ = 1, {beyond}",
                m.name, m.links.0
            ),
            m.links.1.minus(volume.links.1),
            Bound::Above {
                bound: 0.0,
                errors: 4.0,
            },
        )
    };
    let checks = vec![
        same(&volume.beta_limit),
        same(&volume.links_limit),
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
            "SNGD with κ = 1 {agree}, while links differ by up to {:.2} sds of p under NGD and {:.2} under κ = 0; at ε = {} without extrapolation κ = 1 lies {:.3} ± {:.3} sds from Beta beyond the Monte Carlo floor.",
            ngd.links.1.value,
            flat.links.1.value,
            EPSILON / 2.0,
            volume.beta.1.value,
            volume.beta.1.se,
        ),
        checks,
    })
}
