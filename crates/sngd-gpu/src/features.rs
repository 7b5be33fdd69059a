//! The design as kernels read it (`stage/features.wgsl`): f32 words, or numbers of 16 bits packed in pairs.

use half::{bf16, f16};
use sngd_core::config::Storage;

/// Words of 32 bits that `count` numbers take.
pub fn words(count: usize, storage: Storage) -> usize {
    match storage {
        Storage::F32 => count,
        Storage::F16 | Storage::Bf16 => count.div_ceil(2),
    }
}

/// Rounds numbers to `storage` and packs them into words of 32 bits, the first of a pair in the lower half.
pub fn pack(numbers: impl Iterator<Item = f64>, storage: Storage) -> Vec<u32> {
    let halves = |bits: fn(f64) -> u16, numbers: &mut dyn Iterator<Item = f64>| {
        let mut out = Vec::with_capacity(words(numbers.size_hint().0, storage));
        while let Some(low) = numbers.next() {
            let high = numbers.next().map_or(0, bits);
            out.push(u32::from(bits(low)) | (u32::from(high) << 16));
        }
        out
    };
    let mut numbers = numbers;
    match storage {
        Storage::F32 => numbers.map(|v| (v as f32).to_bits()).collect(),
        Storage::F16 => halves(|v| f16::from_f64(v).to_bits(), &mut numbers),
        Storage::Bf16 => halves(|v| bf16::from_f64(v).to_bits(), &mut numbers),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_are_packed_low_half_first() {
        let numbers = [1.0, -2.0, 0.5];
        let f32s = pack(numbers.into_iter(), Storage::F32);
        assert_eq!(f32s, numbers.map(|v| (v as f32).to_bits()));
        let bf16s = pack(numbers.into_iter(), Storage::Bf16);
        assert_eq!(bf16s, [0xc000_3f80, 0x0000_3f00]);
        let f16s = pack(numbers.into_iter(), Storage::F16);
        assert_eq!(f16s, [0xc000_3c00, 0x0000_3800]);
        assert_eq!(f16s.len(), words(numbers.len(), Storage::F16));
    }
}
