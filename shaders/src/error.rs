//! The errors of linking a shader, each as one sentence that names the place.

use thiserror::Error;

/// Reason why a shader was not linked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LinkError {
    /// An imported file does not exist.
    #[error("{file}:{line}: \"{path}\" is imported but there is no such file")]
    Missing {
        /// The importing file.
        file: String,
        /// Its line.
        line: u32,
        /// Path that it imports.
        path: String,
    },
    /// The root is not among the embedded files.
    #[error("\"{0}\" is not one of the shader files")]
    NoRoot(String),
    /// Files import each other in a circle.
    #[error("{file}:{line}: imports run in a circle: {cycle}")]
    Cycle {
        /// The file whose import closes the circle.
        file: String,
        /// Its line.
        line: u32,
        /// The circle, as in `a.wgsl -> b.wgsl -> a.wgsl`.
        cycle: String,
    },
    /// An `#import` that is neither a path nor a slot, or any other `#` line.
    #[error(
        "{file}:{line}: found `{text}`, expected #import \"path.wgsl\", #import <model> or #import <consts>"
    )]
    Directive {
        /// The file.
        file: String,
        /// The line.
        line: u32,
        /// Text of the line.
        text: String,
    },
    /// A file imports `<model>`, but no model was given.
    #[error("{file}:{line}: <model> is imported, but this kernel was linked without a model")]
    NoModel {
        /// The file.
        file: String,
        /// The line.
        line: u32,
    },
    /// Valid WGSL that the CPU side cannot evaluate as a likelihood.
    #[error(
        "{file}:{line}: found {what}, expected a likelihood of numbers, vectors, arrays and loops of at most {} iterations a call, which can be evaluated on the CPU",
        crate::limits::MOST_ITERATIONS
    )]
    Unevaluable {
        /// The file.
        file: String,
        /// The line.
        line: u32,
        /// What cannot be evaluated.
        what: String,
    },
    /// A user's text that compilers might not be done with in seconds.
    #[error("{file}:{line}: found {found}, expected at most {most}")]
    TooMuch {
        /// The file.
        file: String,
        /// The line.
        line: u32,
        /// What there is too much of, with its amount.
        found: String,
        /// The limit, and what helps.
        most: String,
    },
    /// A constant has two values.
    #[error("const {name} is given twice: as {one} and as {other}")]
    ConstTwice {
        /// The name.
        name: String,
        /// First value.
        one: String,
        /// Second value.
        other: String,
    },
    /// A constant is NaN or infinite, which WGSL cannot express.
    #[error("const {name} is not finite: {value}")]
    ConstNotFinite {
        /// The name.
        name: String,
        /// The value.
        value: String,
    },
    /// WGSL does not parse or is not valid.
    #[error("{file}:{line}: {message}")]
    Wgsl {
        /// The file as its author wrote it.
        file: String,
        /// The line in that file.
        line: u32,
        /// What is wrong.
        message: String,
    },
    /// A model file lacks a function of the contract.
    #[error("model {model}: `fn {function}` is missing, expected {signature}")]
    Contract {
        /// The model's file.
        model: String,
        /// Name of the function.
        function: String,
        /// Expected declaration of the function.
        signature: String,
    },
    /// An entry point or struct does not exist.
    #[error("{root} has no {what} \"{name}\"")]
    NoSuch {
        /// The root file.
        root: String,
        /// `entry point` or `struct`.
        what: &'static str,
        /// Its name.
        name: String,
    },
}
