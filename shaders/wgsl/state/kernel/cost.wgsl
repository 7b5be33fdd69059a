// The cost and its gradient from a batch's sums: −(N/B)·Σ Jᵀs − ∇ln prior. There are LANES threads per chain and 64/LANES
// chains per workgroup. Priors are densities on the natural scale: θ = Aω + b, and Aᵀ takes gradients back to ω
// (core::transform).
#import <consts>
#import "lib/prior.wgsl"

@group(0) @binding(1) var<storage, read> partial_sum: array<f32>; // partial_sum[S,C,P], Σ Jᵀs of the batch
@group(0) @binding(2) var<storage, read> batch_lik: array<f32>; // batch_lik[C,BATCH_SUMS]
@group(0) @binding(3) var<storage, read> full_lik: array<f32>; // full_lik[C,FULL_SUMS]
@group(0) @binding(4) var<storage, read> omega: array<f32>; // omega[C,P]
@group(0) @binding(5) var<storage, read> prior: array<vec4<f32>>; // prior[P], (kind, ν, location, scale)
@group(0) @binding(6) var<storage, read> affine: array<vec2<f32>>; // affine[D], (mean, σ_y/scale)
@group(0) @binding(7) var<storage, read_write> gradient: array<f32>; // gradient[C,P], ∇C
@group(0) @binding(8) var<storage, read_write> cost: array<vec4<f32>>; // cost[C], (−ln prior, Σ ln p of the batch, of all rows, 0)

var<workgroup> sums: array<f32, 64>;
var<workgroup> pivot_share: array<f32, 64>;

// The sum over a chain's lanes; only its first lane gets the full sum.
fn sum_of(thread: u32, v: f32) -> f32 {
    let lane = thread % LANES;
    workgroupBarrier();
    sums[thread] = v;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[thread] += sums[thread + half];
        }
        workgroupBarrier();
    }
    return sums[thread];
}

// −ln prior of parameter p, and its derivative.
fn prior_of(p: u32, theta: f32) -> vec2<f32> {
    return prior_cost_and_grad(u32(prior[p].x), prior[p].yzw, theta);
}

fn likelihood_gradient(chain: u32, p: u32) -> f32 {
    var s = 0.0;
    for (var i = 0u; i < GRAD_SPLITS; i++) {
        s += partial_sum[(i * C + chain) * P + p];
    }
    return -SHARE * s;
}

@compute @workgroup_size(64)
fn cost_and_gradient(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let own = group.x * (64u / LANES) + thread / LANES;
    // Threads past the last chain repeat it and write nothing.
    let writes = own < C;
    let chain = min(own, C - 1u);
    let lane = thread % LANES;
    let team = thread / LANES;
    let w = chain * P;
    var prior_sum = 0.0;
    for (var k = 0u; k < K; k++) {
        let at = k * D;
        if PIVOT < D {
            var shift = 0.0;
            for (var d = lane; d < D; d += LANES) {
                shift += affine[d].x * affine[d].y * omega[w + at + d];
            }
            let total = sum_of(thread, shift);
            if lane == 0u && writes {
                let theta = (Y_SCALE * omega[w + at + PIVOT] + Y_MEAN - total) / PIVOT_VALUE;
                let c = prior_of(at + PIVOT, theta);
                prior_sum += c.x;
                pivot_share[team] = c.y / PIVOT_VALUE;
                gradient[w + at + PIVOT] = Y_SCALE * pivot_share[team] + likelihood_gradient(chain, at + PIVOT);
            }
            workgroupBarrier();
        }
        for (var d = lane; d < D; d += LANES) {
            if d != PIVOT && writes {
                let c = prior_of(at + d, affine[d].y * omega[w + at + d]);
                prior_sum += c.x;
                var g = c.y;
                if PIVOT < D {
                    g -= affine[d].x * pivot_share[team];
                }
                gradient[w + at + d] = affine[d].y * g + likelihood_gradient(chain, at + d);
            }
        }
    }
    if H > K && lane == 0u && writes {
        let at = K * D;
        let u = omega[w + at] + LOG_Y_SCALE;
        let c = prior_of(at, u);
        prior_sum += c.x - JACOBIAN * u;
        gradient[w + at] = c.y - JACOBIAN + likelihood_gradient(chain, at);
    }
    let prior_total = sum_of(thread, prior_sum);
    var batch = 0.0;
    for (var i = lane; i < BATCH_SUMS; i += LANES) {
        batch += batch_lik[chain * BATCH_SUMS + i];
    }
    let batch_total = sum_of(thread, batch);
    var full = 0.0;
    for (var i = lane; i < FULL_SUMS; i += LANES) {
        full += full_lik[chain * FULL_SUMS + i];
    }
    let full_total = sum_of(thread, full);
    if lane == 0u && writes {
        cost[chain] = vec4<f32>(prior_total, batch_total, full_total, 0.0);
    }
}
