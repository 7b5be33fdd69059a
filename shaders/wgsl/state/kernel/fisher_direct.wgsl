// Σ JᵀWJ over the rows of a pass of a linear predictor, on software drivers. W is `weight`, or s sᵀ where FROM_SCORE.
#import <consts>
#import "lib/features.wgsl"
#import "state/shared/gram_direct.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // weight[C,R,HH] packed lower, or scores[C,R,H]

fn weight_of(at: u32, k: u32, l: u32) -> f32 {
    // A separate case, so that drivers know that a single output's weight is the same for all lanes.
    if H == 1u {
        let v = weight[at];
        return select(v, v * v, FROM_SCORE == 1u);
    }
    if FROM_SCORE == 1u {
        return weight[at * H + k] * weight[at * H + l];
    }
    return weight[at * HH + k * (k + 1u) / 2u + l];
}

// Columns past the last read the last one, and their results are never written.
fn design(k: u32, base: u32, d: u32) -> f32 {
    if K < H && k >= K {
        return 1.0;
    }
    if D % TILE_M == 0u {
        return feature(base + d);
    }
    return feature(base + min(d, D - 1u));
}

@compute @workgroup_size(64)
fn fisher_tiles(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Chain and split come from the group, so that drivers know that they are the same for all lanes.
    let number = group.x * 64u + lane;
    if number >= TILES {
        return;
    }
    let sq = group.y;
    let chain = sq / COUNT;
    let tile = tile_of(number, sq);
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    var sum: array<f32, TILE_M * TILE_M>;
    for (var j = first; j < last; j++) {
        let at = chain * R + j;
        let base = row_index[at] * D;
        let w = weight_of(at, tile.x, tile.y);
        var a: array<f32, TILE_M>;
        var b: array<f32, TILE_M>;
        for (var m = 0u; m < TILE_M; m++) {
            a[m] = w * design(tile.x, base, tile.z + m);
            b[m] = design(tile.y, base, tile.w + m);
        }
        for (var r = 0u; r < TILE_M; r++) {
            for (var c = 0u; c < TILE_M; c++) {
                sum[r * TILE_M + c] += a[r] * b[c];
            }
        }
    }
    write_block(tile, sq, group.z, sum);
}
