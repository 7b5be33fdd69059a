// ln Γ and its first two derivatives for x > 0, undefined elsewhere. The recurrence goes up to x ≥ 6, then comes
// Stirling's series (Abramowitz & Stegun 6.1.41, 6.3.18, 6.4.12), whose next terms are below f32's rounding there.
#import "lib/elementary.wgsl"

fn ln_gamma(x: f32) -> f32 {
    var y = x;
    var product = 1.0;
    for (var i = 0u; i < 6u && y < 6.0; i++) {
        product *= y;
        y += 1.0;
    }
    let r = 1.0 / y;
    let series = r * (0.083333336 - r * r * (0.0027777778 - r * r * 7.9365080e-4));
    return (y - 0.5) * ln_of(y) - y + 0.91893853 + series - ln_of(product);
}

// d ln Γ/dx.
fn digamma(x: f32) -> f32 {
    var y = x;
    var sum = 0.0;
    for (var i = 0u; i < 6u && y < 6.0; i++) {
        sum += 1.0 / y;
        y += 1.0;
    }
    let r = 1.0 / y;
    let r2 = r * r;
    return ln_of(y) - 0.5 * r - r2 * (0.083333336 - r2 * (0.0083333338 - r2 * 0.003968254)) - sum;
}

// d² ln Γ/dx².
fn trigamma(x: f32) -> f32 {
    var y = x;
    var sum = 0.0;
    for (var i = 0u; i < 6u && y < 6.0; i++) {
        sum += 1.0 / (y * y);
        y += 1.0;
    }
    let r = 1.0 / y;
    let r2 = r * r;
    return r * (1.0 + r * (0.5 + r * (0.16666667 - r2 * (0.033333335 - r2 * 0.023809524)))) + sum;
}
