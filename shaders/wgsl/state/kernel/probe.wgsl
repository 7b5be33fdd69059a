// Leverages estimated by probes u ∼ N(0, M⁻¹): the mean of (J_k u)(J_l u).
#import <consts>
#import "lib/features.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> probes: array<f32>; // probes[C,VECTORS,P]
@group(0) @binding(4) var<storage, read_write> lever: array<f32>; // lever[C,R,HH], packed lower

@compute @workgroup_size(64)
fn probe(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j >= R {
        return;
    }
    let at = group.y * R + j;
    let row = row_index[at] * D;
    var h: array<f32, HH>;
    for (var v = 0u; v < VECTORS; v++) {
        let u = (group.y * VECTORS + v) * P;
        var ju: array<f32, H>;
        for (var k = 0u; k < K; k++) {
            var sum = 0.0;
            for (var d = 0u; d < D; d++) {
                sum += feature(row + d) * probes[u + k * D + d];
            }
            ju[k] = sum;
        }
        for (var a = K; a < H; a++) {
            ju[a] = probes[u + K * D + a - K];
        }
        for (var a = 0u; a < H; a++) {
            for (var b = 0u; b <= a; b++) {
                h[a * (a + 1u) / 2u + b] += ju[a] * ju[b] / f32(VECTORS);
            }
        }
    }
    for (var a = 0u; a < HH; a++) {
        lever[at * HH + a] = h[a];
    }
}
