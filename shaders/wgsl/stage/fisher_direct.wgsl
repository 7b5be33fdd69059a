// Σ JᵀWJ over the rows of a pass, straight from memory: for software drivers, where shared memory costs more than it
// saves. The same sums in the same order as fisher.wgsl.
#import <consts>
#import "stage/fisher_tile.wgsl"

// Columns past the last are read at the last and never written.
fn design(k: u32, base: u32, d: u32) -> f32 {
    if k >= K {
        return 1.0;
    }
    if D % T == 0u {
        return feature(base + d);
    }
    return feature(base + min(d, D - 1u));
}

@compute @workgroup_size(64)
fn fisher_tiles(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = tiles[group.x];
    let chain = group.y;
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    let corner = corner_of(tile, lane);
    if corner.z == 0u {
        return;
    }
    var sum: array<f32, TILE_M * TILE_M>;
    for (var j = first; j < last; j++) {
        let at = chain * R + j;
        let base = row_index[at] * D;
        let w = weight_of(at, tile.x, tile.y);
        var a: array<f32, TILE_M>;
        var b: array<f32, TILE_M>;
        for (var m = 0u; m < TILE_M; m++) {
            a[m] = w * design(tile.x, base, tile.z + corner.x + m);
            b[m] = design(tile.y, base, tile.w + corner.y + m);
        }
        for (var r = 0u; r < TILE_M; r++) {
            for (var c = 0u; c < TILE_M; c++) {
                sum[r * TILE_M + c] += a[r] * b[c];
            }
        }
    }
    write_corner(tile, corner, (group.z * C + chain) * P * P, sum);
}
