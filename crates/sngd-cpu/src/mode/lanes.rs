//! Products for sixteen chains at once: `[n][16]` numbers, a vector lane per chain. A row of the design is read once for all of
//! them, and the result in a lane does not depend on the other lanes.
//!
//! The design is always f32; the f64 engine converts it as it reads.

use pulp::{Simd, WithSimd};

/// Number of chains side by side.
pub const LANES: usize = 16;
/// Rows, or columns, whose sums are kept in registers at once: twelve sums, one factor and one operand fit sixteen registers.
const CARRIED: usize = 12;

/// One number of each of sixteen chains.
pub type Lane<T> = [T; LANES];

/// A matrix by rows, `[rows, n]`; rows start `stride` numbers apart.
#[allow(
    unnameable_types,
    reason = "an argument of kernels that only this crate implements and calls"
)]
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    /// Numbers of the matrix, from the first of the first row on.
    pub x: &'a [f32],
    /// Numbers from one row to the next.
    pub stride: usize,
    /// Number of rows.
    pub rows: usize,
    /// Number of columns: the numbers of a row that are used.
    pub n: usize,
}

/// The products, with the widest vectors that the machine has.
pub trait LaneKernels: Sized {
    /// `out[rows][16]` = X·v, v `[n][16]`.
    fn times(x: Rows<'_>, v: &[Lane<Self>], out: &mut [Lane<Self>]);
    /// `out[n][16]` += Xᵀ·r, r `[rows][16]`.
    fn add_transposed(x: Rows<'_>, r: &[Lane<Self>], out: &mut [Lane<Self>]);
    /// Σ_j x_j·v_j of four rows of length n.
    fn dots<S: Simd>(simd: S, x: [&[f32]; 4], v: &[Self]) -> [Self; 4];
    /// out += Σ f_i·x_i over four rows.
    fn add_rows(x: [&[f32]; 4], f: [Self; 4], out: &mut [Self]);
}

macro_rules! lane_kernels {
    ($t:ty, $vectors:ident, $as_simd:ident, $as_mut_simd:ident, $splat:ident, $mul_add:ident, $lanes:ident, $dots:ident) => {
        const _: () = {
            struct Times<'a>(Rows<'a>, &'a [Lane<$t>], &'a mut [Lane<$t>]);
            struct AddTransposed<'a>(Rows<'a>, &'a [Lane<$t>], &'a mut [Lane<$t>]);

            impl WithSimd for Times<'_> {
                type Output = ();
                #[inline(always)]
                fn with_simd<S: Simd>(self, simd: S) {
                    let Times(m, v, out) = self;
                    let v = &v[..m.n];
                    for first in (0..m.rows).step_by(CARRIED) {
                        let count = CARRIED.min(m.rows - first);
                        // The last block repeats its last row, which avoids a branch; the repeated results are not written.
                        let x: [&[f32]; CARRIED] = std::array::from_fn(|i| {
                            &m.x[(first + i.min(count - 1)) * m.stride..][..m.n]
                        });
                        for part in 0..LANES / S::$lanes {
                            let mut sums = [simd.$splat(0.0); CARRIED];
                            for (j, v) in v.iter().enumerate() {
                                let v = S::$as_simd(v).0[part];
                                for i in 0..CARRIED {
                                    sums[i] =
                                        simd.$mul_add(simd.$splat(x[i][j].into()), v, sums[i]);
                                }
                            }
                            for (out, sum) in out[first..first + count].iter_mut().zip(sums) {
                                S::$as_mut_simd(out).0[part] = sum;
                            }
                        }
                    }
                }
            }

            impl WithSimd for AddTransposed<'_> {
                type Output = ();
                #[inline(always)]
                fn with_simd<S: Simd>(self, simd: S) {
                    let AddTransposed(m, r, out) = self;
                    let r = &r[..m.rows];
                    let mut first = 0;
                    while first < m.n {
                        let count = CARRIED.min(m.n - first);
                        // The last block starts early enough to be full; its first columns are summed again, but not added again.
                        let from = if count < CARRIED && m.n >= CARRIED {
                            m.n - CARRIED
                        } else {
                            first
                        };
                        let width = CARRIED.min(m.n - from);
                        for part in 0..LANES / S::$lanes {
                            let mut sums = [simd.$splat(0.0); CARRIED];
                            if width == CARRIED {
                                for (i, r) in r.iter().enumerate() {
                                    let r = S::$as_simd(r).0[part];
                                    let x: &[f32; CARRIED] = m.x[i * m.stride + from..]
                                        .first_chunk()
                                        .unwrap_or(&[0.0; CARRIED]);
                                    for j in 0..CARRIED {
                                        sums[j] =
                                            simd.$mul_add(simd.$splat(x[j].into()), r, sums[j]);
                                    }
                                }
                            } else {
                                for (i, r) in r.iter().enumerate() {
                                    let r = S::$as_simd(r).0[part];
                                    let x = &m.x[i * m.stride + from..][..width];
                                    for (sum, &x) in sums.iter_mut().zip(x) {
                                        *sum = simd.$mul_add(simd.$splat(x.into()), r, *sum);
                                    }
                                }
                            }
                            for j in first - from..width {
                                let out = &mut S::$as_mut_simd(&mut out[from + j]).0[part];
                                *out = simd.$mul_add(simd.$splat(1.0), sums[j], *out);
                            }
                        }
                        first += count;
                    }
                }
            }

