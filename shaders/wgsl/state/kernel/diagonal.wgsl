// Σ W_kk x_d² and Σ (∂W_kk/∂η_k) x_d³ over the rows of a pass: the diagonal metric and the derivative of each entry in
// its parameter. A workgroup has sixteen parameters, with four threads per parameter.
#import <consts>
#import "lib/features.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // weight[C,R,2H]: W_kk, then ∂W_kk/∂η_k
@group(0) @binding(4) var<storage, read_write> diagonal_sum: array<vec2<f32>>; // diagonal_sum[S,C,P]

const ROWS_A_SPLIT = (R + GRAD_SPLITS - 1u) / GRAD_SPLITS;
var<workgroup> parts: array<vec2<f32>, 64>;

@compute @workgroup_size(64)
fn diagonal(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let p = group.x * 16u + lane % 16u;
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    var sum = vec2<f32>();
    if p < P {
        let linear = p < K * D;
        let k = select(K + p - K * D, p / D, linear);
        for (var j = first + lane / 16u; j < last; j += 4u) {
            let at = chain * R + j;
            let w = vec2<f32>(weight[at * 2u * H + k], weight[at * 2u * H + H + k]);
            var v = 1.0;
            if linear {
                v = feature(row_index[at] * D + p % D);
            }
            sum += w * vec2<f32>(v * v, v * v * v);
        }
    }
    parts[lane] = sum;
    workgroupBarrier();
    if lane < 16u && p < P {
        diagonal_sum[(group.z * C + chain) * P + p] = (parts[lane] + parts[lane + 16u]) + (parts[lane + 32u] + parts[lane + 48u]);
    }
}
