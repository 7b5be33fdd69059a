// Shared parts of both leverage kernels: buffers, pairs of outputs, and pairs with an auxiliary output, which has no
// design columns.
#import <consts>
@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> matrix: array<f32>; // matrix[C,P,P], L⁻¹ where H = 1, else M⁻¹
@group(0) @binding(4) var<storage, read_write> lever: array<f32>; // lever[LEVER_SPLITS,C,R,HH], packed lower; a split takes every LEVER_SPLITS-th tile of columns

// The pair of outputs (k, l), k >= l, with this packed number.
fn pair_of(number: u32) -> vec2<u32> {
    var k = 0u;
    var l = number;
    while l > k {
        l -= k + 1u;
        k += 1u;
    }
    return vec2<u32>(k, l);
}

fn aux_levers(chain: u32, r0: u32, count: u32, lane: u32, pair: vec2<u32>, split: u32, out: u32) {
    let base = chain * P * P + output_offset(pair.x) * P + output_offset(pair.y);
    for (var q = lane; q < count; q += 64u) {
        let at = chain * R + r0 + q;
        if r0 + q < R {
            var sum = 0.0;
            if pair.y >= K {
                sum = matrix[base];
            } else {
                let row = row_index[at] * D;
                for (var d = 0u; d < D; d++) {
                    sum += feature(row + d) * matrix[base + d];
                }
            }
            lever[out + at * HH] = select(0.0, sum, split == 0u);
        }
    }
}