            impl LaneKernels for $t {
                fn times(x: Rows<'_>, v: &[Lane<$t>], out: &mut [Lane<$t>]) {
                    pulp::Arch::new().dispatch(Times(x, v, out));
                }
                fn add_transposed(x: Rows<'_>, r: &[Lane<$t>], out: &mut [Lane<$t>]) {
                    pulp::Arch::new().dispatch(AddTransposed(x, r, out));
                }
                #[inline(always)]
                fn dots<S: Simd>(simd: S, x: [&[f32]; 4], v: &[$t]) -> [$t; 4] {
                    $dots(simd, x, v)
                }
                #[inline(always)]
                fn add_rows(x: [&[f32]; 4], f: [$t; 4], out: &mut [$t]) {
                    let n = out.len();
                    let [a, b, c, d] = x;
                    let (a, b, c, d) = (&a[..n], &b[..n], &c[..n], &d[..n]);
                    for j in 0..n {
                        out[j] += (<$t>::from(a[j]) * f[0] + <$t>::from(b[j]) * f[1])
                            + (<$t>::from(c[j]) * f[2] + <$t>::from(d[j]) * f[3]);
                    }
                }
            }
        };
    };
}

lane_kernels!(
    f32,
    f32s,
    as_simd_f32s,
    as_mut_simd_f32s,
    splat_f32s,
    mul_add_f32s,
    F32_LANES,
    dots_f32
);
lane_kernels!(
    f64,
    f64s,
    as_simd_f64s,
    as_mut_simd_f64s,
    splat_f64s,
    mul_add_f64s,
    F64_LANES,
    dots_f64
);

/// Four dot products at once, each in as many sums as a vector has lanes. Loops are written out, since a closure would be compiled
/// without the vector instructions that its caller may use.
#[inline(always)]
fn dots_f32<S: Simd>(simd: S, x: [&[f32]; 4], v: &[f32]) -> [f32; 4] {
    let n = v.len();
    let (vectors, rest) = S::as_simd_f32s(v);
    let from = n - rest.len();
    let end = simd.partial_load_f32s(rest);
    let mut out = [0.0; 4];
    let mut sums = [simd.splat_f32s(0.0); 4];
    for i in 0..4 {
        sums[i] = simd.mul_f32s(simd.partial_load_f32s(&x[i][from..n]), end);
    }
    let [a, b, c, d] = x;
    let (a, b) = (S::as_simd_f32s(&a[..from]).0, S::as_simd_f32s(&b[..from]).0);
    let (c, d) = (S::as_simd_f32s(&c[..from]).0, S::as_simd_f32s(&d[..from]).0);
    for ((((&v, &a), &b), &c), &d) in vectors.iter().zip(a).zip(b).zip(c).zip(d) {
        sums[0] = simd.mul_add_f32s(a, v, sums[0]);
        sums[1] = simd.mul_add_f32s(b, v, sums[1]);
        sums[2] = simd.mul_add_f32s(c, v, sums[2]);
        sums[3] = simd.mul_add_f32s(d, v, sums[3]);
    }
    for i in 0..4 {
        out[i] = simd.reduce_sum_f32s(sums[i]);
    }
    out
}

