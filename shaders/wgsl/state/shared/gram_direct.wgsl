// Shared parts of the kernels of a Gram matrix over the rows of a pass on software drivers: one TILE_M×TILE_M block per
// thread, straight from memory, since shared memory costs more than it saves there. The order of sums is that of gram.wgsl.
#import <consts>
#import "state/shared/outputs.wgsl"
#import "state/shared/square.wgsl"
#import "state/shared/tiles.wgsl"

@group(0) @binding(5) var<storage, read> added: array<f32>; // added[SQUARES], Λ + N·damping·I
@group(0) @binding(6) var<storage, read_write> matrix: array<f32>; // matrix[S,C,SQUARES], lower, row-major

const ROWS_A_SPLIT = (R + SPLITS - 1u) / SPLITS;

// Writes a thread's block to the square of a chain and split.
fn write_block(tile: vec4<u32>, sq: u32, split: u32, block: array<f32, TILE_M * TILE_M>) {
    var sum = block;
    let first = parameter_at(sq);
    let p0 = output_offset(tile.x) + tile.z - first;
    let q0 = output_offset(tile.y) + tile.w - first;
    let out = split * C * SQUARES + square_at(sq);
    for (var r = 0u; r < TILE_M; r++) {
        for (var c = 0u; c < TILE_M; c++) {
            let inside = tile.z + r < output_width(tile.x) && tile.w + c < output_width(tile.y);
            if inside && p0 + r < ORDER && q0 + c <= p0 + r {
                let at = (p0 + r) * ORDER + q0 + c;
                if WITH_LAMBDA == 1u {
                    matrix[out + at] = SHARE * sum[r * TILE_M + c] + added[square_at(sq % COUNT) + at];
                } else {
                    matrix[out + at] = sum[r * TILE_M + c];
                }
            }
        }
    }
}
