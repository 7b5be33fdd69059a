//! The factor of a block-diagonal metric: one scaled Cholesky per block, with the methods of a single factor.

use crate::dense::{Factor, NotPositive, dot};
use crate::scalar::Scalar;
use faer::Par;
use pulp::{Simd, WithSimd};
use sngd_core::blocks::Layout;

/// Factors of the blocks of a metric. The squares are stored one after another, each column-major, lower.
pub struct BlockFactor<T> {
    layout: Layout,
    factors: Vec<Factor<T>>,
    /// Logarithm of the determinant, ln|M|.
    pub log_det: f64,
    /// Largest relative jitter that a block needed, 0 if none.
    pub jitter: f64,
    /// Smallest pivot of the blocks scaled to unit diagonal.
    pub smallest_pivot: f64,
}

impl<T: Scalar> BlockFactor<T> {
    /// Buffers for a layout.
    pub fn new(layout: &Layout) -> BlockFactor<T> {
        BlockFactor {
            factors: layout.blocks.iter().map(|b| Factor::new(b.size)).collect(),
            layout: layout.clone(),
            log_det: 0.0,
            jitter: 0.0,
            smallest_pivot: 0.0,
        }
    }

    /// Factors every block; see [`Factor::factor`]. The pivot of a failure is an index into ω.
    pub fn factor(
        &mut self,
        m: &[T],
        first: f64,
        retries: u32,
        par: Par,
    ) -> Result<(), NotPositive> {
        (self.log_det, self.jitter, self.smallest_pivot) = (0.0, 0.0, f64::INFINITY);
        for (block, factor) in self.layout.blocks.iter().zip(&mut self.factors) {
            let square = &m[block.at..block.at + block.size * block.size];
            factor
                .factor(square, first, retries, par)
                .map_err(|e| NotPositive {
                    pivot: block.offset + e.pivot,
                })?;
            self.log_det += factor.log_det;
            self.jitter = self.jitter.max(factor.jitter);
            self.smallest_pivot = self.smallest_pivot.min(factor.smallest_pivot);
        }
        Ok(())
    }

    /// The only factor of a full metric.
    pub fn full(&self) -> &Factor<T> {
        debug_assert!(self.layout.is_full(), "closed forms are for full metrics");
        &self.factors[0]
    }

    /// Solves b ← L⁻¹b in place, `[P]`.
    pub fn solve_lower(&self, b: &mut [T]) {
        Solve::Lower.run(self, b);
    }

    /// Solves b ← L⁻ᵀb in place, `[P]`.
    pub fn solve_upper(&self, b: &mut [T]) {
        Solve::Upper.run(self, b);
    }

    /// out = L·z.
    pub fn times_l(&self, z: &[T], out: &mut [T]) {
        for (block, factor) in self.layout.blocks.iter().zip(&self.factors) {
            let run = block.offset..block.offset + block.size;
            factor.times_l(&z[run.clone()], &mut out[run]);
        }
    }

    /// out = Lᵀ·x.
    pub fn times_l_transposed(&self, x: &[T], out: &mut [T]) {
        for (block, factor) in self.layout.blocks.iter().zip(&self.factors) {
            let run = block.offset..block.offset + block.size;
            factor.times_l_transposed(&x[run.clone()], &mut out[run]);
        }
    }
}

/// out += scale·A·x, A symmetric in blocks, given by their lower triangles, column-major.
pub fn add_symmetric_product<T: Scalar>(
    layout: &Layout,
    scale: T,
    squares: &[T],
    x: &[T],
    out: &mut [T],
) {
    for block in &layout.blocks {
        let run = block.offset..block.offset + block.size;
        let (x, out) = (&x[run.clone()], &mut out[run]);
        for j in 0..block.size {
            let from = block.at + j * block.size;
            let column = &squares[from + j..from + block.size];
            out[j] += scale * dot(column, &x[j..]);
            let xj = scale * x[j];
            for (o, &a) in out[j + 1..].iter_mut().zip(&column[1..]) {
                *o += a * xj;
            }
        }
    }
}

/// The triangle that a solve uses.
#[derive(Clone, Copy)]
enum Solve {
    Lower,
    Upper,
}

impl Solve {
    fn run<T: Scalar>(self, factors: &BlockFactor<T>, b: &mut [T]) {
        pulp::Arch::new().dispatch(Solves {
            which: self,
            factors,
            b,
        });
    }
}

struct Solves<'a, T> {
    which: Solve,
    factors: &'a BlockFactor<T>,
    b: &'a mut [T],
}

impl<T: Scalar> WithSimd for Solves<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let blocks = self.factors.layout.blocks.iter();
        for (block, factor) in blocks.zip(&self.factors.factors) {
            let b = &mut self.b[block.offset..block.offset + block.size];
            match self.which {
                Solve::Lower => factor.solve_lower(b),
                Solve::Upper => factor.solve_upper(b),
            }
        }
    }
}
