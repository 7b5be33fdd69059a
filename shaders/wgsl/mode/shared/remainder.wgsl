// Remainder of ln p of a row beyond second order about the mode, as in core::likelihood::remainder and the CPU engine's tiles:
// ρ = w(ln p(η*+Δ) − ln p(η*)) − s*ᵀΔ + ½ΔᵀA*Δ and r = w·s(η*+Δ) − s* + A*Δ; s* and A* include the row's weight w.
// REMAINDER says in which form; REMAINDER_BASELINE whether softmax has a baseline.
#import <consts>
#import <model>
#import "lib/elementary.wgsl"
#import "mode/shared/known.wgsl"

struct Remainder {
    rho: f32,
    r: array<f32, H>,
}

// Remainder of the row whose numbers start at `row`.
fn mode_remainder(row: u32, delta: array<f32, H>) -> Remainder {
    if REMAINDER == REMAINDER_ANY {
        return mode_by_model(row, delta);
    }
    if REMAINDER == REMAINDER_SOFTMAX {
        return mode_softmax(row, delta);
    }
    var out: Remainder;
    var both = vec2<f32>(0.0, 0.0);
    var moved = delta;
    if REMAINDER == REMAINDER_LOGIT {
        both = mode_logit(row, moved[0]);
    }
    if REMAINDER == REMAINDER_POISSON {
        both = mode_poisson(rows[row + ROW_INFORMATION], moved[0]);
    }
    out.rho = both.x;
    out.r[0] = both.y;
    return out;
}

fn mode_by_model(row: u32, delta: array<f32, H>) -> Remainder {
    var moved = delta;
    var eta: array<f32, H>;
    for (var k = 0u; k < H; k++) {
        eta[k] = rows[row + ROW_ETA + k] + moved[k];
    }
    let obs = vec2<f32>(rows[row + ROW_Y], rows[row + ROW_TRIALS]);
    let weight = rows[row + ROW_WEIGHT];
    var slope = score(eta, obs);
    var out: Remainder;
    out.rho = weight * (log_lik(eta, obs) - rows[row + ROW_LOG_LIK]);
    for (var k = 0u; k < H; k++) {
        var pull = 0.0;
        for (var l = 0u; l < H; l++) {
            pull += rows[row + ROW_INFORMATION + packed(k, l)] * moved[l];
        }
        let known = rows[row + ROW_SCORE + k];
        out.rho += moved[k] * (0.5 * pull - known);
        out.r[k] = weight * slope[k] - known + pull;
    }
    return out;
}

// (ρ, r) of a binomial row under the logit link.
fn mode_logit(row: u32, delta: f32) -> vec2<f32> {
    let weight = rows[row + ROW_WEIGHT];
    let trials = weight * rows[row + ROW_TRIALS];
    let at = rows[row + ROW_ETA];
    if trials <= 64.0 {
        let y = weight * rows[row + ROW_Y];
        let known = rows[row + ROW_SCORE];
        let eta = at + delta;
        let e = exp_of(-abs(eta));
        let inv = 1.0 / (1.0 + e);
        let mu = select(e * inv, inv, eta >= 0.0);
        let softplus = max(eta, 0.0) + ln_1p(e);
        let pull = rows[row + ROW_INFORMATION] * delta;
        let slope = (y - trials * mu) - known + pull;
        let change = (y * eta - trials * softplus) - weight * rows[row + ROW_LOG_LIK];
        return vec2<f32>(change + delta * (0.5 * pull - known), slope);
    }
    // From the change of exp alone: the number of trials times a rounding error would be larger than the remainder.
    let small = exp_of(-abs(at)) / (1.0 + exp_of(-abs(at)));
    let mean = select(small, 1.0 - small, at >= 0.0);
    let grown = exp_m1(delta);
    let inner = mean * grown;
    let spread = mean * (1.0 - mean);
    let rho = -trials * (ln_1p(inner) - mean * delta - 0.5 * spread * delta * delta);
    return vec2<f32>(rho, -trials * (spread * grown / (1.0 + inner) - spread * delta));
}

// (ρ, r) of a Poisson row: ρ = −μ*(e^Δ − 1 − Δ − ½Δ²), r = −μ*(e^Δ − 1 − Δ), by their series where Δ is small.
fn mode_poisson(mean: f32, delta: f32) -> vec2<f32> {
    let half = 0.5 * delta * delta;
    var cubic: f32;
    if abs(delta) < 0.5 {
        var near = 1.0;
        for (var k = 9u; k >= 4u; k--) {
            near = 1.0 + near * delta / f32(k);
        }
        cubic = near * half * delta * 0.33333334;
    } else {
        cubic = exp_of(delta) - 1.0 - delta - half;
    }
    return vec2<f32>(-mean * cubic, -mean * (cubic + half));
}

// With p the probabilities at the mode, m = Σ pΔ and S = Σ p·e^Δ: ρ = w(m + ½Σ pΔ² − ½m² − ln S) and
// r = w·p(1 + Δ − m − e^Δ/S). A baseline class has Δ = 0 and the remaining probability.
fn mode_softmax(row: u32, delta: array<f32, H>) -> Remainder {
    var out: Remainder;
    var d = delta;
    let weight = rows[row + ROW_WEIGHT];
    if weight == 0.0 {
        return out;
    }
    let label = u32(rows[row + ROW_Y]);
    var p: array<f32, H>;
    var left = 1.0;
    var most = select(d[0], max(d[0], 0.0), REMAINDER_BASELINE == 1u);
    var mean = 0.0;
    var square = 0.0;
    for (var k = 0u; k < H; k++) {
        // Scores include the row's weight.
        p[k] = select(0.0, 1.0, label == k + REMAINDER_BASELINE) - rows[row + ROW_SCORE + k] / weight;
        left -= p[k];
        mean += p[k] * d[k];
        square += p[k] * d[k] * d[k];
        most = max(most, d[k]);
    }
    var total = select(0.0, max(left, 0.0) * exp_of(-most), REMAINDER_BASELINE == 1u);
    for (var k = 0u; k < H; k++) {
        total += p[k] * exp_of(d[k] - most);
    }
    for (var k = 0u; k < H; k++) {
        out.r[k] = weight * p[k] * (1.0 + d[k] - mean - exp_of(d[k] - most) / total);
    }
    out.rho = weight * (mean + 0.5 * (square - mean * mean) - (most + ln_of(total)));
    return out;
}
