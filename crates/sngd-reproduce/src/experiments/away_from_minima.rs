//! Away from a minimum NGD does not sample the posterior: Σ_g is not F there and M varies. On two skewed posteriors, NGD at
//! T = 1 and SNGD are compared with exact MALA.

use super::{Law, epsilon_at_one, largest};
use crate::data::{self, Dice};
use crate::error::Error;
use crate::figure::{Axis, BLACK_LINE, Figure, Layer, Mark, Panel, histogram};
use crate::sample::{Length, Model};
use crate::stat::{self, Estimate};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use sngd_core::draws::Draws;
use sngd_core::table::Response;

/// The entry in the list of experiments.
pub const EXPERIMENT: Experiment = Experiment {
    name: "away-from-minima",
    claim: "on a skewed posterior NGD at T = 1 is wrong, and SNGD is right",
    run,
};

/// The larger of SNGD's two step sizes.
const EPSILON: f64 = 0.1;

struct Case {
    name: &'static str,
    model: Model,
    /// Batch sizes of NGD (with replacement, at the ε where T = 1) and of SNGD (without replacement).
    ngd: usize,
    sngd: usize,
    parameters: &'static [&'static str],
}

/// The draws of one case.
struct Runs {
    exact: Draws,
    /// Step size of NGD.
    epsilon: f64,
    /// Draws of NGD, or how it ran away.
    ngd: Result<Draws, Error>,
    /// Draws of SNGD at the larger step size.
    full: Draws,
    /// Draws of SNGD at half of it.
    half: Draws,
}

fn runs(settings: &Settings<'_>, case: &Case, index: u64, length: Length) -> Result<Runs, Error> {
    let n = case.model.problem().rows();
    let seed = |k: u64| settings.seed.wrapping_mul(31).wrapping_add(10 * index + k);
    let sample = |sampler: &str, seed| Ok(case.model.sample(sampler, length, seed)?.draws);
    let exact = sample("method = \"mala\"\nstep_size = 0.6", seed(0))?;
    let epsilon = epsilon_at_one(n, case.ngd);
    let ngd = match sample(
        &format!(
            "method = \"ngd\"\nstep_size = {epsilon}\nbatch_size = {}",
            case.ngd
        ),
        seed(1),
    ) {
        Err(e @ Error::RanAway { .. }) => Err(e),
        other => Ok(other?),
    };
    let sngd = |e: f64, k| {
        sample(
            &format!(
                "step_size = {e}\nbatch_size = {}\nbatches = \"without_replacement\"\ndamping = 0.01",
                case.sngd
            ),
            seed(k),
        )
    };
    Ok(Runs {
        exact,
        epsilon,
        ngd,
        full: sngd(EPSILON, 2)?,
        half: sngd(EPSILON / 2.0, 3)?,
    })
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let chains = settings.pick(32, 64, 64);
    let draws = settings.pick(1_500, 8_000, 48_000);
    let length = Length::new(chains, 400, draws).thinned(4);
    let mut table = Table::new(&[
        "model",
        "parameter",
        "method",
        "mean_error_in_sds",
        "sd_over_exact",
        "w1_over_sd",
        "floor",
    ]);
    let (mut panels, mut checks, mut said) = (Vec::new(), Vec::new(), Vec::new());
    for (index, case) in [poisson()?, logistic(settings.seed)?].iter().enumerate() {
        (settings.progress)(case.name);
        let Runs {
            exact,
            epsilon,
            ngd,
            full,
            half,
        } = runs(settings, case, index as u64, length)?;
        let (mut far, mut near, mut step) = (Vec::new(), Vec::new(), 0.0f64);
        for (i, &parameter) in case.parameters.iter().enumerate() {
            let law = |d: &Draws| Law::of(&d.map(|t| t[i]));
            let truth = law(&exact);
            let (mean, sd) = stat::mean_sd(&exact.map(|t| t[i]));
            let ours = law(&half);
            let limit = Law::extrapolated(&law(&full), &ours);
            near.push((parameter, limit.beyond(&truth).over(sd.value)));
            step = step.max(ours.beyond(&truth).value / sd.value);
            let (low, high) = (mean.value - 5.0 * sd.value, mean.value + 5.0 * sd.value);
            let line = |d: &Draws| histogram(&stat::pooled(&d.map(|t| t[i])), low, high, 60);
            let mut layers = vec![Layer::new(
                "exact (MALA)",
                BLACK_LINE,
                Mark::Line,
                line(&exact),
            )];
            let mut add = |method: &str, d: &Draws| {
                let (m, s) = stat::mean_sd(&d.map(|t| t[i]));
                let apart = law(d);
                table.push(
                    &[case.name, parameter, method],
                    &[
                        (m.value - mean.value) / sd.value,
                        s.value / sd.value,
                        apart.distance(&truth).value / sd.value,
                        apart.floor.value.hypot(truth.floor.value) / sd.value,
                    ],
                );
            };
            add("SNGD, the longer step", &full);
            add("SNGD", &half);
            if let Ok(ngd) = &ngd {
                add("NGD", ngd);
                far.push((parameter, law(ngd).beyond(&truth).over(sd.value)));
                layers.push(Layer::new("NGD, T = 1", 2, Mark::Line, line(ngd)));
            }
            layers.push(Layer::new("SNGD", 1, Mark::Dashed, line(&half)));
            if i < 2 {
                panels.push(Panel::new(
                    case.name,
                    Axis::linear(parameter),
                    Axis::linear("density"),
                    layers,
                ));
            }
        }
        let right = largest(near)?;
        let wrong = match (&ngd, largest(far)) {
            (Ok(_), Ok(worst)) => {
                checks.push(wrong_check(case.name, worst));
                format!(
                    "NGD at ε = {epsilon:.3} is {:.2} sds off in {}",
                    worst.1.value, worst.0
                )
            }
            (Err(e), _) => format!("NGD has no law ({e})"),
            (Ok(_), Err(e)) => return Err(e),
        };
        checks.push(Check::new(
            format!(
                "{}: SNGD, ε → 0, Wasserstein-1 of {} beyond the Monte Carlo floor, in sds",
                case.name, right.0
            ),
            right.1,
            Bound::Equals {
                truth: 0.0,
                errors: 4.0,
            },
        ));
        said.push(format!(
            "{}: {wrong}, SNGD {:.3} (its step of {} alone costs {:.3})",
            case.name,
            right.1.value,
            EPSILON / 2.0,
            step
        ));
    }
    Ok(Findings {
        figure: Figure {
            title: format!("Skewed posteriors; SNGD at ε = {}", EPSILON / 2.0),
            columns: 3,
            panels,
        },
        table,
        verdict: Verdict {
            sentence: format!(
                "Wasserstein-1 distance from the exact posterior, worst marginal, in its sds. {}.",
                said.join("; ")
            ),
            checks,
        },
    })
}

