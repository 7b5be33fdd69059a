//! A perceptron's forward and backward passes over a block of rows, and the sums that a step needs of them.
//!
//! A *seed* is a vector over the H outputs; the backward pass turns it into Jᵀseed, one number per parameter. The score is a seed
//! whose Jᵀs is the row's gradient; the rows of U with W = UᵀU are seeds whose squares sum to the row's JᵀWJ. So gradient,
//! empirical, exact and Monte Carlo Fisher are one code path: backward, then a sum or a Gram matrix. Jᵀseed of a layer is
//! δ ⊗ a, so its rows are stored only a tile at a time, and a unit's block needs none of them: it is Σ δ²·aaᵀ.

use crate::dense::{Block as Square, add_gram};
use crate::linear::BLOCK;
use crate::scalar::Scalar;
use faer::{Accum, MatMut, MatRef, Par};
use pulp::{Simd, WithSimd};
use sngd_core::blocks::Layout;
use sngd_core::likelihood::packed;
use sngd_core::network::{Activation, Layer, Network};
use sngd_core::plan::Plan;

/// Numbers in a tile of explicit rows: 1 MiB in f32.
const TILE: usize = 1 << 18;

/// Buffers of one chain's passes through a network.
#[derive(Debug)]
pub struct NetworkPass<T> {
    net: Network,
    layers: Vec<Layer>,
    layout: Layout,
    h: usize,
    /// Input of each layer, with the 1 for the bias, `[m,stride]`.
    input: Vec<Vec<T>>,
    /// Slopes φ′ at each hidden layer, `[m,outputs]`.
    slope: Vec<Vec<T>>,
    /// Derivative δ of seed·η in the z of each layer, `[m·R,outputs]`, for R seeds per row.
    delta: Vec<Vec<T>>,
    /// The seeds of all rows, `[m·R,H]`, R seeds per row.
    seeds: Vec<T>,
    /// Explicit rows of a tile, or scaled inputs.
    tile: Vec<T>,
    root: Vec<T>,
    m: usize,
}

impl<T: Scalar> NetworkPass<T> {
    /// Buffers for blocks of up to `rows` rows and their seeds.
    pub fn new(net: &Network, layout: &Layout, h: usize, rows: usize) -> NetworkPass<T> {
        let layers = net.layers();
        let zeros = |n: usize| vec![T::zero(); n];
        let tile = tile_numbers(&layers, layout, h, rows);
        NetworkPass {
            input: layers.iter().map(|l| zeros(rows * l.stride)).collect(),
            slope: layers.iter().map(|l| zeros(rows * l.outputs)).collect(),
            delta: layers.iter().map(|l| zeros(rows * h * l.outputs)).collect(),
            seeds: zeros(rows * h * h),
            tile: zeros(tile),
            root: zeros(h * (h + 1) / 2),
            layers,
            net: net.clone(),
            layout: layout.clone(),
            h,
            m: 0,
        }
    }

