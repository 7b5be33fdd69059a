// Σ Jᵀc over the rows of a pass. The threads are GRAD_D columns by 64/GRAD_D rows, with GRAD_M design columns and GRAD_K
// outputs per thread.
#import <consts>
#import "lib/features.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> coefficient: array<f32>; // coefficient[C,R,H]
@group(0) @binding(4) var<storage, read_write> partial_sum: array<f32>; // partial_sum[S,C,P]

const LANES_R = 64u / GRAD_D;
const SPAN_D = GRAD_D * GRAD_M;
const BLOCKS_D = (D + SPAN_D - 1u) / SPAN_D;
const BLOCKS_K = (K + GRAD_K - 1u) / GRAD_K;
const ROWS_A_SPLIT = (R + GRAD_SPLITS - 1u) / GRAD_SPLITS;

var<workgroup> shared_sum: array<f32, 64u * GRAD_M * GRAD_K>;

@compute @workgroup_size(64)
fn gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let split = group.z;
    let first = split * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    let out = (split * C + chain) * P;
    let aux = group.x >= BLOCKS_D * BLOCKS_K;
    let ld = lane % GRAD_D;
    let lr = lane / GRAD_D;
    let d0 = (group.x % BLOCKS_D) * SPAN_D + ld;
    let k0 = (group.x / BLOCKS_D) * GRAD_K;
    var sum: array<f32, GRAD_M * GRAD_K>;
    if aux {
        for (var j = first + lane; j < last; j += 64u) {
            sum[0] += coefficient[(chain * R + j) * H + H - 1u];
        }
    } else {
        for (var j = first + lr; j < last; j += LANES_R) {
            let at = chain * R + j;
            let base = row_index[at] * D;
            var c: array<f32, GRAD_K>;
            for (var k = 0u; k < GRAD_K; k++) {
                c[k] = coefficient[at * H + min(k0 + k, H - 1u)];
            }
            for (var m = 0u; m < GRAD_M; m++) {
                let v = feature(base + min(d0 + m * GRAD_D, D - 1u));
                for (var k = 0u; k < GRAD_K; k++) {
                    sum[m * GRAD_K + k] += v * c[k];
                }
            }
        }
    }
    for (var q = 0u; q < GRAD_M * GRAD_K; q++) {
        shared_sum[q * 64u + lane] = sum[q];
    }
    workgroupBarrier();
    if aux {
        if lane == 0u {
            var total = 0.0;
            for (var r = 0u; r < 64u; r++) {
                total += shared_sum[r];
            }
            partial_sum[out + K * D] = total;
        }
        return;
    }
    if lr == 0u {
        for (var m = 0u; m < GRAD_M; m++) {
            for (var k = 0u; k < GRAD_K; k++) {
                var total = 0.0;
                for (var r = 0u; r < LANES_R; r++) {
                    total += shared_sum[(m * GRAD_K + k) * 64u + r * GRAD_D + ld];
                }
                let d = d0 + m * GRAD_D;
                if d < D && k0 + k < K {
                    partial_sum[out + (k0 + k) * D + d] = total;
                }
            }
        }
    }
}
