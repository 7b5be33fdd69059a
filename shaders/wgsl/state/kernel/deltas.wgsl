// δ of a hidden layer from that of the layer above, for every seed: one seed of a row per thread, one unit per z of the grid.
#import <consts>

@group(0) @binding(1) var<storage, read> omega: array<f32>; // omega[C,P]
@group(0) @binding(2) var<storage, read> acts: array<f32>; // acts[C,ROWS,2·HIDDEN], φ(z) of the hidden units, then φ′(z)
@group(0) @binding(3) var<storage, read_write> delta: array<f32>; // delta[C,R,UNITS], R = ROWS·SEEDS

@compute @workgroup_size(64)
fn deltas(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j >= R {
        return;
    }
    let at = group.y * R + j;
    let unit = group.z;
    var sum = 0.0;
    for (var v = 0u; v < ABOVE_UNITS; v++) {
        sum += omega[group.y * P + ABOVE_OFFSET + v * ABOVE_STRIDE + unit] * delta[at * UNITS + ABOVE + v];
    }
    delta[at * UNITS + HERE + unit] = sum * acts[(at / SEEDS) * 2u * HIDDEN + HIDDEN + HERE + unit];
}
