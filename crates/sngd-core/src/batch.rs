//! Which rows a step takes: a pure function of (seed, chain, step), so nothing is uploaded or stored.

use crate::philox::{Stream, at};
use serde::{Deserialize, Serialize};

/// How minibatch rows are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Batches {
    /// Independent uniform rows; noise covariance (N²/B)·Σ_g.
    WithReplacement,
    /// A fresh subset each step; noise shrinks by ρ = (N−B)/(N−1).
    WithoutReplacement,
    /// Reshuffled epochs, for ablations only: consecutive batches are anticorrelated and the temperature law does not apply.
    Epochs,
}

impl Batches {
    /// ρ, the finite-population factor of the minibatch noise, no unit.
    pub fn rho(self, n: usize, b: usize) -> f64 {
        match self {
            Batches::WithReplacement => 1.0,
            _ if n <= 1 => 0.0,
            _ => (n - b) as f64 / (n - 1) as f64,
        }
    }
}

/// The rows of one chain's batch at one step, in order.
#[derive(Debug, Clone, Copy)]
pub enum BatchRows {
    /// All rows in order.
    All,
    /// Independent uniform draws.
    Uniform {
        /// Number of data rows.
        n: u32,
        /// Seed: the key of every random stream.
        seed: u64,
        /// Index of the chain.
        chain: u32,
        /// Index of the step.
        step: u32,
    },
    /// Consecutive positions of a keyed permutation.
    Permuted {
        /// The permutation of all data rows.
        feistel: Feistel,
        /// Position of the first row in the permutation.
        offset: u32,
    },
}

impl BatchRows {
    /// The rows of `chain` at `step`, out of `n` data rows, `b` in a batch.
    pub fn new(how: Batches, n: usize, b: usize, seed: u64, chain: u32, step: u32) -> BatchRows {
        let n32 = n as u32;
        match how {
            _ if b >= n && how != Batches::WithReplacement => BatchRows::All,
            Batches::WithReplacement => BatchRows::Uniform {
                n: n32,
                seed,
                chain,
                step,
            },
            Batches::WithoutReplacement => BatchRows::Permuted {
                feistel: Feistel::new(n32, seed, Stream::Batch, chain, step),
                offset: 0,
            },
            Batches::Epochs => {
                let per_epoch = (n / b) as u32;
                BatchRows::Permuted {
                    feistel: Feistel::new(n32, seed, Stream::Batch, chain, step / per_epoch),
                    offset: (step % per_epoch) * b as u32,
                }
            }
        }
    }

    /// Rows of a subsampled Fisher at `step`, without replacement out of `n`; the length that `fill` gets is their number.
    pub fn fisher_rows(n: usize, seed: u64, chain: u32, step: u32) -> BatchRows {
        BatchRows::Permuted {
            feistel: Feistel::new(n as u32, seed, Stream::FisherRows, chain, step),
            offset: 0,
        }
    }

    /// Fills `out` with the first `out.len()` rows.
    pub fn fill(&self, out: &mut [u32]) {
        match *self {
            BatchRows::All => out.iter_mut().enumerate().for_each(|(j, r)| *r = j as u32),
            BatchRows::Uniform {
                n,
                seed,
                chain,
                step,
            } => {
                for (block, chunk) in out.chunks_mut(4).enumerate() {
                    let bits = at(seed, Stream::Batch, chain, step, block as u32);
                    for (r, b) in chunk.iter_mut().zip(bits) {
                        *r = ((u64::from(b) * u64::from(n)) >> 32) as u32;
                    }
                }
            }
            BatchRows::Permuted { feistel, offset } => {
                for (j, r) in out.iter_mut().enumerate() {
                    *r = feistel.permute(offset + j as u32);
                }
            }
        }
    }
}

/// A keyed permutation of 0..n: a balanced Feistel network of eight rounds over the next even number of bits, applied again
/// until the result is below n (Black & Rogaway 2002). A GPU lane can compute any element alone.
#[derive(Debug, Clone, Copy)]
pub struct Feistel {
    n: u32,
    half: u32,
    keys: [u32; 8],
}

impl Feistel {
    /// The permutation at one Philox address.
    pub fn new(n: u32, seed: u64, stream: Stream, chain: u32, step: u32) -> Feistel {
        let a = at(seed, stream, chain, step, 0);
        let b = at(seed, stream, chain, step, 1);
        let bits = 32 - n.saturating_sub(1).leading_zeros();
        // Halves have three bits at least: with fewer there are too few distinct permutations.
        let half = bits.div_ceil(2).max(3);
        Feistel {
            n,
            half,
            keys: [a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3]],
        }
    }

    /// Image of `i`, for `i` < n.
    pub fn permute(&self, i: u32) -> u32 {
        let mut x = i;
        loop {
            x = self.rounds(x);
            if x < self.n {
                return x;
            }
        }
    }

    fn rounds(&self, x: u32) -> u32 {
        let mask = (1u32 << self.half) - 1;
        let (mut l, mut r) = (x >> self.half, x & mask);
        for k in self.keys {
            (l, r) = (r, l ^ (mix(r ^ k) & mask));
        }
        (l << self.half) | r
    }
}

/// The 32-bit finaliser of MurmurHash3 (Appleby): full avalanche in two multiplications.
fn mix(mut h: u32) -> u32 {
    h ^= h >> 16;
    h = h.wrapping_mul(0x85eb_ca6b);
    h ^= h >> 13;
    h = h.wrapping_mul(0xc2b2_ae35);
    h ^ (h >> 16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_replacement_is_a_permutation() {
        for n in [1usize, 2, 3, 5, 64, 65, 1000] {
            let rows = BatchRows::Permuted {
                feistel: Feistel::new(n as u32, 9, Stream::Batch, 0, 4),
                offset: 0,
            };
            let mut out = vec![0; n];
            rows.fill(&mut out);
            out.sort_unstable();
            assert!(out.iter().enumerate().all(|(i, &r)| i as u32 == r));
        }
    }

    #[test]
    fn an_epoch_sees_each_row_once() {
        let (n, b) = (100, 20);
        let mut seen = vec![0; n];
        for step in 5..10 {
            let mut rows = vec![0; b];
            BatchRows::new(Batches::Epochs, n, b, 1, 2, step).fill(&mut rows);
            rows.iter().for_each(|&r| seen[r as usize] += 1);
        }
        assert!(seen.iter().all(|&s| s == 1));
    }

    /// Inclusion of single rows and of pairs is uniform: chi-square over many subsets of a small set.
    #[test]
    fn subsets_are_uniform() {
        let (n, b, steps) = (7usize, 3usize, 40_000u32);
        let mut pairs = vec![0f64; n * n];
        for step in 0..steps {
            let mut rows = [0; 3];
            BatchRows::new(Batches::WithoutReplacement, n, b, 5, 0, step).fill(&mut rows);
            for i in rows {
                for j in rows {
                    if i < j {
                        pairs[i as usize * n + j as usize] += 1.0;
                    }
                }
            }
        }
        let expected = f64::from(steps) * 3.0 / 21.0;
        let chi2: f64 = (0..n)
            .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
            .map(|(i, j)| (pairs[i * n + j] - expected).powi(2) / expected)
            .sum();
        // 20 degrees of freedom at most; the 1e-6 quantile of chi-square(20) is 63.
        assert!(chi2 < 63.0, "{chi2}");
    }
}
