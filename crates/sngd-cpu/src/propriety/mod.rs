//! Is the posterior proper? Decided from data, likelihood and priors before any work, whatever the method: every improper posterior that
//! is known is refused with the direction in which its mass is infinite, and with the prior that mends it.
//!
//! A proper prior makes its coefficient's direction proper, so that only coefficients with a flat prior are looked at. Rows must
//! determine them (`rank`), and the likelihood must fall to 0 along every direction of theirs (`recession`, by `cone`). A Gaussian's
//! scale is looked at apart (`scale`). Jeffreys' prior is no flat prior: there, rows must determine the coefficients, and no more.

mod columns;
mod cone;
mod heavy;
mod rank;
mod recession;
mod scale;
mod sides;
mod words;

#[cfg(test)]
mod tests;

use self::columns::Columns;
use self::cone::Verdict;
use self::rank::{Dependency, dependencies};
use self::recession::{of_classes, widest};
use self::sides::Sides;
use sngd_core::config::{Config, Target};
use sngd_core::error::CheckError;
use sngd_core::likelihood::Likelihood;
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::problem::Problem;

/// Work N·F² of a search for a direction, up to which it is repeated to find one of few columns.
const FEW_COLUMNS_WORK: usize = 20_000_000;
/// Size of a coefficient of a direction, relative to the largest and on columns of one size, that counts as 0.
const NEGLIGIBLE: f64 = 1e-6;
/// A proper prior of coefficients, on the scale of the data.
const COEFFICIENT: &str = "default";
/// A proper prior of an intercept beside weights that stay flat.
const INTERCEPT: &str = "normal(0, 2.5)";
/// A prior of a scale under which it neither falls to 0 nor grows without bound.
const SCALE: &str = "inv_gamma(2, 1)";

/// Refuses a posterior whose mass is known to be infinite. A network's priors are proper, and nothing is asked of it.
///
/// # Errors
/// [`CheckError::Improper`], with the direction and a prior that mends it.
pub fn check(config: &Config, problem: &Problem) -> Result<(), CheckError> {
    if problem.network.is_some() {
        return Ok(());
    }
    let priors = Priors::of(config, problem);
    match priors.cause(problem) {
        None => Ok(()),
        Some(cause) => {
            let sentences = words::Sentences { config, problem };
            let remedy = priors.remedy(config, problem, &cause);
            Err(CheckError::improper(
                &problem.source,
                sentences.sentence(&cause, &remedy),
            ))
        }
    }
}

/// Why a posterior is improper.
#[derive(Debug, Clone, PartialEq)]
enum Cause {
    /// There are fewer rows than coefficients under a flat prior.
    FewRows { rows: usize, columns: Vec<usize> },
    /// Columns depend on one another.
    Dependent {
        columns: Vec<usize>,
        dependencies: Vec<Dependency>,
    },
    /// Along a direction the likelihood does not fall to 0.
    Open(Direction),
    /// As the scale falls to 0, its density grows too fast.
    ScaleFalls,
    /// As the scale grows, its density falls too slowly beside so many coefficients under a flat prior.
    ScaleGrows { flat: usize },
}

/// A direction along which the likelihood does not fall to 0.
#[derive(Debug, Clone, PartialEq)]
struct Direction {
    /// Indices of the design's columns, `[F]`.
    columns: Vec<usize>,
    /// Coefficients on columns of one size, `[F]`, or `[K·F]` of a softmax in which no class is separated from all others.
    coefficients: Vec<f64>,
    /// Of softmax, the class that is separated from the others.
    class: Option<usize>,
    /// Rows that go up, that go down, and that stay.
    rows: [usize; 3],
    /// A coefficient of the direction whose prior is proper, but has tails too heavy to end it.
    heavy: Option<usize>,
}

/// What of the priors decides whether the posterior is proper.
#[derive(Debug, Clone)]
struct Priors {
    /// Columns whose coefficients have a flat prior, ascending.
    flat: Vec<usize>,
    /// The prior of a Gaussian's scale.
    scale: Option<ScalePrior>,
    /// Whether the target is the posterior under these priors, and not under Jeffreys'.
    posterior: bool,
}

