//! Dense algebra on column-major slices: weighted SYRK, scaled Cholesky, triangular solves. The products are faer's.

use crate::scalar::Scalar;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor as llt;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};

/// The place of a square block in a matrix, to which `add_gram` adds.
pub struct Block<'a, T> {
    /// The whole matrix, `[p,p]` column-major.
    pub matrix: &'a mut [T],
    /// Order of the whole matrix.
    pub p: usize,
    /// First row of the block.
    pub row: usize,
    /// First column of the block.
    pub col: usize,
}

/// Adds AᵀB to a block, A and B `[m,d]` row-major; only to the lower triangle when the block is on the diagonal.
pub fn add_gram<T: Scalar>(dst: Block<'_, T>, a: &[T], b: &[T], d: usize, par: Par) {
    let m = a.len() / d;
    let (lhs, rhs) = (
        MatRef::from_column_major_slice(a, d, m),
        MatRef::from_column_major_slice(b, d, m).transpose(),
    );
    let on_diagonal = dst.row == dst.col;
    let full = MatMut::from_column_major_slice_mut(dst.matrix, dst.p, dst.p);
    let block = full.submatrix_mut(dst.row, dst.col, d, d);
    if on_diagonal {
        triangular::matmul(
            block,
            BlockStructure::TriangularLower,
            Accum::Add,
            lhs,
            BlockStructure::Rectangular,
            rhs,
            BlockStructure::Rectangular,
            faer::traits::math_utils::one::<T>(),
            par,
        );
    } else {
        faer::linalg::matmul::matmul(
            block,
            Accum::Add,
            lhs,
            rhs,
            faer::traits::math_utils::one::<T>(),
            par,
        );
    }
}

/// A factorisation failed, since the matrix is not positive definite.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotPositive {
    /// Index of the failing pivot.
    pub pivot: usize,
}

/// A reusable Cholesky factorisation M = LLᵀ of a symmetric matrix given by its lower triangle.
pub struct Factor<T> {
    /// Order of the matrix.
    pub p: usize,
    /// The factor L, `[p,p]` column-major, lower; the upper triangle is not meaningful.
    pub l: Vec<T>,
    /// Logarithm of the determinant, ln|M|.
    pub log_det: f64,
    /// Relative jitter that was needed, 0 if none.
    pub jitter: f64,
    /// Smallest pivot of the matrix scaled to unit diagonal, in (0, 1 + jitter].
    pub smallest_pivot: f64,
    scale: Vec<T>,
    scratch: MemBuffer,
}

impl<T: Scalar> Factor<T> {
    /// Buffers for order p.
    pub fn new(p: usize) -> Factor<T> {
        let req = llt::cholesky_in_place_scratch::<T>(p, Par::Seq, Default::default());
        Factor {
            p,
            l: vec![T::zero(); p * p],
            log_det: 0.0,
            jitter: 0.0,
            smallest_pivot: 0.0,
            scale: vec![T::one(); p],
            scratch: MemBuffer::new(req),
        }
    }

    /// Factors `m` (column-major, lower) after scaling it to unit diagonal. With `retries`, a failing matrix gets a
    /// relative jitter `first`, then ten times that, and so on.
    pub fn factor(
        &mut self,
        m: &[T],
        first: f64,
        retries: u32,
        par: Par,
    ) -> Result<(), NotPositive> {
        let p = self.p;
        for i in 0..p {
            let d = m[i * p + i];
            if !d.is_finite() || d <= T::zero() {
                return Err(NotPositive { pivot: i });
            }
            self.scale[i] = T::one() / num_traits::Float::sqrt(d);
        }
        let mut worst = NotPositive { pivot: 0 };
        for level in 0..=retries {
            let jitter = if level == 0 {
                0.0
            } else {
                first * 10f64.powi(level as i32 - 1)
            };
            for j in 0..p {
                let sj = self.scale[j];
                for i in j..p {
                    self.l[j * p + i] = m[j * p + i] * self.scale[i] * sj;
                }
                self.l[j * p + j] = T::of(1.0 + jitter);
            }
            match self.try_factor(par) {
                Ok(()) => {
                    self.jitter = jitter;
                    self.finish();
                    return Ok(());
                }
                Err(e) => worst = e,
            }
        }
        Err(worst)
    }

