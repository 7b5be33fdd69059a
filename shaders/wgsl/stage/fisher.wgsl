// Σ JᵀWJ over the rows of a pass, lower tiles of 8·TILE_M squared: 8×8 threads, TILE_M×TILE_M outputs each. Rows go
// through shared memory, weighted on the way in. W is `weight`, or s sᵀ where FROM_SCORE.
#import "stage/features.wgsl"
#import "stage/outputs.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // weight[C,R,HH] packed lower, or scores[C,R,H]
@group(0) @binding(4) var<storage, read> tiles: array<vec4<u32>>; // tiles[tiles], (k, l, first row, first column) in the block of outputs k >= l
@group(0) @binding(5) var<storage, read> added: array<f32>; // added[P,P], Λ + N·damping·I
@group(0) @binding(6) var<storage, read_write> matrix: array<f32>; // matrix[S,C,P,P], lower, row-major

const T = 8u * TILE_M;
const CHUNK = 16u;
const ROWS_A_SPLIT = (R + SPLITS - 1u) / SPLITS;

var<workgroup> left: array<f32, CHUNK * T>;
var<workgroup> right: array<f32, CHUNK * T>;

fn weight_of(at: u32, k: u32, l: u32) -> f32 {
    if FROM_SCORE == 1u {
        return weight[at * H + k] * weight[at * H + l];
    }
    return weight[at * HH + k * (k + 1u) / 2u + l];
}

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
    let mirrored = tile.x == tile.y && tile.z == tile.w;
    // On the diagonal only the 36 lower threads work.
    var ti = lane / 8u;
    var tj = lane % 8u;
    var works = true;
    if mirrored {
        works = lane < 36u;
        ti = 0u;
        var left_over = min(lane, 35u);
        while left_over > ti {
            left_over -= ti + 1u;
            ti += 1u;
        }
        tj = left_over;
    }
    works = works && tile.z + ti * TILE_M < output_width(tile.x) && tile.w + tj * TILE_M < output_width(tile.y);
    var sum: array<f32, TILE_M * TILE_M>;
    for (var j0 = first; j0 < last; j0 += CHUNK) {
        for (var part = 0u; part < CHUNK / 8u; part++) {
            let row = part * 8u + lane / 8u;
            let j = j0 + row;
            let inside = j < last;
            let at = chain * R + min(j, R - 1u);
            let base = row_index[at] * D;
            let w = select(0.0, weight_of(at, tile.x, tile.y), inside);
            for (var m = 0u; m < TILE_M; m++) {
                let column = lane % 8u + 8u * m;
                let a = design(tile.x, base, tile.z + column);
                left[row * T + column] = w * a;
                if mirrored {
                    right[row * T + column] = a;
                } else {
                    right[row * T + column] = design(tile.y, base, tile.w + column);
                }
            }
        }
        workgroupBarrier();
        if works {
            for (var row = 0u; row < CHUNK; row++) {
                var a: array<f32, TILE_M>;
                var b: array<f32, TILE_M>;
                for (var m = 0u; m < TILE_M; m++) {
                    a[m] = left[row * T + ti * TILE_M + m];
                    b[m] = right[row * T + tj * TILE_M + m];
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
    if works {
        let out = (group.z * C + chain) * P * P;
        for (var r = 0u; r < TILE_M; r++) {
            for (var c = 0u; c < TILE_M; c++) {
                let i = tile.z + ti * TILE_M + r;
                let j = tile.w + tj * TILE_M + c;
                let p = output_offset(tile.x) + i;
                let q = output_offset(tile.y) + j;
                if i < output_width(tile.x) && j < output_width(tile.y) && q <= p {
                    let at = p * P + q;
                    if WITH_LAMBDA == 1u {
                        matrix[out + at] = SHARE * sum[r * TILE_M + c] + added[at];
                    } else {
                        matrix[out + at] = sum[r * TILE_M + c];
                    }
                }
            }
        }
    }
}
