// MALA's proposal: ω′ = ω + step.
#import <consts>
@group(0) @binding(1) var<storage, read> omega: array<f32>; // omega[C,P]
@group(0) @binding(2) var<storage, read> delta: array<f32>; // delta[C,P]
@group(0) @binding(3) var<storage, read_write> proposal: array<f32>; // proposal[C,P]

@compute @workgroup_size(64)
fn propose(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = group.x * 64u + lane;
    if p < P {
        proposal[group.y * P + p] = omega[group.y * P + p] + delta[group.y * P + p];
    }
}
