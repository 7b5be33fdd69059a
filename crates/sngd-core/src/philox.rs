//! Philox4x32-10 (Salmon et al. 2011) and Box–Muller normals. The counter is (index, step, chain,
//! stream), the key is the seed: every random number has an address, so a generator has no state to store.

/// The purpose of a random number; the fourth counter word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Indices of minibatch rows.
    Batch = 0,
    /// The noise of the step.
    Noise = 1,
    /// Probes of the correction terms.
    Probe = 2,
    /// Monte Carlo labels.
    Label = 3,
    /// Initial positions of chains.
    Init = 4,
    /// Rows of a subsampled Fisher.
    FisherRows = 5,
    /// The Metropolis test.
    Accept = 6,
    /// Choice of held-out rows.
    Split = 7,
    /// The prior's part of nominal noise.
    PriorNoise = 8,
    /// Minibatch rows drawn by their influence.
    Influence = 9,
    /// The pilot runs that set the step.
    Pilot = 10,
    /// Numbers for the program that calls the library (`crate::generator`).
    Program = 11,
}

const M0: u32 = 0xD251_1F53;
const M1: u32 = 0xCD9E_8D57;
const W0: u32 = 0x9E37_79B9;
const W1: u32 = 0xBB67_AE85;

/// The ten-round bijection: counter, key -> four u32.
#[inline(always)]
pub fn philox(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let [mut c0, mut c1, mut c2, mut c3] = counter;
    let [mut k0, mut k1] = key;
    for round in 0..10 {
        if round > 0 {
            k0 = k0.wrapping_add(W0);
            k1 = k1.wrapping_add(W1);
        }
        let p0 = u64::from(M0) * u64::from(c0);
        let p1 = u64::from(M1) * u64::from(c2);
        let (h0, l0) = ((p0 >> 32) as u32, p0 as u32);
        let (h1, l1) = ((p1 >> 32) as u32, p1 as u32);
        (c0, c1, c2, c3) = (h1 ^ c1 ^ k0, l1, h0 ^ c3 ^ k1, l0);
    }
    [c0, c1, c2, c3]
}

/// The key of every stream, from the seed.
pub fn key(seed: u64) -> [u32; 2] {
    [seed as u32, (seed >> 32) as u32]
}

/// The four random words at one address.
#[inline(always)]
pub fn at(seed: u64, stream: Stream, chain: u32, step: u32, index: u32) -> [u32; 4] {
    philox([index, step, chain, stream as u32], key(seed))
}

/// A uniform in (0, 1) from 32 bits, never 0 nor 1.
pub fn uniform(bits: u32) -> f64 {
    (f64::from(bits) + 0.5) * 2f64.powi(-32)
}

/// Box–Muller in f64: lanes (0,1) and (2,3) are the two pairs; the even word is the radius.
#[inline]
pub fn normals_f64(bits: [u32; 4]) -> [f64; 4] {
    let pair = |r: u32, a: u32| {
        let radius = (-2.0 * uniform(r).ln()).sqrt();
        let (s, c) = (std::f64::consts::TAU * f64::from(a) * 2f64.powi(-32)).sin_cos();
        (radius * c, radius * s)
    };
    let (a, b) = pair(bits[0], bits[1]);
    let (c, d) = pair(bits[2], bits[3]);
    [a, b, c, d]
}

/// Box–Muller in f32 with the polynomials that `shaders/wgsl/lib/normal.wgsl` also uses.
#[inline(always)]
pub fn normals_f32(bits: [u32; 4]) -> [f32; 4] {
    let pair = |r: u32, a: u32| {
        let radius = (2.0 * neg_ln_uniform(r)).sqrt();
        let (s, c) = sin_cos_turn(a);
        (radius * c, radius * s)
    };
    let (a, b) = pair(bits[0], bits[1]);
    let (c, d) = pair(bits[2], bits[3]);
    [a, b, c, d]
}

