//! A centre for the expansion where the joint density of coefficients and scale has no largest value, though the posterior is proper: with as many
//! columns as rows the response is fitted without error, and the density grows without bound as the scale falls to 0, over a volume that
//! vanishes faster. The scale's marginal density does have a mode. By Laplace's approximation, exact for a Gaussian under normal priors, it is
//!
//! ```text
//! ln p(log σ | y) ≈ −C(β̂(σ), log σ) − ½ ln|M_ββ(σ)|,     β̂(σ) the mode of the coefficients given σ.
//! ```

use crate::newton::{Ended, Found, NoMode, descend};
use sngd_core::problem::Problem;

/// Steps of log σ in the first look, from [`FROM`] up to [`TO`] in internal units, where the response has a spread of about 1.
const STEP: f64 = 0.5;
const FROM: f64 = -9.0;
const TO: f64 = 4.0;
/// Width of the interval of log σ at which the search ends.
const WIDTH: f64 = 0.01;
/// (√5 − 1)/2, the share that an interval keeps in a golden section search.
const GOLDEN: f64 = 0.618_033_988_749_895;

/// The mode of the last parameter's marginal density, and of the others given it; `None` where that density, too, is largest at an end of what is searched.
pub(crate) fn search(problem: &Problem, tolerance: f64) -> Option<Found> {
    let p = problem.parameters();
    let mut warm = vec![0.0; p];
    let mut at = |log_scale: f64| -> Option<(f64, Found)> {
        warm[p - 1] = log_scale;
        let ended = descend(problem, warm.clone(), true, 0.0, tolerance);
        let Ended {
            found,
            cost,
            log_det,
        } = match ended {
            Ok(ended) if ended.found.converged => ended,
            Ok(_) | Err(NoMode::Singular) => return None,
        };
        warm.clone_from(&found.omega);
        Some((cost + 0.5 * log_det, found))
    };
    let looks = ((TO - FROM) / STEP) as usize;
    // From large scales down, where the coefficients' mode is easy to find.
    let grid: Vec<(f64, f64)> = (0..=looks)
        .map_while(|i| {
            let s = TO - STEP * i as f64;
            at(s).map(|(cost, _)| (s, cost))
        })
        .collect();
    let best = (0..grid.len()).min_by(|&a, &b| grid[a].1.total_cmp(&grid[b].1))?;
    if best == 0 || best + 1 >= grid.len() {
        return None;
    }
    let (mut low, mut high) = (grid[best + 1].0, grid[best - 1].0);
    let (mut a, mut b) = (high - GOLDEN * (high - low), low + GOLDEN * (high - low));
    let (mut cost_a, mut cost_b) = (at(a)?.0, at(b)?.0);
    while high - low > WIDTH {
        if cost_a < cost_b {
            (high, b, cost_b) = (b, a, cost_a);
            a = high - GOLDEN * (high - low);
            cost_a = at(a)?.0;
        } else {
            (low, a, cost_a) = (a, b, cost_b);
            b = low + GOLDEN * (high - low);
            cost_b = at(b)?.0;
        }
    }
    let (_, found) = at(0.5 * (low + high))?;
    Some(Found {
        marginal: true,
        ..found
    })
}
