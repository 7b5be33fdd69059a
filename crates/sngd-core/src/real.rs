//! The two floating-point types that an engine may compute in.

use crate::features::Features;
use std::fmt::{Debug, Display};
use std::iter::Sum;
use std::ops::{AddAssign, DivAssign, MulAssign, SubAssign};
use std::sync::Arc;

/// f32 or f64, with the few functions beyond `num_traits::Float` that likelihoods need.
pub trait Real:
    num_traits::Float
    + AddAssign
    + SubAssign
    + MulAssign
    + DivAssign
    + Sum
    + Debug
    + Display
    + Default
    + Send
    + Sync
    + 'static
{
    /// Rounds an f64 to this type.
    fn of(x: f64) -> Self;
    /// Widens to f64.
    fn to64(self) -> f64;
    /// The slice as f32, if that is its type: then kernels for f32 alone can be used.
    fn as_f32(slice: &[Self]) -> Option<&[f32]>;
    /// The same slice, mutable.
    fn as_f32_mut(slice: &mut [Self]) -> Option<&mut [f32]>;
    /// The numbers of a design, where they are stored in this type.
    fn stored(features: &Features) -> Option<&Arc<Vec<Self>>>;
    /// e^x for x ≤ 0 in a form that vectorises; e^−87 below −87 in f32.
    fn exp_lane(x: Self) -> Self;
    /// tanh x, in the same kind of form.
    fn tanh_lane(x: Self) -> Self;
    /// ln(1 + x) for x in [0, 1], in the same kind of form.
    fn ln_1p_lane(x: Self) -> Self;
    /// ln x for finite x > 0, in the same kind of form; for x ≤ 0 the result has no meaning.
    fn ln_lane(x: Self) -> Self;
    /// The scaled complementary error function e^{z²}·erfc(z) for z ≥ 0.
    fn erfcx(z: Self) -> Self;
    /// Four standard normals from four u32 by Box–Muller (`crate::philox`).
    fn normals(bits: [u32; 4]) -> [Self; 4];
}

impl Real for f32 {
    fn of(x: f64) -> f32 {
        x as f32
    }
    fn to64(self) -> f64 {
        f64::from(self)
    }
    fn as_f32(slice: &[f32]) -> Option<&[f32]> {
        Some(slice)
    }
    fn as_f32_mut(slice: &mut [f32]) -> Option<&mut [f32]> {
        Some(slice)
    }
    fn stored(features: &Features) -> Option<&Arc<Vec<f32>>> {
        features.as_f32()
    }
    #[inline(always)]
    fn exp_lane(x: f32) -> f32 {
        // x = n·ln2 + r with n by the rounding constant 1.5·2²³; e^r by Cephes' expf polynomial (2 ulp).
        const ROUND: f32 = 12_582_912.0;
        let x = if x < -87.0 { -87.0 } else { x };
        let shifted = x * std::f32::consts::LOG2_E + ROUND;
        let n = shifted - ROUND;
        let r = (x - n * 0.693_359_375) + n * 2.121_944_4e-4;
        let p = 1.987_569_1e-4_f32;
        let p = p * r + 1.398_199_9e-3;
        let p = p * r + 8.333_452e-3;
        let p = p * r + 4.166_579_6e-2;
        let p = p * r + 1.666_666_5e-1;
        let p = p * r + 5.000_000_1e-1;
        let scale = f32::from_bits((shifted.to_bits() << 23).wrapping_add(0x3f80_0000));
        (p * r * r + r + 1.0) * scale
    }
    #[inline(always)]
    fn tanh_lane(x: f32) -> f32 {
        // Cephes' tanhf (3 ulp): a polynomial near 0, where 1 − e cancels, and exponentials elsewhere.
        let z = x * x;
        let p = -5.704_988_7e-3_f32;
        let p = p * z + 2.063_908_9e-2;
        let p = p * z - 5.373_971_6e-2;
        let p = p * z + 1.333_144_2e-1;
        let p = p * z - 3.333_328_2e-1;
        let near = x + x * z * p;
        let e = f32::exp_lane(-2.0 * x.abs());
        let far = ((1.0 - e) / (1.0 + e)).copysign(x);
        if x.abs() < 0.625 { near } else { far }
    }
    #[inline(always)]
    fn ln_1p_lane(x: f32) -> f32 {
        // 2·artanh(z) with z = x/(2 + x) ≤ 1/3: the next term, z¹⁵/15, is 5e-9.
        let z = x / (2.0 + x);
        let q = z * z;
        let p = 1.0 / 13.0_f32;
        let p = p * q + 1.0 / 11.0;
        let p = p * q + 1.0 / 9.0;
        let p = p * q + 1.0 / 7.0;
        let p = p * q + 1.0 / 5.0;
        let p = p * q + 1.0 / 3.0;
        2.0 * (z * q * p + z)
    }
    #[inline(always)]
    fn ln_lane(x: f32) -> f32 {
        // x = 2^e·m with m in [√½, √2); ln m as in `ln_1p_lane`, with z = (m − 1)/(m + 1) below 0.172.
        let bits = x.to_bits().wrapping_sub(0x3f35_04f3);
        let e = (bits as i32 >> 23) as f32;
        let m = f32::from_bits((bits & 0x007f_ffff).wrapping_add(0x3f35_04f3));
        let z = (m - 1.0) / (m + 1.0);
        let q = z * z;
        let p = 1.0 / 9.0_f32;
        let p = p * q + 1.0 / 7.0;
        let p = p * q + 1.0 / 5.0;
        let p = p * q + 1.0 / 3.0;
        e * std::f32::consts::LN_2 + 2.0 * (z * q * p + z)
    }
    fn erfcx(z: f32) -> f32 {
        // Chebyshev fit of ln(erfc(z)/t) + z², relative error 1.2e-7 (Numerical Recipes, erfcc); the
        // WGSL side uses the same coefficients.
        let t = 1.0 / (1.0 + 0.5 * z);
        let c = [
            0.170_872_77,
            -0.822_152_23,
            1.488_515_87,
            -1.135_203_98,
            0.278_868_07,
            -0.186_288_06,
            0.096_784_18,
            0.374_091_96,
            1.000_023_68,
            -1.265_512_23_f32,
        ];
        t * c.iter().fold(0.0, |p, &ci| p * t + ci).exp()
    }
    #[inline(always)]
    fn normals(bits: [u32; 4]) -> [f32; 4] {
        crate::philox::normals_f32(bits)
    }
}