    /// Writes outputs `[m,H]` of a block of rows with D numbers each; auxiliary outputs are parameters themselves.
    pub fn forward<'a>(
        &mut self,
        rows: impl ExactSizeIterator<Item = &'a [T]>,
        omega: &[T],
        eta: &mut [T],
        par: Par,
    ) {
        let m = rows.len();
        self.m = m;
        let (d, stride) = (self.layers[0].inputs, self.layers[0].stride);
        for (input, x) in self.input[0].chunks_exact_mut(stride).zip(rows) {
            input[..d].copy_from_slice(x);
            input[d..].fill(T::one());
        }
        for l in 0..self.layers.len() {
            let layer = self.layers[l];
            let weights = &omega[layer.offset..layer.offset + layer.len()];
            let last = l + 1 == self.layers.len();
            let z = &mut self.slope[l][..m * layer.outputs];
            // zᵀ [outputs,m] = W·aᵀ; row-major [m,·] is column-major [·,m].
            faer::linalg::matmul::matmul(
                MatMut::from_column_major_slice_mut(z, layer.outputs, m),
                Accum::Replace,
                MatRef::from_row_major_slice(weights, layer.outputs, layer.stride),
                MatRef::from_column_major_slice(
                    &self.input[l][..m * layer.stride],
                    layer.stride,
                    m,
                ),
                faer::traits::math_utils::one::<T>(),
                par,
            );
            if last {
                let p = self.layout.p;
                let aux = &omega[p - (self.h - layer.outputs)..];
                for (e, z) in eta
                    .chunks_exact_mut(self.h)
                    .zip(z.chunks_exact(layer.outputs))
                {
                    e[..layer.outputs].copy_from_slice(z);
                    e[layer.outputs..].copy_from_slice(aux);
                }
                return;
            }
            let stride = self.layers[l + 1].stride;
            let next = &mut self.input[l + 1];
            pulp::Arch::new().dispatch(Activate {
                activation: self.net.activation,
                z,
                next,
                units: layer.outputs,
                stride,
            });
        }
    }

    /// Computes δ of every layer for the `per_row` seeds per row that are stored in `self.seeds`.
    fn backward(&mut self, omega: &[T], per_row: usize, par: Par) {
        let count = self.m * per_row;
        let last = self.layers.len() - 1;
        let k = self.layers[last].outputs;
        for (d, s) in self.delta[last]
            .chunks_exact_mut(k)
            .zip(self.seeds[..count * self.h].chunks_exact(self.h))
        {
            d.copy_from_slice(&s[..k]);
        }
        for l in (0..last).rev() {
            let above = self.layers[l + 1];
            let width = self.layers[l].outputs;
            let (below, upper) = self.delta.split_at_mut(l + 1);
            let weights = &omega[above.offset..above.offset + above.len()];
            // δᵀ [width,count] = Wᵀ·δ′ᵀ without the bias's column.
            faer::linalg::matmul::matmul(
                MatMut::from_column_major_slice_mut(&mut below[l][..count * width], width, count),
                Accum::Replace,
                MatRef::from_row_major_slice(weights, above.outputs, above.stride)
                    .subcols(0, width)
                    .transpose(),
                MatRef::from_column_major_slice(
                    &upper[0][..count * above.outputs],
                    above.outputs,
                    count,
                ),
                faer::traits::math_utils::one::<T>(),
                par,
            );
            for (rows, slope) in below[l]
                .chunks_exact_mut(per_row * width)
                .zip(self.slope[l].chunks_exact(width))
                .take(self.m)
            {
                for row in rows.chunks_exact_mut(width) {
                    row.iter_mut().zip(slope).for_each(|(d, &s)| *d *= s);
                }
            }
        }
    }

    /// Backward pass from the scores `[m,H]`: adds Σ Jᵀs to `gradient` and Σ ggᵀ to `second`, where given.
    pub fn add_gradient(
        &mut self,
        omega: &[T],
        scores: &[T],
        gradient: Option<&mut [T]>,
        second: Option<&mut [T]>,
        par: Par,
    ) {
        self.seeds[..scores.len()].copy_from_slice(scores);
        self.backward(omega, 1, par);
        if let Some(out) = gradient {
            let m = self.m;
            for (l, layer) in self.layers.iter().enumerate() {
                // Row-major [outputs,stride] is column-major [stride,outputs]: aᵀδ.
                faer::linalg::matmul::matmul(
                    MatMut::from_column_major_slice_mut(
                        &mut out[layer.offset..layer.offset + layer.len()],
                        layer.stride,
                        layer.outputs,
                    ),
                    Accum::Add,
                    MatRef::from_column_major_slice(
                        &self.input[l][..m * layer.stride],
                        layer.stride,
                        m,
                    ),
                    MatRef::from_column_major_slice(
                        &self.delta[l][..m * layer.outputs],
                        layer.outputs,
                        m,
                    )
                    .transpose(),
                    faer::traits::math_utils::one::<T>(),
                    par,
                );
            }
            let k = self.layers.last().map_or(0, |l| l.outputs);
            let first_aux = self.layout.p - (self.h - k);
            for s in scores.chunks_exact(self.h) {
                for (o, &v) in out[first_aux..].iter_mut().zip(&s[k..]) {
                    *o += v;
                }
            }
        }
        if let Some(out) = second {
            self.gram(1, out, par);
        }
    }

    /// Adds Σ JᵀWJ in blocks to `out`, W packed `[m,H(H+1)/2]`.
    pub fn add_fisher(&mut self, omega: &[T], weights: &[T], out: &mut [T], par: Par) {
        let (h, m) = (self.h, self.m);
        let hh = h * (h + 1) / 2;
        for (w, seeds) in weights
            .chunks_exact(hh)
            .zip(self.seeds.chunks_exact_mut(h * h))
            .take(m)
        {
            root_rows(w, h, &mut self.root, seeds);
        }
        self.backward(omega, h, par);
        self.gram(h, out, par);
    }

    /// Adds Σ over rows and seeds of (Jᵀseed)(Jᵀseed)ᵀ within blocks to `out`.
    fn gram(&mut self, per_row: usize, out: &mut [T], par: Par) {
        let k = self.layers.last().map_or(0, |l| l.outputs);
        let first_aux = self.layout.p - (self.h - k);
        for b in 0..self.layout.blocks.len() {
            let block = self.layout.blocks[b];
            let square = &mut out[block.at..block.at + block.size * block.size];
            let (from, to) = (block.offset, block.offset + block.size);
            if block.size == 1 && from >= first_aux {
                let column = k + from - first_aux;
                let seeds = self.seeds[..self.m * per_row * self.h].chunks_exact(self.h);
                square[0] += seeds.map(|s| s[column] * s[column]).sum::<T>();
                continue;
            }
            let l = self.layers.partition_point(|l| l.offset + l.len() <= from);
            let layer = self.layers[l.min(self.layers.len() - 1)];
            let unit = (from - layer.offset) / layer.stride;
            let within = to <= layer.offset + (unit + 1) * layer.stride;
            if within {
                let column = from - layer.offset - unit * layer.stride;
                self.unit_gram(l, unit, (column, block.size), per_row, square, par);
            } else {
                self.explicit_gram((from, to), per_row, square, par);
            }
        }
    }

    /// Adds Σ δ²·aaᵀ over a run of one unit's inputs.
    fn unit_gram(
        &mut self,
        l: usize,
        unit: usize,
        (column, size): (usize, usize),
        per_row: usize,
        square: &mut [T],
        par: Par,
    ) {
        let layer = self.layers[l];
        let m = self.m;
        let rows = self.input[l].chunks_exact(layer.stride).take(m);
        for (j, a) in rows.enumerate() {
            let deltas = &self.delta[l][j * per_row * layer.outputs..];
            let mut weight = T::zero();
            for r in 0..per_row {
                let d = deltas[r * layer.outputs + unit];
                weight += d * d;
            }
            let root = num_traits::Float::sqrt(weight);
            for (o, &v) in self.tile[j * size..(j + 1) * size]
                .iter_mut()
                .zip(&a[column..column + size])
            {
                *o = root * v;
            }
        }
        let tile = &self.tile[..m * size];
        add_gram(whole(square, size), tile, tile, size, par);
    }

    /// Adds the Gram matrix of explicit rows of Jᵀseed, parameters `from..to` of ω, a tile at a time.
    fn explicit_gram(
        &mut self,
        (from, to): (usize, usize),
        per_row: usize,
        square: &mut [T],
        par: Par,
    ) {
        let size = to - from;
        let count = self.m * per_row;
        let most = tile_rows(size, self.h);
        let mut tile = std::mem::take(&mut self.tile);
        let mut start = 0;
        while start < count {
            let n = most.min(count - start);
            for r in 0..n {
                let row = &mut tile[r * size..(r + 1) * size];
                self.explicit_row(start + r, per_row, from, row);
            }
            let rows = &tile[..n * size];
            add_gram(whole(square, size), rows, rows, size, par);
            start += n;
        }
        self.tile = tile;
    }

    /// Writes Jᵀseed of one seed, from parameter `from` on.
    fn explicit_row(&self, seed: usize, per_row: usize, from: usize, row: &mut [T]) {
        let (j, to) = (seed / per_row, from + row.len());
        for (l, layer) in self.layers.iter().enumerate() {
            if layer.offset + layer.len() <= from || layer.offset >= to {
                continue;
            }
            let a = &self.input[l][j * layer.stride..(j + 1) * layer.stride];
            let delta = &self.delta[l][seed * layer.outputs..(seed + 1) * layer.outputs];
            for (u, &d) in delta.iter().enumerate() {
                let at = layer.offset + u * layer.stride;
                if at < from || at >= to {
                    continue;
                }
                for (o, &v) in row[at - from..].iter_mut().zip(a) {
                    *o = d * v;
                }
            }
        }
        let k = self.layers.last().map_or(0, |l| l.outputs);
        let first_aux = self.layout.p - (self.h - k);
        if to > first_aux {
            let s = &self.seeds[seed * self.h + k..(seed + 1) * self.h];
            let at = row.len() - s.len();
            row[at..].copy_from_slice(s);
        }
    }
}

