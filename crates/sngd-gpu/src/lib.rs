//! The wgpu engine of sngd: device, buffers, recording, readback. The only user of wgpu.
//!
//! `Plan` -> `Shape` (numbers) -> `Sizes` (buffers) -> `recipe` (dispatches as data) -> `Kernels` (pipelines and bind
//! groups, made once) -> `Loop` (a thread that records many steps per submission and reads kept draws back).

mod buffers;
mod ceiling;
mod device;
mod engine;
mod held;
mod kernel;
mod mode;
mod network;
mod recipe;
mod run;
mod self_test;
mod shape;
mod sizes;
mod spec;
mod steps;
mod stopwatch;

pub use device::{AdapterInfo, DeviceSelector, Gpu, Tuning, adapters};
pub use engine::GpuEngine;
pub use recipe::dispatches;
pub use self_test::Check;
pub use sizes::{Sizes, memory};
