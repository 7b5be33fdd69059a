// Functions of the normal distribution, as in core::real and core::likelihood.
#import "lib/elementary.wgsl"

// e^{z²}·erfc(z), z ≥ 0: Chebyshev fit of relative error 1.2e-7 (Numerical Recipes, erfcc).
fn erfcx(z: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.5 * z);
    var p = 0.17087277;
    p = p * t - 0.82215223;
    p = p * t + 1.48851587;
    p = p * t - 1.13520398;
    p = p * t + 0.27886807;
    p = p * t - 0.18628806;
    p = p * t + 0.09678418;
    p = p * t + 0.37409196;
    p = p * t + 1.00002368;
    p = p * t - 1.26551223;
    return t * exp_of(p);
}

// φ(x)/Φ(x), without cancellation in either tail.
fn mills(x: f32) -> f32 {
    let e = erfcx(abs(x) * 0.70710678);
    if x < 0.0 {
        return 0.79788456 / e;
    }
    let density = exp_of(-0.5 * x * x);
    return 0.79788456 * density / (2.0 - density * e);
}

// ln Φ(x).
fn ln_phi(x: f32) -> f32 {
    let e = erfcx(abs(x) * 0.70710678);
    if x < 0.0 {
        return ln_of(0.5 * e) - 0.5 * x * x;
    }
    return ln_1p(-0.5 * e * exp_of(-0.5 * x * x));
}
