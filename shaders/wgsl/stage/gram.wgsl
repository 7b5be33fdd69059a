// A Gram matrix over the rows of a pass, lower tiles of 8·TILE_M squared: 8×8 threads, TILE_M×TILE_M outputs each. Rows go
// through shared memory, weighted on the way in. The importing root says what a row is: row_base, weight_of, design.
#import <consts>
#import "stage/outputs.wgsl"
#import "stage/place.wgsl"

@group(0) @binding(4) var<storage, read> tiles: array<vec4<u32>>; // tiles[tiles], (k, l, first row, first column) in the block of outputs k >= l
@group(0) @binding(5) var<storage, read> added: array<f32>; // added[P,P], Λ + N·damping·I
@group(0) @binding(6) var<storage, read_write> matrix: array<f32>; // matrix[S,C,P,P], lower, row-major

const T = 8u * TILE_M;
const ROWS_A_SPLIT = (R + SPLITS - 1u) / SPLITS;

fn mirrored(tile: vec4<u32>) -> bool {
    return tile.x == tile.y && tile.z == tile.w;
}

// A thread's corner of the tile, and whether it has one: on the diagonal only the 36 lower threads work.
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

fn write_corner(tile: vec4<u32>, corner: vec3<u32>, out: u32, sum: array<f32, TILE_M * TILE_M>) {
    var s = sum;
    let p0 = output_offset(tile.x);
    let q0 = output_offset(tile.y);
    for (var r = 0u; r < TILE_M; r++) {
        for (var c = 0u; c < TILE_M; c++) {
            let i = tile.z + corner.x + r;
            let j = tile.w + corner.y + c;
            if i < output_width(tile.x) && j < output_width(tile.y) && q0 + j <= p0 + i && same_block(p0 + i, q0 + j) {
                let at = (p0 + i) * P + q0 + j;
                if WITH_LAMBDA == 1u {
                    matrix[out + at] = SHARE * s[r * TILE_M + c] + added[at];
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
        write_corner(tile, corner, (group.z * C + chain) * P * P, sum);
    }
}
