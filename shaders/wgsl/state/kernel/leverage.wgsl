// h_kl = J_k M⁻¹ J_lᵀ of every row and pair of outputs, with 8×8 threads of LEVER_R rows by LEVER_A columns each. With one
// output it is ‖L⁻¹x‖² from the lower triangle of L⁻¹. With more it is xᵀ(M⁻¹)_kl x; diagonal blocks need their lower half
// only.
#import <consts>
#import "lib/features.wgsl"
#import "state/shared/outputs.wgsl"
#import "state/shared/lever_aux.wgsl"

const TR = 8u * LEVER_R;
const TA = 8u * LEVER_A;
const CHUNK = 8u;
var<workgroup> rows: array<f32, CHUNK * TR>;
var<workgroup> columns: array<f32, CHUNK * TA>;
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
    var h: array<f32, LEVER_R>;
    for (var a0 = split * TA; a0 < D; a0 += LEVER_SPLITS * TA) {
        var sum: array<f32, LEVER_R * LEVER_A>;
        let last = select(D, min(D, a0 + TA), half);
        for (var b0 = 0u; b0 < last; b0 += CHUNK) {
            // Left of the diagonal tile the lower half of M⁻¹ counts twice.
            let twice = select(1.0, 2.0, H > 1u && half && b0 < a0);
            let b = b0 + lane % 8u;
            for (var q = lane / 8u; q < TR; q += 8u) {
                let j = r0 + q;
                let row = row_index[chain * R + min(j, R - 1u)] * D;
                rows[(lane % 8u) * TR + q] = select(0.0, feature(row + min(b, D - 1u)), j < R && b < D);
            }
            for (var q = lane / 8u; q < TA; q += 8u) {
                let a = a0 + q;
                let inside = a < D && b < last && (H > 1u || b <= a);
                columns[(lane % 8u) * TA + q] = select(0.0, twice * matrix[base + min(a, D - 1u) * P + min(b, D - 1u)], inside);
            }
            workgroupBarrier();
            for (var c = 0u; c < CHUNK; c++) {
                var u: array<f32, LEVER_R>;
                var v: array<f32, LEVER_A>;
                for (var m = 0u; m < LEVER_R; m++) {
                    u[m] = rows[c * TR + ti + m];
                }
                for (var m = 0u; m < LEVER_A; m++) {
                    v[m] = columns[c * TA + tj + m];
                }
                for (var r = 0u; r < LEVER_R; r++) {
                    for (var q = 0u; q < LEVER_A; q++) {
                        sum[r * LEVER_A + q] += u[r] * v[q];
                    }
                }
            }
            workgroupBarrier();
        }
        for (var r = 0u; r < LEVER_R; r++) {
            let row = row_index[chain * R + min(r0 + ti + r, R - 1u)] * D;
            for (var q = 0u; q < LEVER_A; q++) {
                let y = sum[r * LEVER_A + q];
                if H == 1u {
                    h[r] += y * y;
                } else if a0 + tj + q < D {
                    h[r] += y * feature(row + a0 + tj + q);
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
