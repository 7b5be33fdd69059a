//! One claim per file.

mod away_from_minima;
mod ensemble_loss;
mod fisher_mismatch;
mod invariance;
mod jeffreys;
mod laplace;
mod temperature_law;

use crate::Experiment;
use crate::error::Error;
use crate::stat::{self, Estimate, QUANTILES};

/// All experiments, in the order in which they are best read.
pub const EXPERIMENTS: &[Experiment] = &[
    temperature_law::EXPERIMENT,
    fisher_mismatch::EXPERIMENT,
    laplace::EXPERIMENT,
    away_from_minima::EXPERIMENT,
    invariance::EXPERIMENT,
    jeffreys::EXPERIMENT,
    ensemble_loss::EXPERIMENT,
];

/// The step size ε at which the exact law with replacement gives T = 1: 2/(1 + N/B).
fn epsilon_at_one(n: usize, b: usize) -> f64 {
    2.0 / (1.0 + n as f64 / b as f64)
}

/// A distribution given by draws: its quantiles, and the distance that Monte Carlo error alone gives.
#[derive(Clone)]
struct Law {
    quantiles: Vec<f64>,
    floor: Estimate,
}

impl Law {
    fn of(chains: &[Vec<f64>]) -> Law {
        Law {
            quantiles: stat::quantiles(&stat::pooled(chains), QUANTILES),
            floor: stat::floor(chains),
        }
    }

    /// A distribution with a known quantile function.
    fn exact(inverse: impl Fn(f64) -> f64) -> Law {
        Law {
            quantiles: (0..QUANTILES)
                .map(|i| inverse((i as f64 + 0.5) / QUANTILES as f64))
                .collect(),
            floor: Estimate {
                value: 0.0,
                se: 0.0,
            },
        }
    }

    /// Extrapolates every quantile to ε = 0: 2·half − full removes an error linear in ε.
    fn extrapolated(full: &Law, half: &Law) -> Law {
        let floor = |f: f64, h: f64| f.hypot(2.0 * h);
        Law {
            quantiles: full
                .quantiles
                .iter()
                .zip(&half.quantiles)
                .map(|(f, h)| 2.0 * h - f)
                .collect(),
            floor: Estimate {
                value: floor(full.floor.value, half.floor.value),
                se: floor(full.floor.se, half.floor.se),
            },
        }
    }

    /// Wasserstein-1 distance minus what Monte Carlo error alone gives; the standard error is the spread of the latter.
    fn beyond(&self, other: &Law) -> Estimate {
        Estimate {
            value: self.distance(other).value - self.floor.value.hypot(other.floor.value),
            se: self.floor.se.hypot(other.floor.se),
        }
    }

    /// Wasserstein-1 distance, without correction.
    fn distance(&self, other: &Law) -> Estimate {
        Estimate {
            value: stat::wasserstein(&self.quantiles, &other.quantiles),
            se: self.floor.se.hypot(other.floor.se),
        }
    }
}

/// The estimate with the largest value, of several.
fn largest<T>(of: Vec<(T, Estimate)>) -> Result<(T, Estimate), Error> {
    of.into_iter()
        .max_by(|a, b| a.1.value.total_cmp(&b.1.value))
        .ok_or_else(|| Error::Numbers("nothing was measured".into()))
}

/// The error for a distribution whose parameter is out of range.
fn improper(e: impl std::fmt::Display) -> Error {
    Error::Numbers(format!("a reference distribution does not exist: {e}"))
}
