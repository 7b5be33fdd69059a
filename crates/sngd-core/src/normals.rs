//! Normal numbers by the address of their random words, in either number format.

use crate::philox::{Stream, at};
use crate::real::Real;

/// Fills `out` with standard normals; element j comes from block j/4, lane j%4. Sixteen blocks are made at a time with their words
/// side by side, so that the loops vectorise.
#[inline(always)]
pub fn fill_normals<T: Real>(out: &mut [T], seed: u64, stream: Stream, chain: u32, step: u32) {
    const BLOCKS: usize = 16;
    for (group, chunk) in out.chunks_mut(4 * BLOCKS).enumerate() {
        let mut bits = [[0; BLOCKS]; 4];
        for i in 0..BLOCKS {
            let index = (group * BLOCKS + i) as u32;
            let words = at(seed, stream, chain, step, index);
            (0..4).for_each(|w| bits[w][i] = words[w]);
        }
        let mut z = [[T::zero(); 4]; BLOCKS];
        for i in 0..BLOCKS {
            z[i] = T::normals([bits[0][i], bits[1][i], bits[2][i], bits[3][i]]);
        }
        chunk.copy_from_slice(&z.as_flattened()[..chunk.len()]);
    }
}
