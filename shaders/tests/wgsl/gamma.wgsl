#import "lib/gamma.wgsl"
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;

@compute @workgroup_size(64) fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&input) {
        return;
    }
    out[3u * i] = ln_gamma(input[i]);
    out[3u * i + 1u] = digamma(input[i]);
    out[3u * i + 2u] = trigamma(input[i]);
}
