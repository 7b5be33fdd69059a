//! The sentence that refuses an improper posterior: the direction, by the names of columns, and the prior that mends it.

use super::columns::Columns;
use super::{Cause, Direction, NEGLIGIBLE};
use sngd_core::config::Config;
use sngd_core::likelihood::Likelihood;
use sngd_core::problem::Problem;

/// Largest number of columns that a sentence names.
const NAMED: usize = 4;

/// What a sentence may speak of.
pub struct Sentences<'a> {
    /// The run file.
    pub config: &'a Config,
    /// Data and model.
    pub problem: &'a Problem,
}

impl Sentences<'_> {
    /// What was found, why the posterior is improper, and the remedy, a list of keys and priors.
    pub(super) fn sentence(&self, cause: &Cause, remedy: &[(String, &'static str)]) -> String {
        let set: Vec<String> = remedy
            .iter()
            .map(|(key, prior)| format!("{} = \"{prior}\"", quoted(key)))
            .collect();
        let set = set.join(" and ");
        match cause {
            Cause::FewRows { rows, columns } => format!(
                "found {rows} rows for {} coefficients under a flat prior, so that the posterior is improper, expected at least {} rows; use {set}",
                columns.len(),
                columns.len()
            ),
            Cause::Dependent {
                columns,
                dependencies,
            } => self.dependent(columns, dependencies, &set),
            Cause::Open(direction) => {
                let found = self.open(direction);
                let why = match (direction.heavy, self.larger(direction, 1.0)) {
                    (Some(j), _) => format!(
                        "and the prior {} of `{}` falls too slowly along that direction beside a flat prior, so that the posterior is improper",
                        self.problem.priors[j], self.problem.columns[j]
                    ),
                    (None, Some(_)) => "so that the likelihood does not fall to 0 along that direction, and the posterior under its flat prior is improper".to_string(),
                    (None, None) => format!(
                        "so that the likelihood does not fall to 0 as the intercept {}, and the posterior under its flat prior is improper",
                        if direction.rows[0] > 0 { "grows" } else { "falls" }
                    ),
                };
                format!("found that {found}, {why}; use {set}")
            }
            Cause::ScaleFalls => format!(
                "found that '{}' is fitted without error by {}, so that the posterior of scale has infinite mass near 0 and is improper; use {set}, or a known model.scale",
                self.config.data.response,
                self.features()
            ),
            Cause::ScaleGrows { flat } => format!(
                "found {} rows for {flat} coefficients under a flat prior beside the prior {} of scale, so that the posterior of scale falls too slowly at large values and is improper; use {set}, or more rows",
                super::scale::count(self.problem),
                self.problem
                    .scale_prior
                    .map_or(String::new(), |s| s.to_string())
            ),
        }
    }

    fn features(&self) -> String {
        let names: Vec<usize> = (0..self.problem.design_columns())
            .filter(|&j| !self.is_intercept(j))
            .collect();
        match names.as_slice() {
            [] => "the intercept alone".into(),
            all => self.list(all),
        }
    }

    fn is_intercept(&self, column: usize) -> bool {
        self.problem.intercept && column == 0
    }

    /// Names of columns, the first few of them.
    fn list(&self, columns: &[usize]) -> String {
        let names = columns
            .iter()
            .map(|&j| format!("`{}`", self.problem.columns[j]));
        let mut names: Vec<String> = names.take(NAMED).collect();
        if columns.len() > NAMED {
            names.push(format!("{} more columns", columns.len() - NAMED));
        }
        joined(&names)
    }

    /// One equation per dependent column.
    fn dependent(&self, columns: &[usize], dependencies: &[Vec<f64>], set: &str) -> String {
        let scaled = Columns::new(self.problem, columns.to_vec());
        let solved: Vec<(usize, String)> = dependencies
            .iter()
            .map(|d| self.equation(&scaled, d))
            .collect();
        let equations: Vec<String> = solved.iter().take(NAMED).map(|s| s.1.clone()).collect();
        let more = match solved.len().saturating_sub(NAMED) {
            0 => String::new(),
            n => format!(" and {n} more of this kind"),
        };
        let out: Vec<usize> = solved.iter().map(|s| s.0).collect();
        format!(
            "found columns that others determine ({}{more}), whose coefficients no data can tell apart, so that the posterior under a flat prior is improper; leave {} out of data.features, or use {set}",
            equations.join(", "),
            self.list(&out)
        )
    }

    /// A dependency, solved for the column that stands last among the dependent ones.
    fn equation(&self, columns: &Columns<'_>, dependency: &[f64]) -> (usize, String) {
        let t = &self.problem.transform;
        let moved: Vec<usize> = (0..dependency.len())
            .filter(|&k| dependency[k].abs() > NEGLIGIBLE)
            .collect();
        let names = moved
            .iter()
            .copied()
            .filter(|&k| !self.is_intercept(columns.index[k]));
        let at = names
            .max_by(|a, b| (dependency[*a].abs() > 0.5, a).cmp(&(dependency[*b].abs() > 0.5, b)))
            .unwrap_or(0);
        let natural = columns.natural(dependency);
        let own = natural[at];
        // What is left of an intercept that cancels is rounding.
        let shifts: f64 = moved
            .iter()
            .map(|&k| (natural[k] / own * t.mean[columns.index[k]]).abs())
            .sum();
        // An intercept with a proper prior is not among the columns, but takes what is constant.
        let (mut text, mut terms) = (String::new(), 0);
        if self.problem.intercept_at_means {
            let parts = columns.index.iter().zip(&natural);
            let constant: f64 = parts.map(|(&j, c)| c / own * t.mean[j]).sum();
            if constant.abs() > 1e-6 * (shifts + t.scale[columns.index[at]]) {
                let sign = if constant < 0.0 { "−" } else { "" };
                text = format!("{sign}{}", rounded(constant.abs()));
            }
        }
        for (k, &j) in columns.index.iter().enumerate().filter(|(k, _)| *k != at) {
            let factor = -natural[k] / own;
            let one = t.pivot == Some(j);
            let nothing = match one {
                true => {
                    (factor * t.pivot_value).abs() <= 1e-6 * (shifts + t.scale[columns.index[at]])
                }
                false => !moved.contains(&k),
            };
            if nothing {
                continue;
            }
            terms += 1;
            if terms > NAMED {
                text.push_str(" + …");
                break;
            }
            let size = rounded(factor.abs());
            let name = format!("`{}`", self.problem.columns[j]);
            let term = match (self.is_intercept(j), size.as_str()) {
                (true, _) => size,
                (false, "1") => name,
                (false, _) => format!("{size} × {name}"),
            };
            text.push_str(match (text.is_empty(), factor < 0.0) {
                (true, false) => "",
                (true, true) => "−",
                (false, false) => " + ",
                (false, true) => " − ",
            });
            text.push_str(&term);
        }
        let text = if text.is_empty() {
            "0".to_string()
        } else {
            text
        };
        (
            columns.index[at],
            format!("`{}` = {text}", self.problem.columns[columns.index[at]]),
        )
    }

    /// What a direction says of the rows.
    fn open(&self, direction: &Direction) -> String {
        let problem = self.problem;
        if matches!(problem.likelihood, Likelihood::Softmax { .. }) && direction.class.is_none() {
            return self.open_classes(direction);
        }
        if problem.likelihood == Likelihood::Poisson {
            return self.open_counts(direction);
        }
        let [up, down, still] = direction.rows;
        let (one, other) = self.sides(direction.class);
        let features = self.larger(direction, 1.0);
        let (Some(larger), true) = (&features, up + down > 0) else {
            // The intercept alone: all rows are on one side.
            return match up > 0 {
                true => format!("all {up} rows have {one}"),
                false => format!("all {down} rows have {other}"),
            };
        };
        match (up, down, still) {
            (_, _, 0) if up > 0 && down > 0 => {
                format!(
                    "{larger} separates all {up} rows with {one} from the {down} rows with {other}"
                )
            }
            (0, _, 0) => format!(
                "all {down} rows have {other}, which {} explains without end",
                self.larger(direction, -1.0).unwrap_or_default()
            ),
            (_, 0, 0) => format!("all {up} rows have {one}, which {larger} explains without end"),
            (0, _, _) => format!(
                "{} occurs with {other} only, in {down} rows, while the other {still} lie on the border (quasi-separation)",
                self.larger(direction, -1.0).unwrap_or_default()
            ),
            (_, 0, _) => format!(
                "{larger} occurs with {one} only, in {up} rows, while the other {still} lie on the border (quasi-separation)"
            ),
            _ => format!(
                "{larger} separates {up} rows with {one} from {down} rows with {other}, while the other {still} lie on the border (quasi-separation)"
            ),
        }
    }

    /// Words for the rows that go up, and for those that go down.
    fn sides(&self, class: Option<usize>) -> (String, String) {
        let (problem, response) = (self.problem, &self.config.data.response);
        let label = |class: usize| {
            problem
                .classes
                .get(class)
                .map_or_else(|| class.to_string(), String::clone)
        };
        match class {
            Some(class) => (
                format!("{response} = {}", label(class)),
                format!("{response} other than {}", label(class)),
            ),
            None if problem.trials.is_empty() => (
                format!("{response} = {}", label(1)),
                format!("{response} = {}", label(0)),
            ),
            None => ("successes only".into(), "no success".into()),
        }
    }

    fn open_counts(&self, direction: &Direction) -> String {
        let [up, down, still] = direction.rows;
        let rows = up + down;
        match (self.larger(direction, -1.0), still) {
            (None, _) => format!("all {rows} rows have a count of 0"),
            (Some(larger), 0) => {
                format!("all {rows} rows have a count of 0, which {larger} explains without end")
            }
            (Some(larger), _) => format!(
                "{larger} occurs with counts of 0 only, in {rows} rows, while the other {still} do not move with it"
            ),
        }
    }

    /// Parameters of several classes that grow or fall together.
    fn open_classes(&self, direction: &Direction) -> String {
        let (f, d) = (direction.columns.len(), self.problem.design_columns());
        let names = self.problem.parameter_names();
        let mut moved: Vec<(f64, &String)> = (direction.coefficients.iter().enumerate())
            .map(|(i, c)| (*c, &names[i / f * d + direction.columns[i % f]]))
            .collect();
        moved.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
        let shown = moved.iter().take(NAMED);
        let parts: Vec<String> = shown
            .map(|(c, name)| format!("{} {name}", if *c > 0.0 { "larger" } else { "smaller" }))
            .collect();
        format!("{} separate the classes", joined(&parts))
    }

    /// The columns that a direction moves: "larger `a` with smaller `b`". `None` for the intercept alone.
    fn larger(&self, direction: &Direction, sign: f64) -> Option<String> {
        let most = direction
            .coefficients
            .iter()
            .fold(0.0, |m: f64, c| m.max(c.abs()));
        let mut moved: Vec<(f64, usize)> = (direction.coefficients.iter().zip(&direction.columns))
            .filter(|(c, j)| c.abs() > NEGLIGIBLE * most && !self.is_intercept(**j))
            .map(|(c, j)| (sign * c, *j))
            .collect();
        moved.sort_by(|a, b| b.0.abs().total_cmp(&a.0.abs()));
        let more = moved.len().saturating_sub(NAMED);
        moved.truncate(NAMED);
        let of = |up: bool| -> Vec<usize> {
            moved
                .iter()
                .filter(|m| (m.0 > 0.0) == up)
                .map(|m| m.1)
                .collect()
        };
        let (up, down) = (of(true), of(false));
        let mut text = match (up.as_slice(), down.as_slice()) {
            ([], []) => return None,
            (up, []) => format!("larger {}", self.list(up)),
            ([], down) => format!("smaller {}", self.list(down)),
            (up, down) => format!("larger {} with smaller {}", self.list(up), self.list(down)),
        };
        if more > 0 {
            text.push_str(&format!(", with {more} more columns,"));
        }
        Some(text)
    }
}

/// A key of `[prior]`, with its section, as a run file spells it.
fn quoted(key: &str) -> String {
    match key.contains('.') {
        true => format!("prior.\"{key}\""),
        false => format!("prior.{key}"),
    }
}

/// "a", "a and b", "a, b and c".
fn joined(names: &[String]) -> String {
    match names {
        [all @ .., last] if !all.is_empty() => format!("{} and {last}", all.join(", ")),
        all => all.concat(),
    }
}

/// A number to six significant digits, without zeros at its end.
fn rounded(v: f64) -> String {
    let digits = 5 - v.abs().max(f64::MIN_POSITIVE).log10().floor() as i32;
    if !(0..=12).contains(&digits) {
        return format!("{v:.5e}");
    }
    let text = format!("{v:.*}", digits as usize);
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_string(),
        false => text,
    }
}
