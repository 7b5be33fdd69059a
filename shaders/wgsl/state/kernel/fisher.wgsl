// Σ JᵀWJ over the rows of a pass of a linear predictor. W is `weight`, or s sᵀ where FROM_SCORE.
#import <consts>
#import "lib/features.wgsl"
#import "state/shared/gram.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // weight[C,R,HH] packed lower, or scores[C,R,H]

fn row_base(at: u32) -> u32 {
    return row_index[at] * D;
}

fn weight_of(at: u32, k: u32, l: u32) -> f32 {
    if FROM_SCORE == 1u {
        return weight[at * H + k] * weight[at * H + l];
    }
    return weight[at * HH + k * (k + 1u) / 2u + l];
}

fn design(k: u32, base: u32, d: u32) -> f32 {
    if k >= K {
        return select(0.0, 1.0, d == 0u);
    }
    if d < D {
        return feature(base + d);
    }
    return 0.0;
}
