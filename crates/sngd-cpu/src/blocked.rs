//! A block-diagonal metric's factor: one scaled Cholesky a block, behind the operations of a single one.

use crate::dense::{Factor, NotPositive};
use crate::resident::Scalar;
use faer::Par;
use sngd_core::blocks::Layout;

/// Factors of the blocks of a metric whose squares lie one after another, each column-major, lower.
pub struct BlockFactor<T> {
    layout: Layout,
    factors: Vec<Factor<T>>,
    /// ln|M|.
    pub log_det: f64,
    /// Largest relative jitter that a block needed, 0 if none.
    pub jitter: f64,
    /// Smallest pivot of the blocks scaled to unit diagonal.
    pub smallest_pivot: f64,
}

impl<T: Scalar> BlockFactor<T> {
    /// Room for a layout.
    pub fn new(layout: &Layout) -> BlockFactor<T> {
        BlockFactor {
            factors: layout.blocks.iter().map(|b| Factor::new(b.size)).collect(),
            layout: layout.clone(),
            log_det: 0.0,
            jitter: 0.0,
            smallest_pivot: 0.0,
        }
    }

    /// Factors every block; see [`Factor::factor`]. The pivot of a failure is an index of ω.
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

    /// The one factor of a full metric.
    pub fn full(&self) -> &Factor<T> {
        debug_assert!(self.layout.is_full(), "closed forms are for full metrics");
        &self.factors[0]
    }

    fn each(&self, b: &mut [T], f: impl Fn(&Factor<T>, &mut [T])) {
        for (block, factor) in self.layout.blocks.iter().zip(&self.factors) {
            f(factor, &mut b[block.offset..block.offset + block.size]);
        }
    }

    /// b ← L⁻¹b.
    pub fn solve_lower(&self, b: &mut [T]) {
        self.each(b, |f, b| f.solve_lower(b));
    }

    /// b ← L⁻ᵀb.
    pub fn solve_upper(&self, b: &mut [T]) {
        self.each(b, |f, b| f.solve_upper(b));
    }

    /// b ← M⁻¹b.
    pub fn solve(&self, b: &mut [T]) {
        self.each(b, |f, b| f.solve(b));
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