    fn try_factor(&mut self, par: Par) -> Result<(), NotPositive> {
        let p = self.p;
        if p <= 24 {
            return small_cholesky(&mut self.l, p);
        }
        let a = MatMut::from_column_major_slice_mut(&mut self.l, p, p);
        llt::cholesky_in_place(
            a,
            Default::default(),
            par,
            MemStack::new(&mut self.scratch),
            Default::default(),
        )
        .map_err(
            |faer::linalg::cholesky::llt::factor::LltError::NonPositivePivot { index }| {
                NotPositive { pivot: index }
            },
        )?;
        match (0..p).find(|&i| !self.l[i * p + i].is_finite()) {
            Some(pivot) => Err(NotPositive { pivot }),
            None => Ok(()),
        }
    }

    /// Undoes the scaling: L_ij = L̃_ij / scale_i.
    fn finish(&mut self) {
        let p = self.p;
        self.log_det = 0.0;
        self.smallest_pivot = f64::INFINITY;
        for j in 0..p {
            let root = self.l[j * p + j].to64();
            self.smallest_pivot = self.smallest_pivot.min(root * root);
            for i in j..p {
                self.l[j * p + i] /= self.scale[i];
            }
            self.log_det += 2.0 * self.l[j * p + j].to64().ln();
        }
    }

    /// Solves b ← L⁻¹b in place, `[p]`.
    #[inline(always)]
    pub fn solve_lower(&self, b: &mut [T]) {
        let p = self.p;
        for j in 0..p {
            let col = &self.l[j * p..(j + 1) * p];
            let y = b[j] / col[j];
            b[j] = y;
            for (bi, &lij) in b[j + 1..].iter_mut().zip(&col[j + 1..]) {
                *bi -= lij * y;
            }
        }
    }

    /// Solves b ← L⁻ᵀb in place, `[p]`.
    #[inline(always)]
    pub fn solve_upper(&self, b: &mut [T]) {
        let p = self.p;
        for j in (0..p).rev() {
            let col = &self.l[j * p..(j + 1) * p];
            b[j] = (b[j] - dot(&col[j + 1..], &b[j + 1..])) / col[j];
        }
    }

    /// Solves b ← M⁻¹b in place, `[p]`.
    pub fn solve(&self, b: &mut [T]) {
        self.solve_lower(b);
        self.solve_upper(b);
    }

    /// out = L·z.
    pub fn times_l(&self, z: &[T], out: &mut [T]) {
        let p = self.p;
        out.fill(T::zero());
        for j in 0..p {
            let col = &self.l[j * p..(j + 1) * p];
            for i in j..p {
                out[i] += col[i] * z[j];
            }
        }
    }

    /// out = Lᵀ·x.
    pub fn times_l_transposed(&self, x: &[T], out: &mut [T]) {
        let p = self.p;
        for j in 0..p {
            let col = &self.l[j * p..(j + 1) * p];
            out[j] = dot(&col[j..], &x[j..]);
        }
    }

    /// Solves b ← L⁻¹b for all columns of `b`, `[p,m]` column-major, that is for rows of length p.
    pub fn solve_lower_many(&self, b: &mut [T], par: Par) {
        let (p, m) = (self.p, b.len() / self.p);
        let l = MatRef::from_column_major_slice(&self.l, p, p);
        let rhs = MatMut::from_column_major_slice_mut(b, p, m);
        faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, rhs, par);
    }

    /// Writes the whole inverse M⁻¹, `[p,p]`.
    pub fn inverse(&self, out: &mut [T], par: Par) {
        let p = self.p;
        out.fill(T::zero());
        for i in 0..p {
            out[i * p + i] = T::one();
        }
        let l = MatRef::from_column_major_slice(&self.l, p, p);
        let mut rhs = MatMut::from_column_major_slice_mut(out, p, p);
        faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, rhs.as_mut(), par);
        faer::linalg::triangular_solve::solve_upper_triangular_in_place(l.transpose(), rhs, par);
    }
}

