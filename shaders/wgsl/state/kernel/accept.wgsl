// MALA's test, one workgroup per chain. `accept` decides and moves ω; `begin` accepts the starting point.
#import <consts>
#import "state/shared/seed.wgsl"
#import "state/shared/now.wgsl"
#import "state/shared/status.wgsl"
#import "state/shared/jitter.wgsl"
#import "state/shared/kept.wgsl"
#import "lib/finite.wgsl"
#import "lib/normal.wgsl"

@group(0) @binding(1) var<storage, read_write> omega: array<f32>; // omega[C,P]
@group(0) @binding(2) var<storage, read> proposal: array<f32>; // proposal[C,P]
@group(0) @binding(3) var<storage, read> cost: array<vec4<f32>>; // cost[C] at ω, (−ln prior, Σ ln p, Σ ln p, jitter level)
@group(0) @binding(4) var<storage, read> cost_next: array<vec4<f32>>; // cost_next[C] at ω′
@group(0) @binding(5) var<storage, read> terms: array<vec4<f32>>; // terms[C], accept_terms.wgsl
@group(0) @binding(6) var<storage, read_write> status: array<u32>; // status[C,STATUS]
@group(0) @binding(7) var<storage, read_write> kept: array<u32>; // kept[slots,C,P+STATS], f32 bits
@group(0) @binding(8) var<storage, read_write> accepted: array<u32>; // accepted[C]

var<workgroup> moves: u32;

@compute @workgroup_size(64)
fn begin(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    let at = chain * STATUS;
    if lane == 0u {
        accepted[chain] = 1u;
        let c = cost_next[chain];
        var kind = status[at + PENDING];
        // A chain cannot start where its density counts as 0 (see `accept`).
        let volume_exact = HALF_KAPPA == 0.0 || status[at + VOLUME_LEVEL] == 0u;
        if kind == 0u && !(volume_exact && is_finite(c.x - c.y)) {
            kind = DIVERGED;
        }
        status[at + PENDING] = 0u;
        if kind != 0u {
            status[at + FAULT] = kind;
            status[at + FAULT_STEP] = now.step;
            status[at + FAULT_PIVOT] = status[at + PENDING_PIVOT];
        }
    }
}

@compute @workgroup_size(64)
fn accept(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    let at = chain * STATUS;
    if now.keep == 1u {
        keep_state(chain, lane);
    }
    if lane == 0u {
        let here = cost[chain];
        let there = cost_next[chain];
        let t = terms[chain];
        let rise = (there.x - there.y) - (here.x - here.y);
        let log_ratio = (t.y - t.z) / (2.0 * now.budget) + t.w - rise * now.inverse_temperature;
        // Where f32 cannot resolve |V|, the density counts as 0 (trusted.wgsl).
        let volume_exact = HALF_KAPPA == 0.0 || status[at + VOLUME_LEVEL] == 0u;
        let valid = volume_exact && status[at + PENDING] == 0u && is_finite(rise) && is_finite(log_ratio);
        let rate = select(0.0, exp(min(log_ratio, 0.0)), valid);
        let u = uniform01(philox(vec4<u32>(0u, now.step, chain, STREAM_ACCEPT), SEED).x);
        let gone = status[at + FAULT] != 0u;
        moves = select(0u, 1u, valid && !gone && log(u) < log_ratio);
        accepted[chain] = moves;
        status[at + PENDING] = 0u;
        if now.keep == 1u {
            keep_unknown(chain, status[at + FAULT] == DIVERGED);
            if !gone {
                let stats = (now.slot * C + chain) * (P + STATS) + P;
                kept[stats + STAT_LP] = bitcast<u32>(here.y - here.x);
                kept[stats + STAT_LP_MINIBATCH] = bitcast<u32>(here.y - here.x);
                kept[stats + STAT_GRAD_NORM] = bitcast<u32>(sqrt(t.x));
                kept[stats + STAT_NOISE_NORM] = bitcast<u32>(sqrt(t.y));
                kept[stats + STAT_CHOLESKY_JITTER] = bitcast<u32>(jitter_of(u32(here.w)));
                kept[stats + STAT_STEP_SIZE] = bitcast<u32>(now.epsilon);
                kept[stats + STAT_TEMPERATURE] = bitcast<u32>(now.temperature);
                kept[stats + STAT_ACCEPTANCE_RATE] = bitcast<u32>(rate);
            }
        }
    }
    if workgroupUniformLoad(&moves) == 1u {
        for (var p = lane; p < P; p += 64u) {
            omega[chain * P + p] = proposal[chain * P + p];
        }
    }
}
