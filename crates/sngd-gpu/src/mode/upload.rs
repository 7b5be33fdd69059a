//! Fills the buffers of a plan with the metric at the mode before the first step.

use super::shape::{ModeShape, Rows, other_priors};
use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::Gpu;
use crate::features::{pairs, to_16_bits};
use crate::sizes::SLICE;
use sngd_core::engine::EngineError;
use sngd_core::expansion::Expansion;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_shaders::Code;

/// Uploads the expansion and the chains' starting points, `init` `[C,P]` in internal coordinates.
pub fn upload(
    gpu: &Gpu,
    buffers: &Buffers,
    problem: &Problem,
    plan: &Plan,
    expansion: &Expansion,
    shape: &ModeShape,
    init: &[f64],
) -> Result<(), EngineError> {
    let p = shape.p;
    match to_16_bits(plan.storage) {
        None => buffers.write(gpu, Buffer::X, &expansion.x)?,
        // The expansion is rounded to this storage already, so that packing it changes no number.
        Some(bits) => {
            let halves: Vec<u16> = expansion.x.iter().map(|&v| bits(f64::from(v))).collect();
            buffers.write(gpu, Buffer::X, &pairs(&halves))?;
        }
    }
    buffers.write(gpu, Buffer::Rows, &expansion.rows)?;
    let mut state = vec![0.0f32; plan.chains * shape.state()];
    let mut u = vec![0.0; p];
    for (to, omega) in state.chunks_mut(shape.state()).zip(init.chunks_exact(p)) {
        expansion.whiten(omega, &mut u);
        to.iter_mut().zip(&u).for_each(|(to, u)| *to = *u as f32);
    }
    buffers.write(gpu, Buffer::State, &state)?;
    let mut fixed = if shape.whitened {
        Vec::new()
    } else {
        inverses(expansion, p)
    };
    fixed.extend(priors(problem, expansion));
    buffers.write(gpu, Buffer::Fixed, &fixed)?;
    let slope: Vec<f32> = expansion.slope.iter().map(|&c| c as f32).collect();
    match &shape.rows {
        Rows::Few(_) => {
            if let Some(table) = &expansion.influence {
                buffers.write(gpu, Buffer::Influence, &table.columns)?;
            }
            buffers.write(gpu, Buffer::Pace, &slope)
        }
        Rows::All(all) => {
            let mut panels = vec![0u32; all.chunks * SLICE / 4];
            for i in 0..all.chunks {
                panels[i * SLICE / 4] = i as u32;
            }
            buffers.write(gpu, Buffer::Panel, &panels)?;
            buffers.write(gpu, Buffer::Slope, &slope)
        }
    }
}

/// L⁻¹ by rows, then its transpose, `[2,P,P]`.
fn inverses(expansion: &Expansion, p: usize) -> Vec<f32> {
    let mut out = vec![0.0f32; 2 * p * p];
    let mut column = vec![0.0; p];
    // Column j of L⁻¹ by forward substitution.
    for j in 0..p {
        column.fill(0.0);
        column[j] = 1.0;
        for i in j..p {
            let of = &expansion.chol[i * p..(i + 1) * p];
            let value = column[i] / of[i];
            column[i] = value;
            for (rest, l) in column[i + 1..].iter_mut().zip(&of[i + 1..]) {
                *rest -= l * value;
            }
            out[i * p + j] = value as f32;
            out[(p + j) * p + i] = value as f32;
        }
    }
    out
}

/// T `[Q,P]` and the numbers `[Q,8]` of the Q priors that have terms beyond second order, in the layout that
/// `mode/shared/prior.wgsl` reads.
fn priors(problem: &Problem, expansion: &Expansion) -> Vec<f32> {
    let p = expansion.omega.len();
    let mut theta = vec![0.0; p];
    problem
        .prior_transform
        .natural(&expansion.omega, &mut theta);
    let (mut rows, mut numbers) = (Vec::new(), Vec::new());
    for i in other_priors(problem) {
        // Row i of A·L⁻ᵀ is L⁻¹ times row i of A.
        let mut row = vec![0.0; p];
        row[i] = 1.0;
        problem.prior_transform.pull_back(&mut row);
        for j in 0..p {
            let of = &expansion.chol[j * p..(j + 1) * p];
            let value = row[j] / of[j];
            row[j] = value;
            for (rest, l) in row[j + 1..].iter_mut().zip(&of[j + 1..]) {
                *rest -= l * value;
            }
        }
        rows.extend(row.iter().map(|&v| v as f32));
        let at = theta[i];
        let (kind, args, (cost, slope), information) = match problem.priors.get(i) {
            Some(prior) => {
                let kind = prior.code();
                (kind, prior.arguments(), prior.cost(at), prior.information())
            }
            None => match problem.scale_prior {
                Some(prior) => {
                    let kind = prior.code();
                    (kind, prior.arguments(), prior.cost(at), 0.0)
                }
                None => continue,
            },
        };
        let [nu, m, s] = args;
        let all = [f64::from(kind), nu, m, s, cost, slope, information, at];
        numbers.extend(all.map(|v| v as f32));
    }
    rows.extend(numbers);
    rows
}
