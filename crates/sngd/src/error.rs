//! What can go wrong, sorted by consequence: the exit codes of the command line.

use crate::fault::RunError;
use sngd_core::engine::EngineError;
use sngd_core::error::CheckError;
use sngd_store::{DataError, StoreError};
use thiserror::Error;

/// Any failure of the library. Each message is one sentence.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The run file, an option or an argument.
    #[error("{0}")]
    Input(String),
    /// The data file.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run does not fit the data.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The device.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The numbers.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The trace.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A sink of the user's own.
    #[error("a sink failed: {0}")]
    Sink(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The thread that runs the steps ended without a word.
    #[error(
        "the run's thread stopped without an answer; this is a defect of sngd, please report it"
    )]
    Lost,
}

impl Error {
    /// 2 unusable input, 3 no usable device, 4 the numbers failed, 5 the store failed.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Input(_) | Error::Data(_) | Error::Check(_) => 2,
            Error::Engine(EngineError::DoesNotFit(_)) => 2,
            Error::Engine(_) => 3,
            Error::Run(_) | Error::Lost => 4,
            // Options that name a path which cannot be used.
            Error::Store(
                StoreError::Exists { .. }
                | StoreError::NotOurs { .. }
                | StoreError::NotAFolder { .. }
                | StoreError::Busy { .. }
                | StoreError::NotATrace { .. },
            ) => 2,
            Error::Store(_) | Error::Sink(_) => 5,
        }
    }
}
