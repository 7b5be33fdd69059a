// y ∼ N(η, σ²), σ known: GAUSSIAN_SCALE = σ and GAUSSIAN_WEIGHT = 1/σ² in internal units.
#import "lib/contract.wgsl"
#import "lib/special.wgsl"

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let r = obs.x - eta[0];
    return -0.5 * r * r * GAUSSIAN_WEIGHT;
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    return array<f32, H>((obs.x - eta[0]) * GAUSSIAN_WEIGHT);
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(GAUSSIAN_WEIGHT);
}

fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    var none: Contraction;
    return none;
}

fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    return eta[0] + GAUSSIAN_SCALE * z;
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return eta[0];
}

fn cdf(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    return exp_of(ln_phi((obs.x - eta[0]) / GAUSSIAN_SCALE));
}
