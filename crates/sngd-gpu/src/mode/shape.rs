//! Sizes that kernels and buffers need for a plan with the metric at the mode. No device is involved, so that
//! `sngd check` works without one.

use crate::device::SOFTWARE_ITERATIONS;
use sngd_core::config::Gradient;
use sngd_core::expansion::Expansion;
use sngd_core::plan::Plan;
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::problem::Problem;

/// Largest number of steps in one dispatch over few rows.
pub const PACE: usize = 4096;
/// Limit on the coordinates of u, in posterior sds: a chain that is further from the mode counts as diverged.
pub const DIVERGED_SDS: f64 = 1e5;
/// Number of values stored with a kept draw beside u and ∇C: R, Σz² and the probability of acceptance.
pub const BESIDE: usize = 3;
/// Bytes of kept draws that collect on the device between two copies to the CPU side.
const BLOCK_BYTES: usize = 4 << 20;
/// Words of workgroup memory that WebGPU's default limits allow, minus those for a few scalars and the priors.
const GROUP_WORDS: usize = 4096 - 16 - 2 * PRIORS_AT_ONCE;
/// Largest number of priors that a workgroup handles together (`mode/shared/prior.wgsl`).
pub const PRIORS_AT_ONCE: usize = 64;
/// Number of columns of a product, or of rows of a transposed one, that are in workgroup memory together.
pub const DEPTH: usize = 16;
/// Smallest tile, in rows, that is worth copying to workgroup memory.
const FEW_ROWS: usize = 8;
/// Bytes of residuals, and of parts of their products, that one chunk may take: on a GPU, and on a CPU, where they
/// should fit the cache.
const SCRATCH_BYTES: (usize, usize) = (64 << 20, 1 << 20);
/// Number of threads per workgroup in the products.
const PRODUCT_THREADS: usize = 128;

/// All sizes that follow from a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModeShape {
    /// Number of chains, C.
    pub c: usize,
    /// Number of data rows, N.
    pub n: usize,
    /// Number of parameters, P.
    pub p: usize,
    /// Number of linear outputs, K.
    pub k: usize,
    /// Number of all outputs, H = K + A.
    pub h: usize,
    /// Number of design columns.
    pub columns: usize,
    /// Whether the design rows are stored whitened, as L⁻¹x.
    pub whitened: bool,
    /// Number of priors that are neither normal nor flat.
    pub priors: usize,
    /// Number of kept draws that the device stores between two copies to the CPU side.
    pub slots: usize,
    /// Which rows a step uses.
    pub rows: Rows,
}

/// Which rows a step uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// A few rows, drawn at random; a row of more influence is drawn more often.
    Few(Few),
    /// All rows.
    All(All),
}

/// Indices of the parameters whose prior is neither normal nor flat, in order.
pub fn other_priors(problem: &Problem) -> Vec<usize> {
    let plain = |prior: &Prior| matches!(prior, Prior::Flat | Prior::Normal(..));
    let coefficients = problem.priors.iter().enumerate();
    let mut out: Vec<usize> = coefficients
        .filter(|(_, prior)| !plain(prior))
        .map(|(i, _)| i)
        .collect();
    if problem.scale_prior.is_some_and(|s| s != ScalePrior::Flat) {
        out.push(problem.parameters() - 1);
    }
    out
}

/// Constants of `mode/kernel/subsampled.wgsl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Few {
    /// Number of threads per workgroup.
    pub group: usize,
    /// Number of rows in a tile.
    pub tile_rows: usize,
    /// Whether the tile's features are copied to workgroup memory.
    pub staged: bool,
    /// Whether the chain's vectors are in workgroup memory.
    pub in_group: bool,
    /// Number of threads that share a dot product.
    pub lanes: usize,
    /// Number of shares that a tile's rows are split into for a gradient.
    pub splits: usize,
}

/// Constants of the kernels that multiply all rows with the vectors of all chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct All {
    /// Number of rows per dispatch; a multiple of `split_rows` and of 64.
    pub chunk: usize,
    /// Number of chunks that cover all rows.
    pub chunks: usize,
    /// Number of rows in each partial sum of the transposed product. It depends on N alone, so that a chain's sums do not
    /// depend on other chains.
    pub split_rows: usize,
    /// Number of threads along the vectors, and of vectors per thread.
    pub q: (usize, usize),
    /// Number of threads along the rows, and of rows per thread.
    pub r: (usize, usize),
    /// Number of threads along the columns, and of columns per thread.
    pub j: (usize, usize),
}

