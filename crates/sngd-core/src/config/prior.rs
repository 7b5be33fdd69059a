//! Section `[prior]` of a run file.

use crate::prior::{Prior, ScalePrior};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Section `[prior]`: `weights`, `intercept` or `intercept_at_means`, `scale`, and `"weights.NAME"` for one column. A key that is not
/// there has its default, as with the word `default`; `prior = "default"` says so of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(from = "PriorForm")]
pub struct PriorConfig(pub BTreeMap<String, PriorEntry>);

/// The forms of `[prior]` in a run file.
#[derive(Deserialize)]
#[serde(untagged)]
enum PriorForm {
    /// A section with a key for each prior that is given.
    Section(BTreeMap<String, PriorEntry>),
    /// The word `default`; a run file's reader refuses others.
    #[allow(dead_code, reason = "its presence is all it says")]
    Word(String),
}

impl From<PriorForm> for PriorConfig {
    fn from(form: PriorForm) -> PriorConfig {
        match form {
            PriorForm::Section(map) => PriorConfig(map),
            PriorForm::Word(_) => PriorConfig::default(),
        }
    }
}

/// One prior, as a run file or a program gives it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum PriorEntry {
    /// In the notation of a run file, such as `normal(0, 1)`.
    Text(String),
    /// Of a coefficient.
    Coefficient(Prior),
    /// Of a positive scale.
    Scale(ScalePrior),
}

impl PriorEntry {
    /// Whether it asks for the default, as a key does that is not there.
    pub fn is_default(&self) -> bool {
        matches!(self, PriorEntry::Text(text) if text.trim() == "default")
    }

    /// The prior of a coefficient.
    ///
    /// # Errors
    /// Text that is not one, or the prior of a scale, by what was found and expected.
    pub fn coefficient(&self) -> Result<Prior, String> {
        // A prior that a program made may have numbers that no text would pass with.
        Prior::parse(&self.to_string())
    }

    /// The prior of a positive scale.
    ///
    /// # Errors
    /// Text that is not one, or the prior of a coefficient, by what was found and expected.
    pub fn scale(&self) -> Result<ScalePrior, String> {
        ScalePrior::parse(&self.to_string())
    }
}

impl fmt::Display for PriorEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PriorEntry::Text(text) => f.write_str(text),
            PriorEntry::Coefficient(prior) => prior.fmt(f),
            PriorEntry::Scale(prior) => prior.fmt(f),
        }
    }
}

impl From<&str> for PriorEntry {
    fn from(text: &str) -> PriorEntry {
        PriorEntry::Text(text.into())
    }
}

impl From<String> for PriorEntry {
    fn from(text: String) -> PriorEntry {
        PriorEntry::Text(text)
    }
}

impl From<PriorEntry> for String {
    fn from(entry: PriorEntry) -> String {
        entry.to_string()
    }
}

impl From<Prior> for PriorEntry {
    fn from(prior: Prior) -> PriorEntry {
        PriorEntry::Coefficient(prior)
    }
}

impl From<ScalePrior> for PriorEntry {
    fn from(prior: ScalePrior) -> PriorEntry {
        PriorEntry::Scale(prior)
    }
}