impl Priors {
    fn of(config: &Config, problem: &Problem) -> Priors {
        // Every class has the same priors.
        let flat = (0..problem.design_columns()).filter(|&j| problem.priors[j] == Prior::Flat);
        Priors {
            flat: flat.collect(),
            scale: problem.scale_prior,
            posterior: config.sampler.target == Target::Posterior,
        }
    }

    /// The first cause that is found.
    fn cause(&self, problem: &Problem) -> Option<Cause> {
        if !self.flat.is_empty() {
            let columns = Columns::new(problem, self.flat.clone());
            if columns.counted < columns.len() {
                return Some(Cause::FewRows {
                    rows: columns.counted,
                    columns: columns.index,
                });
            }
            let dependencies = dependencies(&columns);
            if !dependencies.is_empty() {
                return Some(Cause::Dependent {
                    columns: columns.index,
                    dependencies,
                });
            }
            if self.posterior {
                let open = open(columns).or_else(|| heavy::open(problem, &self.flat));
                if let Some(direction) = open {
                    return Some(Cause::Open(direction));
                }
            }
        }
        let scale = self.scale.filter(|_| self.posterior)?;
        if scale::grows(problem, scale, self.flat.len()) {
            return Some(Cause::ScaleGrows {
                flat: self.flat.len(),
            });
        }
        scale::falls(problem, scale).then_some(Cause::ScaleFalls)
    }

    /// Keys of priors, with priors under which the posterior is proper: as few as were found.
    fn remedy(
        &self,
        config: &Config,
        problem: &Problem,
        cause: &Cause,
    ) -> Vec<(String, &'static str)> {
        let involved: Vec<usize> = match cause {
            Cause::FewRows { columns, .. } => columns.clone(),
            Cause::Dependent {
                columns,
                dependencies,
            } => {
                let moves = |k: &usize| dependencies.iter().any(|d| d[*k].abs() > NEGLIGIBLE);
                (0..columns.len())
                    .filter(moves)
                    .map(|k| columns[k])
                    .collect()
            }
            Cause::Open(direction) => direction.involved(),
            Cause::ScaleFalls | Cause::ScaleGrows { .. } => Vec::new(),
        };
        let keys = |of: &[usize]| -> Vec<String> {
            let mut keys: Vec<String> = of
                .iter()
                .filter(|j| self.flat.contains(j))
                .map(|j| key(config, problem, *j))
                .collect();
            // The intercept's comes last: a proper prior of the weights leaves the base rate free.
            keys.sort_by_key(|k| (k == "intercept", k != "weights"));
            keys.dedup();
            keys
        };
        let (own, all) = (keys(&involved), keys(&self.flat));
        let mut tried: Vec<Vec<String>> = own.iter().take(4).map(|k| vec![k.clone()]).collect();
        tried.extend([own, all.clone()]);
        tried.dedup();
        let with = |keys: &[String], scale: bool| Priors {
            flat: self
                .flat
                .iter()
                .copied()
                .filter(|j| !keys.contains(&key(config, problem, *j)))
                .collect(),
            scale: self.scale.map(|own| {
                if scale {
                    ScalePrior::InvGamma(2.0, 1.0)
                } else {
                    own
                }
            }),
            posterior: self.posterior,
        };
        let proper = |keys: &[String], scale: bool| with(keys, scale).cause(problem).is_none();
        let own_cause = matches!(cause, Cause::ScaleFalls | Cause::ScaleGrows { .. });
        let scaled = [false, true].into_iter().filter(|scale| match scale {
            true => self.scale.is_some(),
            false => !own_cause,
        });
        let found = scaled
            .flat_map(|scale| tried.iter().map(move |keys| (keys, scale)))
            .find(|(keys, scale)| proper(keys, *scale));
        let (keys, scale) = found.unwrap_or((&all, self.scale.is_some()));
        let rest_flat = !with(keys, scale).flat.is_empty();
        let prior = |key: &String| match key == "intercept" && rest_flat {
            true => INTERCEPT,
            false => COEFFICIENT,
        };
        let coefficients = keys.iter().map(|k| (k.clone(), prior(k)));
        coefficients
            .chain(scale.then(|| ("scale".to_string(), SCALE)))
            .collect()
    }
}

