// Adds the partial sums of a chunk to those of earlier chunks. The order is that of the rows, for any size of chunk.
#import <consts>
#import "mode/shared/chunk.wgsl"

@group(0) @binding(1) var<storage, read> parts: array<f32>; // parts[CHUNK/SPLIT_ROWS,C·K,COLS]
@group(0) @binding(2) var<storage, read> tile_sums: array<vec2<f32>>; // tile_sums[C,CHUNK/64]
@group(0) @binding(3) var<storage, read_write> sums: array<f32>; // sums[C,P+2]: the gradient without the auxiliary output, Σρ, Σr of the auxiliary output

@compute @workgroup_size(64)
fn fold(@builtin(global_invocation_id) id: vec3<u32>) {
    let chunk = chunk_rows();
    let chain = id.y;
    if id.x >= P + 2u || chain >= C {
        return;
    }
    let at = chain * (P + 2u) + id.x;
    var sum = 0.0;
    if panel.index > 0u {
        sum = sums[at];
    }
    if id.x < K * COLS {
        let count = (chunk.y - chunk.x + SPLIT_ROWS - 1u) / SPLIT_ROWS;
        for (var s = 0u; s < count; s++) {
            sum += parts[(s * C + chain) * K * COLS + id.x];
        }
    }
    if id.x >= P {
        let count = (chunk.y - chunk.x + 63u) / 64u;
        for (var s = 0u; s < count; s++) {
            let both = tile_sums[chain * (CHUNK / 64u) + s];
            sum += select(both.y, both.x, id.x == P);
        }
    }
    sums[at] = sum;
}
