//! Draws copied chain after chain, so that the formulas read them in order.

use crate::Draws;
use crate::slices::centre;

/// A dense copy, `values[chains, draws]`, row-major. Never empty along `chains`.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    pub(crate) values: Vec<f64>,
    pub(crate) chains: usize,
    pub(crate) draws: usize,
}

impl Pool {
    pub(crate) fn gather(draws: &Draws<'_>) -> Self {
        let values = (0..draws.chains())
            .flat_map(|chain| draws.chain(chain))
            .collect();
        Self {
            values,
            chains: draws.chains(),
            draws: draws.draws(),
        }
    }

    /// Copies the draws; `None` if they have no diagnostics.
    pub(crate) fn checked(draws: &Draws<'_>) -> Option<Self> {
        let pool = Self::gather(draws);
        pool.view().fault().is_none().then_some(pool)
    }

    /// The pool as a view of draws. Looking for faults here is cheaper than in a strided block.
    pub(crate) fn view(&self) -> Draws<'_> {
        Draws::dense(&self.values, self.chains, self.draws)
    }

    pub(crate) fn chain(&self, chain: usize) -> &[f64] {
        &self.values[chain * self.draws..(chain + 1) * self.draws]
    }

    /// Each chain cut into halves, in `ArviZ`'s order (first halves, second halves). A chain of odd length
    /// loses its middle draw.
    pub(crate) fn split(&self) -> Self {
        let half = self.draws / 2;
        let first = (0..self.chains).flat_map(|c| &self.chain(c)[..half]);
        let second = (0..self.chains).flat_map(|c| &self.chain(c)[self.draws - half..]);
        let values = first.chain(second).copied().collect();
        Self {
            values,
            chains: 2 * self.chains,
            draws: half,
        }
    }

    /// A pool of the same shape with other values.
    pub(crate) fn with(&self, values: Vec<f64>) -> Self {
        Self {
            values,
            chains: self.chains,
            draws: self.draws,
        }
    }

    pub(crate) fn map(&self, f: impl Fn(f64) -> f64) -> Self {
        self.with(self.values.iter().map(|&x| f(x)).collect())
    }

    /// A pool of the squared distances from the pooled mean.
    pub(crate) fn squares(&self) -> Self {
        let mean = centre(&self.values);
        self.map(|x| (x - mean) * (x - mean))
    }

    /// The values in ascending order.
    pub(crate) fn sorted(&self) -> Vec<f64> {
        let mut values = self.values.clone();
        values.sort_unstable_by(f64::total_cmp);
        values
    }
}
