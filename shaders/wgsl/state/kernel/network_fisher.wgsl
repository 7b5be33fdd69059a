// The Gram matrix of a network's rows Jᵀseed. An entry of such a row is δ of a unit times its input, computed only here.
// Each row of the pass has SEEDS of them; their squares sum to JᵀWJ, or to ggᵀ where the seed is the score.
#import <consts>
#import "state/shared/inputs.wgsl"
#import "state/shared/place.wgsl"
#import "state/shared/gram.wgsl"

@group(0) @binding(3) var<storage, read> delta: array<f32>; // delta[C,R,UNITS], R = ROWS·SEEDS

fn row_base(at: u32) -> u32 {
    return at;
}

fn weight_of(at: u32, k: u32, l: u32) -> f32 {
    return 1.0;
}

fn design(k: u32, base: u32, p: u32) -> f32 {
    if p >= P {
        return 0.0;
    }
    let here = place[p];
    return delta[base * UNITS + here.x] * input_of(base / SEEDS, here.y);
}
