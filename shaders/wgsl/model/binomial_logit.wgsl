// y successes of t trials, μ = 1/(1 + e^−η). Everything is computed from e^−|η|, which cannot overflow.
#import "lib/binomial.wgsl"

fn mean_of(eta: f32) -> f32 {
    let e = exp_of(-abs(eta));
    return select(e, 1.0, eta >= 0.0) / (1.0 + e);
}

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let x = eta[0];
    // Successes and failures are separate terms: y·η − t·softplus(η) cancels in the tail.
    let rest = obs.y * ln_1p(exp_of(-abs(x)));
    return -abs(x) * select(obs.x, obs.y - obs.x, x >= 0.0) - rest;
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let x = eta[0];
    return array<f32, H>(obs.x * mean_of(-x) - (obs.y - obs.x) * mean_of(x));
}

fn weight_of(eta: f32, trials: f32) -> f32 {
    let e = exp_of(-abs(eta));
    return trials * e / ((1.0 + e) * (1.0 + e));
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(weight_of(eta[0], trials));
}

fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    // w′ = w(1 − 2μ), and 1 − 2μ = −tanh(η/2).
    let x = eta[0];
    let e = exp_m1(-abs(x));
    let tilt = sign(x) * e / (2.0 + e);
    let v = weight_of(x, trials) * tilt * h[0];
    return Contraction(array<f32, H>(v), array<f32, H>(v));
}

fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    return draw_binomial(mean_of(eta[0]), mean_of(-eta[0]), trials, u, z, address, key);
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return trials * mean_of(eta[0]);
}
