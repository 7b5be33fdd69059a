// Reads a feature from memory: one f32, or two f16 or bf16 per word.
#import <consts>
@group(0) @binding(1) var<storage, read> x: array<u32>; // x[N,D], row-major

fn feature(i: u32) -> f32 {
    if STORAGE == STORAGE_F32 {
        return bitcast<f32>(x[i]);
    }
    let word = x[i >> 1u];
    if STORAGE == STORAGE_F16 {
        let both = unpack2x16float(word);
        return select(both.x, both.y, (i & 1u) == 1u);
    }
    return bitcast<f32>(select(word << 16u, word & 0xffff0000u, (i & 1u) == 1u));
}
