// −ln prior without its constant, and its derivative. Kinds are PRIOR_…, arguments those of core::prior's arguments().
#import <consts>
#import "lib/elementary.wgsl"

// args = (ν, location, scale). The kinds of a coefficient take θ. Those of a scale take u = log σ and give the derivative in u,
// without the log-Jacobian.
fn prior_cost_and_grad(kind: u32, args: vec3<f32>, theta: f32) -> vec2<f32> {
    let m = args.y;
    let s = args.z;
    switch kind {
        case PRIOR_NORMAL: { // normal(m, s)
            let r = (theta - m) / s;
            return vec2<f32>(0.5 * r * r, r / s);
        }
        case PRIOR_STUDENT_T: { // student_t(ν, m, s)
            let r = (theta - m) / s;
            let q = r * r / args.x;
            return vec2<f32>(0.5 * (args.x + 1.0) * ln_1p(q), (args.x + 1.0) * r / (s * args.x * (1.0 + q)));
        }
        case PRIOR_LAPLACE: { // laplace(m, s)
            let r = (theta - m) / s;
            return vec2<f32>(abs(r), sign(r) / s);
        }
        case PRIOR_HALF_NORMAL: { // half_normal(m, s)
            let sigma = exp_of(theta);
            let r = (sigma - m) / s;
            return vec2<f32>(0.5 * r * r, r * sigma / s);
        }
        case PRIOR_HALF_CAUCHY: { // half_cauchy(m, s)
            let sigma = exp_of(theta);
            let r = (sigma - m) / s;
            let q = r * r;
            return vec2<f32>(ln_1p(q), 2.0 * r * sigma / (s * (1.0 + q)));
        }
        case PRIOR_EXPONENTIAL: { // exponential(rate s)
            let cost = s * exp_of(theta);
            return vec2<f32>(cost, cost);
        }
        case PRIOR_INV_GAMMA: { // inv_gamma(shape m, scale s)
            let pull = s * exp_of(-theta);
            return vec2<f32>((m + 1.0) * theta + pull, m + 1.0 - pull);
        }
        default: {
            return vec2<f32>(0.0, 0.0);
        }
    }
}
