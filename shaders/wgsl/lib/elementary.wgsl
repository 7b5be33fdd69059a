// exp and ln by Cephes' polynomials (Moshier). The built-ins of WGSL may err by 3 + 2|x| ulp in exp and by 2^-21 in ln
// near 1.
const LN_2: f32 = 0.6931472;

// ln(1 + f) on [√½ − 1, √2 − 1], error below 1 ulp.
fn ln_1p_poly(f: f32) -> f32 {
    var p = 7.0376836e-2;
    p = p * f - 1.151461e-1;
    p = p * f + 1.1676999e-1;
    p = p * f - 1.2420141e-1;
    p = p * f + 1.4249323e-1;
    p = p * f - 1.6668058e-1;
    p = p * f + 2.0000715e-1;
    p = p * f - 2.4999994e-1;
    p = p * f + 3.3333331e-1;
    let z = f * f;
    return f + (p * f * z - 0.5 * z);
}

// ln x of a positive normal number; −∞ of 0, and NaN of what has no finite logarithm.
fn ln_of(x: f32) -> f32 {
    // x = m·2^e with m in [√½, √2).
    let raw = bitcast<u32>(x);
    // A test on bits, so that no compiler removes it: 0, infinity, NaN, or below 0.
    if raw - 1u >= 0x7f7fffffu {
        return bitcast<f32>(raw | select(0x7fc00000u, 0xff800000u, raw == 0u));
    }
    var e = f32(i32(raw >> 23u) - 126);
    var m = bitcast<f32>((raw & 0x007fffffu) | 0x3f000000u);
    if m < 0.70710678 {
        e -= 1.0;
        m = 2.0 * m - 1.0;
    } else {
        m -= 1.0;
    }
    // ln 2 in two parts, the first exact in any product with e.
    return e * 0.693359375 + (ln_1p_poly(m) - e * 2.12194440e-4);
}

// ln(1 + x), x > −1.
fn ln_1p(x: f32) -> f32 {
    if x > -0.29289322 && x < 0.41421356 {
        return ln_1p_poly(x);
    }
    return ln_of(1.0 + x);
}

// 2^n, n in [−126, 127].
fn two_to(n: i32) -> f32 {
    return bitcast<f32>(u32(n + 127) << 23u);
}

// e^r − 1 and n of x = r + n·ln 2, |r| ≤ ½·ln 2.
fn exp_parts(x: f32) -> vec2<f32> {
    let n = floor(x * 1.44269504 + 0.5);
    let r = (x - n * 0.693359375) + n * 2.12194440e-4;
    var p = 1.9875691500e-4;
    p = p * r + 1.3981999507e-3;
    p = p * r + 8.3334519073e-3;
    p = p * r + 4.1665795894e-2;
    p = p * r + 1.6666665459e-1;
    p = p * r + 5.0000001201e-1;
    return vec2<f32>(p * r * r + r, n);
}

// e^x; 0 where the result is below the normal numbers, infinity where it is above f32's range.
fn exp_of(x: f32) -> f32 {
    if x < -87.3 {
        return 0.0;
    }
    let part = exp_parts(min(x, 100.0));
    // In two factors: 2^n itself may exceed the range.
    let n = i32(part.y);
    let half = n / 2;
    return (1.0 + part.x) * two_to(half) * two_to(n - half);
}

// e^x − 1 without cancellation, x < 88.
fn exp_m1(x: f32) -> f32 {
    if x < -18.0 {
        return -1.0;
    }
    let part = exp_parts(min(x, 88.0));
    let scale = two_to(i32(part.y));
    return scale * part.x + (scale - 1.0);
}
