#import "lib/philox.wgsl"
@group(0) @binding(0) var<storage, read> input: array<u32>; // [n,6], counter and key
@group(0) @binding(1) var<storage, read_write> output: array<u32>; // [n,4]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&output) / 4u {
        return;
    }
    let at = 6u * i;
    let counter = vec4<u32>(input[at], input[at + 1u], input[at + 2u], input[at + 3u]);
    let bits = philox(counter, vec2<u32>(input[at + 4u], input[at + 5u]));
    output[4u * i] = bits.x;
    output[4u * i + 1u] = bits.y;
    output[4u * i + 2u] = bits.z;
    output[4u * i + 3u] = bits.w;
}
