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
    var s0a = vec4<f32>();
    var s0b = vec4<f32>();
    var s1a = vec4<f32>();
    var s1b = vec4<f32>();
    var s2a = vec4<f32>();
    var s2b = vec4<f32>();
    var s3a = vec4<f32>();
    var s3b = vec4<f32>();
    var s4a = vec4<f32>();
    var s4b = vec4<f32>();
    var s5a = vec4<f32>();
    var s5b = vec4<f32>();
    var s6a = vec4<f32>();
    var s6b = vec4<f32>();
    var s7a = vec4<f32>();
    var s7b = vec4<f32>();
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
                let p = row * T + ti * TILE_M;
                let q = row * T + tj * TILE_M;
                let b0 = vec4<f32>(right[q], right[q + 1u], right[q + 2u], right[q + 3u]);
                let b1 = vec4<f32>(right[q + 4u], right[q + 5u], right[q + 6u], right[q + 7u]);
                let a0 = left[p + 0u];
                s0a += a0 * b0;
                s0b += a0 * b1;
                let a1 = left[p + 1u];
                s1a += a1 * b0;
                s1b += a1 * b1;
                let a2 = left[p + 2u];
                s2a += a2 * b0;
                s2b += a2 * b1;
                let a3 = left[p + 3u];
                s3a += a3 * b0;
                s3b += a3 * b1;
                let a4 = left[p + 4u];
                s4a += a4 * b0;
                s4b += a4 * b1;
                let a5 = left[p + 5u];
                s5a += a5 * b0;
                s5b += a5 * b1;
                let a6 = left[p + 6u];
                s6a += a6 * b0;
                s6b += a6 * b1;
                let a7 = left[p + 7u];
                s7a += a7 * b0;
                s7b += a7 * b1;
            }
        }
        workgroupBarrier();
    }
    if works {
        let out = (group.z * C + chain) * P * P;
        var rows8 = array<vec4<f32>, 16>(s0a, s0b, s1a, s1b, s2a, s2b, s3a, s3b, s4a, s4b, s5a, s5b, s6a, s6b, s7a, s7b);
        for (var r = 0u; r < 8u; r++) {
            for (var c = 0u; c < 8u; c++) {
                let i = tile.z + ti * TILE_M + r;
                let j = tile.w + tj * TILE_M + c;
                let p = output_offset(tile.x) + i;
                let q = output_offset(tile.y) + j;
                if i < output_width(tile.x) && j < output_width(tile.y) && q <= p {
                    let at = p * P + q;
                    let v = rows8[r * 2u + c / 4u][c % 4u];
                    if WITH_LAMBDA == 1u {
                        matrix[out + at] = SHARE * v + added[at];
                    } else {
                        matrix[out + at] = v;
                    }
                }
            }
        }
    }
}
