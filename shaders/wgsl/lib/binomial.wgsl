// A label of a binomial law with mean mu per trial; rest = 1 − mu without cancellation. Above 64 trials the label is
// real-valued, mean + sd·z: only two moments of it are used.
#import "lib/contract.wgsl"

fn draw_binomial(mu: f32, rest: f32, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    if trials > 64.0 {
        return trials * mu + sqrt(trials * mu * rest) * z;
    }
    var y = select(0.0, 1.0, u < mu);
    let count = u32(trials);
    for (var i = 1u; i < count; i++) {
        y += select(0.0, 1.0, more_uniform(address, i - 1u, key) < mu);
    }
    return y;
}
