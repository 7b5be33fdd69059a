// One layer of a network over the rows of a pass: one row per thread, one unit per z of the grid. The last layer is linear
// and writes the outputs, with the auxiliary ones, which are parameters themselves.
#import <consts>
#import "lib/features.wgsl"
#import "state/shared/activation.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> omega: array<f32>; // omega[C,P]
@group(0) @binding(4) var<storage, read_write> acts: array<f32>; // acts[C,R,2·HIDDEN], φ(z) of the hidden units, then φ′(z)
@group(0) @binding(5) var<storage, read_write> eta: array<f32>; // eta[C,R,H]

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j >= R {
        return;
    }
    let at = group.y * R + j;
    let unit = group.z;
    let weights = group.y * P + OFFSET + unit * STRIDE;
    var z = 0.0;
    if STRIDE > INPUTS {
        z = omega[weights + INPUTS];
    }
    if FIRST == 1u {
        let row = row_index[at] * INPUTS;
        for (var i = 0u; i < INPUTS; i++) {
            z += omega[weights + i] * feature(row + i);
        }
    } else {
        let row = at * 2u * HIDDEN + BELOW;
        for (var i = 0u; i < INPUTS; i++) {
            z += omega[weights + i] * acts[row + i];
        }
    }
    if LAST == 0u {
        let a = value_and_slope(z);
        acts[at * 2u * HIDDEN + HERE + unit] = a.x;
        acts[at * 2u * HIDDEN + HIDDEN + HERE + unit] = a.y;
        return;
    }
    eta[at * H + unit] = z;
    if unit == 0u {
        for (var a = K; a < H; a++) {
            eta[at * H + a] = omega[group.y * P + P - H + a];
        }
    }
}
