// Seeds over the outputs, where backward passes start: the score (FROM_SCORE), or the rows of U with W = UᵀU. U comes from
// a Cholesky factorisation that skips pivots that are only rounding, since W may be singular (a softmax's is). A thread has
// one row of the pass.
#import <consts>

@group(0) @binding(1) var<storage, read> weight: array<f32>; // weight[C,R,HH] packed lower, or scores[C,R,H]
@group(0) @binding(2) var<storage, read_write> delta: array<f32>; // delta[C,R·SEEDS,UNITS], the last H of a seed's are the seed

fn packed_at(k: u32, l: u32) -> u32 {
    return k * (k + 1u) / 2u + l;
}

@compute @workgroup_size(64)
fn seeds(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j >= R {
        return;
    }
    let at = group.y * R + j;
    if FROM_SCORE == 1u {
        for (var a = 0u; a < H; a++) {
            delta[at * UNITS + UNITS - H + a] = weight[at * H + a];
        }
        return;
    }
    // U is written straight to memory, with column j of L as seed j, and is read back from there.
    let out = at * H * UNITS + UNITS - H;
    for (var c = 0u; c < H; c++) {
        let own = weight[at * HH + packed_at(c, c)];
        var pivot = own;
        for (var q = 0u; q < c; q++) {
            let v = delta[out + q * UNITS + c];
            pivot -= v * v;
        }
        let alive = pivot > 4.7683716e-7 * f32(H) * own;
        let scale = inverseSqrt(select(1.0, pivot, alive));
        for (var i = 0u; i < H; i++) {
            var v = 0.0;
            if alive && i >= c {
                v = weight[at * HH + packed_at(i, c)];
                for (var q = 0u; q < c; q++) {
                    v -= delta[out + q * UNITS + i] * delta[out + q * UNITS + c];
                }
            }
            delta[out + c * UNITS + i] = v * scale;
        }
    }
}
