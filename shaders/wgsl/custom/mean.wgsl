// For a model that does not define `mean`. Sums of it are never read (`Likelihood::mean` is `None`).
#import "lib/contract.wgsl"

fn mean(eta: array<f32, H>, trials: f32) -> f32 {
    return 0.0;
}
