// φ(z) and φ′(z) between two layers, as in core::network: gelu in its tanh form.
#import <consts>
#import "lib/elementary.wgsl"

// tanh without cancellation at 0 and without overflow, which WGSL does not guarantee for its built-in.
fn tanh_of(z: f32) -> f32 {
    let e = exp_m1(-2.0 * abs(z));
    return sign(z) * (-e / (2.0 + e));
}

fn value_and_slope(z: f32) -> vec2<f32> {
    if ACTIVATION == ACTIVATION_TANH {
        let a = tanh_of(z);
        return vec2<f32>(a, 1.0 - a * a);
    }
    if ACTIVATION == ACTIVATION_RELU {
        return select(vec2<f32>(), vec2<f32>(z, 1.0), z > 0.0);
    }
    let t = tanh_of(0.7978846 * (z + 0.044715 * z * z * z));
    let inner = 0.7978846 * (1.0 + 0.134145 * z * z);
    return vec2<f32>(0.5 * z * (1.0 + t), 0.5 * (1.0 + t) + 0.5 * z * (1.0 - t * t) * inner);
}
