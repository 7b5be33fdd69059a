//! The mode of a linear predictor's posterior by Fisher scoring in f64, with a line search; the matrix is computed again only while
//! steps are long.

use crate::dense::Factor;
use crate::row_sums::{Curvature, RowSums, row_sums};
use faer::Par;
use sngd_core::likelihood::Likelihood;
use sngd_core::problem::Problem;

/// Largest number of steps of the search.
const MAX_ITERATIONS: usize = 200;
/// Largest move of a coordinate that may end the search: where classes are separable, the cost stops falling while steps stay long.
const STILL: f64 = 1e-3;
/// Newton decrement, in nats, below which the matrix of the last step is used again.
const REUSE: f64 = 0.05;

/// The point at which the search ended.
#[derive(Debug, Clone)]
pub struct Found {
    /// The mode ω*, internal coordinates, `[P]`.
    pub omega: Vec<f64>,
    /// Whether the last step was small enough.
    pub converged: bool,
    /// Largest move of a coordinate in the last step.
    pub last_move: f64,
    /// Whether the joint density has no largest value, so that this is the mode of the scale's marginal density (`marginal`), with the mode of the
    /// other parameters given that scale.
    pub marginal: bool,
}

/// Why no mode was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoMode {
    /// The information matrix is singular under the priors.
    Singular,
}

/// A point, with cost and gradient there.
struct Point {
    omega: Vec<f64>,
    cost: f64,
    gradient: Vec<f64>,
}

/// Searches until the cost is within `tolerance` nats of its minimum. `ridge` is added to the diagonal of the matrix.
pub fn search(problem: &Problem, ridge: f64, tolerance: f64) -> Result<Found, NoMode> {
    descend(problem, start(problem), false, ridge, tolerance).map(|ended| ended.found)
}

/// Where a descent ended.
pub(crate) struct Ended {
    pub found: Found,
    /// Cost there, in nats.
    pub cost: f64,
    /// ln|M| of the last matrix that was factored.
    pub log_det: f64,
}

/// Goes down from `start` `[P]`. With `held` the last parameter, the logarithm of a scale, stays where it is.
pub(crate) fn descend(
    problem: &Problem,
    start: Vec<f64>,
    held: bool,
    ridge: f64,
    tolerance: f64,
) -> Result<Ended, NoMode> {
    let p = problem.parameters();
    let lambda = problem.prior_information();
    let par = if p > 256 { Par::rayon(0) } else { Par::Seq };
    let mut factor = Factor::new(p);
    let mut refactor = |sums: &RowSums| -> Result<Factor<f64>, NoMode> {
        let mut metric = sums.matrix.clone();
        metric.iter_mut().zip(&lambda).for_each(|(m, l)| *m += l);
        (0..p).for_each(|i| metric[i * (p + 1)] += ridge);
        if held {
            (0..p).for_each(|i| (metric[i * p + p - 1], metric[(p - 1) * p + i]) = (0.0, 0.0));
            metric[p * p - 1] = 1.0;
        }
        factor
            .factor(&metric, 0.0, 0, par)
            .map_err(|_| NoMode::Singular)?;
        Ok(std::mem::replace(&mut factor, Factor::new(p)))
    };
    let at = |omega: Vec<f64>, sums: &RowSums| {
        let mut point = point(problem, omega, sums);
        if held {
            point.gradient[p - 1] = 0.0;
        }
        point
    };
    let sums = row_sums(problem, &start, Curvature::Fisher, false);
    let mut solver = refactor(&sums)?;
    let mut here = at(start, &sums);
    let (mut converged, mut last_move, mut fresh) = (false, f64::INFINITY, true);
    for _ in 0..MAX_ITERATIONS {
        let mut step = here.gradient.clone();
        solver.solve(&mut step);
        let decrement: f64 = step.iter().zip(&here.gradient).map(|(s, g)| s * g).sum();
        let near = decrement < REUSE;
        let curvature = if near {
            Curvature::No
        } else {
            Curvature::Fisher
        };
        let mut length = 1.0;
        let next = loop {
            let omega: Vec<f64> = (here.omega.iter().zip(&step))
                .map(|(w, s)| w - length * s)
                .collect();
            let sums = row_sums(problem, &omega, curvature, false);
            let there = at(omega, &sums);
            // A rise within the rounding error of two equal sums is no reason to shorten the step.
            if there.cost.is_finite() && there.cost <= here.cost + 1e-12 * here.cost.abs() {
                break Some((there, sums));
            }
            length *= 0.5;
            if length < 1e-9 {
                break None;
            }
        };
        let Some((there, sums)) = next else {
            if fresh {
                converged = decrement < 1e-6;
                break;
            }
            // With the matrix of an earlier point the step may point uphill.
            let sums = row_sums(problem, &here.omega, Curvature::Fisher, false);
            solver = refactor(&sums)?;
            fresh = true;
            continue;
        };
        last_move = there
            .omega
            .iter()
            .zip(&here.omega)
            .map(|(a, b)| (a - b).abs())
            .fold(0.0, f64::max);
        let gained = here.cost - there.cost;
        here = there;
        fresh = curvature != Curvature::No;
        if fresh {
            match refactor(&sums) {
                Ok(next) => solver = next,
                // Predictions can saturate on the way; with the last matrix the step still points downhill.
                Err(NoMode::Singular) => fresh = false,
            }
        }
        let small = tolerance * (1.0 + here.cost.abs());
        let still = last_move < STILL;
        if still && decrement < small && gained < small.max(1e-12 * here.cost.abs()) {
            converged = true;
            break;
        }
    }
    Ok(Ended {
        found: Found {
            omega: here.omega,
            converged,
            last_move,
            marginal: false,
        },
        cost: here.cost,
        log_det: solver.log_det,
    })
}

fn point(problem: &Problem, omega: Vec<f64>, sums: &RowSums) -> Point {
    let p = omega.len();
    let mut gradient = vec![0.0; p];
    let prior = problem.prior_cost(&omega, true, &mut vec![0.0; p], &mut gradient);
    gradient
        .iter_mut()
        .zip(&sums.gradient)
        .for_each(|(g, s)| *g -= s);
    Point {
        omega,
        cost: prior - sums.log_lik,
        gradient,
    }
}

/// Start of the search: an intercept at the link of the mean response, every other parameter 0.
fn start(problem: &Problem) -> Vec<f64> {
    let mut omega = vec![0.0; problem.parameters()];
    let Some(pivot) = problem.transform.pivot else {
        return omega;
    };
    let n = problem.rows();
    let weight = |i: usize| problem.weights.get(i).copied().unwrap_or(1.0);
    let sum = |of: &dyn Fn(usize) -> f64| (0..n).map(|i| weight(i) * of(i)).sum::<f64>();
    let counts = sum(&|i| problem.y[i]);
    let offset = |i: usize| problem.offset.get(i).copied().unwrap_or(0.0);
    match &problem.likelihood {
        Likelihood::Poisson if counts > 0.0 => {
            omega[pivot] = (counts / sum(&|i| offset(i).exp())).ln();
        }
        Likelihood::Binomial(link) => {
            let trials = sum(&|i| problem.observed(i).trials);
            // Half a success and half a failure are added, which makes it finite.
            let mu = (counts + 0.5) / (trials + 1.0);
            omega[pivot] = link.of_mean(mu);
        }
        _ => {}
    }
    omega
}
