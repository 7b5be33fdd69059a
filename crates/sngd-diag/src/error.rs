//! Errors of the caller: shapes that do not fit, matrices that cannot be factored.

use thiserror::Error;

use crate::Reason;

/// A diagnostic that could not even start.
///
/// Draws that merely have no diagnostics (a stuck chain, a NaN) are no error: they give NaN and a
/// [`Reason`].
#[derive(Debug, Clone, Copy, PartialEq, Error)]
#[non_exhaustive]
pub enum DiagError {
    /// The strides reach past the end of the data.
    #[error(
        "a view of {chains} chains x {draws} draws reaches element {reach}, but the data hold {len}"
    )]
    OutOfBounds {
        /// Chains of the view.
        chains: usize,
        /// Draws per chain of the view.
        draws: usize,
        /// Largest index the view would read; `usize::MAX` when it overflows.
        reach: usize,
        /// Elements in the data.
        len: usize,
    },
    /// An axis that must not be empty is empty.
    #[error("there are no {axis}: at least one is needed")]
    Empty {
        /// The axis, in words.
        axis: &'static str,
    },
    /// A slice does not have the length that its shape asks for.
    #[error("{what} must hold {expected} values, but holds {got}")]
    Length {
        /// The slice, with its shape.
        what: &'static str,
        /// Length the shape asks for.
        expected: usize,
        /// Length of the slice.
        got: usize,
    },
    /// A value of a matrix, or a scalar argument, is NaN or infinite.
    #[error("{what} is {value} at index {index}: it must be finite")]
    NonFinite {
        /// The matrix or the argument.
        what: &'static str,
        /// Flat index of the value.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// The Fisher information has no Cholesky factor.
    #[error(
        "the Fisher information is not positive definite: pivot {pivot} is {value:e}; add damping \
         or prior precision, or estimate it from more rows than parameters"
    )]
    NotPositiveDefinite {
        /// Row of the pivot.
        pivot: usize,
        /// The pivot, before its square root.
        value: f64,
    },
    /// The chains cannot be divided into superchains.
    #[error(
        "{chains} chains cannot be dealt into {superchains} superchains: nested R-hat needs at \
         least 2 superchains of one common size"
    )]
    Superchains {
        /// Number of chains.
        chains: usize,
        /// Number of superchains asked for.
        superchains: usize,
    },
    /// The draws have no nested R-hat.
    #[error("{0}")]
    Draws(Reason),
}
