//! One claim a file.

mod temperature_law;

use crate::Experiment;

/// All experiments, in the order of the story they tell.
pub const EXPERIMENTS: &[Experiment] = &[temperature_law::EXPERIMENT];
