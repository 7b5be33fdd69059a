//! The counter-based generator behind the traits of the crate `rand`: for programs that simulate data or shuffle rows beside a run and
//! want random numbers that are tied to a seed and a chain, and independent of those that the run draws.

use crate::philox::{Stream, key, philox};
use rand::rand_core::{SeedableRng, TryRng, utils};
use std::convert::Infallible;

/// Philox4x32-10 as a sequence of words: block b of chain c is philox((b mod 2³², b div 2³², c, stream), seed).
///
/// ```
/// use sngd_core::generator::Generator;
/// use rand::RngExt;
///
/// let mut random = Generator::new(7, 0);
/// let u: f64 = random.random();
/// assert!((0.0..1.0).contains(&u));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Generator {
    seed: u64,
    chain: u32,
    /// Number of the block that comes next.
    block: u64,
    words: [u32; 4],
    /// Words of the current block that have been given out.
    used: usize,
}

impl Generator {
    /// Starts the sequence of a seed and a chain. No engine uses its stream.
    pub fn new(seed: u64, chain: u32) -> Generator {
        Generator {
            seed,
            chain,
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }

    fn word(&mut self) -> u32 {
        if self.used == self.words.len() {
            let [low, high] = key(self.block);
            let counter = [low, high, self.chain, Stream::Program as u32];
            self.words = philox(counter, key(self.seed));
            self.block = self.block.wrapping_add(1);
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }
}

impl TryRng for Generator {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.word())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        utils::next_u64_via_u32(self)
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        utils::fill_bytes_via_next_word(out, || self.try_next_u32())
    }
}

/// The seed as eight bytes, little-endian; chain 0.
impl SeedableRng for Generator {
    type Seed = [u8; 8];

    fn from_seed(seed: [u8; 8]) -> Generator {
        Generator::new(u64::from_le_bytes(seed), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, RngExt};

    #[test]
    fn words_are_those_of_the_counter() {
        let mut random = Generator::new(0x1_0000_0002, 9);
        let words: Vec<u32> = (0..9).map(|_| random.next_u32()).collect();
        for (b, four) in words.chunks(4).enumerate() {
            let block = philox([b as u32, 0, 9, Stream::Program as u32], [2, 1]);
            assert_eq!(four, &block[..four.len()]);
        }
        let mut again = Generator::new(0x1_0000_0002, 9);
        assert_eq!(
            again.next_u64(),
            u64::from(words[0]) | (u64::from(words[1]) << 32)
        );
        let mut bytes = [0; 6];
        again.fill_bytes(&mut bytes);
        assert_eq!(bytes[..4], words[2].to_le_bytes());
        assert_eq!(bytes[4..], words[3].to_le_bytes()[..2]);
        assert_ne!(Generator::new(0x1_0000_0002, 8).next_u32(), words[0]);
        assert_eq!(
            Generator::from_seed(7u64.to_le_bytes()),
            Generator::new(7, 0)
        );
    }

    /// The traits of `rand` give uniform numbers with the mean and the spread that they should have.
    #[test]
    fn rand_draws_uniforms_from_it() {
        let mut random = Generator::seed_from_u64(3);
        let n = 20_000;
        let u: Vec<f64> = (0..n).map(|_| random.random()).collect();
        let mean = u.iter().sum::<f64>() / f64::from(n);
        let square = u.iter().map(|u| (u - 0.5).powi(2)).sum::<f64>() / f64::from(n);
        let error = |variance: f64| 5.0 * (variance / f64::from(n)).sqrt();
        assert!((mean - 0.5).abs() < error(1.0 / 12.0), "{mean}");
        assert!((square - 1.0 / 12.0).abs() < error(1.0 / 180.0), "{square}");
    }
}
