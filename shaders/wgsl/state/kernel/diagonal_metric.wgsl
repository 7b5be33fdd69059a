// M of a diagonal metric from the sums over rows; `added` includes Λ and damping.
// OBSERVATIONS are the N rows and OBSERVED the rows of the pass, each as often as it counts (in the pass on average).
#import <consts>
#import "state/shared/now.wgsl"
#import "state/shared/status.wgsl"
#import "lib/finite.wgsl"

@group(0) @binding(1) var<storage, read> diagonal_sum: array<vec2<f32>>; // diagonal_sum[S,C,P]
@group(0) @binding(2) var<storage, read> added: array<f32>; // added[P], Λ + N·damping·I
@group(0) @binding(3) var<storage, read_write> status: array<atomic<u32>>; // status[C,STATUS]
@group(0) @binding(4) var<storage, read_write> metric: array<vec4<f32>>; // metric[C,P], (M, ∂ᵢMᵢᵢ, curvature, RMSProp's V)
@group(0) @binding(5) var<storage, read> gradient: array<f32>; // gradient[C,P], ∇C

@compute @workgroup_size(64)
fn diagonal_metric(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let p = group.x * 64u + lane;
    if p >= P {
        return;
    }
    let at = chain * P + p;
    var sum = vec2<f32>();
    if METRIC != METRIC_IDENTITY {
        for (var s = 0u; s < GRAD_SPLITS; s++) {
            sum += diagonal_sum[(s * C + chain) * P + p];
        }
    }
    let old = metric[at];
    if METRIC == METRIC_FISHER {
        let m = SHARE * sum.x + added[p];
        if !(is_finite(m) && m > 0.0) {
            if atomicCompareExchangeWeak(&status[chain * STATUS + PENDING], 0u, METRIC_NOT_POSITIVE).exchanged {
                atomicStore(&status[chain * STATUS + PENDING_PIVOT], p);
            }
            return;
        }
        metric[at] = vec4<f32>(m, SHARE * sum.y, 0.0, 0.0);
    } else if METRIC == METRIC_IDENTITY {
        metric[at] = vec4<f32>(OBSERVATIONS, 0.0, 0.0, 0.0);
    } else {
        let g = gradient[at] / OBSERVATIONS;
        let decay = select(RMS_DECAY, 0.0, now.first == 1u);
        let v = decay * old.w + (1.0 - decay) * g * g;
        let curvature = sum.x / OBSERVED + added[p] / OBSERVATIONS;
        metric[at] = vec4<f32>(OBSERVATIONS * (RMS_FLOOR + sqrt(v)), 0.0, curvature, v);
    }
}
