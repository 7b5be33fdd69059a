//! What the buffers of a plan at the mode hold before the first step.

use super::shape::{ModeShape, Rows};
use crate::buffers::Buffers;
use crate::device::Gpu;
use crate::sizes::SLICE;
use sngd_core::engine::EngineError;
use sngd_core::expansion::Expansion;
use sngd_core::plan::Plan;

/// Uploads the expansion and the chains' starting points, `init` `[C,P]` in internal coordinates.
pub fn upload(
    gpu: &Gpu,
    buffers: &Buffers,
    plan: &Plan,
    expansion: &Expansion,
    shape: &ModeShape,
    init: &[f64],
) -> Result<(), EngineError> {
    let p = shape.p;
    buffers.write(gpu, "x", &expansion.x)?;
    buffers.write(gpu, "rows", &expansion.rows)?;
    let mut state = vec![0.0f32; plan.chains * shape.state()];
    let mut u = vec![0.0; p];
    for (to, omega) in state.chunks_mut(shape.state()).zip(init.chunks_exact(p)) {
        expansion.whiten(omega, &mut u);
        to.iter_mut().zip(&u).for_each(|(to, u)| *to = *u as f32);
    }
    buffers.write(gpu, "state", &state)?;
    if !shape.whitened {
        buffers.write(gpu, "inverse", &inverses(expansion, p))?;
    }
    let slope: Vec<f32> = expansion.slope.iter().map(|&c| c as f32).collect();
    match &shape.rows {
        Rows::Few(_) => {
            if let Some(table) = &expansion.influence {
                let pairs: Vec<[u32; 2]> = table
                    .keep
                    .iter()
                    .zip(&table.alias)
                    .map(|(&keep, &alias)| [keep, alias])
                    .collect();
                buffers.write(gpu, "influence", &pairs)?;
            }
            buffers.write(gpu, "pace", &slope)
        }
        Rows::All(all) => {
            let mut panels = vec![0u32; all.chunks * SLICE / 4];
            for i in 0..all.chunks {
                panels[i * SLICE / 4] = i as u32;
            }
            buffers.write(gpu, "panel", &panels)?;
            buffers.write(gpu, "slope", &slope)
        }
    }
}

/// L⁻¹ by rows and its transpose, `[2,P,P]`.
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
