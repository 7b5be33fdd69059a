// Σ rᵢxᵢ of a chunk of rows for every chain and linear output, in partial sums of SPLIT_ROWS rows each. Tiles are vectors
// × columns, with QM × JM results per thread.
#import <consts>
#import "mode/shared/chunk.wgsl"
#import "lib/features.wgsl"

@group(0) @binding(2) var<storage, read> delta: array<f32>; // delta[C·K,CHUNK], r
@group(0) @binding(3) var<storage, read_write> parts: array<f32>; // parts[CHUNK/SPLIT_ROWS,C·K,COLS]

const TILE_J: u32 = JT * JM;
const TILE_Q: u32 = QT * QM;
const GROUP: u32 = JT * QT;

var<workgroup> xs: array<f32, DEPTH * TILE_J>;
var<workgroup> rs: array<f32, DEPTH * (TILE_Q + 1u)>;

@compute @workgroup_size(GROUP)
fn transpose_product(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = chunk_rows();
    let column0 = (group.x % COLUMN_TILES) * TILE_J;
    let q0 = (group.x / COLUMN_TILES) * TILE_Q;
    let split = group.y;
    let first = chunk.x + split * SPLIT_ROWS;
    let end = min(first + SPLIT_ROWS, chunk.y);
    let jt = lane % JT;
    let q = lane / JT;
    var sums: array<f32, QM * JM>;
    for (var i = 0u; i < QM * JM; i++) {
        sums[i] = 0.0;
    }
    for (var row0 = first; row0 < end; row0 += DEPTH) {
        for (var e = lane; e < DEPTH * TILE_J; e += GROUP) {
            let j = column0 + e % TILE_J;
            let row = row0 + e / TILE_J;
            var value = 0.0;
            if j < COLS && row < end {
                value = feature(row * COLS + j);
            }
            xs[e] = value;
        }
        for (var e = lane; e < DEPTH * TILE_Q; e += GROUP) {
            let row = row0 + e % DEPTH;
            let at = q0 + e / DEPTH;
            var value = 0.0;
            if at < C * K && row < end {
                value = delta[at * CHUNK + row - chunk.x];
            }
            rs[(e % DEPTH) * (TILE_Q + 1u) + e / DEPTH] = value;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            for (var m = 0u; m < QM; m++) {
                let r = rs[d * (TILE_Q + 1u) + q + m * QT];
                for (var i = 0u; i < JM; i++) {
                    sums[m * JM + i] += r * xs[d * TILE_J + jt + i * JT];
                }
            }
        }
        workgroupBarrier();
    }
    for (var m = 0u; m < QM; m++) {
        let at = q0 + q + m * QT;
        for (var i = 0u; i < JM; i++) {
            let j = column0 + jt + i * JT;
            if at < C * K && j < COLS {
                parts[(split * C * K + at) * COLS + j] = sums[m * JM + i];
            }
        }
    }
}