/// The key in `[prior]` that gives a column's coefficient its prior.
fn key(config: &Config, problem: &Problem, column: usize) -> String {
    let own = format!("weights.{}", problem.columns[column]);
    match column {
        0 if problem.intercept => "intercept".into(),
        _ if config.prior.0.contains_key(&own) => own,
        _ => "weights".into(),
    }
}

impl Direction {
    /// Columns whose coefficients it moves.
    fn involved(&self) -> Vec<usize> {
        let f = self.columns.len();
        let size = |c: &f64| c.abs();
        let most = self.coefficients.iter().map(size).fold(0.0, f64::max);
        let moves = |k: usize| {
            self.coefficients
                .iter()
                .skip(k)
                .step_by(f)
                .any(|c| c.abs() > NEGLIGIBLE * most)
        };
        (0..f)
            .filter(|&k| moves(k))
            .map(|k| self.columns[k])
            .collect()
    }
}

/// A direction of the columns' coefficients along which the likelihood does not fall to 0.
fn open(columns: Columns<'_>) -> Option<Direction> {
    let problem = columns.problem;
    if let Some(sides) = Sides::new(problem) {
        return one_sided(columns, sides, None);
    }
    let &Likelihood::Softmax { classes, baseline } = &problem.likelihood else {
        return None;
    };
    let Verdict::Direction(coefficients) = of_classes(&columns, classes, baseline) else {
        return None;
    };
    // One class against all others says more, where there is such a direction.
    let index = columns.index.clone();
    let against = |class: usize| {
        one_sided(
            Columns::new(problem, index.clone()),
            Sides::of_class(problem, class),
            Some(class),
        )
    };
    let simplest = |d: &Direction| (d.columns.len(), d.rows[2]);
    (0..classes)
        .filter_map(against)
        .min_by_key(simplest)
        .or(Some(Direction {
            columns: index.clone(),
            coefficients,
            class: None,
            rows: [0; 3],
            heavy: None,
        }))
}

/// The same for one output, by as few columns as move the same rows when one after the other is left out.
fn one_sided(columns: Columns<'_>, sides: Sides<'_>, class: Option<usize>) -> Option<Direction> {
    let problem = columns.problem;
    let mut columns = columns;
    let mut found = widest(&columns, sides)?;
    if columns.counted * columns.len() * columns.len() <= FEW_COLUMNS_WORK {
        let is_intercept = |j: usize| problem.intercept && j == 0;
        let size = |j: &(usize, f64)| (is_intercept(j.0), j.1.abs());
        let mut order: Vec<(usize, f64)> = columns
            .index
            .iter()
            .copied()
            .zip(found.direction.iter().copied())
            .collect();
        order.sort_by(|a, b| {
            size(a)
                .0
                .cmp(&size(b).0)
                .then(size(a).1.total_cmp(&size(b).1))
        });
        for (j, _) in order {
            let fewer: Vec<usize> = columns.index.iter().copied().filter(|k| *k != j).collect();
            if fewer.is_empty() {
                break;
            }
            let fewer = Columns::new(problem, fewer);
            if let Some(next) =
                widest(&fewer, sides).filter(|next| next.still.counted <= found.still.counted)
            {
                (columns, found) = (fewer, next);
            }
        }
    }
    let count = |columns: &Columns<'_>| {
        columns.fold(
            || [0; 3],
            |rows, i, _| rows[sides.of(i) as usize] += 1,
            |a, b| a.iter_mut().zip(b).for_each(|(a, b)| *a += b),
        )
    };
    let (all, still) = (count(&columns), count(&found.still));
    Some(Direction {
        columns: columns.index,
        coefficients: found.direction,
        class,
        rows: [all[0] - still[0], all[1] - still[1], found.still.counted],
        heavy: None,
    })
}
