//! The CPU engine of sngd, generic over f32 and f64. In f64 it is the reference for tests of the GPU engine;
//! in f32 it is for machines without a GPU.
//!
//! `engine` schedules chains over threads; `step` is one step of one chain; `pass` goes over rows; `dense` is the
//! linear algebra; `propriety` refuses improper posteriors, `map` finds the mode and `preflight` checks there whether a noise budget
//! can be met.

mod blocked;
mod columns;
mod conjugate;
mod correction;
pub mod dense;
mod diagonal;
pub mod engine;
pub mod forward;
pub mod gain;
mod linear;
mod mala;
pub mod map;
mod marginal;
mod memory;
pub mod mode;
mod network;
mod newton;
mod normals;
pub mod pass;
pub mod preflight;
pub mod propriety;
pub mod resident;
pub mod row_sums;
mod scalar;
mod step;

pub use engine::CpuEngine;
pub use memory::{DataBytes, EngineBytes};
pub use scalar::Scalar;
