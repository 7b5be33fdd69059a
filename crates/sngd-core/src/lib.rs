//! What sngd samples: data axes, model, prior, target, schedule and plan; pure, no device.
pub mod batch;
pub mod blocks;
pub mod config;
pub mod engine;
pub mod error;
pub mod likelihood;
pub mod network;
pub mod philox;
pub mod plan;
pub mod prior;
pub mod problem;
pub mod real;
pub mod span;
pub mod table;
pub mod trace;
pub mod transform;
pub mod workload;
