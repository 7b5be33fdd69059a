//! The wgpu engine of sngd: device, buffers, recording, readback. The only user of wgpu.
//!
//! `Plan` -> `Shape` (numbers) -> `Sizes` (buffers) -> `recipe` (dispatches as data) -> `Kernels` (pipelines and bind
//! groups, made once) -> `Loop` (a thread that records many steps a submission and reads kept draws back).

mod buffers;
mod device;
mod engine;
mod kernel;
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
    let what = if !plan.widths.is_empty() {
        "model.predictor: found \"mlp\""
    } else if plan.metric == Metric::Fisher && !plan.blocks.is_full() {
        "sampler.blocks: found \"layer\" or \"unit\""
    } else {
        return None;
    };
    Some(format!(
        "{what} on a GPU, which the GPU engine does not run yet; set run.device = \"cpu\""
    ))
}

pub use recipe::dispatches;
pub use self_test::Check;
pub use sizes::{Sizes, memory};
