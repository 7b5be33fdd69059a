// Where the proposal is accepted, copies everything computed at ω′ to ω, one row of L⁻¹ per workgroup.
#import <consts>
#import "state/shared/status.wgsl"

@group(0) @binding(1) var<storage, read> accepted: array<u32>; // accepted[C]
@group(0) @binding(2) var<storage, read> linv_next: array<f32>; // linv_next[C,P,P]
@group(0) @binding(3) var<storage, read_write> linv: array<f32>; // linv[C,P,P]
@group(0) @binding(4) var<storage, read> gradient_next: array<f32>; // gradient_next[C,P]
@group(0) @binding(5) var<storage, read_write> gradient: array<f32>; // gradient[C,P]
@group(0) @binding(6) var<storage, read> cost_next: array<vec4<f32>>; // cost_next[C]
@group(0) @binding(7) var<storage, read_write> cost: array<vec4<f32>>; // cost[C], (−ln prior, Σ ln p, Σ ln p, jitter level)
@group(0) @binding(8) var<storage, read> status: array<u32>; // status[C,STATUS]

@compute @workgroup_size(64)
fn adopt(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let row = group.x;
    if accepted[chain] == 0u {
        return;
    }
    for (var j = lane; j <= row; j += 64u) {
        let at = (chain * P + row) * P + j;
        linv[at] = linv_next[at];
    }
    if lane == 0u {
        gradient[chain * P + row] = gradient_next[chain * P + row];
        if row == 0u {
            let c = cost_next[chain];
            cost[chain] = vec4<f32>(c.x, c.y, c.z, f32(status[chain * STATUS + LEVEL]));
        }
    }
}