#[inline(always)]
fn dots_f64<S: Simd>(_: S, x: [&[f32]; 4], v: &[f64]) -> [f64; 4] {
    let mut sums = [0.0; 4];
    for (j, v) in v.iter().enumerate() {
        for i in 0..4 {
            sums[i] += f64::from(x[i][j]) * v;
        }
    }
    sums
}

/// Prefetches a row from memory that will be read soon. Rows drawn at random lie anywhere, and waiting for each of them would take
/// most of a step.
#[inline(always)]
pub fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a prefetch reads nothing and faults nowhere; SSE is part of x86-64.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Dots<'a, T>([&'a [f32]; 4], &'a [T]);

    impl<T: LaneKernels> WithSimd for Dots<'_, T> {
        type Output = [T; 4];
        fn with_simd<S: Simd>(self, simd: S) -> [T; 4] {
            T::dots(simd, self.0, self.1)
        }
    }

    #[test]
    fn products_are_those_of_their_definition() {
        for (rows, n) in [(1, 1), (5, 3), (12, 12), (25, 13), (96, 50), (30, 130)] {
            let stride = n + 2;
            let x: Vec<f32> = (0..rows * stride)
                .map(|i| ((i * 7) % 11) as f32 - 5.0)
                .collect();
            let m = Rows {
                x: &x,
                stride,
                rows,
                n,
            };
            let v: Vec<Lane<f64>> = (0..n)
                .map(|j| std::array::from_fn(|l| ((j * 3 + l * 5) % 7) as f64 - 3.0))
                .collect();
            let mut out = vec![[0.0; LANES]; rows];
            f64::times(m, &v, &mut out);
            let single: Vec<Lane<f32>> = v.iter().map(|v| v.map(|x| x as f32)).collect();
            let mut out32 = vec![[0.0f32; LANES]; rows];
            f32::times(m, &single, &mut out32);
            let r: Vec<Lane<f64>> = out.clone();
            let mut back = vec![[1.0; LANES]; n];
            f64::add_transposed(m, &r, &mut back);
            for l in 0..LANES {
                for i in 0..rows {
                    let e: f64 = (0..n).map(|j| f64::from(x[i * stride + j]) * v[j][l]).sum();
                    assert_eq!(out[i][l], e, "{rows} {n}");
                    assert_eq!(f64::from(out32[i][l]), e);
                }
                for j in 0..n {
                    let e: f64 = (0..rows)
                        .map(|i| f64::from(x[i * stride + j]) * r[i][l])
                        .sum();
                    assert_eq!(back[j][l], 1.0 + e, "{rows} {n} {j}");
                }
            }
            let row = |i: usize| &x[(i % rows) * stride..][..n];
            let u: Vec<f64> = v.iter().map(|v| v[0]).collect();
            let four = [row(0), row(1), row(2), row(3)];
            let dots = pulp::Arch::new().dispatch(Dots(four, &u));
            let single: Vec<f32> = u.iter().map(|u| *u as f32).collect();
            let dots32 = pulp::Arch::new().dispatch(Dots(four, &single));
            assert_eq!(dots32.map(f64::from), dots, "{rows} {n}");
            let mut sum = vec![0.0; n];
            f64::add_rows(four, [1.0, 2.0, -1.0, 0.5], &mut sum);
            for (i, dot) in dots.iter().enumerate() {
                let e: f64 = four[i].iter().zip(&u).map(|(x, u)| f64::from(*x) * u).sum();
                assert_eq!(*dot, e);
            }
            for j in 0..n {
                let e = f64::from(four[0][j]) + 2.0 * f64::from(four[1][j]) - f64::from(four[2][j])
                    + 0.5 * f64::from(four[3][j]);
                assert_eq!(sum[j], e);
            }
        }
    }
}
