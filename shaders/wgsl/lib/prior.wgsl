// −ln prior without its constant, and its derivative. Kinds and arguments are those of core::prior's encode().
#import "lib/elementary.wgsl"

// args = (ν, location, scale). Kinds 0–3 take a coefficient θ. Kinds 4–7 take u = log σ and give the derivative in u,
// without the log-Jacobian.
fn prior_cost_and_grad(kind: u32, args: vec3<f32>, theta: f32) -> vec2<f32> {
    let m = args.y;
    let s = args.z;
    switch kind {
        case 1u: { // normal(m, s)
            let r = (theta - m) / s;
            return vec2<f32>(0.5 * r * r, r / s);
        }
        case 2u: { // student_t(ν, m, s)
            let r = (theta - m) / s;
            let q = r * r / args.x;
            return vec2<f32>(0.5 * (args.x + 1.0) * ln_1p(q), (args.x + 1.0) * r / (s * args.x * (1.0 + q)));
        }
        case 3u: { // laplace(m, s)
            let r = (theta - m) / s;
            return vec2<f32>(abs(r), sign(r) / s);
        }
        case 4u: { // half_normal(m, s)
            let sigma = exp_of(theta);
            let r = (sigma - m) / s;
            return vec2<f32>(0.5 * r * r, r * sigma / s);
        }
        case 5u: { // half_cauchy(m, s)
            let sigma = exp_of(theta);
            let r = (sigma - m) / s;
            let q = r * r;
            return vec2<f32>(ln_1p(q), 2.0 * r * sigma / (s * (1.0 + q)));
        }
        case 6u: { // exponential(rate s)
            let cost = s * exp_of(theta);
            return vec2<f32>(cost, cost);
        }
        case 7u: { // inv_gamma(shape m, scale s)
            let pull = s * exp_of(-theta);
            return vec2<f32>((m + 1.0) * theta + pull, m + 1.0 - pull);
        }
        default: {
            return vec2<f32>(0.0, 0.0);
        }
    }
}
