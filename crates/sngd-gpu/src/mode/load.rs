//! Allocates and fills the buffers of a plan with the metric at the mode, and compiles its kernels.

use super::recipe::recipe;
use super::shape::{ModeShape, PACE, Rows, other_priors};
use super::sizes::{check_fit, sizes};
use super::upload;
use crate::buffers::Buffers;
use crate::device::{Gpu, Tuning};
use crate::kernel::{Kernels, Pass};
use crate::shape::Shape;
use crate::sizes::{RING, Sizes};
use sngd_core::config::Gradient;
use sngd_core::engine::EngineError;
use sngd_core::expansion::Expansion;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_shaders::ModelSource;
use std::sync::Arc;

/// A loaded plan: buffers allocated and filled, kernels compiled.
pub struct Loaded {
    /// Expansion of the posterior about its mode.
    pub expansion: Arc<Expansion>,
    /// Sizes of kernels and buffers.
    pub shape: ModeShape,
    /// Device buffers.
    pub buffers: Buffers,
    /// Dispatches of a step, in order.
    pub passes: Vec<Pass>,
    /// Bytes of a staging buffer.
    pub staging: u64,
    /// Largest number of steps in a submission.
    pub most_steps: usize,
}

/// Loads a plan with the metric at the mode and starts chains at `init`, `[C,P]` in internal coordinates.
///
/// # Errors
/// Where the device has too little memory for the plan or cannot run it.
pub fn load(
    gpu: &Gpu,
    problem: &Problem,
    plan: &Plan,
    init: &[f64],
) -> Result<Loaded, EngineError> {
    let Some(expansion) = plan.expansion.clone() else {
        return Err(EngineError::Misuse(
            "found a plan with the metric at the mode and no expansion, expected one; make the plan with `sngd_cpu::mode::settle`".into(),
        ));
    };
    if plan.gradient == Gradient::ControlVariates && expansion.influence.is_none() {
        return Err(EngineError::Misuse(
            "found a plan with control variates and no table of influences, expected one; make the plan with `sngd_cpu::mode::settle`".into(),
        ));
    }
    let software = gpu.tuning == Tuning::Software;
    let priors = other_priors(problem).len();
    let shape = ModeShape::new(plan, &expansion, priors, software);
    let sizes = sizes(plan, &shape);
    let limits = gpu.device.limits();
    let binding = (limits.max_storage_buffer_binding_size).min(limits.max_buffer_size);
    check_fit(
        plan,
        &expansion,
        priors,
        software,
        binding,
        limits.max_compute_workgroups_per_dimension as usize,
    )?;
    let most = match shape.rows {
        Rows::Few(_) => PACE,
        Rows::All(_) => RING,
    };
    let steps = if gpu.info.software {
        let loops = ModelSource::of(&problem.likelihood).is_some_and(|model| model.may_loop());
        match (&shape.rows, shape.software_steps(plan.batch, loops)) {
            (_, 0) => {
                return Err(EngineError::DoesNotFit(format!(
                    "the software driver \"{}\" found {} parameters and {} rows per step, expected loops of less than 65,536 iterations, which is where such drivers end them; set run.device = \"cpu\"",
                    gpu.info.name, plan.p, plan.batch
                )));
            }
            (Rows::Few(_), steps) => steps.min(most),
            (Rows::All(_), _) => most,
        }
    } else {
        most
    };
    let buffers = allocate(gpu, &sizes)?;
    upload::upload(gpu, &buffers, problem, plan, &expansion, &shape, init)?;
    let mut kernels = Kernels::new(gpu, problem, plan, &Shape::new(plan, software));
    let passes = recipe(plan, &problem.likelihood, &expansion, &shape)
        .iter()
        .map(|s| kernels.pass(s, &buffers))
        .collect::<Result<Vec<_>, _>>()?;
    gpu.check()?;
    Ok(Loaded {
        expansion,
        shape,
        buffers,
        passes,
        staging: sizes.staging,
        most_steps: steps,
    })
}

fn allocate(gpu: &Gpu, sizes: &Sizes) -> Result<Buffers, EngineError> {
    let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let buffers = Buffers::new(gpu, sizes);
    match pollster::block_on(memory.pop()) {
        None => Ok(buffers),
        Some(e) => Err(EngineError::DoesNotFit(format!(
            "the device has no {} MiB for this run ({e}); use fewer chains, or set run.device = \"cpu\"",
            sizes.total() >> 20
        ))),
    }
}