fn wrong_check(name: &str, (parameter, distance): (&str, Estimate)) -> Check {
    Check::new(
        format!("{name}: NGD, Wasserstein-1 of {parameter} beyond the Monte Carlo floor, in sds"),
        distance,
        Bound::Above {
            bound: 0.0,
            errors: 4.0,
        },
    )
}

/// Eight events in forty rows, under a weak normal prior on log λ.
fn poisson() -> Result<Case, Error> {
    let y = (0..40).map(|i| f64::from(u8::from(i % 5 == 0))).collect();
    Ok(Case {
        name: "Poisson, 8 events",
        model: Model::new(
            "[model]\nlikelihood = \"poisson\"\n[prior]\nintercept = \"normal(0, 5)\"",
            data::table(&[], Response::Numbers(y)),
        )?,
        ngd: 10,
        sngd: 20,
        parameters: &["log λ"],
    })
}

/// Thirty rows, strong effects, a weak prior.
fn logistic(seed: u64) -> Result<Case, Error> {
    let n = 30;
    let mut dice = Dice::new(seed, 20);
    let x = data::columns(&mut dice, n, 2);
    let y = (0..n)
        .map(|i| {
            let p = data::logistic(data::linear(&x, -1.0, &[1.5, -1.0], i));
            u32::from(dice.uniform() < p)
        })
        .collect();
    Ok(Case {
        name: "logistic, 30 rows",
        model: Model::new(
            "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 5)\"\nintercept = \"normal(0, 5)\"",
            data::table(&x, data::labels(y, 2)),
        )?,
        ngd: 3,
        sngd: 20,
        parameters: &["intercept", "weight of x₁", "weight of x₂"],
    })
}
