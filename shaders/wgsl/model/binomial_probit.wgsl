// y successes of t trials, μ = Φ(η).
#import "lib/binomial.wgsl"
#import "lib/special.wgsl"

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    return obs.x * ln_phi(eta[0]) + (obs.y - obs.x) * ln_phi(-eta[0]);
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    return array<f32, H>(obs.x * mills(eta[0]) - (obs.y - obs.x) * mills(-eta[0]));
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(trials * mills(eta[0]) * mills(-eta[0]));
}

fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    let x = eta[0];
    let a = mills(x);
    let b = mills(-x);
    let v = trials * a * b * (b - a - 2.0 * x) * h[0];
    return Contraction(array<f32, H>(v), array<f32, H>(v));
}

fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    return draw_binomial(exp_of(ln_phi(eta[0])), exp_of(ln_phi(-eta[0])), trials, u, z, address, key);
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return trials * exp_of(ln_phi(eta[0]));
}