/// Count of numbers in the buffers of one pass through a plan's network; 0 for a linear predictor.
pub(crate) fn network_numbers(plan: &Plan) -> u64 {
    let Some(net) = &plan.network else { return 0 };
    let (h, rows, layers) = (plan.h, BLOCK, net.layers());
    let between: usize = layers
        .iter()
        .map(|l| rows * (l.stride + l.outputs + h * l.outputs))
        .sum();
    let tile = tile_numbers(&layers, &plan.blocks, h, rows);
    (between + tile + rows * h * h) as u64
}

/// Writes φ of z `[m,units]` into the first columns of the next layer's input `[m,stride]`, 1 into the bias's column, and φ′ into z.
struct Activate<'a, T> {
    activation: Activation,
    z: &'a mut [T],
    next: &'a mut [T],
    units: usize,
    stride: usize,
}

impl<T: Scalar> WithSimd for Activate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let rows = self.next.chunks_exact_mut(self.stride);
        for (row, z) in rows.zip(self.z.chunks_exact_mut(self.units)) {
            let (value, bias) = row.split_at_mut(self.units);
            self.activation.apply(z, value);
            bias.fill(T::one());
        }
    }
}

fn whole<T>(matrix: &mut [T], p: usize) -> Square<'_, T> {
    Square {
        matrix,
        p,
        row: 0,
        col: 0,
    }
}