impl ModeShape {
    /// Derives the sizes of a plan with `priors` priors that are neither normal nor flat. On a software driver (`software`)
    /// kernels read features straight from memory.
    pub fn new(plan: &Plan, expansion: &Expansion, priors: usize, software: bool) -> ModeShape {
        let (c, n, p, k, h) = (plan.chains, plan.n, plan.p, plan.k, plan.h);
        let columns = expansion.columns;
        let mut shape = ModeShape {
            c,
            n,
            p,
            k,
            h,
            columns,
            whitened: expansion.whitened,
            priors,
            slots: 0,
            rows: Rows::All(All::new((c, n), k, columns, software)),
        };
        shape.slots = (BLOCK_BYTES / (4 * c.max(1) * shape.kept())).clamp(1, 1024);
        if plan.gradient == Gradient::ControlVariates {
            shape.rows = Rows::Few(Few::new(&shape, plan.batch, software));
        }
        shape
    }

    /// Number of values stored with a kept draw: u `[P]`, ∇C `[P]` and [`BESIDE`] more.
    pub fn kept(&self) -> usize {
        2 * self.p + BESIDE
    }

    /// Number of steps that one dispatch may make on a software driver; 0 where even one has too many loop iterations.
    pub fn software_steps(&self, batch: usize, loops_of_user: bool) -> usize {
        // Half of them for loops of a user's text, in one step: nobody knows how long they are.
        let (safe, most) = match loops_of_user {
            true => (SOFTWARE_ITERATIONS as usize / 2, 1),
            false => (SOFTWARE_ITERATIONS as usize, usize::MAX),
        };
        match &self.rows {
            Rows::Few(few) => (safe / few.iterations(self, batch)).min(most),
            Rows::All(all) => {
                let longest = all.iterations(self.columns).max(2 * self.p);
                usize::from(longest <= safe)
            }
        }
    }

    /// Where the matrix T of `mode/shared/prior.wgsl` starts in the buffer `fixed`, in words.
    pub fn fixed_at(&self) -> usize {
        if self.whitened {
            0
        } else {
            2 * self.p * self.p
        }
    }

    /// Number of threads that share the product with a row of T, in workgroups of `group` threads.
    pub fn prior_lanes(&self, group: usize) -> usize {
        power_below(group / self.priors.clamp(1, PRIORS_AT_ONCE))
    }

    /// Number of values per chain in the buffer `state`.
    pub fn state(&self) -> usize {
        match &self.rows {
            Rows::Few(few) if few.in_group => self.p,
            Rows::Few(_) => 3 * self.p,
            Rows::All(_) => 2 * self.p,
        }
    }
}

impl Few {
    fn new(shape: &ModeShape, batch: usize, software: bool) -> Few {
        let group = if software || batch * shape.p <= 2048 {
            64
        } else {
            256
        };
        let sums = shape.k * shape.columns;
        let vectors = if shape.whitened { 2 } else { 3 };
        let in_group = vectors * shape.p <= GROUP_WORDS / 2;
        let with = |staged: bool, most: usize| {
            // Tiles as equal in length as possible.
            let tile_rows = batch.div_ceil(batch.div_ceil(most.max(1)));
            let lanes =
                power_below(group / (shape.k * tile_rows)).min(shape.columns.next_power_of_two());
            Few {
                group,
                tile_rows,
                staged,
                in_group,
                lanes,
                splits: power_below(group / sums).min(power_below(tile_rows)),
            }
        };
        let most = batch.min(64).min(group);
        let fits = |few: &Few| few.words(shape) <= GROUP_WORDS;
        let staged = (FEW_ROWS.min(batch)..=most)
            .rev()
            .map(|rows| with(true, rows))
            .find(|few| fits(few) && !software);
        let plain = || (1..=most).rev().map(|rows| with(false, rows)).find(fits);
        staged.or_else(plain).unwrap_or_else(|| with(false, 1))
    }

    /// Loop iterations of the busiest thread in a step, if the compiler unrolls no loop.
    fn iterations(&self, shape: &ModeShape, batch: usize) -> usize {
        let (p, k, h) = (shape.p, shape.k, shape.h);
        let columns = shape.columns;
        let own = (k * columns).div_ceil(self.group / self.splits);
        let tasks = (k * self.tile_rows).div_ceil(self.group / self.lanes);
        let copied = if self.staged {
            (self.tile_rows * columns).div_ceil(self.group)
        } else {
            0
        };
        let tile = 20
            + copied
            + tasks * (2 + columns.div_ceil(self.lanes))
            + (k + 1) * (1 + self.lanes)
            + h * (h + 6)
            + own * (2 + self.tile_rows.div_ceil(self.splits));
        let each = p.div_ceil(self.group);
        let products = if shape.whitened {
            0
        } else {
            2 * each * (p + 2)
        };
        let lanes = shape.prior_lanes(self.group);
        let at_once = shape.priors.clamp(1, PRIORS_AT_ONCE);
        let priors = shape.priors.div_ceil(at_once)
            * (p.div_ceil(lanes) + lanes + (each + 1) * (at_once + 2) + 4);
        batch.div_ceil(self.tile_rows) * tile
            + self.tile_rows
            + self.splits
            + own
            + 20 * (each + 2)
            + self.group
            + products
            + priors
    }

