// Δη of a chunk of rows for every chain and linear output, in tiles of rows × vectors, with RM × QM results per thread.
#import <consts>
#import "mode/shared/chunk.wgsl"
#import "lib/features.wgsl"

@group(0) @binding(2) var<storage, read> vectors: array<f32>; // vectors[C,P]
@group(0) @binding(3) var<storage, read_write> delta: array<f32>; // delta[C·K,CHUNK]

const TILE_R: u32 = RT * RM;
const TILE_Q: u32 = QT * QM;
const GROUP: u32 = RT * QT;

// Strides are odd, so that neighbouring threads use different memory banks.
var<workgroup> xs: array<f32, DEPTH * (TILE_R + 1u)>;
var<workgroup> vs: array<f32, DEPTH * (TILE_Q + 1u)>;

@compute @workgroup_size(GROUP)
fn predictor(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chunk = chunk_rows();
    let row0 = chunk.x + group.x * TILE_R;
    let q0 = group.y * TILE_Q;
    let r = lane % RT;
    let q = lane / RT;
    var sums: array<f32, RM * QM>;
    for (var i = 0u; i < RM * QM; i++) {
        sums[i] = 0.0;
    }
    for (var j0 = 0u; j0 < COLS; j0 += DEPTH) {
        for (var e = lane; e < DEPTH * TILE_R; e += GROUP) {
            let j = j0 + e % DEPTH;
            let row = row0 + e / DEPTH;
            var value = 0.0;
            if j < COLS && row < chunk.y {
                value = feature(row * COLS + j);
            }
            xs[(e % DEPTH) * (TILE_R + 1u) + e / DEPTH] = value;
        }
        for (var e = lane; e < DEPTH * TILE_Q; e += GROUP) {
            let j = j0 + e % DEPTH;
            let at = q0 + e / DEPTH;
            var value = 0.0;
            if j < COLS && at < C * K {
                value = vectors[(at / K) * P + (at % K) * COLS + j];
            }
            vs[(e % DEPTH) * (TILE_Q + 1u) + e / DEPTH] = value;
        }
        workgroupBarrier();
        for (var d = 0u; d < DEPTH; d++) {
            for (var m = 0u; m < QM; m++) {
                let v = vs[d * (TILE_Q + 1u) + q + m * QT];
                for (var i = 0u; i < RM; i++) {
                    sums[m * RM + i] += xs[d * (TILE_R + 1u) + r + i * RT] * v;
                }
            }
        }
        workgroupBarrier();
    }
    for (var m = 0u; m < QM; m++) {
        let at = q0 + q + m * QT;
        for (var i = 0u; i < RM; i++) {
            let row = row0 + r + i * RT;
            if at < C * K && row < chunk.y {
                delta[at * CHUNK + row - chunk.x] = sums[m * RM + i];
            }
        }
    }
}
