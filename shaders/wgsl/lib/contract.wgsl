// Functions that a model file provides, all by value, with H outputs per row and HH = H(H+1)/2 from <consts>:
//   fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32                      ln p(y|η), obs = (y, trials)
//   fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H>              ∂ ln p/∂η
//   fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH>               W, packed lower
//   fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction
//   fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32
//   fn mean(eta: array<f32, H>, trials: f32) -> f32                            E[y|η]
//   fn cdf(eta: array<f32, H>, obs: vec2<f32>) -> f32                          P(Y ≤ y|η), where y is continuous
// The last four may be left out: files of `custom/` then stand in.
// u is uniform and z normal; the i-th further uniform of a label is more_uniform(address, i, key).
#import <consts>
#import "lib/normal.wgsl"

// volume[m] = Σ_kl ∂W_kl/∂η_m h_kl, divergence[k] = Σ_lm ∂W_kl/∂η_m h_lm.
struct Contraction {
    volume: array<f32, H>,
    divergence: array<f32, H>,
}

// Index of (k, l) in a packed lower triangle.
fn packed(k: u32, l: u32) -> u32 {
    let high = max(k, l);
    return high * (high + 1u) / 2u + min(k, l);
}

fn more_uniform(address: vec4<u32>, i: u32, key: vec2<u32>) -> f32 {
    return uniform01(philox(address + vec4<u32>(i, 0u, 0u, 0u), key).x);
}
