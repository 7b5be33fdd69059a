// The diagonal of Σ JᵀWJ over the rows of a pass through a network: the squares of the terms that network_gradient.wgsl
// sums, over all seeds.
#import "state/shared/network_sum.wgsl"

@group(0) @binding(4) var<storage, read_write> diagonal_sum: array<vec2<f32>>; // diagonal_sum[S,C,P], (sum, 0)

fn term(g: f32) -> f32 {
    return g * g;
}

fn write_sum(at: u32, total: f32) {
    diagonal_sum[at] = vec2<f32>(total, 0.0);
}