/// Σ aᵢbᵢ in sixteen sums, so that the loop vectorises: the compiler does not change the order of additions.
#[inline(always)]
pub(crate) fn dot<T: Scalar>(a: &[T], b: &[T]) -> T {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut lanes = [T::zero(); 16];
    for (a, b) in a.iter().zip(b) {
        for i in 0..16 {
            lanes[i] += a[i] * b[i];
        }
    }
    let rest: T = a_rest.iter().zip(b_rest).map(|(&a, &b)| a * b).sum();
    lanes.into_iter().sum::<T>() + rest
}

/// GFLOP/s of an f32 product of order n on all threads, the best of `tries`: the upper limit that benches compare with.
pub fn gemm_rate(n: usize, tries: usize) -> f64 {
    let a = faer::Mat::<f32>::from_fn(n, n, |i, j| ((i * 7 + j * 3) % 11) as f32 - 5.0);
    let mut c = faer::Mat::<f32>::zeros(n, n);
    let mut best = f64::INFINITY;
    for _ in 0..tries {
        let lap = std::time::Instant::now();
        faer::linalg::matmul::matmul(&mut c, Accum::Replace, &a, &a, 1.0f32, Par::rayon(0));
        best = best.min(lap.elapsed().as_secs_f64());
    }
    2.0 * (n as f64).powi(3) / best / 1e9
}

/// Left-looking Cholesky for orders so small that a library call takes longer than the computation.
fn small_cholesky<T: Scalar>(a: &mut [T], p: usize) -> Result<(), NotPositive> {
    for j in 0..p {
        let (done, rest) = a.split_at_mut(j * p);
        let col = &mut rest[..p];
        for k in 0..j {
            let prev = &done[k * p..(k + 1) * p];
            let f = prev[j];
            for i in j..p {
                col[i] -= prev[i] * f;
            }
        }
        let d = col[j];
        if !d.is_finite() || d <= T::zero() {
            return Err(NotPositive { pivot: j });
        }
        let inv = T::one() / num_traits::Float::sqrt(d);
        for v in &mut col[j..] {
            *v *= inv;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spd(p: usize) -> Vec<f64> {
        let a: Vec<f64> = (0..p * p)
            .map(|i| ((i * 37 % 101) as f64 * 0.7).sin())
            .collect();
        let mut m = vec![0.0; p * p];
        for i in 0..p {
            for j in 0..p {
                m[j * p + i] = (0..p).map(|k| a[k * p + i] * a[k * p + j]).sum::<f64>()
                    + if i == j { 1.0 + i as f64 * 10.0 } else { 0.0 };
            }
        }
        m
    }

    #[test]
    fn solves_undo_products_at_all_sizes() {
        for p in [1, 2, 7, 24, 25, 65, 130] {
            let m = spd(p);
            let mut f = Factor::<f64>::new(p);
            f.factor(&m, 1e-12, 0, Par::Seq).unwrap();
            let x: Vec<f64> = (0..p).map(|i| (i as f64).cos()).collect();
            let mut b: Vec<f64> = (0..p)
                .map(|i| (0..p).map(|j| m[j * p + i] * x[j]).sum())
                .collect();
            f.solve(&mut b);
            assert!(
                b.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-9),
                "p = {p}"
            );
            let mut inv = vec![0.0; p * p];
            f.inverse(&mut inv, Par::Seq);
            let trace: f64 = (0..p)
                .map(|i| (0..p).map(|j| m[j * p + i] * inv[i * p + j]).sum::<f64>())
                .sum();
            assert!((trace - p as f64).abs() < 1e-8);
            let (mut t, mut u) = (vec![0.0; p], vec![0.0; p]);
            f.times_l_transposed(&x, &mut t);
            f.times_l(&t, &mut u);
            f.solve(&mut u);
            assert!(u.iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-9));
        }
    }

    #[test]
    fn an_indefinite_matrix_names_its_pivot() {
        for p in [3, 40] {
            let mut m = vec![0.0f64; p * p];
            for i in 0..p {
                m[i * p + i] = 1.0;
            }
            m[p + 2] = 2.0; // row 2, column 1
            let e = Factor::<f64>::new(p)
                .factor(&m, 1e-6, 3, Par::Seq)
                .unwrap_err();
            assert_eq!(e.pivot, 2);
            m[0] = f64::NAN;
            assert_eq!(
                Factor::<f64>::new(p)
                    .factor(&m, 1e-6, 3, Par::Seq)
                    .unwrap_err()
                    .pivot,
                0
            );
        }
    }
}
