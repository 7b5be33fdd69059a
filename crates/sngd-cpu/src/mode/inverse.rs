//! M⁻¹ at the mode, for many gradients at once.

use super::data::inverse_factor;
use faer::{Accum, MatMut, MatRef, Par};
use sngd_core::expansion::Expansion;

/// The covariance M⁻¹ of the Laplace approximation, in internal coordinates.
#[derive(Debug)]
pub struct Inverse {
    p: usize,
    /// `[P,P]`, symmetric.
    matrix: Vec<f64>,
}

impl Inverse {
    /// L⁻ᵀL⁻¹.
    pub fn of(expansion: &Expansion) -> Inverse {
        let p = expansion.omega.len();
        let factor = inverse_factor(&expansion.chol, p);
        let factor = MatRef::from_column_major_slice(&factor, p, p);
        let mut matrix = vec![0.0; p * p];
        let out = MatMut::from_column_major_slice_mut(&mut matrix, p, p);
        faer::linalg::matmul::matmul(
            out,
            Accum::Replace,
            factor.transpose(),
            factor,
            1.0,
            Par::rayon(0),
        );
        Inverse { p, matrix }
    }

    /// Variance of parameter j under the Laplace approximation.
    pub fn variance(&self, j: usize) -> f64 {
        self.matrix[j * (self.p + 1)]
    }

    /// M⁻¹g of each of the vectors `[m,P]`.
    pub fn times(&self, vectors: &[f64]) -> Vec<f64> {
        let (p, m) = (self.p, vectors.len() / self.p);
        let mut out = vec![0.0; m * p];
        faer::linalg::matmul::matmul(
            MatMut::from_column_major_slice_mut(&mut out, p, m),
            Accum::Replace,
            MatRef::from_column_major_slice(&self.matrix, p, p),
            MatRef::from_column_major_slice(&vectors[..m * p], p, m),
            1.0,
            Par::rayon(0),
        );
        out
    }
}
