// Remainder of −ln prior beyond second order about the mode, prior by prior on the natural scale, where priors are
// independent. With τ = Tu, T = A·L⁻ᵀ, that of the q-th is p(θ*+τ) − p(θ*) − p′(θ*)τ − ½λτ². Normal and flat priors have
// no remainder and no row. FIXED_AT is where T and the priors' numbers start in `fixed`.
#import <consts>
#import "lib/prior.wgsl"

// Read by all chains: L⁻¹ by rows and its transpose [2,P,P], unless the design is whitened; T[PRIORS,P]; then for each of
// PRIORS priors (kind, ν, location, scale, p(θ*), p′(θ*), λ, θ*).
@group(0) @binding(8) var<storage, read> fixed: array<f32>;

// Number of priors that a workgroup handles together.
const PRIORS_AT_ONCE: u32 = min(max(PRIORS, 1u), 64u);

fn prior_row(q: u32, j: u32) -> f32 {
    return fixed[FIXED_AT + q * P + j];
}

// Remainder of prior q and its derivative in θ.
fn prior_left(q: u32, tau: f32) -> vec2<f32> {
    let at = FIXED_AT + PRIORS * P + 8u * q;
    let args = vec3<f32>(fixed[at + 1u], fixed[at + 2u], fixed[at + 3u]);
    let moved = prior_cost_and_grad(u32(fixed[at]), args, fixed[at + 7u] + tau);
    let curve = fixed[at + 6u] * tau;
    let slope = fixed[at + 5u];
    return vec2<f32>((moved.x - fixed[at + 4u]) - (slope + 0.5 * curve) * tau, moved.y - slope - curve);
}
