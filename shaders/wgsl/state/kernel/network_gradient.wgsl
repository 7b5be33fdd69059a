// Σ Jᵀs over the rows of a pass through a network: δ of the scores times the inputs.
#import "state/shared/network_sum.wgsl"

@group(0) @binding(4) var<storage, read_write> partial_sum: array<f32>; // partial_sum[S,C,P]

fn term(g: f32) -> f32 {
    return g;
}

fn write_sum(at: u32, total: f32) {
    partial_sum[at] = total;
}
