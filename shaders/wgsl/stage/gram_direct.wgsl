// What kernels of a Gram matrix over the rows of a pass share on software drivers: one TILE_M×TILE_M block a thread, straight
// from memory, since shared memory costs more than it saves there. The order of sums is gram.wgsl's.
#import <consts>
#import "stage/outputs.wgsl"
#import "stage/place.wgsl"

@group(0) @binding(4) var<storage, read> tiles: array<vec4<u32>>; // tiles[TILES], (k, l, first row, first column) in the block of outputs k >= l
@group(0) @binding(5) var<storage, read> added: array<f32>; // added[P,P], Λ + N·damping·I
@group(0) @binding(6) var<storage, read_write> matrix: array<f32>; // matrix[S,C,P,P], lower, row-major

const ROWS_A_SPLIT = (R + SPLITS - 1u) / SPLITS;

// A thread's block into matrix `out` of [S,C].
fn write_block(tile: vec4<u32>, out: u32, block: array<f32, TILE_M * TILE_M>) {
    var sum = block;
    let p0 = output_offset(tile.x);
    let q0 = output_offset(tile.y);
    for (var r = 0u; r < TILE_M; r++) {
        for (var c = 0u; c < TILE_M; c++) {
            let i = tile.z + r;
            let j = tile.w + c;
            if i < output_width(tile.x) && j < output_width(tile.y) && q0 + j <= p0 + i && same_block(p0 + i, q0 + j) {
                let at = (p0 + i) * P + q0 + j;
                if WITH_LAMBDA == 1u {
                    matrix[out * P * P + at] = SHARE * sum[r * TILE_M + c] + added[at];
                } else {
                    matrix[out * P * P + at] = sum[r * TILE_M + c];
                }
            }
        }
    }
}
