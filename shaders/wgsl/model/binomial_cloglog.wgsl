// y successes of t trials, μ = 1 − exp(−e^η).
#import "lib/binomial.wgsl"

// e/(exp(e) − 1): 1 at e = 0, 0 for large e.
fn ratio_of(e: f32) -> f32 {
    if e < 1e-30 {
        return 1.0;
    }
    if e > 80.0 {
        return 0.0;
    }
    return e / exp_m1(e);
}

// ln(1 − exp(−e)) at e = e^η.
fn ln_mean(eta: f32, e: f32) -> f32 {
    if e < 0.02 {
        return eta - e * (0.5 - e / 24.0);
    }
    if e < 0.7 {
        return ln_of(-exp_m1(-e));
    }
    return ln_1p(-exp_of(-e));
}

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let e = exp_of(eta[0]);
    var ll = -(obs.y - obs.x) * e;
    if obs.x == obs.y {
        ll = 0.0; // no failure: 0·e^η is 0 even where e^η overflows
    }
    if obs.x > 0.0 {
        ll += obs.x * ln_mean(eta[0], e);
    }
    return ll;
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let e = exp_of(eta[0]);
    var s = obs.x * ratio_of(e);
    if obs.x < obs.y {
        s -= (obs.y - obs.x) * e;
    }
    return array<f32, H>(s);
}

fn weight_of(e: f32, trials: f32) -> f32 {
    if e > 80.0 {
        return 0.0;
    }
    return trials * e * ratio_of(e);
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    return array<f32, HH>(weight_of(exp_of(eta[0]), trials));
}

fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    let e = exp_of(eta[0]);
    var v = 0.0;
    if e <= 80.0 {
        // d ln w/dη = 2 − e/(1 − e^−e) = 2 − e − e/(e^e − 1).
        v = weight_of(e, trials) * (2.0 - e - ratio_of(e)) * h[0];
    }
    return Contraction(array<f32, H>(v), array<f32, H>(v));
}

fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    return draw_binomial(-exp_m1(-exp_of(eta[0])), exp_of(-exp_of(eta[0])), trials, u, z, address, key);
}

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return trials * -exp_m1(-exp_of(eta[0]));
}
