//! What can go wrong with a trace, each as one sentence: where, what was found, what was expected, the remedy.

/// Why a trace cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Something is at the path already.
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
        /// What is there, in words.
        found: String,
    },
    /// The path can never be a trace's own folder.
    #[error(
        "{path}: found {found} where the output path was expected to name a folder for the trace alone; choose a path \
         such as run.zarr"
    )]
    NotAFolder {
        /// The path.
        path: String,
        /// What is wrong with it, in words.
        found: String,
    },
    /// Another run holds the folder.
    #[error(
        "{path}: found another run that writes there where the output path was expected to be free; wait for it to end, \
         or choose another output path"
    )]
    Busy {
        /// The path.
        path: String,
    },
    /// Nothing to read, or not a trace.
    #[error(
        "{path}: found {found} where a trace directory was expected; give the path that a run wrote as its output"
    )]
    NotATrace {
        /// The path.
        path: String,
        /// What is there, in words.
        found: String,
    },
    /// A group or an array is not in the trace.
    #[error(
        "{path}: found no {what} `{name}` in the trace where one was expected; it has {existing}"
    )]
    Unknown {
        /// The trace.
        path: String,
        /// `group` or `variable`.
        what: &'static str,
        /// Its name.
        name: String,
        /// What there is, in words.
        existing: String,
    },
    /// The file system refused.
    #[error(
        "{path}: the trace could not be {action} ({detail}); check the space and the permissions there"
    )]
    Io {
        /// The file or directory.
        path: String,
        /// `written`, `read` or `set aside`.
        action: &'static str,
        /// What the system said.
        detail: String,
    },
    /// The content is not what the metadata says.
    #[error(
        "{path}: found a trace that cannot be decoded ({detail}) where whole draws were expected; it is damaged, run again"
    )]
    Damaged {
        /// The trace or the array.
        path: String,
        /// What the decoder said.
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
        /// What was found, in words.
        found: String,
        /// What was expected, in words.
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
        /// The chain, from 0.
        chain: usize,
        /// `draw` or `warm-up draw`.
        phase: &'static str,
        /// The draw, from 0.
        draw: usize,
        /// NaN or an infinity.
        value: f64,
    },
}
