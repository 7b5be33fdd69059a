// Whether f32 can resolve the determinant of a chain's volume V = N·F + Λ. A pivot of V scaled to unit diagonal, which is
// 1/(V_ii·W_ii²) for W = L⁻¹, must be well above rounding. One workgroup per chain; a doubtful pivot counts as jitter.
#import <consts>
#import "state/shared/status.wgsl"
#import "lib/finite.wgsl"

@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,P,P], V
@group(0) @binding(2) var<storage, read> linv: array<f32>; // linv[C,P,P], lower, row-major
@group(0) @binding(3) var<storage, read_write> status: array<u32>; // status[C,STATUS]

var<workgroup> doubts: array<u32, 64>;

@compute @workgroup_size(64)
fn trusted(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    var doubt = 0u;
    for (var p = lane; p < P; p += 64u) {
        let pp = (chain * P + p) * P + p;
        let w = linv[pp];
        let share = matrix[pp] * w * w * PIVOT_TRUSTED;
        doubt |= select(1u, 0u, is_finite(share) && share < 1.0);
    }
    doubts[lane] = doubt;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            doubts[lane] |= doubts[lane + half];
        }
        workgroupBarrier();
    }
    if lane == 0u && doubts[0] != 0u {
        let at = chain * STATUS + VOLUME_LEVEL;
        status[at] = max(status[at], 1u);
    }
}
