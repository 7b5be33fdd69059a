//! A linear predictor's outputs over a block of rows, and the sums Σ Jᵀs and Σ JᵀWJ.

use crate::dense::{Block, add_gram};
use crate::scalar::Scalar;
use faer::Par;
use sngd_core::blocks::Layout;
use sngd_core::likelihood::packed;

/// Rows per block: 256 rows of 64 columns are 64 KiB in f32.
pub(crate) const BLOCK: usize = 256;

/// Outputs η = Jω of a block of rows: writes `[m,H]` from x `[m,D]`.
pub fn outputs<T: Scalar>(x: &[T], omega: &[T], eta: &mut [T], d: usize, k: usize, h: usize) {
    for (row, e) in x.chunks_exact(d).zip(eta.chunks_exact_mut(h)) {
        for a in 0..k {
            e[a] = dot(row, &omega[a * d..(a + 1) * d]);
        }
        e[k..].copy_from_slice(&omega[k * d..]);
    }
}

/// A dot product in eight independent sums, so that the loop vectorises.
#[inline]
pub fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let mut lanes = [T::zero(); 8];
    let (ca, cb) = (a.chunks_exact(8), b.chunks_exact(8));
    let tail: T = ca
        .remainder()
        .iter()
        .zip(cb.remainder())
        .map(|(&u, &v)| u * v)
        .sum();
    for (u, v) in ca.zip(cb) {
        for i in 0..8 {
            lanes[i] += u[i] * v[i];
        }
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + tail
}

/// Euclidean norm, summed in f64.
pub fn norm<T: Scalar>(v: &[T]) -> f64 {
    v.iter().map(|x| x.to64() * x.to64()).sum::<f64>().sqrt()
}

/// Adds the gradient Σ Jᵀs to `out` `[P]`, s `[m,H]`.
pub fn add_transposed<T: Scalar>(x: &[T], s: &[T], out: &mut [T], d: usize, k: usize, h: usize) {
    let (linear, aux) = out.split_at_mut(k * d);
    for (row, sj) in x.chunks_exact(d).zip(s.chunks_exact(h)) {
        for a in 0..k {
            let f = sj[a];
            for (o, &v) in linear[a * d..(a + 1) * d].iter_mut().zip(row) {
                *o += f * v;
            }
        }
        for (o, &v) in aux.iter_mut().zip(&sj[k..]) {
            *o += v;
        }
    }
}

/// w = ssᵀ, packed.
pub fn outer<T: Scalar>(s: &[T], w: &mut [T]) {
    for a in 0..s.len() {
        for b in 0..=a {
            w[packed(a, b)] = s[a] * s[b];
        }
    }
}

/// Adds Σ JᵀWJ to `squares`, the blocks of the layout, lower triangles.
pub fn add_weighted<T: Scalar>(
    x: &[T],
    w: &[T],
    squares: &mut [T],
    scaled: &mut [T],
    (d, k, h): (usize, usize, usize),
    layout: &Layout,
    par: Par,
) {
    let m = x.len() / d;
    let hh = h * (h + 1) / 2;
    for block in &layout.blocks {
        let (from, p) = (block.offset, block.size);
        let matrix = &mut squares[block.at..block.at + p * p];
        let inside = |i: usize| i >= from && i < from + p;
        for a in (0..k).filter(|a| inside(a * d)) {
            for b in (0..=a).filter(|b| inside(b * d)) {
                let at = packed(a, b);
                for j in 0..m {
                    let f = w[j * hh + at];
                    for (o, &v) in scaled[j * d..(j + 1) * d]
                        .iter_mut()
                        .zip(&x[j * d..(j + 1) * d])
                    {
                        *o = f * v;
                    }
                }
                let block = Block {
                    matrix: &mut *matrix,
                    p,
                    row: a * d - from,
                    col: b * d - from,
                };
                add_gram(block, x, &scaled[..m * d], d, par);
            }
        }
        for a in (k..h).filter(|a| inside(k * d + a - k)) {
            let row = k * d + a - k - from;
            for j in 0..m {
                for b in (0..k).filter(|b| inside(b * d)) {
                    let f = w[j * hh + packed(a, b)];
                    for e in 0..d {
                        matrix[(b * d - from + e) * p + row] += f * x[j * d + e];
                    }
                }
                for b in (k..=a).filter(|b| inside(k * d + b - k)) {
                    matrix[(k * d + b - k - from) * p + row] += w[j * hh + packed(a, b)];
                }
            }
        }
    }
}

/// Adds the diagonal of Σ JᵀWJ to `out` `[P]`.
pub fn add_diagonal<T: Scalar>(x: &[T], w: &[T], out: &mut [T], d: usize, k: usize, h: usize) {
    let hh = h * (h + 1) / 2;
    for (row, wj) in x.chunks_exact(d).zip(w.chunks_exact(hh)) {
        for a in 0..k {
            let f = wj[packed(a, a)];
            for (o, &v) in out[a * d..(a + 1) * d].iter_mut().zip(row) {
                *o += f * v * v;
            }
        }
        for a in k..h {
            out[k * d + a - k] += wj[packed(a, a)];
        }
    }
}

/// out `[m,d]` = X·A, where A is the `[d,d]` block of a column-major matrix with stride p that starts at `a[0]`.
pub fn multiply<T: Scalar>(x: &[T], a: &[T], p: usize, out: &mut [T], d: usize, par: Par) {
    let m = x.len() / d;
    // Row-major [m,d] is column-major [d,m]: outᵀ = Aᵀ Xᵀ.
    let block = faer::MatRef::from_column_major_slice_with_stride(a, d, d, p).transpose();
    let xt = faer::MatRef::from_column_major_slice(x, d, m);
    let dst = faer::MatMut::from_column_major_slice_mut(out, d, m);
    faer::linalg::matmul::matmul(
        dst,
        faer::Accum::Replace,
        block,
        xt,
        faer::traits::math_utils::one::<T>(),
        par,
    );
}