    /// Words of workgroup memory for the tile.
    pub fn tile_words(&self, shape: &ModeShape) -> usize {
        if self.staged {
            self.tile_rows * self.stride(shape)
        } else {
            1
        }
    }

    /// Words from one row of the tile to the next. Odd, so that neighbouring threads use different memory banks.
    pub fn stride(&self, shape: &ModeShape) -> usize {
        shape.columns | 1
    }

    /// Words of workgroup memory for partial sums.
    pub fn part_words(&self, shape: &ModeShape) -> usize {
        self.group.max(shape.k * self.tile_rows * self.lanes)
    }

    /// Words of workgroup memory for each of the chain's vectors.
    pub fn vector_words(&self, shape: &ModeShape) -> usize {
        if self.in_group { shape.p } else { 1 }
    }

    /// Words of workgroup memory in all. The compiler drops what a kernel does not use.
    pub fn words(&self, shape: &ModeShape) -> usize {
        let vectors = if shape.whitened { 2 } else { 3 };
        self.tile_words(shape)
            + self.tile_rows * (1 + shape.h)
            + self.part_words(shape)
            + vectors * self.vector_words(shape)
    }
}

impl All {
    fn new((c, n): (usize, usize), k: usize, columns: usize, software: bool) -> All {
        let split_rows = (n / 64).next_power_of_two().clamp(64, 2048);
        let vectors = c * k;
        let row_words = (vectors).max((vectors * columns).div_ceil(split_rows));
        let scratch = if software {
            SCRATCH_BYTES.1
        } else {
            SCRATCH_BYTES.0
        };
        let most = (scratch / 4 / row_words.max(1)).clamp(split_rows, 1 << 20);
        let chunk = (most / split_rows * split_rows).min(n.next_multiple_of(split_rows));
        let q = if vectors >= 16 {
            (if vectors > 16 { 8 } else { 4 }, 4)
        } else {
            (
                vectors.next_power_of_two().min(8),
                if vectors > 8 { 2 } else { 1 },
            )
        };
        let rt = PRODUCT_THREADS / q.0;
        let jt = rt.min(columns.next_power_of_two().max(8));
        let each = |threads: usize| match threads {
            128.. => 1,
            64.. => 2,
            _ => 4,
        };
        All {
            chunk,
            chunks: n.div_ceil(chunk),
            split_rows,
            q,
            r: (rt, each(rt)),
            j: (jt, if jt >= columns { 1 } else { each(jt) }),
        }
    }
}

impl All {
    /// Loop iterations of the busiest thread of a product over `columns`, if the compiler unrolls no loop.
    fn iterations(&self, columns: usize) -> usize {
        let depth = columns.max(self.split_rows).div_ceil(DEPTH);
        let copies = 2 * (self.r.1 + self.q.1 + self.j.1) + 4;
        depth * (copies + DEPTH * (1 + self.q.1 * (1 + self.r.1.max(self.j.1))))
    }
}

/// The largest power of two that is at most `n`, or 1.
fn power_below(n: usize) -> usize {
    if n == 0 { 1 } else { 1 << n.ilog2() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(p: usize, k: usize, whitened: bool) -> ModeShape {
        ModeShape {
            c: 3,
            n: 1000,
            p,
            k,
            h: k,
            columns: if whitened { p } else { p / k },
            whitened,
            priors: 0,
            slots: 1,
            rows: Rows::All(All::new((3, 1000), k, p, false)),
        }
    }

    /// Every tile fits the memory that WebGPU guarantees, and no workgroup needs more threads than it has.
    #[test]
    fn tiles_fit_a_workgroup() {
        for (p, k) in [
            (1, 1),
            (5, 1),
            (64, 1),
            (130, 1),
            (300, 1),
            (1200, 1),
            (9000, 1),
            (30, 3),
            (400, 10),
            (4000, 100),
        ] {
            for batch in [1, 7, 50, 400, 5000] {
                for software in [false, true] {
                    let shape = shape(p, k, k == 1);
                    let few = Few::new(&shape, batch, software);
                    let case = format!("P = {p}, K = {k}, B = {batch}: {few:?}");
                    assert!(few.words(&shape) <= GROUP_WORDS, "{case}");
                    assert!(few.tile_rows <= few.group && few.group <= 256, "{case}");
                    assert!(few.lanes * few.splits > 0, "{case}");
                    assert!(
                        few.splits == 1 || few.group / few.splits >= k * shape.columns,
                        "{case}"
                    );
                }
            }
        }
    }
}
