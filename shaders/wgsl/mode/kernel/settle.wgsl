// Accepts or rejects the proposals and moves the chains, one workgroup per chain. Where a draw is due, it stores the state
// before the step. The test is that of core::engine: what does not depend on R cancels, so no large numbers are subtracted.
#import <consts>
#import "lib/normal.wgsl"
#import "lib/finite.wgsl"
#import "mode/shared/now.wgsl"
#import "mode/shared/status.wgsl"

@group(0) @binding(1) var<storage, read_write> state: array<f32>; // state[C,2P], u and ∇R
@group(0) @binding(2) var<storage, read> there: array<f32>; // there[C,P], u′
@group(0) @binding(3) var<storage, read> sums: array<f32>; // sums[C,P+2], ∇R + c at u′, Σρ, and Σr of the auxiliary output, still to be added to column P − 1
@group(0) @binding(4) var<storage, read> slope: array<f32>; // c[P]
@group(0) @binding(5) var<storage, read_write> rest: array<f32>; // R[C]
@group(0) @binding(6) var<storage, read_write> kept: array<f32>; // kept[slots,C,MODE_KEPT]
@group(0) @binding(7) var<storage, read_write> status: array<u32>; // status[C,MODE_STATUS]

const KEY: vec2<u32> = vec2<u32>(SEED0, SEED1);

var<workgroup> terms: array<vec4<f32>, 64>;
var<workgroup> moves: u32;

fn slope_there(chain: u32, j: u32) -> f32 {
    let at = chain * (P + 2u);
    var sum = sums[at + j];
    if H > K && j == P - 1u {
        sum += sums[at + P + 1u] * AUX_SCALE;
    }
    return sum - slope[j];
}

@compute @workgroup_size(64)
fn settle(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    let at = chain * 2u * P;
    let valid_chain = chain < C;
    // Σ of the test's terms, cᵀu′, Σz², and 2 where something is not finite, 1 where it is far away.
    var mine = vec4<f32>(0.0, 0.0, 0.0, 0.0);
    if valid_chain {
        for (var j = lane; j < P; j += 64u) {
            let u = state[at + j];
            let w = there[chain * P + j];
            let to = slope_there(chain, j);
            let b = now.epsilon * state[at + P + j];
            let c = now.epsilon * to;
            if METROPOLIS == 1u {
                mine.x += 2.0 * (c * (u - now.stay * w) - b * (w - now.stay * u)) + (b * b - c * c);
            }
            mine.y += slope[j] * w;
            if !is_finite(to) || !is_finite(w) {
                mine.w = 2.0;
            } else if abs(w) > LARGEST_SDS {
                mine.w = max(mine.w, 1.0);
            }
        }
    }
    let keep = now.done % now.thin == 0u && now.first == 0u && valid_chain;
    let draw = ((now.done / now.thin) * C + chain) * MODE_KEPT;
    if keep {
        for (var j = lane; j < P; j += 64u) {
            let u = state[at + j];
            kept[draw + j] = u;
            kept[draw + P + j] = u - state[at + P + j];
        }
        for (var four = lane; four < (P + 3u) / 4u; four += 64u) {
            var z = normals(philox(vec4<u32>(four, now.step, chain, STREAM_NOISE), KEY));
            for (var i = 0u; i < 4u; i++) {
                if 4u * four + i < P {
                    mine.z += z[i] * z[i];
                }
            }
        }
    }
    terms[lane] = mine;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            let other = terms[lane + half];
            let own = terms[lane];
            terms[lane] = vec4<f32>(own.xyz + other.xyz, max(own.w, other.w));
        }
        workgroupBarrier();
    }
    let all = terms[0];
    if lane == 0u {
        moves = 0u;
        if valid_chain {
            decide(chain, all, keep, draw);
        }
    }
    if workgroupUniformLoad(&moves) == 1u {
        for (var j = lane; j < P; j += 64u) {
            state[at + j] = there[chain * P + j];
            state[at + P + j] = slope_there(chain, j);
        }
    }
}

fn decide(chain: u32, all: vec4<f32>, keep: bool, draw: u32) {
    let words = chain * MODE_STATUS;
    let rest_there = sums[chain * (P + 2u) + P] - all.y;
    let rest_here = rest[chain];
    if now.first == 1u {
        rest[chain] = rest_there;
        moves = 1u;
        return;
    }
    let gone = status[words + MODE_FAULT] != 0u;
    let log_ratio = (rest_there - rest_here) * now.inverse_temperature + all.x * now.inverse_budget;
    let finite = all.w < 2.0 && is_finite(rest_there) && is_finite(all.x);
    var odds = 1.0;
    var go = finite;
    if METROPOLIS == 1u {
        odds = 0.0;
        if !is_nan(log_ratio) {
            odds = exp_of(min(log_ratio, 0.0));
        }
        let bits = philox(vec4<u32>(0u, now.step, chain, STREAM_ACCEPT), KEY).x;
        go = finite && !is_nan(log_ratio) && -neg_ln_uniform(bits) < log_ratio;
    }
    if keep {
        kept[draw + 2u * P] = rest_here;
        kept[draw + 2u * P + 1u] = all.z;
        kept[draw + 2u * P + 2u] = select(odds, 0.0, gone && METROPOLIS == 1u);
    }
    if gone {
        return;
    }
    if METROPOLIS == 0u && !finite {
        status[words + MODE_UNMADE] += 1u;
    }
    if go && all.w == 1.0 {
        status[words + MODE_FAULT] = DIVERGED;
        status[words + MODE_FAULT_STEP] = now.step;
        return;
    }
    if go {
        rest[chain] = rest_there;
        moves = 1u;
    }
}
