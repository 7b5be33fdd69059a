#import <model>
@group(0) @binding(0) var<storage, read> input: array<f32>; // [n, H+2+HH]: eta, y, trials, h
@group(0) @binding(1) var<storage, read_write> output: array<f32>; // [n, 3+3H+HH]: log_lik, score, fisher, volume, divergence, mean, cdf

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    let wide = 3u + 3u * H + HH;
    if i >= arrayLength(&output) / wide {
        return;
    }
    let at = i * (H + 2u + HH);
    var eta: array<f32, H>;
    for (var k = 0u; k < H; k++) {
        eta[k] = input[at + k];
    }
    let obs = vec2<f32>(input[at + H], input[at + H + 1u]);
    var h: array<f32, HH>;
    for (var k = 0u; k < HH; k++) {
        h[k] = input[at + H + 2u + k];
    }
    let out = i * wide;
    var s = score(eta, obs);
    var w = fisher(eta, obs.y);
    var c = contract(eta, obs.y, h);
    output[out] = log_lik(eta, obs);
    for (var k = 0u; k < H; k++) {
        output[out + 1u + k] = s[k];
        output[out + 1u + H + HH + k] = c.volume[k];
        output[out + 1u + 2u * H + HH + k] = c.divergence[k];
    }
    for (var k = 0u; k < HH; k++) {
        output[out + 1u + H + k] = w[k];
    }
    output[out + wide - 2u] = mean(eta, obs.y);
    output[out + wide - 1u] = cdf(eta, obs);
}
