//! Minibatch natural gradient descent has the temperature εN/(2B): measured over a grid of ε, N and B, for five models and
//! three ways to draw a batch, and compared with the law at finite ε, T = ρεN/(B(2−ε)), exact for the Gaussian mean.

use crate::error::Error;
use crate::figure::{Axis, BLACK_LINE, Corner, Figure, GREY, Layer, Mark, Panel};
use crate::models;
use crate::sample::{Length, Model};
use crate::stat::{self, Estimate};
use crate::table::Table;
use crate::verdict::{Bound, Check, Verdict};
use crate::{Experiment, Findings, Settings};
use sngd_diag::{law_temperature, small_step_temperature};

/// The entry in the list of experiments.
pub const EXPERIMENT: Experiment = Experiment {
    name: "temperature-law",
    claim: "minibatch natural gradient descent samples near a minimum at T = εN/(2B)",
    run,
};

const WITH: &str = "with_replacement";
const WITHOUT: &str = "without_replacement";
const EPOCHS: &str = "epochs";

/// A model of the grid; add a row to `CASES` for another one.
struct Case {
    name: &'static str,
    make: fn(u64, usize) -> Result<Model, Error>,
    epsilons: &'static [f64],
    rows: &'static [usize],
    ways: &'static [&'static str],
}

const CASES: &[Case] = &[
    Case {
        name: "Gaussian mean",
        make: models::gaussian_mean,
        epsilons: &[0.05, 0.1, 0.2, 0.5, 1.0],
        rows: &[200, 1000],
        ways: &[WITH, WITHOUT, EPOCHS],
    },
    Case {
        name: "linear regression",
        make: models::linear_regression,
        epsilons: &[0.1, 0.3, 0.7],
        rows: &[1000],
        ways: &[WITH, WITHOUT],
    },
    Case {
        name: "logistic",
        make: models::logistic,
        epsilons: &[0.1, 0.3, 0.7],
        rows: &[1000],
        ways: &[WITH, WITHOUT],
    },
    Case {
        name: "softmax",
        make: models::softmax,
        epsilons: &[0.1, 0.3, 0.7],
        rows: &[1000],
        ways: &[WITH, WITHOUT],
    },
    Case {
        name: "perceptron",
        make: models::perceptron,
        epsilons: &[0.1, 0.3, 0.7],
        rows: &[2000],
        ways: &[WITH, WITHOUT],
    },
];

/// Relative error that is only reached if chains are in different basins.
const LEFT: f64 = 0.3;
/// The result of a cell whose chains ran away.
const NONE: Estimate = Estimate {
    value: f64::NAN,
    se: f64::NAN,
};
/// Batch sizes as shares of the rows.
const SHARES: [f64; 3] = [0.05, 0.1, 0.4];
/// The cell that shows whether epochs break the law: ε, N and B.
const EPOCH_CELL: (f64, usize, usize) = (0.1, 200, 20);

struct Cell {
    case: usize,
    way: &'static str,
    n: usize,
    b: usize,
    epsilon: f64,
    measured: Estimate,
    small_step: f64,
    exact: f64,
    noise: f64,
}

impl Cell {
    fn ran_away(&self) -> bool {
        self.measured.value.is_nan()
    }

    fn over_exact(&self) -> Estimate {
        self.measured.over(self.exact)
    }
}

fn run(settings: &Settings<'_>) -> Result<Findings, Error> {
    let cells = measure(settings)?;
    let mut table = Table::new(&[
        "model",
        "batches",
        "n",
        "b",
        "epsilon",
        "temperature",
        "mcse",
        "small_step_law",
        "exact_law",
        "noise_ratio",
    ]);
    for c in &cells {
        table.push(
            &[CASES[c.case].name, c.way],
            &[
                c.n as f64,
                c.b as f64,
                c.epsilon,
                c.measured.value,
                c.measured.se,
                c.small_step,
                c.exact,
                c.noise,
            ],
        );
    }
    Ok(Findings {
        figure: figure(&cells),
        table,
        verdict: verdict(&cells)?,
    })
}

