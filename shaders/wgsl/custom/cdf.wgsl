// For a model that does not define `cdf`. Sums of it are never read (`Likelihood::cdf` is `None`).
#import "lib/contract.wgsl"

fn cdf(eta: array<f32, H>, obs: vec2<f32>) -> f32 {
    return 0.0;
}
