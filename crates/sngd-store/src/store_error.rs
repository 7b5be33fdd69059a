//! What can go wrong with a trace, each as one sentence: where, what was found, what was expected, the remedy.

/// Why a trace cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something is already at the path.
    #[error(
        "{path}: found an existing path where a new trace was to be written; choose another output path, or pass \
         --force to replace an old trace"
    )]
    Exists {
        /// The path.
        path: String,
    },
    /// What is there is not a trace of sngd, or not only that.
    #[error(
        "{path}: found {found} where nothing, an empty folder or, with --force, a trace written by sngd was expected; \
         nothing was changed, choose another output path or move it away yourself"
    )]
    NotOurs {
        /// The path.
        path: String,
        /// What is there, for the message.
        found: String,
    },
    /// The path can never be the folder of a trace alone.
    #[error(
        "{path}: found {found} where the output path was expected to name a folder for the trace alone; choose a path \
         such as run.zarr"
    )]
    NotAFolder {
        /// The path.
        path: String,
        /// What is wrong with it, for the message.
        found: String,
    },
    /// Another run uses the folder.
    #[error(
        "{path}: found another run that writes there where the output path was expected to be free; wait for it to end, \
         or choose another output path"
    )]
    Busy {
        /// The path.
        path: String,
    },
    /// There is nothing to read, or it is not a trace.
    #[error(
        "{path}: found {found} where a trace directory was expected; give the path that a run wrote as its output"
    )]
    NotATrace {
        /// The path.
        path: String,
        /// What is there, for the message.
        found: String,
    },
    /// A group or an array is not in the trace.
    #[error(
        "{path}: found no {what} `{name}` in the trace where one was expected; it has {existing}"
    )]
    Unknown {
        /// Path of the trace.
        path: String,
        /// Kind of what is missing: `group` or `variable`.
        what: &'static str,
        /// Name of what is missing.
        name: String,
        /// What the trace has, for the message.
        existing: String,
    },
    /// The file system refused.
    #[error(
        "{path}: the trace could not be {action} ({detail}); check the space and the permissions there"
    )]
    Io {
        /// The file or directory.
        path: String,
        /// The action that failed: `written`, `read` or `set aside`.
        action: &'static str,
        /// Message of the system.
        detail: String,
    },
    /// The content does not match the metadata.
    #[error(
        "{path}: found a trace that cannot be decoded ({detail}) where whole draws were expected; it is damaged, run again"
    )]
    Damaged {
        /// The trace or the array.
        path: String,
        /// Message of the decoder.
        detail: String,
    },
    /// A schema contradicts itself.
    #[error("the schema of the trace cannot be stored: {0}")]
    Schema(String),
    /// A block does not follow the one before it, or has the wrong size.
    #[error(
        "the block at draw {first_draw} cannot be stored: found {found} where {expected} was expected; blocks come in order and whole"
    )]
    Block {
        /// First draw of the block.
        first_draw: usize,
        /// What was found, for the message.
        found: String,
        /// What was expected, for the message.
        expected: String,
    },
    /// A parameter is not a finite number.
    #[error(
        "the value of `{variable}` in chain {chain} at {phase} {draw} is {value} where a finite number was expected; \
         the block was not stored, try a smaller step_size or some damping"
    )]
    NonFinite {
        /// The variable with its coordinate labels.
        variable: String,
        /// Number of the chain, from 0.
        chain: usize,
        /// Kind of draw: `draw` or `warm-up draw`.
        phase: &'static str,
        /// Number of the draw, from 0.
        draw: usize,
        /// The value, NaN or an infinity.
        value: f64,
    },
}
