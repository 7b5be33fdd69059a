//! Errors reported before any device work. Each message is one sentence: what, where, expected, remedy.

use thiserror::Error;

/// Unusable input: exit code 2 of the command line.
#[derive(Debug, Clone, PartialEq, Error)]
#[error("{0}")]
pub struct CheckError(pub String);

impl CheckError {
    /// A message as given.
    pub fn new(message: impl Into<String>) -> CheckError {
        CheckError(message.into())
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