/// Rows per tile: as many as fit, but enough for a Gram matrix to be worth a call.
fn tile_rows(size: usize, h: usize) -> usize {
    (TILE / size.max(1)).clamp(64, 1024).max(h)
}

/// Length of the buffer for a tile of explicit rows, or for one layer's scaled inputs.
fn tile_numbers(layers: &[Layer], layout: &Layout, h: usize, rows: usize) -> usize {
    let explicit = layout.blocks.iter().map(|b| tile_rows(b.size, h) * b.size);
    let inputs = layers.iter().map(|l| rows * l.stride);
    explicit.chain(inputs).max().unwrap_or(0)
}

/// Writes the rows of U with W = UᵀU into `rows` [H,H], by a Cholesky factorisation that skips pivots which are only rounding,
/// since W may be singular (a softmax's is).
fn root_rows<T: Scalar>(w: &[T], h: usize, l: &mut [T], rows: &mut [T]) {
    rows.fill(T::zero());
    let floor = T::epsilon() * T::of(4.0 * h as f64);
    for j in 0..h {
        let mut pivot = w[packed(j, j)];
        for c in 0..j {
            pivot -= l[packed(j, c)] * l[packed(j, c)];
        }
        let alive = pivot > floor * w[packed(j, j)];
        let root = num_traits::Float::sqrt(if alive { pivot } else { T::one() });
        for i in j..h {
            let mut v = w[packed(i, j)];
            for c in 0..j {
                v -= l[packed(i, c)] * l[packed(j, c)];
            }
            let v = if alive { v / root } else { T::zero() };
            l[packed(i, j)] = v;
            rows[j * h + i] = v;
        }
    }
}
