// A Gram matrix over the rows of a pass, in lower tiles of 8·TILE_M squared: 8×8 threads with TILE_M×TILE_M entries each.
// Rows are in shared memory, multiplied by their weights. The importing root defines a row: row_base, weight_of, design.
#import <consts>
#import "state/shared/outputs.wgsl"
#import "state/shared/square.wgsl"
#import "state/shared/tiles.wgsl"

@group(0) @binding(5) var<storage, read> added: array<f32>; // added[SQUARES], Λ + N·damping·I
@group(0) @binding(6) var<storage, read_write> matrix: array<f32>; // matrix[S,C,SQUARES], lower, row-major

const T = 8u * TILE_M;
const ROWS_A_SPLIT = (R + SPLITS - 1u) / SPLITS;

fn mirrored(tile: vec4<u32>) -> bool {
    return tile.x == tile.y && tile.z == tile.w;
}

// Where a thread's entries begin in the tile, and 1 if it has any: on the diagonal only the 36 lower threads work.
fn corner_of(tile: vec4<u32>, lane: u32) -> vec3<u32> {
    var ti = lane / 8u;
    var tj = lane % 8u;
    var works = true;
    if mirrored(tile) {
        works = lane < 36u;
        ti = 0u;
        tj = min(lane, 35u);
        while tj > ti {
            tj -= ti + 1u;
            ti += 1u;
        }
    }
    ti *= TILE_M;
    tj *= TILE_M;
    works = works && tile.z + ti < output_width(tile.x) && tile.w + tj < output_width(tile.y);
    return vec3<u32>(ti, tj, u32(works));
}

// Writes a thread's entries to the square of a chain and split.
fn write_corner(tile: vec4<u32>, corner: vec3<u32>, sq: u32, split: u32, sum: array<f32, TILE_M * TILE_M>) {
    var s = sum;
    let first = parameter_at(sq);
    let p0 = output_offset(tile.x) + tile.z + corner.x - first;
    let q0 = output_offset(tile.y) + tile.w + corner.y - first;
    let out = split * C * SQUARES + square_at(sq);
    for (var r = 0u; r < TILE_M; r++) {
        for (var c = 0u; c < TILE_M; c++) {
            let inside = tile.z + corner.x + r < output_width(tile.x) && tile.w + corner.y + c < output_width(tile.y);
            if inside && p0 + r < ORDER && q0 + c <= p0 + r {
                let at = (p0 + r) * ORDER + q0 + c;
                if WITH_LAMBDA == 1u {
                    matrix[out + at] = SHARE * s[r * TILE_M + c] + added[square_at(sq % COUNT) + at];
                } else {
                    matrix[out + at] = s[r * TILE_M + c];
                }
            }
        }
    }
}

const CHUNK = 16u;
var<workgroup> left: array<f32, CHUNK * T>;
var<workgroup> right: array<f32, CHUNK * T>;

@compute @workgroup_size(64)
fn fisher_tiles(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.y;
    let chain = sq / COUNT;
    let tile = tile_of(group.x, sq);
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    let corner = corner_of(tile, lane);
    var sum: array<f32, TILE_M * TILE_M>;
    for (var j0 = first; j0 < last; j0 += CHUNK) {
        for (var part = 0u; part < CHUNK / 8u; part++) {
            let row = part * 8u + lane / 8u;
            let j = j0 + row;
            let at = chain * R + min(j, R - 1u);
            let base = row_base(at);
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
        write_corner(tile, corner, sq, group.z, sum);
    }
}
