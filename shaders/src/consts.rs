//! What fills the slot `#import <consts>`: sizes and switches as `const` declarations.

use crate::LinkError;

/// A value that WGSL can spell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConstValue {
    /// `u32`.
    U32(u32),
    /// `f32`, finite.
    F32(f32),
    /// `bool`.
    Bool(bool),
}

impl std::fmt::Display for ConstValue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            ConstValue::U32(v) => write!(f, "u32 = {v}u"),
            // Debug spells the shortest decimal that reads back to the same bits.
            ConstValue::F32(v) => write!(f, "f32 = {v:?}"),
            ConstValue::Bool(v) => write!(f, "bool = {v}"),
        }
    }
}

/// Named constants, in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Consts(pub Vec<(String, ConstValue)>);

impl Consts {
    /// None yet.
    pub fn new() -> Consts {
        Consts::default()
    }

    /// Adds a u32.
    pub fn u32(self, name: &str, value: u32) -> Consts {
        self.with(name, ConstValue::U32(value))
    }

    /// Adds an f32.
    pub fn f32(self, name: &str, value: f32) -> Consts {
        self.with(name, ConstValue::F32(value))
    }

    /// Adds a bool.
    pub fn bool(self, name: &str, value: bool) -> Consts {
        self.with(name, ConstValue::Bool(value))
    }

    fn with(mut self, name: &str, value: ConstValue) -> Consts {
        self.0.push((name.to_string(), value));
        self
    }

    /// The value of `name`.
    pub fn get(&self, name: &str) -> Option<ConstValue> {
        self.0.iter().find(|(n, _)| n == name).map(|&(_, v)| v)
    }

    /// Adds what `other` has; the same name may come twice only with the same value.
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

    /// One declaration a line.
    pub(crate) fn wgsl(&self) -> Result<String, LinkError> {
        let mut out = String::new();
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
