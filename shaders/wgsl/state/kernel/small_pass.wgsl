// For few parameters and one output: rows, gradient and Fisher sums of a pass in one kernel. A thread has a share of one
// chain's rows and all sums in registers. Loops over the triangle run over the square, so that their bounds are constant.
#import <consts>
#import "state/shared/seed.wgsl"
#import "state/shared/now.wgsl"
#import "state/shared/observed.wgsl"
#import "lib/features.wgsl"
#import "lib/batch.wgsl"
#import <model>

@group(0) @binding(3) var<storage, read> omega: array<f32>; // omega[C,P]
@group(0) @binding(4) var<storage, read_write> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(5) var<storage, read_write> eta: array<f32>; // eta[C,R,1]
@group(0) @binding(6) var<storage, read_write> partial_sum: array<f32>; // partial_sum[S,C,P]
@group(0) @binding(7) var<storage, read_write> matrix: array<f32>; // matrix[S,C,P,P], lower, row-major
@group(0) @binding(8) var<storage, read_write> lik_sums: array<f32>; // lik_sums[C,S]

const ROWS_A_SPLIT = (R + SMALL_SPLITS - 1u) / SMALL_SPLITS;

@compute @workgroup_size(64)
fn small_pass(@builtin(global_invocation_id) id: vec3<u32>) {
    let chain = id.x % C;
    let split = id.x / C;
    if split >= SMALL_SPLITS {
        return;
    }
    let rule = batch_rule(ROWS, N, BATCH, chain, now.step, SEED);
    var w: array<f32, P>;
    for (var a = 0u; a < P; a++) {
        w[a] = omega[chain * P + a];
    }
    var g: array<f32, P>;
    var f: array<f32, P * P>;
    var ll = 0.0;
    var four: vec4<u32>;
    let first = split * ROWS_A_SPLIT;
    for (var j = first; j < min(R, first + ROWS_A_SPLIT); j++) {
        var i = 0u;
        if ROWS == ROWS_WITH_REPLACEMENT {
            if j == first || j % 4u == 0u {
                four = uniform_rows(rule, j / 4u);
            }
            i = four[j % 4u];
        } else {
            i = batch_row(rule, j);
        }
        var x: array<f32, P>;
        var e = 0.0;
        for (var a = 0u; a < P; a++) {
            x[a] = feature(i * D + a);
            e += x[a] * w[a];
        }
        if ROW_OFFSETS == 1u {
            e += row_offset(i);
        }
        let at = chain * R + j;
        row_index[at] = i;
        eta[at] = e;
        let o = row_observed(i);
        let outputs = array<f32, H>(e);
        ll += row_counted(i, log_lik(outputs, o));
        let own = score(outputs, o)[0];
        var weight = own * own;
        if WEIGHTS == WEIGHTS_EXACT {
            weight = fisher(outputs, o.y)[0];
        }
        weight = row_counted(i, weight);
        let s = row_counted(i, own);
        for (var a = 0u; a < P; a++) {
            g[a] += s * x[a];
            let wx = weight * x[a];
            for (var b = 0u; b < P; b++) {
                if b <= a {
                    f[a * P + b] += wx * x[b];
                }
            }
        }
    }
    lik_sums[chain * SMALL_SPLITS + split] = ll;
    let out = split * C + chain;
    for (var a = 0u; a < P; a++) {
        partial_sum[out * P + a] = g[a];
        for (var b = 0u; b < P; b++) {
            if b <= a {
                let at = a * P + b;
                matrix[out * P * P + at] = f[at];
            }
        }
    }
}
