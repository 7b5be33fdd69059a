//! The design as kernels read it (`lib/features.wgsl`): f32 words, or numbers of 16 bits packed in pairs.

use half::{bf16, f16};
use sngd_core::config::Storage;
use sngd_core::features::Features;

/// Words of 32 bits that `count` numbers take.
pub fn words(count: usize, storage: Storage) -> usize {
    match storage {
        Storage::F32 => count,
        Storage::F16 | Storage::Bf16 => count.div_ceil(2),
    }
}

/// Rounds a number to the 16 bits of `storage`; `None` where it has 32.
pub fn to_16_bits(storage: Storage) -> Option<fn(f64) -> u16> {
    match storage {
        Storage::F32 => None,
        Storage::F16 => Some(|v| f16::from_f64(v).to_bits()),
        Storage::Bf16 => Some(|v| bf16::from_f64(v).to_bits()),
    }
}

/// Packs numbers of 16 bits into words, the first of a pair in the lower half.
pub fn pairs(bits: &[u16]) -> Vec<u32> {
    let pair = |p: &[u16]| u32::from(p[0]) | (p.get(1).map_or(0, |&high| u32::from(high)) << 16);
    bits.chunks(2).map(pair).collect()
}

/// The words of some designs, one after another.
pub fn pack(designs: &[&Features], storage: Storage) -> Vec<u32> {
    match to_16_bits(storage) {
        None => {
            let words = |x: &&Features| x.map(|v| (v as f32).to_bits());
            designs.iter().flat_map(words).collect()
        }
        Some(bits) => {
            let halves: Vec<u16> = designs.iter().flat_map(|x| x.map(bits)).collect();
            pairs(&halves)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_packed_low_half_first_across_designs() {
        let (one, two) = (
            Features::new(1, vec![1.0]),
            Features::new(2, vec![-2.0, 0.5]),
        );
        let packed = |storage| pack(&[&one, &two], storage);
        assert_eq!(
            packed(Storage::F32),
            [1.0f32, -2.0, 0.5].map(|v| v.to_bits())
        );
        assert_eq!(packed(Storage::Bf16), [0xc000_3f80, 0x0000_3f00]);
        assert_eq!(packed(Storage::F16), [0xc000_3c00, 0x0000_3800]);
        assert_eq!(packed(Storage::F16).len(), words(3, Storage::F16));
    }
}