fn measure(settings: &Settings<'_>) -> Result<Vec<Cell>, Error> {
    let chains = settings.pick(32, 32, 64);
    // `worth` is the number of independent values of the energy per chain: about one in 1/ε steps.
    let mut cells = Vec::new();
    for (index, case) in CASES.iter().enumerate() {
        let worth = if index == 0 {
            settings.pick(10.0, 60.0, 400.0)
        } else {
            settings.pick(3.0, 15.0, 120.0)
        };
        for &n in case.rows {
            let model = (case.make)(settings.seed, n)?;
            for &way in case.ways {
                (settings.progress)(&format!("{}, N = {n}, {way}", case.name));
                for &epsilon in case.epsilons {
                    for share in SHARES {
                        let b = (share * n as f64).round() as usize;
                        let sampler = format!(
                            "method = \"ngd\"\nstep_size = {epsilon}\nbatch_size = {b}\nbatches = \"{way}\""
                        );
                        let length = Length::new(
                            chains,
                            (10.0 / epsilon) as usize,
                            (worth / epsilon) as usize,
                        );
                        // Every cell has different random numbers.
                        let seed = settings
                            .seed
                            .wrapping_mul(10_007)
                            .wrapping_add(cells.len() as u64);
                        // If the temperature is too high for the width of the minimum, a chain may run away; the cell then has no result.
                        let (measured, noise) = match model.sample(&sampler, length, seed) {
                            Ok(run) => match stat::temperature(&run) {
                                // A single chain in another basin dominates the estimate.
                                t if t.se > LEFT * t.value => (NONE, f64::NAN),
                                t => (t, stat::noise_ratio(&run.mode)?),
                            },
                            Err(Error::RanAway { .. }) => (NONE, f64::NAN),
                            Err(e) => return Err(e),
                        };
                        let rho = if way == WITHOUT {
                            (n - b) as f64 / (n - 1) as f64
                        } else {
                            1.0
                        };
                        cells.push(Cell {
                            case: index,
                            way,
                            n,
                            b,
                            epsilon,
                            measured,
                            small_step: small_step_temperature(epsilon, n, b),
                            exact: law_temperature(epsilon, n, b, rho),
                            noise,
                        });
                    }
                }
            }
        }
    }
    Ok(cells)
}

fn verdict(cells: &[Cell]) -> Result<Verdict, Error> {
    let none = || Error::Numbers("the grid of the temperature law is empty".into());
    let mean: Vec<&Cell> = cells
        .iter()
        .filter(|c| c.case == 0 && c.way != EPOCHS)
        .collect();
    let worst = mean
        .iter()
        .max_by(|a, b| {
            let z = |c: &Cell| c.measured.z(c.exact).abs();
            z(a).total_cmp(&z(b))
        })
        .ok_or_else(none)?;
    let broken = cells
        .iter()
        .find(|c| c.way == EPOCHS && (c.epsilon, c.n, c.b) == EPOCH_CELL)
        .ok_or_else(none)?;
    let mut checks = vec![
        Check::new(
            format!(
                "Gaussian mean, the worst of {} cells (ε = {}, N = {}, B = {}, {}): measured T",
                mean.len(),
                worst.epsilon,
                worst.n,
                worst.b,
                worst.way
            ),
            worst.measured,
            Bound::Equals {
                truth: worst.exact,
                errors: 4.0,
            },
        ),
        Check::new(
            format!(
                "reshuffled epochs (ε = {}, N = {}, B = {}): measured T over the law",
                broken.epsilon, broken.n, broken.b
            ),
            broken.over_exact(),
            Bound::Below {
                bound: 1.0,
                errors: 4.0,
            },
        ),
    ];
    let mut far = Vec::new();
    for (index, case) in CASES.iter().enumerate().skip(1) {
        let ratio = |epsilon: f64, by: &dyn Fn(&Cell) -> f64| {
            let of: Vec<Estimate> = cells
                .iter()
                .filter(|c| c.case == index && c.epsilon == epsilon && !c.ran_away())
                .map(|c| c.measured.over(by(c)))
                .collect();
            average(&of)
        };
        let (least, most) = (case.epsilons[0], case.epsilons[case.epsilons.len() - 1]);
        for epsilon in [least, most] {
            checks.push(Check::new(
                format!(
                    "{}, ε = {epsilon}: measured T over the law, mean over B",
                    case.name
                ),
                ratio(epsilon, &|c| c.exact),
                Bound::Reported,
            ));
        }
        let known = ratio(least, &|c| c.exact * c.noise);
        far.push(format!(
            "{} {:+.1}% at ε = {least} ({:+.1}% once the data's own tr(F⁻¹Σ)/P is in the law) and {:+.1}% at ε = {most}",
            case.name,
            100.0 * (ratio(least, &|c| c.exact).value - 1.0),
            100.0 * (known.value - 1.0),
            100.0 * (ratio(most, &|c| c.exact).value - 1.0),
        ));
    }
    let away: Vec<String> = cells
        .iter()
        .filter(|c| c.ran_away())
        .map(|c| {
            format!(
                "{}, ε = {}, B = {}, {} (T = {:.1})",
                CASES[c.case].name, c.epsilon, c.b, c.way, c.exact
            )
        })
        .collect();
    let away = if away.is_empty() {
        String::new()
    } else {
        format!(
            " Left out, since a chain left the minimum: {}.",
            away.join("; ")
        )
    };
    let follows = if checks[0].passed {
        "follows"
    } else {
        "does not follow"
    };
    Ok(Verdict {
        sentence: format!(
            "The Gaussian mean {follows} T = ρεN/(B(2−ε)); the others lie off it by {}, where what grows with ε is the minibatch's noise in the Hessian; reshuffled epochs bring {:.0}% of the law's temperature.{away}",
            far.join(", "),
            100.0 * broken.over_exact().value
        ),
        checks,
    })
}