/// −ln((bits + ½)/2³²) in f32. Above one half the form in 1 − u keeps small results exact.
#[inline(always)]
fn neg_ln_uniform(bits: u32) -> f32 {
    const SCALE: f32 = 1.0 / 4_294_967_296.0;
    let high = bits >= 0x8000_0000;
    // t = u below one half, 1 − u above it: exact to f32 in both.
    let t = ((if high { !bits } else { bits }) as f32 + 0.5) * SCALE;
    // Write u = (1 + f)·2^e with f in [√½ − 1, √2 − 1].
    // Both values of each choice are computed, so that the loop vectorises.
    let above = if t < 0.292_893_2 {
        (-t, 0.0)
    } else {
        (1.0 - 2.0 * t, -1.0)
    };
    let raw = t.to_bits();
    let e = (raw >> 23) as i32 - 126;
    let m = f32::from_bits((raw & 0x007f_ffff) | 0x3f00_0000);
    let below = if m < std::f32::consts::FRAC_1_SQRT_2 {
        (2.0 * m - 1.0, (e - 1) as f32)
    } else {
        (m - 1.0, e as f32)
    };
    let (f, e) = if high { above } else { below };
    -(ln_1p_poly(f) + e * std::f32::consts::LN_2)
}

/// ln(1 + f) on [√½ − 1, √2 − 1]; coefficients of Cephes' logf (Moshier), error below 1 ulp.
#[inline(always)]
fn ln_1p_poly(f: f32) -> f32 {
    let c = [
        7.037_683_6e-2_f32,
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333_1e-1,
    ];
    let z = f * f;
    let p = c.iter().fold(0.0, |p, &ci| p * f + ci);
    f + (p * f * z - 0.5 * z)
}

/// sin and cos of 2π·bits/2³² by integer octant reduction; polynomials of Cephes' sinf and cosf.
#[inline(always)]
fn sin_cos_turn(bits: u32) -> (f32, f32) {
    let octant = bits >> 29;
    let low = bits & 0x1fff_ffff;
    // Odd octants are measured back from their end, so that the polynomial sees [0, π/4].
    let steps = if octant & 1 == 1 {
        0x2000_0000 - low
    } else {
        low
    };
    let x = steps as f32 * (std::f32::consts::FRAC_PI_4 / 536_870_912.0);
    let z = x * x;
    let s = x + x * z * (-1.666_665_5e-1 + z * (8.332_161e-3 + z * -1.951_529_6e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.166_664_6e-2 + z * (-1.388_731_6e-3 + z * 2.443_315_7e-5));
    // Octants 1, 2, 5 and 6 take c for the sine; the sine is negative from 4 on, the cosine from 2 to 5.
    let swap = ((octant + 1) >> 1) & 1 == 1;
    let (sine, cosine) = if swap { (c, s) } else { (s, c) };
    let signed = |v: f32, negative: u32| f32::from_bits(v.to_bits() ^ (negative << 31));
    (
        signed(sine, octant >> 2),
        signed(cosine, ((octant + 2) >> 2) & 1),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers_of_random123() {
        let f = u32::MAX;
        assert_eq!(
            philox([0; 4], [0; 2]),
            [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        );
        assert_eq!(
            philox([f; 4], [f; 2]),
            [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
        );
        assert_eq!(
            philox(
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0]
            ),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn f32_normals_follow_f64_normals() {
        let mut worst = 0.0f64;
        for i in 0..200_000u32 {
            let bits = at(7, Stream::Noise, 3, 11, i);
            let (a, b) = (normals_f32(bits), normals_f64(bits));
            for lane in 0..4 {
                worst = worst.max((f64::from(a[lane]) - b[lane]).abs());
            }
        }
        assert!(worst < 2e-6, "{worst}");
    }

    #[test]
    fn extreme_bits_stay_finite_and_reach_the_tail() {
        for r in [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX - 1, u32::MAX] {
            for a in [
                0,
                1,
                0x1fff_ffff,
                0x2000_0000,
                0x4000_0000,
                0x8000_0000,
                u32::MAX,
            ] {
                let (x, y) = (normals_f32([r, a, r, a]), normals_f64([r, a, r, a]));
                for lane in 0..4 {
                    assert!(x[lane].is_finite());
                    assert!((f64::from(x[lane]) - y[lane]).abs() < 4e-6, "{r:x} {a:x}");
                }
            }
        }
        assert!(normals_f64([0, 0, 0, 0])[0] > 6.6);
    }
}
