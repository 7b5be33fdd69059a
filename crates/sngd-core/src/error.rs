//! Errors reported before any device work. Each message is one sentence: what, where, expected, remedy.

use thiserror::Error;

/// Unusable input: exit code 2 of the command line.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum CheckError {
    /// A key of the run file, or what the builder sets in its place, cannot be used.
    #[error("{key}: {message}")]
    Key {
        /// The key with its section, such as `sampler.batch_size`.
        key: String,
        /// What was found, what was expected, and the remedy.
        message: String,
    },
    /// The data cannot be used.
    #[error("{place}: {message}")]
    Data {
        /// The file or the table, and the place in it where that is known.
        place: String,
        /// What was found, what was expected, and the remedy.
        message: String,
    },
    /// The posterior has no finite total mass under these priors, or no mode.
    #[error("{place}: {message}")]
    Improper {
        /// The file or the table.
        place: String,
        /// Why, and the prior that mends it.
        message: String,
    },
    /// A user-defined likelihood contradicts itself.
    #[error("{message}")]
    Likelihood {
        /// The function that is wrong, what was found and what was expected.
        message: String,
    },
}

impl CheckError {
    /// A key that cannot be used.
    pub fn key(key: impl Into<String>, message: impl Into<String>) -> CheckError {
        CheckError::Key {
            key: key.into(),
            message: message.into(),
        }
    }

    /// Data that cannot be used.
    pub fn data(place: impl Into<String>, message: impl Into<String>) -> CheckError {
        CheckError::Data {
            place: place.into(),
            message: message.into(),
        }
    }

    /// An improper posterior.
    pub fn improper(place: impl Into<String>, message: impl Into<String>) -> CheckError {
        CheckError::Improper {
            place: place.into(),
            message: message.into(),
        }
    }
}

/// The known name nearest to `name`, if one is near enough to be a typing error.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(s, _)| *s > 0.75)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}
