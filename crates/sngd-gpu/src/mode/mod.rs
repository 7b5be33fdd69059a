//! Plans whose metric is fixed at the mode: the step in u = Lᵀ(ω − ω*) that `sngd_core::engine` defines.
//!
//! `shape` has the numbers, `sizes` the buffers, `recipe` the dispatches, `upload` the first content of the buffers,
//! `load` brings them together, `steps` records steps and `kept` reads the results. With a few rows per step, a workgroup makes many steps of its
//! chain in one dispatch (`mode/kernel/subsampled.wgsl`). With all rows, a step is a few products of the design with all chains
//! at once.

mod kept;
mod load;
mod recipe;
mod shape;
mod sizes;
mod steps;
mod upload;

pub use load::load;
pub use recipe::dispatches;
pub use shape::{ModeShape, other_priors};
pub use sizes::sizes;
pub use steps::ModeSteps;
