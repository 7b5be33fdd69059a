// Σ JᵀWJ over the rows of a pass of a linear predictor, on software drivers. W is `weight`, or s sᵀ where FROM_SCORE.
#import <consts>
#import "stage/features.wgsl"
#import "stage/gram_direct.wgsl"

@group(0) @binding(2) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(3) var<storage, read> weight: array<f32>; // weight[C,R,HH] packed lower, or scores[C,R,H]

fn row_base(at: u32) -> u32 {
    return row_index[at] * D;
}

fn weight_of(at: u32, k: u32, l: u32) -> f32 {
    // Told apart so that one output's weight is the same for all lanes.
    if H == 1u {
        let v = weight[at];
        return select(v, v * v, FROM_SCORE == 1u);
    }
    if FROM_SCORE == 1u {
        return weight[at * H + k] * weight[at * H + l];
    }
    return weight[at * HH + k * (k + 1u) / 2u + l];
}

// Columns past the last are read at the last and never written.
fn design(k: u32, base: u32, d: u32) -> f32 {
    if K < H && k >= K {
        return 1.0;
    }
    if D % TILE_M == 0u {
        return feature(base + d);
    }
    return feature(base + min(d, D - 1u));
}
