// Labels at the addresses that the engines use: label l of position j has index j·L + l; further uniforms start at 64·index.
#import <model>
@group(0) @binding(0) var<storage, read> input: array<f32>; // [n, H+1]: eta, trials
@group(0) @binding(1) var<storage, read_write> output: array<f32>; // [n]

@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    let i = id.x;
    if i >= arrayLength(&output) {
        return;
    }
    var eta: array<f32, H>;
    for (var k = 0u; k < H; k++) {
        eta[k] = input[i * (H + 1u) + k];
    }
    let key = vec2<u32>(5u, 0u);
    let bits = philox(vec4<u32>(i, 17u, 2u, STREAM_LABEL), key);
    let z = normals(vec4<u32>(bits.z, bits.w, bits.z, bits.w)).x;
    let address = vec4<u32>(i * 64u, 17u, 2u ^ 0x80000000u, STREAM_LABEL);
    output[i] = draw_label(eta, input[i * (H + 1u) + H], uniform01(bits.x), z, address, key);
}