impl Real for f64 {
    fn of(x: f64) -> f64 {
        x
    }
    fn to64(self) -> f64 {
        self
    }
    fn as_f32(_: &[f64]) -> Option<&[f32]> {
        None
    }
    fn as_f32_mut(_: &mut [f64]) -> Option<&mut [f32]> {
        None
    }
    fn stored(features: &Features) -> Option<&Arc<Vec<f64>>> {
        features.as_f64()
    }
    #[inline(always)]
    fn exp_lane(x: f64) -> f64 {
        x.exp()
    }
    #[inline(always)]
    fn ln_1p_lane(x: f64) -> f64 {
        x.ln_1p()
    }
    fn ln_lane(x: f64) -> f64 {
        x.ln()
    }
    fn tanh_lane(x: f64) -> f64 {
        x.tanh()
    }
    fn erfcx(z: f64) -> f64 {
        if z < 5.0 {
            return (z * z).exp() * libm::erfc(z);
        }
        // Continued fraction (Abramowitz & Stegun 7.1.14): erfcx(z)·√π = 1/(z + (1/2)/(z + (2/2)/(z + ...))).
        let mut tail = z;
        for k in (1..=60).rev() {
            tail = z + 0.5 * f64::from(k) / tail;
        }
        1.0 / (tail * std::f64::consts::PI.sqrt())
    }
    fn normals(bits: [u32; 4]) -> [f64; 4] {
        crate::philox::normals_f64(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_lane_is_exp() {
        for i in 0..8700 {
            let x = -0.01 * i as f32;
            let e = (f64::from(f32::exp_lane(x)) / f64::from(x).exp() - 1.0).abs();
            assert!(e < 4e-7, "{x}: {e}");
        }
    }

    #[test]
    fn logarithms_of_lanes_are_logarithms() {
        for i in 0..4000 {
            let x = i as f32 / 3999.0;
            let near = (f32::ln_1p_lane(x) - x.ln_1p()).abs();
            assert!(near <= 2.5e-7 * x.ln_1p(), "{x}");
            let x = (f64::from(i) * 0.04 - 80.0).exp() as f32;
            assert!(
                (f32::ln_lane(x) - x.ln()).abs() <= 3e-7 * x.ln().abs().max(0.3),
                "{x}"
            );
        }
        assert_eq!(f32::ln_lane(1.0), 0.0);
    }

    #[test]
    fn tanh_lane_is_tanh() {
        for i in -12_000..12_000 {
            let x = 0.001 * i as f32;
            let (a, b) = (f64::from(f32::tanh_lane(x)), f64::from(x).tanh());
            assert!((a - b).abs() <= 4e-7 * b.abs(), "{x}: {a} {b}");
        }
        assert!(f32::tanh_lane(f32::NAN).is_nan());
        assert_eq!(f32::tanh_lane(f32::NEG_INFINITY), -1.0);
    }

    #[test]
    fn erfcx_agrees_across_types_and_branches() {
        for i in 0..400 {
            let z = f64::from(i) * 0.05;
            let a = f64::erfcx(z);
            let b = f32::erfcx(z as f32).to64();
            assert!(((a - b) / a).abs() < 1e-6, "z = {z}: {a} {b}");
        }
        assert!((f64::erfcx(5.0 - 1e-12) / f64::erfcx(5.0) - 1.0).abs() < 1e-11);
    }
}
