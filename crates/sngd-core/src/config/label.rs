//! A level of a categorical response, as a run file names it.

use crate::table::{canonical_label, number_label};
use serde::{Deserialize, Serialize};

/// A level of a categorical response: a text, a number or a boolean.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Label {
    /// `true` or `false`, in whatever case the data have them; 1 or 0 where they are numbers.
    Flag(bool),
    /// A whole number.
    Integer(i64),
    /// Another number.
    Number(f64),
    /// A text; one that is a number means that number.
    Text(String),
}

impl Label {
    /// Whether it is this level of a table.
    pub fn names(&self, level: &str) -> bool {
        match self {
            Label::Flag(flag) => {
                level.eq_ignore_ascii_case(&flag.to_string())
                    || level == u8::from(*flag).to_string()
            }
            Label::Integer(i) => level == i.to_string(),
            Label::Number(v) => level == number_label(*v),
            Label::Text(text) => level == canonical_label(text.trim()),
        }
    }
}

impl std::fmt::Display for Label {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Label::Flag(v) => write!(out, "{v}"),
            Label::Integer(v) => write!(out, "{v}"),
            Label::Number(v) => write!(out, "{v}"),
            Label::Text(v) => write!(out, "{v:?}"),
        }
    }
}

impl From<&str> for Label {
    fn from(text: &str) -> Label {
        Label::Text(text.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_names_a_level_in_any_spelling_of_a_number_or_a_boolean() {
        let names = |label: &Label, level: &str| label.names(level);
        for one in [
            Label::Integer(1),
            Label::Number(1.0),
            "1".into(),
            "1.0".into(),
            Label::Flag(true),
        ] {
            assert!(
                names(&one, "1") && !names(&one, "0") && !names(&one, "2"),
                "{one}"
            );
        }
        for level in ["true", "TRUE", "True"] {
            assert!(names(&Label::Flag(true), level) && !names(&Label::Flag(false), level));
        }
        assert!(names(&" pass".into(), "pass") && !names(&"pass".into(), "Pass"));
        assert!(names(&Label::Number(0.5), "0.5"));
    }
}
