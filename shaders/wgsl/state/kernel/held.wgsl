// Work before and after predict.wgsl scores a tile of held-out rows, which come after the N fitted rows: row numbers
// (`indices`) and the sums of a draw (`draw_sums`).
#import <consts>
#import "state/shared/now.wgsl"
#import "lib/panel.wgsl"
#import "lib/group_sum.wgsl"

@group(0) @binding(1) var<storage, read_write> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(2) var<storage, read> terms: array<vec2<f32>>; // terms[C,R], (ln p, whether the likeliest class is right)
@group(0) @binding(3) var<storage, read_write> draws: array<vec2<f32>>; // draws[slots,C], Σ of terms over all rows

// Row numbers of the tile, which a network's layers need first. Places past the last row repeat it.
@compute @workgroup_size(64)
fn indices(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j < R {
        row_index[group.y * R + j] = N + min(panel.index * R + j, HELD - 1u);
    }
}

// Sums the terms of a draw over the tile's rows, one workgroup per chain.
@compute @workgroup_size(64)
fn draw_sums(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    let rows = min(R, HELD - panel.index * R);
    var sum = vec2<f32>();
    for (var j = lane; j < rows; j += 64u) {
        sum += terms[chain * R + j];
    }
    let all = group_sum(lane, vec4<f32>(sum, 0.0, 0.0)).xy;
    if lane == 0u {
        let at = now.slot * C + chain;
        var before = vec2<f32>();
        if panel.index > 0u {
            before = draws[at];
        }
        draws[at] = before + all;
    }
}
