#import "lib/prior.wgsl"
@group(0) @binding(0) var<storage, read> input: array<f32>; // [n,5]: kind, three numbers, θ or log σ
@group(0) @binding(1) var<storage, read_write> output: array<f32>; // [n,2]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&output) / 2u {
        return;
    }
    let at = 5u * i;
    let args = vec3<f32>(input[at + 1u], input[at + 2u], input[at + 3u]);
    let c = prior_cost_and_grad(u32(input[at]), args, input[at + 4u]);
    output[2u * i] = c.x;
    output[2u * i + 1u] = c.y;
}
