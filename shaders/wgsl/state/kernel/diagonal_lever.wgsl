// Leverages of a diagonal volume: h_kk = Σ_d x_d²/M_kd without the damping; off-diagonal h is zero.
#import <consts>
#import "lib/features.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> metric: array<vec4<f32>>; // metric[C,P], (M, ∂ᵢMᵢᵢ, curvature, V)
@group(0) @binding(4) var<storage, read_write> lever: array<f32>; // lever[C,R,HH], packed lower

@compute @workgroup_size(64)
fn diagonal_lever(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j >= R {
        return;
    }
    let at = group.y * R + j;
    let row = row_index[at] * D;
    for (var a = 0u; a < H; a++) {
        let packed = a * (a + 1u) / 2u;
        for (var b = 0u; b < a; b++) {
            lever[at * HH + packed + b] = 0.0;
        }
        var h = 0.0;
        if a < K {
            for (var d = 0u; d < D; d++) {
                let v = feature(row + d);
                h += v * v / (metric[group.y * P + a * D + d].x - RIDGE);
            }
        } else {
            h = 1.0 / (metric[group.y * P + K * D + a - K].x - RIDGE);
        }
        lever[at * HH + packed + a] = h;
    }
}
