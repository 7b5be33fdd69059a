// Leverages for software drivers, computed as in leverage.wgsl but straight from memory: LEVER_R rows per thread, columns
// of the matrix in blocks of LEVER_A.
#import <consts>
#import "lib/features.wgsl"
#import "state/shared/outputs.wgsl"
#import "state/shared/lever_aux.wgsl"

const TEAMS = (R + LEVER_R - 1u) / LEVER_R;

@compute @workgroup_size(64)
fn leverage(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let number = group.x * 64u + lane;
    if number >= TEAMS {
        return;
    }
    let chain = group.y;
    let r0 = number * LEVER_R;
    let split = group.z / HH;
    let pair = pair_of(group.z % HH);
    let out = split * C * R * HH + group.z % HH;
    let base = chain * P * P + output_offset(pair.x) * P + output_offset(pair.y);
    if pair.x >= K {
        for (var r = 0u; r < LEVER_R; r++) {
            aux_levers(chain, r0 + r, 1u, 0u, pair, split, out);
        }
        return;
    }
    let half = pair.x == pair.y;
    var at: array<u32, LEVER_R>;
    for (var r = 0u; r < LEVER_R; r++) {
        at[r] = row_index[chain * R + min(r0 + r, R - 1u)] * D;
    }
    var h: array<f32, LEVER_R>;
    for (var a0 = split * LEVER_A; a0 < D; a0 += LEVER_SPLITS * LEVER_A) {
        var sum: array<f32, LEVER_R * LEVER_A>;
        let last = select(D, min(D, a0 + LEVER_A), half);
        for (var b = 0u; b < last; b++) {
            let twice = select(1.0, 2.0, H > 1u && half && b < a0);
            var u: array<f32, LEVER_R>;
            var v: array<f32, LEVER_A>;
            for (var m = 0u; m < LEVER_R; m++) {
                u[m] = feature(at[m] + b);
            }
            for (var m = 0u; m < LEVER_A; m++) {
                let a = a0 + m;
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
                } else if a0 + q < D {
                    h[r] += y * feature(at[r] + a0 + q);
                }
            }
        }
    }
    for (var r = 0u; r < LEVER_R; r++) {
        if r0 + r < R {
            lever[out + (chain * R + r0 + r) * HH] = h[r];
        }
    }
}
