//! What an experiment says of its claim: checks with estimate, Monte Carlo error and bound.

use crate::stat::Estimate;
use serde::Serialize;
use std::fmt;

/// The condition that an estimate must meet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// |estimate − truth| at most so many standard errors.
    Equals {
        /// The true value.
        truth: f64,
        /// Number of standard errors allowed.
        errors: f64,
    },
    /// Estimate above `bound` by at least so many standard errors.
    Above {
        /// The lower bound.
        bound: f64,
        /// Number of standard errors of distance.
        errors: f64,
    },
    /// Estimate below `bound` by at least so many standard errors.
    Below {
        /// The upper bound.
        bound: f64,
        /// Number of standard errors of distance.
        errors: f64,
    },
    /// Only reported; it cannot fail.
    Reported,
}

/// One estimate of a verdict, with its condition.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// What was measured.
    pub what: String,
    /// The estimate.
    pub measured: f64,
    /// Its Monte Carlo standard error.
    pub mcse: f64,
    /// The condition that it must meet.
    pub bound: Bound,
    /// Whether it meets the condition.
    pub passed: bool,
}

impl Check {
    /// Compares an estimate with a bound. An estimate or error that is not a number fails.
    pub fn new(what: impl Into<String>, measured: Estimate, bound: Bound) -> Check {
        let Estimate { value, se } = measured;
        let passed = match bound {
            Bound::Equals { truth, errors } => (value - truth).abs() <= errors * se,
            Bound::Above { bound, errors } => value - bound >= errors * se,
            Bound::Below { bound, errors } => bound - value >= errors * se,
            Bound::Reported => true,
        };
        Check {
            what: what.into(),
            measured: value,
            mcse: se,
            bound,
            passed,
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match (self.bound, self.passed) {
            (Bound::Reported, _) => "info",
            (_, true) => "pass",
            (_, false) => "FAIL",
        };
        write!(
            f,
            "{mark}  {}: {} ± {}",
            self.what,
            figure(self.measured),
            figure(self.mcse)
        )?;
        match self.bound {
            Bound::Equals { truth, errors } => {
                let z = (self.measured - truth) / self.mcse;
                write!(
                    f,
                    ", expected {} within {errors} standard errors (z = {z:.1})",
                    figure(truth)
                )
            }
            Bound::Above { bound, errors } => write!(
                f,
                ", expected above {} by {errors} standard errors",
                figure(bound)
            ),
            Bound::Below { bound, errors } => write!(
                f,
                ", expected below {} by {errors} standard errors",
                figure(bound)
            ),
            Bound::Reported => Ok(()),
        }
    }
}

/// Formats a number with four significant digits.
pub(crate) fn figure(x: f64) -> String {
    if x == 0.0 || !x.is_finite() {
        return format!("{x}");
    }
    let digits = (3.0 - x.abs().log10().floor()).clamp(0.0, 8.0) as usize;
    format!("{x:.digits$}")
}

/// The sentence and the checks behind it; the first check is the most important one.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Verdict {
    /// What was found.
    pub sentence: String,
    /// The checks, with their estimates and bounds.
    pub checks: Vec<Check>,
}

impl Verdict {
    /// Whether every check passed.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|c| c.passed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_in_standard_errors_and_nan_fails() {
        let of = |value, se, bound| Check::new("x", Estimate { value, se }, bound).passed;
        let equals = Bound::Equals {
            truth: 1.0,
            errors: 4.0,
        };
        assert!(of(1.39, 0.1, equals) && !of(1.41, 0.1, equals));
        let above = Bound::Above {
            bound: 1.0,
            errors: 4.0,
        };
        assert!(of(1.41, 0.1, above) && !of(1.39, 0.1, above));
        let below = Bound::Below {
            bound: 1.0,
            errors: 4.0,
        };
        assert!(of(0.59, 0.1, below) && !of(0.61, 0.1, below));
        for bound in [equals, above, below] {
            assert!(!of(f64::NAN, 0.1, bound) && !of(1.0, f64::NAN, bound));
        }
    }
}
