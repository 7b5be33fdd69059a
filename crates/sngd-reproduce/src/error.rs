//! What can go wrong, each in one sentence.

use sngd_core::engine::EngineError;
use sngd_core::error::CheckError;
use sngd_cpu::map::ModeError;
use sngd_diag::DiagError;
use sngd_store::DataError;
use thiserror::Error;

/// Any failure of an experiment.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// No such experiment.
    #[error("found {found}, expected one of {known}")]
    Unknown {
        /// The name asked for.
        found: String,
        /// All names.
        known: String,
    },
    /// A file of that name is there.
    #[error("{path} exists; name another folder with --out or replace it with --force")]
    Exists {
        /// The file.
        path: String,
    },
    /// A file that an experiment needs is not there.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The digits are not there.
    #[error(
        "{path} does not exist, expected a table of images X and labels y; name it with --digits or --mnist"
    )]
    NoDigits {
        /// Where it was sought.
        path: String,
    },
    /// A file cannot be written.
    #[error("{path} cannot be written ({why}); check the folder and the space there")]
    Write {
        /// The file or folder.
        path: String,
        /// What the system said.
        why: String,
    },
    /// The figure cannot be drawn.
    #[error("the figure {path} cannot be drawn ({why})")]
    Draw {
        /// The file.
        path: String,
        /// What the plotting library said.
        why: String,
    },
    /// A run file that this crate made does not parse.
    #[error(
        "an experiment's own settings do not parse ({0}); this is a defect of sngd, please report it"
    )]
    Settings(#[from] toml::de::Error),
    /// Problem or plan.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The mode.
    #[error(transparent)]
    Mode(#[from] ModeError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A diagnostic.
    #[error(transparent)]
    Diagnostic(#[from] DiagError),
    /// A chain left every useful region.
    #[error("chain {chain} ran away at step {step} under {sampler}")]
    RanAway {
        /// The chain.
        chain: u32,
        /// Its step.
        step: u32,
        /// The sampler's settings.
        sampler: String,
    },
    /// A distribution with parameters out of range, a matrix that has no factor.
    #[error("{0}")]
    Numbers(String),
}

impl Error {
    /// 2 unusable input, 3 no usable device, 4 the run failed, 5 a file cannot be written.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Unknown { .. }
            | Error::Exists { .. }
            | Error::Data(_)
            | Error::NoDigits { .. }
            | Error::Check(_)
            | Error::Settings(_) => 2,
            Error::Engine(_) => 3,
            Error::Mode(_) | Error::Diagnostic(_) | Error::RanAway { .. } | Error::Numbers(_) => 4,
            Error::Write { .. } | Error::Draw { .. } => 5,
        }
    }
}
