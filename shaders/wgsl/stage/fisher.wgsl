// Σ JᵀWJ over the rows of a pass. Rows go through shared memory, weighted on the way in.
#import <consts>
#import "stage/fisher_tile.wgsl"

const CHUNK = 16u;
var<workgroup> left: array<f32, CHUNK * T>;
var<workgroup> right: array<f32, CHUNK * T>;

fn design(k: u32, base: u32, d: u32) -> f32 {
    if k >= K {
        return select(0.0, 1.0, d == 0u);
    }
    if d < D {
        return feature(base + d);
    }
    return 0.0;
}

@compute @workgroup_size(64)
fn fisher_tiles(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let tile = tiles[group.x];
    let chain = group.y;
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    let corner = corner_of(tile, lane);
    var sum: array<f32, TILE_M * TILE_M>;
    for (var j0 = first; j0 < last; j0 += CHUNK) {
        for (var part = 0u; part < CHUNK / 8u; part++) {
            let row = part * 8u + lane / 8u;
            let j = j0 + row;
            let at = chain * R + min(j, R - 1u);
            let base = row_index[at] * D;
            let w = select(0.0, weight_of(at, tile.x, tile.y), j < last);
            for (var m = 0u; m < TILE_M; m++) {
                let column = lane % 8u + 8u * m;
                let a = design(tile.x, base, tile.z + column);
                left[row * T + column] = w * a;
                if mirrored(tile) {
                    right[row * T + column] = a;
                } else {
                    right[row * T + column] = design(tile.y, base, tile.w + column);
                }
            }
        }
        workgroupBarrier();
        if corner.z == 1u {
            for (var row = 0u; row < CHUNK; row++) {
                var a: array<f32, TILE_M>;
                var b: array<f32, TILE_M>;
                for (var m = 0u; m < TILE_M; m++) {
                    a[m] = left[row * T + corner.x + m];
                    b[m] = right[row * T + corner.y + m];
                }
                for (var r = 0u; r < TILE_M; r++) {
                    for (var c = 0u; c < TILE_M; c++) {
                        sum[r * TILE_M + c] += a[r] * b[c];
                    }
                }
            }
        }
        workgroupBarrier();
    }
    if corner.z == 1u {
        write_corner(tile, corner, (group.z * C + chain) * P * P, sum);
    }
}
