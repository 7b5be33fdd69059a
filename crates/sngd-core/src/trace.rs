//! Output of a run: names and shapes of what is stored, and blocks of draws on the natural scale.

use crate::engine::Predicted;

/// One stored variable of the posterior group, e.g. `weights[class, feature]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Name in the trace, e.g. `intercept`, `weights`, `scale`.
    pub name: String,
    /// Named dimensions after `chain, draw`, each with its coordinate labels; empty for a scalar.
    pub dims: Vec<Dim>,
    /// Position in the natural parameter vector `[P]` of each element, row-major over `dims`.
    pub index: Vec<usize>,
}

/// A named dimension with coordinate labels.
#[derive(Debug, Clone, PartialEq)]
pub struct Dim {
    /// Name, e.g. `feature`.
    pub name: String,
    /// Labels, one per element; none for positions from 0 on, where `NamedArray` allows it.
    pub labels: Vec<String>,
}

/// A named array beside the draws (`observed_data`, `constant_data`).
#[derive(Debug, Clone, PartialEq)]
pub struct NamedArray {
    /// Variable name.
    pub name: String,
    /// Dimensions, outermost first. One of them may have no labels: its length follows from the values.
    pub dims: Vec<Dim>,
    /// Values, row-major.
    pub values: Vec<f64>,
}

/// Everything a trace file needs before the first draw.
#[derive(Debug, Clone, PartialEq)]
pub struct TraceSchema {
    /// Number of chains, C.
    pub chains: usize,
    /// Length of the natural parameter vector, P.
    pub parameters: usize,
    /// Variables of the `posterior` group.
    pub variables: Vec<Variable>,
    /// Names of the per-draw statistics, in the order of `DrawBlock::stats`.
    pub stats: Vec<StatInfo>,
    /// Whether warm-up draws are stored in `warmup_posterior` and `warmup_sample_stats`.
    pub save_warmup: bool,
    /// The `observed_data` group.
    pub observed: Vec<NamedArray>,
    /// The `constant_data` group.
    pub constant: Vec<NamedArray>,
    /// Attributes of root and of each group: run file (JSON string), target ledger, device, library, ...
    pub attributes: Vec<(String, String)>,
}

/// A per-draw statistic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatInfo {
    /// Name in the `sample_stats` group.
    pub name: String,
    /// Stored as a boolean (0 or 1) rather than a float.
    pub boolean: bool,
}

/// Consecutive kept draws of all chains, on the natural scale.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawBlock {
    /// True for warm-up draws.
    pub warmup: bool,
    /// Index of the first draw of the block, counted from 0 in its phase.
    pub first_draw: usize,
    /// Draws per chain in this block, n.
    pub len: usize,
    /// The draws, `[n, C, P]`, row-major; every number is finite.
    pub values: Vec<f64>,
    /// The statistics of the draws, `[n, C, S]`, row-major, S = number of stats.
    pub stats: Vec<f64>,
    /// Scores of these draws on held-out rows; `None` where the engine computes none.
    pub predicted: Option<Predicted>,
}

/// Receiver of blocks of draws: a trace on disk, memory, a summary or a user-defined one.
pub trait Sink {
    /// The error that writing a block may give.
    type Error: std::error::Error + Send + Sync + 'static;
    /// Takes one block. Blocks arrive in order.
    fn block(&mut self, block: &DrawBlock) -> Result<(), Self::Error>;
    /// Called once after the last block, or after an interruption.
    fn finish(&mut self) -> Result<(), Self::Error>;
}
