#import <model>
@group(0) @binding(0) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1) fn main() {
    var eta: array<f32, H>;
    var s = score(eta, vec2<f32>(out[0], 1.0));
    var w = fisher(eta, 1.0);
    var c = contract(eta, 1.0, w);
    out[0] = log_lik(eta, vec2<f32>(out[0], 1.0)) + s[0] + w[0] + c.volume[0]
        + draw_label(eta, 1.0, 0.5, 0.0, vec4<u32>(), vec2<u32>())
        + mean(eta, 1.0) + cdf(eta, vec2<f32>(out[0], 1.0));
}
