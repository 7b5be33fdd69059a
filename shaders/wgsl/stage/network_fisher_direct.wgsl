// The Gram matrix of a network's rows Jᵀseed, on software drivers: δ of a unit times its input, so that rows exist only here. SEEDS of them
// come from each row of the pass, whose squares sum to JᵀWJ, or to ggᵀ where the seed is the score.
#import <consts>
#import "stage/inputs.wgsl"
#import "stage/gram_direct.wgsl"

@group(0) @binding(3) var<storage, read> delta: array<f32>; // delta[C,R,UNITS], R = ROWS·SEEDS

fn row_base(at: u32) -> u32 {
    return at;
}

fn weight_of(at: u32, k: u32, l: u32) -> f32 {
    return 1.0;
}

fn design(k: u32, base: u32, p: u32) -> f32 {
    // Columns past the last are read at the last and never written.
    let here = place[min(p, P - 1u)];
    return delta[base * UNITS + here.x] * input_of(base / SEEDS, here.y);
}
