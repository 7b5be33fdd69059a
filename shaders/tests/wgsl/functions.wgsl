#import "lib/special.wgsl"
#import "lib/finite.wgsl"
@group(0) @binding(0) var<storage, read> input: array<f32>; // [n]
@group(0) @binding(1) var<storage, read_write> output: array<f32>; // [n,6]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&input) {
        return;
    }
    let x = input[i];
    output[6u * i] = exp_of(x);
    output[6u * i + 1u] = exp_m1(x);
    output[6u * i + 2u] = ln_of(abs(x));
    output[6u * i + 3u] = ln_1p(max(x, -0.999));
    output[6u * i + 4u] = erfcx(abs(x));
    output[6u * i + 5u] = select(0.0, 1.0, is_finite(x)) + select(0.0, 2.0, is_nan(x));
}
