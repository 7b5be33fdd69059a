// Outputs of a linear predictor at a row of the design, without its offset. The auxiliary ones, which are parameters themselves, come last.
#import <consts>
#import "lib/features.wgsl"

@group(0) @binding(3) var<storage, read> omega: array<f32>; // omega[C,P]

fn linear_outputs(row: u32, chain: u32) -> array<f32, H> {
    var e: array<f32, H>;
    let w0 = chain * P;
    for (var k = 0u; k < K; k++) {
        var sum = 0.0;
        for (var d = 0u; d < D; d++) {
            sum += feature(row * D + d) * omega[w0 + k * D + d];
        }
        e[k] = sum;
    }
    for (var a = K; a < H; a++) {
        e[a] = omega[w0 + K * D + a - K];
    }
    return e;
}
