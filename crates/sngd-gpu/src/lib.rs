//! The wgpu engine of sngd: device, buffers, recording, readback. The only user of wgpu.
//!
//! `Plan` -> `Shape` (numbers) -> `Sizes` (buffers, from a table) -> `recipe` (dispatches as data) -> `Texts` (their linked kernels)
//! -> `Kernels` (pipelines and bind groups, made once) -> `Loop` (a thread that records many steps per submission and reads kept draws back).

mod buffer;
mod buffers;
mod ceiling;
mod device;
mod engine;
mod features;
mod fit;
mod held;
mod kernel;
mod memory;
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
mod text;

pub use buffer::Buffer;
pub use device::{AdapterInfo, Gpu, Tuning, adapters};
pub use engine::GpuEngine;
pub use memory::memory;
pub use recipe::dispatches;
pub use self_test::Check;
pub use sngd_core::config::DeviceSelector;
pub use wgpu;
