// Random finite difference: ω + δu, the position where the metric is computed again.
#import <consts>
#import "state/shared/now.wgsl"

@group(0) @binding(1) var<storage, read> omega: array<f32>; // omega[C,P]
@group(0) @binding(2) var<storage, read> u: array<f32>; // u[C,P], L⁻ᵀz
@group(0) @binding(3) var<storage, read_write> moved: array<f32>; // moved[C,P]

@compute @workgroup_size(64)
fn move_along(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = group.x * 64u + lane;
    if p < P {
        let at = group.y * P + p;
        moved[at] = omega[at] + DELTA * u[at];
    }
}
