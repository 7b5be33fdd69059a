// Independent noise before M⁻¹, with covariance law·Λ + ridge·I: the prior's part, which nominal noise must not deduct
// (its law covers N·F alone), and the part of the budget that belongs to damping. Residual noise uses it only where it
// falls back.
#import <consts>
#import "state/shared/now.wgsl"
#import "state/shared/status.wgsl"

@group(0) @binding(1) var<storage, read> z: array<f32>; // z[C,2P], z′ then z″
@group(0) @binding(2) var<storage, read> information: array<f32>; // information[P], Λ on the natural scale
@group(0) @binding(3) var<storage, read> affine: array<vec2<f32>>; // affine[D], (mean, σ_y/scale)
@group(0) @binding(4) var<storage, read_write> share: array<f32>; // share[C,P]
@group(0) @binding(5) var<storage, read> status: array<u32>; // status[C,STATUS]

@compute @workgroup_size(64)
fn prior_noise(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let p = group.x * 64u + lane;
    if p >= P {
        return;
    }
    if NOISE == NOISE_RESIDUAL && status[chain * STATUS + FELL_BACK] == 0u {
        return;
    }
    let at = chain * 2u * P;
    var g = 0.0;
    if NOISE == NOISE_NOMINAL {
        g = sqrt(now.minibatch * information[p]) * z[at + p];
    }
    if NOISE == NOISE_NOMINAL && p < K * D {
        let d = p % D;
        if PIVOT < D {
            let pivot = p - d + PIVOT;
            let own = sqrt(now.minibatch * information[pivot]) * z[at + pivot] / PIVOT_VALUE;
            g = select(affine[d].y * (g - affine[d].x * own), Y_SCALE * own, d == PIVOT);
        } else {
            g *= affine[d].y;
        }
    }
    share[chain * P + p] = g + sqrt(now.ridge) * z[at + P + p];
}
