//! Starting positions that a chain can leave. Draws of the Laplace approximation may lie where a skewed posterior has next to no mass:
//! at exp(η) for an η far above the mode the density is lower by thousands of nats and so steep that a Metropolis test refuses every
//! step from there.

use super::data::ModeData;
use super::group::{Group, start};
use super::lanes::LANES;
use super::pass::Pass;
use rayon::prelude::*;
use sngd_core::expansion::Expansion;
use sngd_core::problem::Problem;
use std::sync::Arc;

/// Share by which a position moves towards the mode at a time.
const NEARER: f64 = 0.7;
/// Times that a position may move: to 10⁻⁶ of its distance.
const MOVES: usize = 40;

/// The lowest log density, relative to its Gaussian approximation at the same place, in nats, from which a chain of P parameters starts.
/// A Gaussian's own log density falls by P/2 on average.
fn lowest(p: usize) -> f64 {
    -(5.0 + 0.5 * p as f64)
}

/// Moves positions `[m,P]` in whitened coordinates towards the mode until the log density there is no lower than the Gaussian
/// approximation suggests.
pub(super) fn draw_near(data: &ModeData<f32>, u: &mut [f64]) {
    let p = data.p;
    u.par_chunks_mut(LANES * p).for_each(|chunk| {
        let mut pass = Pass::new(data, 1);
        for _ in 0..MOVES {
            let mut group = [Group::new(p, 0, chunk)];
            start(data, &mut group, &mut pass);
            let mut far = false;
            for (l, u) in chunk.chunks_exact_mut(p).enumerate() {
                // Not a number is far too.
                let near = group[0].rest(l) >= lowest(p);
                if !near {
                    u.iter_mut().for_each(|u| *u *= NEARER);
                    far = true;
                }
            }
            if !far {
                break;
            }
        }
    });
}

/// The same for positions `[m,P]` in internal coordinates.
pub fn near_enough(problem: &Problem, expansion: &Arc<Expansion>, omega: &mut [f64]) {
    let p = expansion.omega.len();
    let data = ModeData::new(problem, Arc::clone(expansion));
    let mut u = vec![0.0; omega.len()];
    for (u, omega) in u.chunks_exact_mut(p).zip(omega.chunks_exact(p)) {
        expansion.whiten(omega, u);
    }
    let before = u.clone();
    draw_near(&data, &mut u);
    let moved = u.chunks_exact_mut(p).zip(before.chunks_exact(p));
    for ((u, before), omega) in moved.zip(omega.chunks_exact_mut(p)) {
        // A position that stays keeps its bits.
        if u != before {
            expansion.to_internal(u);
            omega.copy_from_slice(u);
        }
    }
}
