// For a user's model that does not define `draw_label`. It is never called, since the plan refuses Monte Carlo labels of
// such a model.
#import "lib/contract.wgsl"

fn draw_label(eta: array<f32, H>, trials: f32, u: f32, z: f32, address: vec4<u32>, key: vec2<u32>) -> f32 {
    return 0.0;
}
