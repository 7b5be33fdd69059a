//! E[s sᵀ] where no labels can be drawn: by sums over all responses that a density allows.

use sngd_core::likelihood::{LikelihoodBody, Observed, packed};
use std::time::Instant;

/// Largest distance from one of a density's sum over these responses.
const MASS: f64 = 1e-4;
/// Number of responses in a sum.
const NODES: i32 = 4000;

/// The set of responses that a density may have.
#[derive(Debug, Clone, Copy)]
enum Support {
    /// 0 and 1.
    Labels,
    /// 0, 1, 2, ...
    Counts,
    /// Above zero.
    Positive,
    /// Any number.
    Real,
}

impl Support {
    /// The sets that contain responses like these, the smallest first.
    fn of(rows: &[Observed<f64>]) -> Vec<Support> {
        let all = |f: fn(f64) -> bool| rows.iter().all(|o| f(o.y));
        let mut out = Vec::new();
        if all(|y| y == 0.0 || y == 1.0) {
            out.push(Support::Labels);
        }
        if all(|y| y >= 0.0 && y.fract() == 0.0) {
            out.push(Support::Counts);
        }
        if all(|y| y > 0.0) {
            out.push(Support::Positive);
        }
        out.push(Support::Real);
        out
    }

    /// Responses and their weights. Over numbers it is the trapezoidal rule in t, y = eᵗ or 2·sinh t, which reaches far tails.
    fn nodes(self) -> Vec<(f64, f64)> {
        let count = |n: i32| (0..n).map(|y| (f64::from(y), 1.0)).collect();
        let along = |reach: f64, f: fn(f64) -> (f64, f64)| {
            let step = 2.0 * reach / f64::from(NODES);
            (0..=NODES)
                .map(|i| f(f64::from(i) * step - reach))
                .map(|(y, slope)| (y, slope * step))
                .collect()
        };
        match self {
            Support::Labels => count(2),
            Support::Counts => count(NODES),
            Support::Positive => along(30.0, |t| (t.exp(), t.exp())),
            Support::Real => along(14.0, |t| (2.0 * t.sinh(), 2.0 * t.cosh())),
        }
    }
}

/// E[s sᵀ], packed, at each η of a grid; `None` if the density adds up to one over none of these sets, or the time is over.
pub(super) fn information(
    body: &dyn LikelihoodBody,
    grid: &[Vec<f64>],
    rows: &[Observed<f64>],
    until: Instant,
) -> Option<Vec<Vec<f64>>> {
    let companion = rows.first()?.trials;
    Support::of(rows).into_iter().find_map(|support| {
        let nodes = support.nodes();
        let each = grid
            .iter()
            .map(|eta| at_outputs(body, eta, companion, (&nodes, until)));
        each.collect()
    })
}

fn at_outputs(
    body: &dyn LikelihoodBody,
    eta: &[f64],
    trials: f64,
    (nodes, until): (&[(f64, f64)], Instant),
) -> Option<Vec<f64>> {
    let h = eta.len();
    let (mut mass, mut score) = (0.0, vec![0.0; h]);
    let mut sum = vec![0.0; h * (h + 1) / 2];
    for &(y, weight) in nodes {
        if Instant::now() >= until {
            return None;
        }
        let obs = Observed { y, trials };
        let p = weight * body.log_lik(eta, obs).exp();
        // Where a density is zero its score may be anything.
        if p.is_nan() || p < 1e-300 {
            continue;
        }
        body.score(eta, obs, &mut score);
        mass += p;
        for k in 0..h {
            for l in 0..=k {
                sum[packed(k, l)] += p * score[k] * score[l];
            }
        }
    }
    ((mass - 1.0).abs() < MASS && sum.iter().all(|v| v.is_finite())).then_some(sum)
}
