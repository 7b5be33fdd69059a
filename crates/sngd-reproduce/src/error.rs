//! What can go wrong, each in one sentence.

use sngd_core::engine::EngineError;
use sngd_core::error::CheckError;
use sngd_diag::DiagError;
use sngd_store::DataError;
use thiserror::Error;

/// Any failure of an experiment.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no experiment of that name.
    #[error("found {found}, expected one of {known}")]
    Unknown {
        /// The requested name.
        found: String,
        /// All known names.
        known: String,
    },
    /// A file of that name already exists.
    #[error("{path} exists; name another folder with --out or replace it with --force")]
    Exists {
        /// The file.
        path: String,
    },
    /// A file that an experiment needs does not exist or cannot be read.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The digits do not exist.
    #[error(
        "{path} does not exist, expected a table of images X and labels y; name it with --digits or --mnist"
    )]
    NoDigits {
        /// Path where they were expected.
        path: String,
    },
    /// A file cannot be written.
    #[error("{path} cannot be written ({why}); check the folder and the space there")]
    Write {
        /// The file or folder.
        path: String,
        /// Message of the system.
        why: String,
    },
    /// The figure cannot be drawn.
    #[error("the figure {path} cannot be drawn ({why})")]
    Draw {
        /// The file.
        path: String,
        /// Message of the plotting library.
        why: String,
    },
    /// A run file that this crate made does not parse.
    #[error(
        "an experiment's own settings do not parse ({0}); this is a defect of sngd, please report it"
    )]
    Settings(#[from] toml::de::Error),
    /// The problem or the plan fails its checks.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The engine fails.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A diagnostic fails.
    #[error(transparent)]
    Diagnostic(#[from] DiagError),
    /// A chain ran far from the posterior.
    #[error("chain {chain} ran away at step {step} under {sampler}")]
    RanAway {
        /// Number of the chain, from 0.
        chain: u32,
        /// Step at which it was seen.
        step: u32,
        /// The sampler's settings.
        sampler: String,
    },
    /// A distribution has parameters out of range, or a matrix has no factor.
    #[error("{0}")]
    Numbers(String),
}

impl Error {
    /// Exit code: 2 unusable input, 3 no usable device, 4 the run failed, 5 a file cannot be written.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unknown { .. }
            | Error::Exists { .. }
            | Error::Data(_)
            | Error::NoDigits { .. }
            | Error::Settings(_) => 2,
            // The data are the experiment's own: an improper posterior is a failure of its numbers.
            Error::Check(CheckError::Improper { .. }) => 4,
            Error::Check(_) => 2,
            Error::Engine(_) => 3,
            Error::Diagnostic(_) | Error::RanAway { .. } | Error::Numbers(_) => 4,
            Error::Write { .. } | Error::Draw { .. } => 5,
        }
    }
}
