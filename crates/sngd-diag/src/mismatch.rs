//! Fisher mismatch: is the covariance of per-example gradients the Fisher information?

use crate::DiagError;
use crate::linalg::{cholesky, extreme_eigenvalues, forward_solve};

/// How far the covariance of gradients lies from the Fisher information. Without units, and the
/// same in every parameterisation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FisherMismatch {
    /// Frobenius norm of F^(-1/2) Sigma F^(-1/2) - I, divided by sqrt(P): the root mean square
    /// of (eigenvalue - 1). 0 if they agree.
    pub frobenius: f64,
    /// Smallest eigenvalue of F^-1 Sigma: the direction with least gradient noise for its Fisher
    /// information.
    pub smallest: f64,
    /// Largest eigenvalue of F^-1 Sigma: the direction where minibatch noise is strongest relative to
    /// the law, which it exceeds by this factor.
    pub largest: f64,
}

/// Compares `fisher[P, P]` with `sigma_g[P, P]`, the covariance of per-example gradients; both
/// row-major and in the same units (both per example, or both summed), of both only the lower
/// triangle is read.
///
/// With F = L L', the matrix L^-1 Sigma L^-T has the eigenvalues of F^(-1/2) Sigma F^(-1/2) and
/// the same Frobenius distance from I. The law of minibatch temperature assumes it is I. Costs
/// about 2 P^3 multiplications.
///
/// # Errors
/// [`DiagError::Empty`] if `p` is 0, [`DiagError::Length`] unless both have P^2 values,
/// [`DiagError::NonFinite`] if either is not finite or their ratio overflows, and
/// [`DiagError::NotPositiveDefinite`] if F has no Cholesky factor.
pub fn fisher_mismatch(
    fisher: &[f64],
    sigma_g: &[f64],
    p: usize,
) -> Result<FisherMismatch, DiagError> {
    check_lower("the Fisher information [P, P]", fisher, p)?;
    check_lower("the covariance of gradients [P, P]", sigma_g, p)?;
    let l = cholesky(fisher, p)?;

    // Rows of `a` are columns of L^-1 Sigma, Sigma being symmetric; then of L^-1 (L^-1 Sigma)'.
    let mut a = vec![0.0; p * p];
    for i in 0..p {
        for j in 0..=i {
            a[i * p + j] = sigma_g[i * p + j];
            a[j * p + i] = sigma_g[i * p + j];
        }
    }
    for row in a.chunks_exact_mut(p) {
        forward_solve(&l, p, row);
    }
    transpose(&mut a, p);
    for row in a.chunks_exact_mut(p) {
        forward_solve(&l, p, row);
    }

    let squares: f64 = (0..p * p)
        .map(|k| {
            let x = a[k] - if k / p == k % p { 1.0 } else { 0.0 };
            x * x
        })
        .sum();
    if !squares.is_finite() {
        let what = "the squared norm of F^-1 Sigma - I";
        return Err(DiagError::NonFinite {
            what,
            index: 0,
            value: squares,
        });
    }
    let (smallest, largest) = extreme_eigenvalues(&mut a, p);
    Ok(FisherMismatch {
        frobenius: (squares / p as f64).sqrt(),
        smallest,
        largest,
    })
}

/// Checks the size of a matrix and that its lower triangle is finite.
pub(crate) fn check_lower(what: &'static str, a: &[f64], p: usize) -> Result<(), DiagError> {
    if p == 0 {
        return Err(DiagError::Empty { axis: "parameters" });
    }
    let expected = p.saturating_mul(p);
    if a.len() != expected {
        return Err(DiagError::Length {
            what,
            expected,
            got: a.len(),
        });
    }
    let lower = |k: &usize| k % p <= k / p;
    match (0..a.len()).filter(lower).find(|&k| !a[k].is_finite()) {
        Some(index) => Err(DiagError::NonFinite {
            what,
            index,
            value: a[index],
        }),
        None => Ok(()),
    }
}

fn transpose(a: &mut [f64], p: usize) {
    for i in 0..p {
        for j in 0..i {
            a.swap(i * p + j, j * p + i);
        }
    }
}
