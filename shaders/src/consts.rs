//! The text for the slot `#import <consts>`: sizes and switches as `const` declarations.

use crate::LinkError;
use crate::codes::constants;

/// Value of a constant in WGSL.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConstValue {
    /// A `u32`.
    U32(u32),
    /// An `f32`, which must be finite.
    F32(f32),
    /// A `bool`.
    Bool(bool),
}

impl std::fmt::Display for ConstValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConstValue::U32(v) => write!(f, "u32 = {v}u"),
            // Debug gives the shortest decimal that reads back to the same bits.
            ConstValue::F32(v) => write!(f, "f32 = {v:?}"),
            ConstValue::Bool(v) => write!(f, "bool = {v}"),
        }
    }
}

/// Named constants, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Consts(pub Vec<(String, ConstValue)>);

impl Consts {
    /// An empty list.
    pub fn new() -> Consts {
        Consts::default()
    }

    /// Adds a `u32`.
    pub fn u32(self, name: &str, value: u32) -> Consts {
        self.with(name, ConstValue::U32(value))
    }

    /// Adds an `f32`.
    pub fn f32(self, name: &str, value: f32) -> Consts {
        self.with(name, ConstValue::F32(value))
    }

    /// Adds a `bool`.
    pub fn bool(self, name: &str, value: bool) -> Consts {
        self.with(name, ConstValue::Bool(value))
    }

    fn with(mut self, name: &str, value: ConstValue) -> Consts {
        self.0.push((name.to_string(), value));
        self
    }

    /// The value of the constant `name`, if there is one.
    pub fn get(&self, name: &str) -> Option<ConstValue> {
        self.0.iter().find(|(n, _)| n == name).map(|&(_, v)| v)
    }

    /// Adds the constants of `other`. A name in both lists must have the same value in both.
    pub(crate) fn merge(&mut self, other: &Consts) -> Result<(), LinkError> {
        for (name, value) in &other.0 {
            match self.get(name) {
                None => self.0.push((name.clone(), *value)),
                Some(own) if own == *value => {}
                Some(own) => {
                    return Err(LinkError::ConstTwice {
                        name: name.clone(),
                        one: own.to_string(),
                        other: value.to_string(),
                    });
                }
            }
        }
        Ok(())
    }

    /// The declarations as WGSL text, one per line, after those of all codes.
    pub(crate) fn wgsl(&self) -> Result<String, LinkError> {
        let mut out = String::new();
        for (name, code) in constants() {
            out.push_str(&format!("const {name}: u32 = {code}u;\n"));
        }
        for (i, (name, value)) in self.0.iter().enumerate() {
            if let Some((_, first)) = self.0[..i].iter().find(|(n, _)| n == name) {
                return Err(LinkError::ConstTwice {
                    name: name.clone(),
                    one: first.to_string(),
                    other: value.to_string(),
                });
            }
            if matches!(value, ConstValue::F32(v) if !v.is_finite()) {
                return Err(LinkError::ConstNotFinite {
                    name: name.clone(),
                    value: value.to_string(),
                });
            }
            out.push_str(&format!("const {name}: {value};\n"));
        }
        Ok(out)
    }
}
