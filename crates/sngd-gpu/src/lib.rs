//! The wgpu engine of sngd: device, buffers, recording, readback. The only user of wgpu.
//!
//! `Plan` -> `Shape` (numbers) -> `Sizes` (buffers) -> `recipe` (dispatches as data) -> `Kernels` (pipelines and bind
//! groups, made once) -> `Loop` (a thread that records many steps a submission and reads kept draws back).

mod buffers;
mod device;
mod engine;
mod kernel;
mod network;
mod recipe;
mod run;
mod self_test;
mod shape;
mod sizes;
mod spec;

use sngd_core::plan::{Metric, Plan};

pub use device::{AdapterInfo, DeviceSelector, Gpu, Tuning, adapters};
pub use engine::GpuEngine;
/// Why this engine cannot run a plan, if it cannot.
pub fn unsupported(plan: &Plan) -> Option<String> {
    // Its running mean is of the gradient, and its correction wants the Fisher diagonal of a linear predictor.
    if plan.widths.is_empty() || plan.metric != Metric::RmsProp {
        return None;
    }
    Some(
        "sampler.method: found \"psgld\" beside predictor = \"mlp\" on a GPU, which the GPU engine does not run; set run.device = \"cpu\" or method = \"sgld\"".into(),
    )
}

pub use self_test::Check;
pub use sizes::{Sizes, memory};
