// Standard normals from 32-bit words by Box–Muller, the same operations in the same order as core::philox::normals_f32.
#import "lib/philox.wgsl"
#import "lib/elementary.wgsl"

// A uniform in (0, 1), never 0 nor 1.
fn uniform01(bits: u32) -> f32 {
    return min((f32(bits) + 0.5) * 2.3283064e-10, 0.99999994);
}

// −ln((bits + ½)/2³²). Above one half the form in 1 − u keeps small results exact.
fn neg_ln_uniform(bits: u32) -> f32 {
    let high = bits >= 0x80000000u;
    let t = (f32(select(bits, ~bits, high)) + 0.5) * 2.3283064e-10;
    // u = (1 + f)·2^e with f in [√½ − 1, √2 − 1].
    var f: f32;
    var e: f32;
    if high {
        f = select(1.0 - 2.0 * t, -t, t < 0.2928932);
        e = select(-1.0, 0.0, t < 0.2928932);
    } else {
        let raw = bitcast<u32>(t);
        let m = bitcast<f32>((raw & 0x007fffffu) | 0x3f000000u);
        let low = m < 0.70710678;
        f = select(m - 1.0, 2.0 * m - 1.0, low);
        e = f32(i32(raw >> 23u) - select(126, 127, low));
    }
    return -(ln_1p_poly(f) + e * LN_2);
}

// (cos, sin) of 2π·bits/2³² by integer octant reduction: the built-ins of WGSL may err by 2^-11.
fn cos_sin_turn(bits: u32) -> vec2<f32> {
    let octant = bits >> 29u;
    let low = bits & 0x1fffffffu;
    // Odd octants are measured back from their end, so that the polynomial sees [0, π/4].
    let odd = (octant & 1u) == 1u;
    let x = f32(select(low, 0x20000000u - low, odd)) * 1.4629181e-9;
    let z = x * x;
    let s = x + x * z * (-1.6666655e-1 + z * (8.332161e-3 + z * -1.9515296e-4));
    let c = 1.0 - 0.5 * z + z * z * (4.1666646e-2 + z * (-1.3887316e-3 + z * 2.4433157e-5));
    // Octants 1, 2, 5, 6 swap sine and cosine; cosine is negative in 2–5, sine in 4–7.
    let swap = ((octant + 1u) & 2u) != 0u;
    let cosine = select(c, s, swap);
    let sine = select(s, c, swap);
    return vec2<f32>(
        select(cosine, -cosine, octant >= 2u && octant < 6u),
        select(sine, -sine, octant >= 4u),
    );
}

// Four normals from the two pairs of words (x, y) and (z, w); the first word of a pair gives the radius.
fn normals(bits: vec4<u32>) -> vec4<f32> {
    let a = sqrt(2.0 * neg_ln_uniform(bits.x)) * cos_sin_turn(bits.y);
    let b = sqrt(2.0 * neg_ln_uniform(bits.z)) * cos_sin_turn(bits.w);
    return vec4<f32>(a, b);
}
