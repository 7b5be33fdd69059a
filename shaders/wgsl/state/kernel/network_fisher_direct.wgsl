// The Gram matrix of a network's rows Jᵀseed (network_fisher.wgsl) on software drivers: one TILE_M×TILE_M block per thread.
// What a column reads is looked up before the loop over rows, so that the loop has loads and no branch.
#import <consts>
#import "state/shared/inputs.wgsl"
#import "state/shared/place.wgsl"
#import "state/shared/gram_direct.wgsl"

@group(0) @binding(3) var<storage, read> delta: array<f32>; // delta[C,R,UNITS], R = ROWS·SEEDS

struct Column {
    unit: u32,
    x: u32,      // feature, 0 where the column does not read one
    hidden: u32, // hidden unit, 0 where the column does not read one
    kind: u32,   // 0 a feature, 1 a hidden unit, 2 a bias's 1
}

// Columns past the last read the last one, and their results are never written.
fn column_of(p: u32) -> Column {
    let here = place[min(p, P - 1u)];
    if here.y < COLUMNS {
        return Column(here.x, here.y, 0u, 0u);
    }
    if here.y == ONE {
        return Column(here.x, 0u, 0u, 2u);
    }
    return Column(here.x, 0u, here.y - COLUMNS, 1u);
}

// A column's entry in a row; `base` is where the row starts in δ, activations and features.
fn entry(base: vec3<u32>, column: Column) -> f32 {
    let own = select(acts[base.y + column.hidden], feature(base.z + column.x), column.kind == 0u);
    return delta[base.x + column.unit] * select(own, 1.0, column.kind == 2u);
}

@compute @workgroup_size(64)
fn fisher_tiles(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let number = group.x * 64u + lane;
    if number >= TILES {
        return;
    }
    let sq = group.y;
    let chain = sq / COUNT;
    let tile = tile_of(number, sq);
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    var left: array<Column, TILE_M>;
    var right: array<Column, TILE_M>;
    for (var m = 0u; m < TILE_M; m++) {
        left[m] = column_of(tile.z + m);
        right[m] = column_of(tile.w + m);
    }
    var sum: array<f32, TILE_M * TILE_M>;
    for (var j = first; j < last; j++) {
        let seed = chain * R + j;
        let row = seed / SEEDS;
        let base = vec3<u32>(seed * UNITS, row * 2u * HIDDEN, row_index[row] * COLUMNS);
        var a: array<f32, TILE_M>;
        var b: array<f32, TILE_M>;
        for (var m = 0u; m < TILE_M; m++) {
            a[m] = entry(base, left[m]);
            b[m] = entry(base, right[m]);
        }
        for (var r = 0u; r < TILE_M; r++) {
            for (var c = 0u; c < TILE_M; c++) {
                sum[r * TILE_M + c] += a[r] * b[c];
            }
        }
    }
    write_block(tile, sq, group.z, sum);
}
