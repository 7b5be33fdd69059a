//! One row as a likelihood sees it, and how symmetric matrices over its outputs are stored.

/// Index of (k, l) in the packed lower triangle of a symmetric matrix.
#[inline]
pub const fn packed(k: usize, l: usize) -> usize {
    if k >= l {
        k * (k + 1) / 2 + l
    } else {
        l * (l + 1) / 2 + k
    }
}

/// The response of one row: y and the binomial's trials (1 elsewhere).
#[derive(Debug, Clone, Copy)]
pub struct Observed<T> {
    /// Response; a class index for softmax.
    pub y: T,
    /// Trials of a binomial, or the companion column of a custom likelihood.
    pub trials: T,
}
