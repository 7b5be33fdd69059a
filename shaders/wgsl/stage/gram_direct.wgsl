// A Gram matrix over the rows of a pass, one TILE_M×TILE_M block a thread, straight from memory: for software drivers,
// where shared memory costs more than it saves. The order of sums is gram.wgsl's; the importing root says what a row is.
#import <consts>
#import "stage/outputs.wgsl"
#import "stage/place.wgsl"

@group(0) @binding(4) var<storage, read> tiles: array<vec4<u32>>; // tiles[TILES], (k, l, first row, first column) in the block of outputs k >= l
@group(0) @binding(5) var<storage, read> added: array<f32>; // added[P,P], Λ + N·damping·I
@group(0) @binding(6) var<storage, read_write> matrix: array<f32>; // matrix[S,C,P,P], lower, row-major

const ROWS_A_SPLIT = (R + SPLITS - 1u) / SPLITS;

@compute @workgroup_size(64)
fn fisher_tiles(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    // Chain and split from the group: drivers know those to be the same for all lanes.
    let number = group.x * 64u + lane;
    if number >= TILES {
        return;
    }
    let tile = tiles[number];
    let chain = group.y;
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    var sum: array<f32, TILE_M * TILE_M>;
    for (var j = first; j < last; j++) {
        let at = chain * R + j;
        let base = row_base(at);
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
    let out = (group.z * C + chain) * P * P;
    let p0 = output_offset(tile.x);
    let q0 = output_offset(tile.y);
    for (var r = 0u; r < TILE_M; r++) {
        for (var c = 0u; c < TILE_M; c++) {
            let i = tile.z + r;
            let j = tile.w + c;
            if i < output_width(tile.x) && j < output_width(tile.y) && q0 + j <= p0 + i && same_block(p0 + i, q0 + j) {
                let at = (p0 + i) * P + q0 + j;
                if WITH_LAMBDA == 1u {
                    matrix[out + at] = SHARE * sum[r * TILE_M + c] + added[at];
                } else {
                    matrix[out + at] = sum[r * TILE_M + c];
                }
            }
        }
    }
}
