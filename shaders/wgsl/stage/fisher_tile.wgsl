// What both kernels of Σ JᵀWJ share: lower tiles of 8·TILE_M squared, 8×8 threads, TILE_M×TILE_M outputs each. W is
// `weight`, or s sᵀ where FROM_SCORE.
#import <consts>
#import "stage/features.wgsl"
#import "stage/outputs.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // weight[C,R,HH] packed lower, or scores[C,R,H]
@group(0) @binding(4) var<storage, read> tiles: array<vec4<u32>>; // tiles[tiles], (k, l, first row, first column) in the block of outputs k >= l
@group(0) @binding(5) var<storage, read> added: array<f32>; // added[P,P], Λ + N·damping·I
@group(0) @binding(6) var<storage, read_write> matrix: array<f32>; // matrix[S,C,P,P], lower, row-major

const T = 8u * TILE_M;
const ROWS_A_SPLIT = (R + SPLITS - 1u) / SPLITS;

fn weight_of(at: u32, k: u32, l: u32) -> f32 {
    if FROM_SCORE == 1u {
        return weight[at * H + k] * weight[at * H + l];
    }
    return weight[at * HH + k * (k + 1u) / 2u + l];
}

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
            if i < output_width(tile.x) && j < output_width(tile.y) && q0 + j <= p0 + i {
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
