// Leverages straight from memory, for software drivers: as leverage.wgsl, in the same order.
#import <consts>
#import "stage/features.wgsl"
#import "stage/outputs.wgsl"
#import "stage/lever_aux.wgsl"

const TR = 8u * LEVER_R;
const TA = 8u * LEVER_A;
var<workgroup> parts: array<f32, 64u * LEVER_R>;

@compute @workgroup_size(64)
fn leverage(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let r0 = group.x * TR;
    let split = group.z / HH;
    let pair = pair_of(group.z % HH);
    let out = split * C * R * HH + group.z % HH;
    let base = chain * P * P + output_offset(pair.x) * P + output_offset(pair.y);
    if pair.x >= K {
        aux_levers(chain, r0, TR, lane, pair, split, out);
        return;
    }
    let half = pair.x == pair.y;
    let ti = (lane / 8u) * LEVER_R;
    let tj = (lane % 8u) * LEVER_A;
    var at: array<u32, LEVER_R>;
    for (var r = 0u; r < LEVER_R; r++) {
        at[r] = row_index[chain * R + min(r0 + ti + r, R - 1u)] * D;
    }
    var h: array<f32, LEVER_R>;
    for (var a0 = split * TA; a0 < D; a0 += LEVER_SPLITS * TA) {
        var sum: array<f32, LEVER_R * LEVER_A>;
        let last = select(D, min(D, a0 + TA), half);
        for (var b = 0u; b < last; b++) {
            let twice = select(1.0, 2.0, H > 1u && half && b < a0);
            var u: array<f32, LEVER_R>;
            var v: array<f32, LEVER_A>;
            for (var m = 0u; m < LEVER_R; m++) {
                u[m] = feature(at[m] + b);
            }
            for (var m = 0u; m < LEVER_A; m++) {
                let a = a0 + tj + m;
                let g = matrix[base + min(a, D - 1u) * P + b];
                v[m] = select(0.0, twice * g, a < D && (H > 1u || b <= a));
            }
            for (var r = 0u; r < LEVER_R; r++) {
                for (var q = 0u; q < LEVER_A; q++) {
                    sum[r * LEVER_A + q] += u[r] * v[q];
                }
            }
        }
        for (var r = 0u; r < LEVER_R; r++) {
            for (var q = 0u; q < LEVER_A; q++) {
                let y = sum[r * LEVER_A + q];
                if H == 1u {
                    h[r] += y * y;
                } else if a0 + tj + q < D {
                    h[r] += y * feature(at[r] + a0 + tj + q);
                }
            }
        }
    }
    for (var r = 0u; r < LEVER_R; r++) {
        parts[(ti + r) * 8u + lane % 8u] = h[r];
    }
    workgroupBarrier();
    for (var q = lane; q < TR; q += 64u) {
        if r0 + q < R {
            var sum = 0.0;
            for (var m = 0u; m < 8u; m++) {
                sum += parts[q * 8u + m];
            }
            lever[out + (chain * R + r0 + q) * HH] = sum;
        }
    }
}
