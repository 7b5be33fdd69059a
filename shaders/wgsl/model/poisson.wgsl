// y ∼ Poisson(e^η).
#import "lib/contract.wgsl"

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    return obs.x * eta[0] - exp_of(eta[0]);
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    return array<f32, H>(obs.x - exp_of(eta[0]));
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(exp_of(eta[0]));
}

fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    let v = exp_of(eta[0]) * h[0];
    return Contraction(array<f32, H>(v), array<f32, H>(v));
}

// Above a mean of 64 the label is real-valued, μ + √μ·z: only two moments of it are used.
fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    let mu = exp_of(eta[0]);
    if mu > 64.0 {
        return mu + sqrt(mu) * z;
    }
    var y = 0.0;
    var p = exp_of(-mu);
    var left = u;
    // In the upper tail, once p is below the rounding error of u, the rest of u means nothing: the loop ends there.
    while left > p && (y < mu || p > 1e-7) {
        left -= p;
        y += 1.0;
        p *= mu / y;
    }
    return y;
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return exp_of(eta[0]);
}
