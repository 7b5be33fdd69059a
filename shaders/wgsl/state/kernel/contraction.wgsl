// Coefficients of the correction, c = (κ/2)·volume − divergence at each row's leverages; v is then Σ Jᵀc.
#import <consts>
#import "state/shared/derivative.wgsl"
#import "state/shared/observed.wgsl"

@group(0) @binding(1) var<storage, read> eta: array<f32>; // eta[C,R,H]
@group(0) @binding(3) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(4) var<storage, read> lever: array<f32>; // lever[LEVER_SPLITS,C,R,HH], packed lower
@group(0) @binding(5) var<storage, read_write> coefficient: array<f32>; // coefficient[C,R,H]

@compute @workgroup_size(64)
fn contraction(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j >= R {
        return;
    }
    let at = group.y * R + j;
    var e: array<f32, H>;
    var h: array<f32, HH>;
    for (var a = 0u; a < H; a++) {
        e[a] = eta[at * H + a];
    }
    for (var a = 0u; a < HH; a++) {
        var sum = 0.0;
        for (var s = 0u; s < LEVER_SPLITS; s++) {
            sum += lever[(s * C * R + at) * HH + a];
        }
        h[a] = sum;
    }
    let row = row_index[at];
    let c = derivative(e, row_observed(row), h);
    for (var a = 0u; a < H; a++) {
        var v = row_counted(row, HALF_KAPPA * c.volume[a] - DIVERGENCE * c.divergence[a]);
        if ADDS == 1u {
            v += coefficient[at * H + a];
        }
        coefficient[at * H + a] = v;
    }
}
