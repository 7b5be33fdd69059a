#import "lib/normal.wgsl"
@group(0) @binding(0) var<storage, read> input: array<u32>; // [n,4], bits
@group(0) @binding(1) var<storage, read_write> output: array<f32>; // [n,5], normals and a uniform

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&output) / 5u {
        return;
    }
    let bits = vec4<u32>(input[4u * i], input[4u * i + 1u], input[4u * i + 2u], input[4u * i + 3u]);
    let z = normals(bits);
    output[5u * i] = z.x;
    output[5u * i + 1u] = z.y;
    output[5u * i + 2u] = z.z;
    output[5u * i + 3u] = z.w;
    output[5u * i + 4u] = uniform01(bits.x);
}
