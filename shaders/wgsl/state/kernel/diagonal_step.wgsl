// The step of a diagonal metric, and the squares for the norms of gradient and noise.
#import <consts>
#import "state/shared/now.wgsl"

@group(0) @binding(1) var<storage, read> metric: array<vec4<f32>>; // metric[C,P], (M, ∂ᵢMᵢᵢ, curvature, V)
@group(0) @binding(2) var<storage, read> gradient: array<f32>; // gradient[C,P], ∇C
@group(0) @binding(3) var<storage, read> volume: array<f32>; // volume[S,C,P], parts of (r/N)·∇ln|M|
@group(0) @binding(4) var<storage, read> z: array<f32>; // z[C,P]
@group(0) @binding(5) var<storage, read_write> delta: array<f32>; // delta[C,P]
@group(0) @binding(6) var<storage, read_write> squares: array<vec2<f32>>; // squares[C,P]

@compute @workgroup_size(64)
fn diagonal_step(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = group.x * 64u + lane;
    if p >= P {
        return;
    }
    let at = group.y * P + p;
    let m = metric[at];
    let g = gradient[at];
    var velocity = 0.0;
    if CORRECTED == 1u {
        if METRIC == METRIC_FISHER {
            var v = 0.0;
            for (var s = 0u; s < GRAD_SPLITS; s++) {
                v += volume[(s * C + group.y) * P + p];
            }
            velocity = HALF_KAPPA * SHARE * v / m.x - m.y / (m.x * m.x);
        } else if METRIC == METRIC_RMSPROP {
            let root = sqrt(m.w);
            if root > 0.0 {
                let floor = RMS_FLOOR + root;
                velocity = -(1.0 - RMS_DECAY) * g * m.z / (root * floor * floor * OBSERVATIONS * OBSERVATIONS);
            }
        }
    }
    var n = 0.0;
    if NOISE != NOISE_NONE {
        n = sqrt(now.budget / m.x) * z[at];
    }
    delta[at] = now.correction * velocity - now.epsilon * g / m.x + n;
    squares[at] = vec2<f32>(g * g / m.x, n * n * m.x);
}
