//! What the CPU engine allocates, added up before it does. Each count stands below the buffers that it counts.

use sngd_core::plan::Plan;

/// Count of vectors `[P]` that a chain and its passes are taken to have: more than any kind of step needs.
pub(crate) const VECTORS: u64 = 64;

/// Bytes that the CPU engine takes beside those of the problem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineBytes {
    /// What all chains read.
    pub data: DataBytes,
    /// Matrices, vectors and outputs of each chain.
    pub chain: u64,
}

/// Bytes of the data as an engine holds them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataBytes {
    /// Design and response; with the metric at the mode the design, the terms of each row, and the table of their influence. Numbers that
    /// are the problem's own are not counted again.
    pub rows: u64,
    /// Offsets and weights, in the engine and in its copy of the problem.
    pub columns: u64,
    /// Information Λ of the priors.
    pub prior: u64,
    /// What is needed beside all these only while the engine, or the expansion that it reads, is made.
    pub start: u64,
}

/// Bytes of the priors' information: `kept` as squares of blocks, and `made` of a dense matrix beside them. A network's is a diagonal.
pub(crate) fn prior_bytes(plan: &Plan) -> (u64, u64) {
    let p = plan.p as u64;
    match plan.network {
        Some(_) => (8 * p, 0),
        None => (8 * plan.blocks.len as u64, 8 * p * p),
    }
}

/// Bytes of offsets and weights in an engine of `T` and in its copy of the problem.
pub(crate) fn column_bytes<T>(plan: &Plan) -> u64 {
    let columns = u64::from(plan.offsets) + u64::from(plan.frequencies.is_some());
    (8 + size_of::<T>() as u64) * plan.n as u64 * columns
}
