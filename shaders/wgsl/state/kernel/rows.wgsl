// Outputs, scores, Fisher weights and log-likelihood of the rows of a pass, one row per thread. All but the outputs are multiplied
// by how often the row counts.
#import <consts>
#import "state/shared/seed.wgsl"
#import "state/shared/now.wgsl"
#import "state/shared/observed.wgsl"
#import "state/shared/linear.wgsl"
#import "lib/batch.wgsl"
#import "lib/normal.wgsl"
#import "state/shared/derivative.wgsl"
#import "lib/group_sum.wgsl"

@group(0) @binding(4) var<storage, read_write> row_index: array<u32>; // row_index[C,R]
@group(0) @binding(5) var<storage, read_write> eta: array<f32>; // eta[C,R,H]
@group(0) @binding(6) var<storage, read_write> scores: array<f32>; // scores[C,R,H]
@group(0) @binding(7) var<storage, read_write> weight: array<f32>; // weight[C,R,HH] packed lower, or [C,R,2H]: W_kk, then ∂W_kk/∂η_k, or [C,R,H]: √w·s
@group(0) @binding(8) var<storage, read_write> lik_sums: array<f32>; // lik_sums[C,ceil(R/64)], sums of 64 rows

fn row_of(chain: u32, j: u32) -> u32 {
    if ROWS == ROWS_SAMPLE {
        return batch_row(fisher_rule(N, chain, now.step, SEED), j);
    }
    return batch_row(batch_rule(ROWS, N, BATCH, chain, now.step, SEED), j);
}

// Mean of s sᵀ over labels drawn from the model, packed.
fn monte_carlo(e: array<f32, H>, trials: f32, j: u32, chain: u32) -> array<f32, HH> {
    var mean: array<f32, HH>;
    for (var l = 0u; l < LABELS; l++) {
        let at = j * LABELS + l;
        let bits = philox(vec4<u32>(at, now.step, chain, STREAM_LABEL), SEED);
        let z = normals(vec4<u32>(bits.z, bits.w, bits.z, bits.w)).x;
        let y = draw_label(e, trials, uniform01(bits.x), z, vec4<u32>(at * 64u, now.step, chain ^ 0x80000000u, STREAM_LABEL), SEED);
        var s = score(e, vec2<f32>(y, trials));
        for (var a = 0u; a < H; a++) {
            for (var b = 0u; b <= a; b++) {
                mean[a * (a + 1u) / 2u + b] += s[a] * s[b] / f32(LABELS);
            }
        }
    }
    return mean;
}

// The row numbers alone: a network's layers need them to compute its outputs.
@compute @workgroup_size(64)
fn indices(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    if j < R {
        row_index[group.y * R + j] = row_of(group.y, j);
    }
}

@compute @workgroup_size(64)
fn rows(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let j = group.x * 64u + lane;
    var ll = 0.0;
    if j < R {
        let at = chain * R + j;
        var e: array<f32, H>;
        var i = 0u;
        if NETWORK == 1u {
            // The layers have written the outputs.
            i = row_index[at];
            for (var a = 0u; a < H; a++) {
                e[a] = eta[at * H + a];
            }
        } else {
            i = row_of(chain, j);
            row_index[at] = i;
            e = linear_outputs(i, chain);
        }
        if ROW_OFFSETS == 1u {
            e[0] += row_offset(i);
        }
        let o = row_observed(i);
        ll = row_counted(i, log_lik(e, o));
        var s = score(e, o);
        for (var a = 0u; a < H; a++) {
            eta[at * H + a] = e[a];
            scores[at * H + a] = row_counted(i, s[a]);
        }
        if WEIGHTS == WEIGHTS_EXACT || WEIGHTS == WEIGHTS_MONTE_CARLO {
            var w: array<f32, HH>;
            if WEIGHTS == WEIGHTS_EXACT {
                w = fisher(e, o.y);
            } else {
                w = monte_carlo(e, o.y, j, chain);
            }
            for (var a = 0u; a < HH; a++) {
                weight[at * HH + a] = row_counted(i, w[a]);
            }
        }
        if WEIGHTS == WEIGHTS_SCORE_ROOTS {
            for (var a = 0u; a < H; a++) {
                weight[at * H + a] = row_root_counted(i, s[a]);
            }
        }
        if WEIGHTS == WEIGHTS_DIAGONAL_EXACT || WEIGHTS == WEIGHTS_DIAGONAL_MONTE_CARLO || WEIGHTS == WEIGHTS_DIAGONAL_EMPIRICAL {
            var w: array<f32, HH>;
            if WEIGHTS == WEIGHTS_DIAGONAL_EXACT {
                w = fisher(e, o.y);
            } else if WEIGHTS == WEIGHTS_DIAGONAL_MONTE_CARLO {
                w = monte_carlo(e, o.y, j, chain);
            }
            for (var a = 0u; a < H; a++) {
                let aa = a * (a + 1u) / 2u + a;
                let own = select(w[aa], s[a] * s[a], WEIGHTS == WEIGHTS_DIAGONAL_EMPIRICAL);
                var unit: array<f32, HH>;
                unit[aa] = 1.0;
                let c = derivative(e, o, unit);
                weight[at * 2u * H + a] = row_counted(i, own);
                weight[at * 2u * H + H + a] = row_counted(i, c.volume[a]);
            }
        }
    }
    let all = group_sum(lane, vec4<f32>(ll, 0.0, 0.0, 0.0)).x;
    if lane == 0u {
        lik_sums[chain * ((R + 63u) / 64u) + group.x] = all;
    }
}
