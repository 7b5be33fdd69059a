// For few parameters and one output: leverages, contraction and Σ Jᵀc in one kernel, with threads as in small_pass.wgsl.
#import <consts>
#import "lib/features.wgsl"
#import "state/shared/derivative.wgsl"
#import "state/shared/observed.wgsl"

@group(0) @binding(3) var<storage, read> linv: array<f32>; // linv[C,P,P], lower, row-major
@group(0) @binding(4) var<storage, read> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(5) var<storage, read> eta: array<f32>; // eta[C,R,1]
@group(0) @binding(6) var<storage, read_write> partial_sum: array<f32>; // partial_sum[S,C,P]

const ROWS_A_SPLIT = (R + SMALL_SPLITS - 1u) / SMALL_SPLITS;

@compute @workgroup_size(64)
fn small_lever(@builtin(global_invocation_id) id: vec3<u32>) {
    let chain = id.x % C;
    let split = id.x / C;
    if split >= SMALL_SPLITS {
        return;
    }
    var l: array<f32, P * P>;
    for (var a = 0u; a < P; a++) {
        for (var b = 0u; b < P; b++) {
            if b <= a {
                l[a * P + b] = linv[(chain * P + a) * P + b];
            }
        }
    }
    var v: array<f32, P>;
    let first = split * ROWS_A_SPLIT;
    for (var j = first; j < min(R, first + ROWS_A_SPLIT); j++) {
        let at = chain * R + j;
        let i = row_index[at];
        var x: array<f32, P>;
        for (var a = 0u; a < P; a++) {
            x[a] = feature(i * D + a);
        }
        var h = 0.0;
        for (var a = 0u; a < P; a++) {
            var y = 0.0;
            for (var b = 0u; b < P; b++) {
                if b <= a {
                    y += l[a * P + b] * x[b];
                }
            }
            h += y * y;
        }
        let c = derivative(array<f32, H>(eta[at]), row_observed(i), array<f32, HH>(h));
        let k = row_counted(i, HALF_KAPPA * c.volume[0] - DIVERGENCE * c.divergence[0]);
        for (var a = 0u; a < P; a++) {
            v[a] += k * x[a];
        }
    }
    for (var a = 0u; a < P; a++) {
        partial_sum[(split * C + chain) * P + a] = v[a];
    }
}
