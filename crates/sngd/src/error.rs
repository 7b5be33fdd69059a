//! What can go wrong, sorted by consequence: each kind has its exit code on the command line.

use crate::run_error::RunError;
use sngd_core::engine::EngineError;
use sngd_core::error::CheckError;
use sngd_store::{DataError, StoreError};
use thiserror::Error;

/// Any failure of the library. Each message is one sentence.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// The run file, an option or an argument cannot be used.
    #[error("{0}")]
    Input(String),
    /// The data file cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The settings of the run do not fit the data or each other.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// The device failed, or none answers.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The numbers of a chain failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The trace cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A user-defined sink failed.
    #[error("a sink failed: {0}")]
    Sink(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The thread that runs the steps ended without sending a result.
    #[error(
        "the run's thread stopped without an answer; this is a defect of sngd, please report it"
    )]
    Lost,
}

impl Error {
    /// Exit code: 2 unusable input, 3 no usable device, 4 the run failed, 5 the store failed.
    pub fn exit_code(&self) -> i32 {
        match self {
            Error::Input(_) | Error::Data(_) | Error::Check(_) => 2,
            Error::Engine(EngineError::DoesNotFit(_) | EngineError::Misuse(_)) => 2,
            Error::Engine(EngineError::Overdue(_)) => 4,
            Error::Engine(_) => 3,
            Error::Run(_) | Error::Lost => 4,
            // Options that name a path which cannot be used count as input.
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
