// y ∼ N(η₀, e^{2η₁}): η₁ = log σ is auxiliary.
#import "lib/contract.wgsl"
#import "lib/special.wgsl"

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    // (y − η₀)/σ first: its square, not 1/σ², is what must stay in range.
    let r = (obs.x - eta[0]) * exp_of(-eta[1]);
    return -eta[1] - 0.5 * r * r;
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let inverse = exp_of(-eta[1]);
    let r = (obs.x - eta[0]) * inverse;
    return array<f32, H>(r * inverse, r * r - 1.0);
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(exp_of(-2.0 * eta[1]), 0.0, 2.0);
}

fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    let dw = -2.0 * exp_of(-2.0 * eta[1]);
    return Contraction(
        array<f32, H>(0.0, dw * h[0]),
        array<f32, H>(dw * h[1], 0.0),
    );
}

fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    return eta[0] + exp_of(eta[1]) * z;
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return eta[0];
}

fn cdf(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    return exp_of(ln_phi((obs.x - eta[0]) * exp_of(-eta[1])));
}
