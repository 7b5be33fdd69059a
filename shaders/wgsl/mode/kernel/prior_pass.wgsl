// Subtracts the priors' remainders from the sums over rows, one workgroup per chain.
#import <consts>
#import "mode/shared/prior.wgsl"

@group(0) @binding(1) var<storage, read> there: array<f32>; // there[C,P], u′
@group(0) @binding(2) var<storage, read_write> sums: array<f32>; // sums[C,P+2], ∇R + c at u′, then R

var<workgroup> part: array<f32, 64>;
var<workgroup> pull: array<f32, PRIORS_AT_ONCE>;
var<workgroup> pull_rest: array<f32, PRIORS_AT_ONCE>;

@compute @workgroup_size(64)
fn prior_pass(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    let at = chain * (P + 2u);
    for (var q0 = 0u; q0 < PRIORS; q0 += PRIORS_AT_ONCE) {
        let q = q0 + lane / PRIOR_LANES;
        if q < min(PRIORS, q0 + PRIORS_AT_ONCE) {
            var sum = 0.0;
            for (var j = lane % PRIOR_LANES; j < P; j += PRIOR_LANES) {
                sum += prior_row(q, j) * there[chain * P + j];
            }
            part[lane] = sum;
        }
        workgroupBarrier();
        let count = min(PRIORS_AT_ONCE, PRIORS - q0);
        if lane < count {
            var tau = 0.0;
            for (var i = 0u; i < PRIOR_LANES; i++) {
                tau += part[lane * PRIOR_LANES + i];
            }
            let left = prior_left(q0 + lane, tau);
            pull_rest[lane] = left.x;
            pull[lane] = left.y;
        }
        workgroupBarrier();
        for (var j = lane; j < P; j += 64u) {
            var sum = 0.0;
            for (var i = 0u; i < count; i++) {
                sum += prior_row(q0 + i, j) * pull[i];
            }
            sums[at + j] -= sum;
        }
        if lane == 0u {
            var sum = 0.0;
            for (var i = 0u; i < count; i++) {
                sum += pull_rest[i];
            }
            sums[at + P] -= sum;
        }
        workgroupBarrier();
    }
}
