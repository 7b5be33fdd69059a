// Replaces Δη by r, one row of one chain per thread. ρ and an auxiliary output's r are summed over each tile of 64 rows.
#import <consts>
#import "mode/shared/chunk.wgsl"
#import "mode/shared/remainder.wgsl"
#import "lib/group_sum.wgsl"

@group(0) @binding(1) var<storage, read> vectors: array<f32>; // vectors[C,P]
@group(0) @binding(3) var<storage, read_write> delta: array<f32>; // delta[C·K,CHUNK]
@group(0) @binding(4) var<storage, read_write> tile_sums: array<vec2<f32>>; // tile_sums[C,CHUNK/64], (Σρ, Σr of the auxiliary output)

@compute @workgroup_size(64)
fn residuals(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = chunk_rows();
    let chain = group.y;
    let row = chunk.x + group.x * 64u + lane;
    var mine = vec2<f32>(0.0, 0.0);
    if row < chunk.y && chain < C {
        var d: array<f32, H>;
        let at = chain * K * CHUNK + row - chunk.x;
        for (var k = 0u; k < K; k++) {
            d[k] = delta[at + k * CHUNK];
        }
        if H > K {
            d[H - 1u] = vectors[chain * P + P - 1u] * AUX_SCALE;
        }
        var beyond = mode_remainder(row * ROW_LEN, d);
        for (var k = 0u; k < K; k++) {
            delta[at + k * CHUNK] = beyond.r[k];
        }
        mine.x = beyond.rho;
        if H > K {
            mine.y = beyond.r[H - 1u];
        }
    }
    let all = group_sum(lane, vec4<f32>(mine, 0.0, 0.0)).xy;
    if lane == 0u && chain < C {
        tile_sums[chain * (CHUNK / 64u) + group.x] = all;
    }
}