/// Mean of independent figures.
fn average(of: &[Estimate]) -> Estimate {
    let n = of.len() as f64;
    Estimate {
        value: of.iter().map(|e| e.value).sum::<f64>() / n,
        se: of.iter().map(|e| e.se * e.se).sum::<f64>().sqrt() / n,
    }
}

fn figure(cells: &[Cell]) -> Figure {
    let dots = |keep: &dyn Fn(&Cell) -> bool, at: &dyn Fn(&Cell) -> (f64, f64, f64)| {
        cells
            .iter()
            .filter(|c| keep(c) && !c.ran_away())
            .map(at)
            .collect::<Vec<_>>()
    };
    // Shifts the models slightly so that they are side by side at the same ε.
    let beside = |c: &Cell| c.epsilon * (1.0 + 0.04 * (c.case as f64 - 1.0));
    let by_model = |keep: &dyn Fn(&Cell) -> bool, at: &dyn Fn(&Cell) -> (f64, f64, f64)| {
        CASES
            .iter()
            .enumerate()
            .map(|(i, case)| Layer::dots(case.name, i + 1, &dots(&|c| c.case == i && keep(c), at)))
            .filter(|l| !l.points.is_empty())
            .collect::<Vec<_>>()
    };
    let curve: Vec<(f64, f64)> = (0..=60)
        .map(|i| 0.04 * (28f64).powf(f64::from(i) / 60.0))
        .map(|e| (e, 2.0 / (2.0 - e)))
        .collect();
    let ends = [0.05, 20.0];
    let mut first = vec![Layer::new(
        "T = εN/(2B)",
        GREY,
        Mark::Dashed,
        ends.map(|t| (t, t)).to_vec(),
    )];
    first.extend(by_model(&|c| c.way == WITH, &|c| {
        (c.small_step, c.measured.value, c.measured.se)
    }));
    let mut second = vec![
        Layer::new("exact, 2/(2−ε)", BLACK_LINE, Mark::Line, curve),
        Layer::new(
            "small ε",
            GREY,
            Mark::Dashed,
            vec![(0.04, 1.0), (1.12, 1.0)],
        ),
    ];
    second.extend(by_model(&|c| c.way != EPOCHS, &|c| {
        let unit = c.exact * (2.0 - c.epsilon) / 2.0;
        let m = c.measured.over(unit);
        (beside(c), m.value, m.se)
    }));
    let one = |label: &str| {
        Layer::new(
            label,
            BLACK_LINE,
            Mark::Line,
            vec![(0.04, 1.0), (1.12, 1.0)],
        )
    };
    let mut third = vec![one("the law")];
    third.extend(by_model(&|c| c.case > 0 && c.way != EPOCHS, &|c| {
        let m = c.measured.over(c.exact * c.noise);
        (beside(c), m.value, m.se)
    }));
    let mut fourth = vec![one("the law")];
    for (k, &share) in SHARES.iter().enumerate() {
        fourth.push(Layer::dots(
            format!("N/B = {}", 1.0 / share),
            k + 1,
            &dots(
                &|c| c.way == EPOCHS && (c.b as f64 - share * c.n as f64).abs() < 0.5,
                &|c| (c.epsilon, c.over_exact().value, c.over_exact().se),
            ),
        ));
    }
    Figure {
        title: "Temperature of minibatch natural gradient descent".into(),
        columns: 2,
        panels: vec![
            Panel::new(
                "Measured, batches with replacement",
                Axis::log("εN/(2B)"),
                Axis::log("tr(ΣM)/P"),
                first,
            )
            .legend_at(Corner::UpperLeft),
            Panel::new(
                "At finite ε",
                Axis::log("ε"),
                Axis::linear("measured / (ρεN/(2B))"),
                second,
            )
            .legend_at(Corner::UpperLeft),
            Panel::new(
                "Over the law times tr(F⁻¹Σ)/P",
                Axis::log("ε"),
                Axis::linear("measured / expected"),
                third,
            )
            .legend_at(Corner::UpperLeft),
            Panel::new(
                "Gaussian mean, reshuffled epochs",
                Axis::log("ε"),
                Axis::linear("measured / exact law"),
                fourth,
            )
            .legend_at(Corner::LowerRight),
        ],
    }
}
