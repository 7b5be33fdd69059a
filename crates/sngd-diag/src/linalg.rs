//! The small part of dense algebra that the Fisher mismatch needs, on row-major `f64` matrices of size P.

use crate::DiagError;

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    // Eight partial sums, so that the compiler may use vector registers.
    let mut parts = [0.0; 8];
    let (a8, b8) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a8
        .remainder()
        .iter()
        .zip(b8.remainder())
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in a8.zip(b8) {
        for (part, (x, y)) in parts.iter_mut().zip(x.iter().zip(y)) {
            *part += x * y;
        }
    }
    parts.iter().sum::<f64>() + rest
}

/// Lower Cholesky factor of the matrix whose lower triangle is in `a`; the upper triangle of the factor is zero.
pub(crate) fn cholesky(a: &[f64], p: usize) -> Result<Vec<f64>, DiagError> {
    let mut l = vec![0.0; p * p];
    for i in 0..p {
        let (above, row) = l.split_at_mut(i * p);
        for j in 0..i {
            let other = &above[j * p..j * p + p];
            row[j] = (a[i * p + j] - dot(&row[..j], &other[..j])) / other[j];
        }
        let value = a[i * p + i] - dot(&row[..i], &row[..i]);
        // Rounding alone can give a tiny positive number where the exact pivot is zero.
        if value.is_nan() || value <= f64::EPSILON * a[i * p + i].abs() {
            return Err(DiagError::NotPositiveDefinite { pivot: i, value });
        }
        row[i] = value.sqrt();
    }
    Ok(l)
}

/// Solves L x = b in place.
pub(crate) fn forward_solve(l: &[f64], p: usize, b: &mut [f64]) {
    for i in 0..p {
        b[i] = (b[i] - dot(&l[i * p..i * p + i], &b[..i])) / l[i * p + i];
    }
}

/// Smallest and largest eigenvalue of a full symmetric matrix, which is overwritten.
///
/// Householder reflections make it tridiagonal; bisection on the number of eigenvalues below a
/// point (Sturm's count) then closes in on either end to the last digits.
pub(crate) fn extreme_eigenvalues(a: &mut [f64], p: usize) -> (f64, f64) {
    let (diagonal, beside) = tridiagonal(a, p);
    // Gershgorin's discs contain every eigenvalue.
    let mut low = f64::INFINITY;
    let mut high = f64::NEG_INFINITY;
    for i in 0..p {
        let radius = beside[i].abs() + beside.get(i + 1).map_or(0.0, |b| b.abs());
        low = low.min(diagonal[i] - radius);
        high = high.max(diagonal[i] + radius);
    }
    let margin = f64::EPSILON * low.abs().max(high.abs());
    let (low, high) = (low - margin, high + margin);
    // `bisect` finds where the count passes `index`: eigenvalue number `index`, from 0.
    let bisect = |index: usize| {
        let (mut a, mut b) = (low, high);
        loop {
            let middle = f64::midpoint(a, b);
            // Also ends the search if the matrix contains a NaN.
            if !(a < middle && middle < b) {
                return middle;
            }
            if count_below(&diagonal, &beside, middle) > index {
                b = middle;
            } else {
                a = middle;
            }
        }
    };
    (bisect(0), bisect(p - 1))
}

/// Diagonal, and the entries left of it (the first is 0), of a similar tridiagonal matrix.
fn tridiagonal(a: &mut [f64], p: usize) -> (Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.0; p];
    for k in 0..p.saturating_sub(2) {
        // Reflect column k, below its diagonal, onto its first entry.
        let mut v: Vec<f64> = (k + 1..p).map(|i| a[i * p + k]).collect();
        let norm = dot(&v, &v).sqrt();
        let alpha = if v[0] > 0.0 { -norm } else { norm };
        beside[k + 1] = alpha;
        v[0] -= alpha;
        let scale = dot(&v, &v);
        if scale == 0.0 {
            continue;
        }
        // A <- H A H with H = I - 2 v v' / v'v, as A - v w' - w v'.
        let row = |i: usize| i * p + k + 1..(i + 1) * p;
        let mut w: Vec<f64> = (k + 1..p)
            .map(|i| 2.0 * dot(&a[row(i)], &v) / scale)
            .collect();
        let share = dot(&v, &w) / scale;
        for (w, v) in w.iter_mut().zip(&v) {
            *w -= share * v;
        }
        for i in k + 1..p {
            let (vi, wi) = (v[i - k - 1], w[i - k - 1]);
            for (x, (v, w)) in a[row(i)].iter_mut().zip(v.iter().zip(&w)) {
                *x -= vi * w + wi * v;
            }
        }
    }
    if p > 1 {
        beside[p - 1] = a[(p - 1) * p + p - 2];
    }
    ((0..p).map(|i| a[i * p + i]).collect(), beside)
}

/// Number of eigenvalues of the tridiagonal matrix below `x`.
fn count_below(diagonal: &[f64], beside: &[f64], x: f64) -> usize {
    let mut pivot = 1.0;
    let mut count = 0;
    for (d, b) in diagonal.iter().zip(beside) {
        pivot = d - x - b * b / pivot;
        if pivot == 0.0 {
            pivot = f64::MIN_POSITIVE;
        }
        count += usize::from(pivot < 0.0);
    }
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A search between infinite bounds must end; once it did not.
    #[test]
    fn what_is_not_finite_ends_the_search() {
        for bad in [f64::NAN, f64::INFINITY] {
            extreme_eigenvalues(&mut [1.0, bad, bad, 1.0], 2);
            extreme_eigenvalues(&mut [bad, 0.0, 0.0, 1.0], 2);
        }
    }

    /// The second-difference matrix has eigenvalues 2 - 2 cos(k pi / (P + 1)).
    #[test]
    fn second_differences_and_their_inverse() {
        for p in [1usize, 2, 3, 10, 33] {
            let mut a = vec![0.0; p * p];
            let mut inverse = vec![0.0; p * p];
            for i in 0..p {
                for j in 0..p {
                    a[i * p + j] = match i.abs_diff(j) {
                        0 => 2.0,
                        1 => -1.0,
                        _ => 0.0,
                    };
                    let (low, high) = (i.min(j) + 1, i.max(j) + 1);
                    inverse[i * p + j] = (low * (p + 1 - high)) as f64 / (p + 1) as f64;
                }
            }
            let value =
                |k: usize| 2.0 - 2.0 * (std::f64::consts::PI * k as f64 / (p + 1) as f64).cos();
            let (low, high) = extreme_eigenvalues(&mut a, p);
            assert!(
                (low - value(1)).abs() < 1e-13 && (high - value(p)).abs() < 1e-13,
                "{p}"
            );
            // The inverse is dense, so the reflections have work to do.
            let (low, high) = extreme_eigenvalues(&mut inverse, p);
            assert!((low * value(p) - 1.0).abs() < 1e-10, "{p}: {low}");
            assert!((high * value(1) - 1.0).abs() < 1e-12, "{p}: {high}");
        }
    }
}
