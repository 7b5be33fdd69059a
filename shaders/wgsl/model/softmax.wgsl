// y ∈ {0, …, H + BASELINE − 1}. With BASELINE = 1, class 0 has the logit 0 and no parameters.
#import "lib/contract.wgsl"

struct Normaliser {
    max: f32,
    sum: f32, // Σ exp(η − max), with a baseline's logit 0
}

fn normaliser(eta: array<f32, H>) -> Normaliser {
    var e = eta;
    var top = select(e[0], max(e[0], 0.0), BASELINE == 1u);
    for (var k = 1u; k < H; k++) {
        top = max(top, e[k]);
    }
    var sum = select(0.0, exp_of(-top), BASELINE == 1u);
    for (var k = 0u; k < H; k++) {
        sum += exp_of(e[k] - top);
    }
    return Normaliser(top, sum);
}

fn probabilities(eta: array<f32, H>) -> array<f32, H> {
    let n = normaliser(eta);
    var p = eta;
    for (var k = 0u; k < H; k++) {
        p[k] = exp_of(p[k] - n.max) / n.sum;
    }
    return p;
}

fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    let n = normaliser(eta);
    let label = u32(obs.x);
    var e = eta;
    var own = 0.0;
    if label >= BASELINE {
        own = e[label - BASELINE];
    }
    return own - n.max - ln_of(n.sum);
}

fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {
    let label = u32(obs.x);
    var p = probabilities(eta);
    for (var k = 0u; k < H; k++) {
        p[k] = select(0.0, 1.0, label == k + BASELINE) - p[k];
    }
    return p;
}

fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {
    var p = probabilities(eta);
    var w: array<f32, HH>;
    for (var k = 0u; k < H; k++) {
        for (var l = 0u; l < k; l++) {
            w[packed(k, l)] = -p[k] * p[l];
        }
        w[packed(k, k)] = p[k] * (1.0 - p[k]);
    }
    return w;
}

// Third cumulant of a one-hot vector: p_m (f_m − Σ_c p_c f_c), f_c = h_cc − 2(hp)_c.
fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    var p = probabilities(eta);
    var lever = h;
    var f: array<f32, H>;
    var mean = 0.0;
    for (var c = 0u; c < H; c++) {
        var hp = 0.0;
        for (var l = 0u; l < H; l++) {
            hp += lever[packed(c, l)] * p[l];
        }
        f[c] = lever[packed(c, c)] - 2.0 * hp;
        mean += p[c] * f[c];
    }
    for (var c = 0u; c < H; c++) {
        f[c] = p[c] * (f[c] - mean);
    }
    return Contraction(f, f);
}

fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    let n = normaliser(eta);
    var e = eta;
    var left = u;
    if BASELINE == 1u {
        left -= exp_of(-n.max) / n.sum;
        if left <= 0.0 {
            return 0.0;
        }
    }
    for (var k = 0u; k < H; k++) {
        left -= exp_of(e[k] - n.max) / n.sum;
        if left <= 0.0 {
            return f32(k + BASELINE);
        }
    }
    return f32(H - 1u + BASELINE);
}
