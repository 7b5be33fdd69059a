//! One pass over all rows for groups of sixteen chains: Σ ρ and Σ Jᵀr, a tile of rows at a time, so that a row is read once for
//! all chains. Large data are divided into chunks over the threads. The division depends on N alone, so that sums have the same
//! bits for any number of threads.

use super::data::{ModeData, zero_lane};
use super::lanes::{LANES, Lane, Rows};
use super::tile::{TILE, remainders};
use crate::scalar::Scalar;
use rayon::prelude::*;

/// Rows per chunk; with fewer rows than this one thread takes all of them.
const CHUNK: usize = 8192;
/// Largest number of chunks of a pass.
const MOST_CHUNKS: usize = 64;

/// Input and sums of a pass for one group of chains.
#[derive(Debug, Clone)]
pub struct Sums<T> {
    /// The vector to multiply with the design, of each chain, `[K·columns + A][16]` (`ModeData::to_design`).
    pub vector: Vec<Lane<T>>,
    /// The gradient Σ Jᵀr of each chain, of the same shape.
    pub gradient: Vec<Lane<T>>,
    /// Σ ρ of each chain, in nats.
    pub rest: [f64; LANES],
}

impl<T: Scalar> Sums<T> {
    /// Buffers for P parameters.
    pub fn new(p: usize) -> Sums<T> {
        Sums {
            vector: vec![zero_lane(); p],
            gradient: vec![zero_lane(); p],
            rest: [0.0; LANES],
        }
    }
}

/// Sums of one chunk of rows for every group, and a buffer for a tile.
#[derive(Debug)]
struct Partial<T> {
    gradient: Vec<Vec<Lane<T>>>,
    rest: Vec<[f64; LANES]>,
    tile: Vec<Lane<T>>,
}

/// Buffers for passes of some groups.
#[derive(Debug)]
pub struct Pass<T> {
    chunks: Vec<Partial<T>>,
}

/// Number of chunks into which N rows are divided.
pub fn chunk_count(n: usize) -> usize {
    n.div_ceil(CHUNK).clamp(1, MOST_CHUNKS)
}

impl<T: Scalar> Pass<T> {
    /// Buffers for `groups` groups.
    pub fn new(data: &ModeData<T>, groups: usize) -> Pass<T> {
        let h = data.k + data.aux;
        let chunks = (0..chunk_count(data.expansion.row_count()))
            .map(|_| Partial {
                gradient: vec![vec![zero_lane(); data.p]; groups],
                rest: vec![[0.0; LANES]; groups],
                tile: vec![zero_lane(); h * TILE],
            })
            .collect();
        Pass { chunks }
    }

    /// Computes the sums over all rows for every group.
    pub fn run(&mut self, data: &ModeData<T>, groups: &mut [&mut Sums<T>]) {
        let n = data.expansion.row_count();
        let size = n.div_ceil(self.chunks.len()).next_multiple_of(TILE);
        let vectors: Vec<&[Lane<T>]> = groups.iter().map(|g| &g.vector[..]).collect();
        let go = |(c, part): (usize, &mut Partial<T>)| {
            part.gradient.iter_mut().for_each(|g| g.fill(zero_lane()));
            part.rest.fill([0.0; LANES]);
            let (mut at, end) = (c * size, ((c + 1) * size).min(n));
            while at < end {
                let m = TILE.min(end - at);
                for (g, vector) in vectors.iter().enumerate() {
                    let sums = (&mut part.gradient[g][..], &mut part.rest[g]);
                    tile(data, at, m, vector, sums, &mut part.tile);
                }
                at += m;
            }
        };
        if self.chunks.len() == 1 {
            self.chunks.iter_mut().enumerate().for_each(go);
        } else {
            self.chunks.par_iter_mut().enumerate().for_each(go);
        }
        for (g, sums) in groups.iter_mut().enumerate() {
            sums.gradient.fill(zero_lane());
            sums.rest = [0.0; LANES];
            for part in &self.chunks {
                for (to, from) in sums.gradient.iter_mut().zip(&part.gradient[g]) {
                    (0..LANES).for_each(|l| to[l] += from[l]);
                }
                (0..LANES).for_each(|l| sums.rest[l] += part.rest[g][l]);
            }
        }
    }
}

/// Adds the sums of one tile, `m` rows from `first` on, for one group.
fn tile<T: Scalar>(
    data: &ModeData<T>,
    first: usize,
    m: usize,
    vector: &[Lane<T>],
    (gradient, rest): (&mut [Lane<T>], &mut [f64; LANES]),
    delta: &mut [Lane<T>],
) {
    let x = data.design(first, m);
    outputs(data, x, vector, delta);
    let (layout, rows) = (data.expansion.layout, &data.expansion.rows);
    let len = layout.width();
    remainders(
        &data.likelihood,
        &rows[first * len..(first + m) * len],
        layout,
        delta,
        rest,
    );
    for k in 0..data.k {
        let r = &delta[k * TILE..][..m];
        T::add_transposed(x, r, &mut gradient[k * x.n..][..x.n]);
    }
    if data.aux == 1 {
        let sum = delta[data.k * TILE..][..m]
            .iter()
            .fold(zero_lane(), |s: Lane<T>, r| {
                std::array::from_fn(|l| s[l] + r[l])
            });
        let last = &mut gradient[data.p - 1];
        (0..LANES).for_each(|l| last[l] += sum[l] * data.aux_scale);
    }
}

/// Writes Δη of a tile's rows, `[H][TILE][16]`.
fn outputs<T: Scalar>(data: &ModeData<T>, x: Rows<'_>, vector: &[Lane<T>], delta: &mut [Lane<T>]) {
    for k in 0..data.k {
        T::times(
            x,
            &vector[k * x.n..][..x.n],
            &mut delta[k * TILE..][..x.rows],
        );
    }
    if data.aux == 1 {
        let last = vector[data.p - 1].map(|v| v * data.aux_scale);
        delta[data.k * TILE..][..x.rows].fill(last);
    }
}
