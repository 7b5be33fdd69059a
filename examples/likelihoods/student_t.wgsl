// Regression that outliers do not pull: y − η₀ is Student-t with NU degrees of freedom and scale σ = exp(η₁), reported as "scale".
const NU: f32 = 4.0;

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let r = (obs.x - eta[0]) * exp_of(-eta[1]);
    let norm = ln_gamma(0.5 * (NU + 1.0)) - ln_gamma(0.5 * NU) - 0.5 * ln_of(NU * 3.14159265);
    return norm - eta[1] - 0.5 * (NU + 1.0) * ln_1p(r * r / NU);
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let inverse = exp_of(-eta[1]);
    let r = (obs.x - eta[0]) * inverse;
    let pull = (NU + 1.0) * r / (NU + r * r);
    return array<f32, H>(pull * inverse, pull * r - 1.0);
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>((NU + 1.0) / (NU + 3.0) * exp_of(-2.0 * eta[1]), 0.0, 2.0 * NU / (NU + 3.0));
}

// A normal over the root of χ²/ν; χ² with four degrees of freedom is −2 ln of two uniforms' product.
fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    let chi = -2.0 * ln_of(u * more_uniform(address, 0u, key));
    return eta[0] + exp_of(eta[1]) * z * sqrt(NU / chi);
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return eta[0];
}

// The closed form for four degrees of freedom.
fn cdf(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let r = (obs.x - eta[0]) * exp_of(-eta[1]);
    let s = r / sqrt(1.0 + 0.25 * r * r);
    return 0.5 + 0.375 * s * (1.0 - s * s / 12.0);
}
