// ω ← ω + step, kept draws, statistics and faults: LANES threads per chain, 64/LANES chains per workgroup.
#import <consts>
#import "state/shared/now.wgsl"
#import "state/shared/status.wgsl"
#import "state/shared/jitter.wgsl"
#import "state/shared/kept.wgsl"
#import "lib/finite.wgsl"

@group(0) @binding(1) var<storage, read_write> omega: array<f32>; // omega[C,P]
@group(0) @binding(2) var<storage, read> delta: array<f32>; // delta[C,P]
@group(0) @binding(3) var<storage, read> squares: array<vec2<f32>>; // squares[C,P], of whitened gradient and noise
@group(0) @binding(4) var<storage, read> cost: array<vec4<f32>>; // cost[C], (−ln prior, Σ ln p of the batch, of all rows, 0)
@group(0) @binding(5) var<storage, read_write> status: array<u32>; // status[C,STATUS]
@group(0) @binding(6) var<storage, read_write> kept: array<u32>; // kept[slots,C,P+STATS], f32 bits

var<workgroup> sums: array<vec2<f32>, 64>;
var<workgroup> wrong: array<atomic<u32>, 64>;
var<workgroup> fault: array<u32, 64>;

@compute @workgroup_size(64)
fn update(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) thread: u32) {
    let own = group.x * (64u / LANES) + thread / LANES;
    // Threads past the last chain repeat it and write nothing.
    let writes = own < C;
    let chain = min(own, C - 1u);
    let lane = thread % LANES;
    let team = thread / LANES;
    let at = chain * STATUS;
    if now.keep == 1u && writes {
        keep_state(chain, lane);
    }
    if lane == 0u {
        atomicStore(&wrong[team], 0u);
    }
    var s = vec2<f32>();
    for (var p = lane; p < P; p += LANES) {
        s += squares[chain * P + p];
    }
    sums[thread] = s;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if lane < half {
            sums[thread] += sums[thread + half];
        }
        workgroupBarrier();
    }
    for (var p = lane; p < P; p += LANES) {
        let next = omega[chain * P + p] + delta[chain * P + p];
        if !is_finite(next) || abs(next) >= LARGEST {
            atomicStore(&wrong[team], 1u);
        }
    }
    workgroupBarrier();
    if lane == 0u && writes {
        let gone = status[at + FAULT] != 0u;
        var kind = status[at + PENDING];
        var pivot = status[at + PENDING_PIVOT];
        let fell_back = NOISE == NOISE_RESIDUAL && status[at + FELL_BACK] != 0u;
        if kind == 0u && NOISE == NOISE_NOMINAL && now.minibatch > now.budget {
            kind = RESIDUAL_NOT_POSITIVE;
            pivot = 0u;
        }
        if kind == 0u && atomicLoad(&wrong[team]) == 1u {
            kind = DIVERGED;
        }
        if !gone {
            if kind != 0u {
                status[at + FAULT] = kind;
                status[at + FAULT_STEP] = now.step;
                status[at + FAULT_PIVOT] = pivot;
            } else if fell_back {
                status[at + FALLBACKS] += 1u;
            }
        }
        status[at + PENDING] = 0u;
        let diverged = status[at + FAULT] == DIVERGED;
        let faulty = select(0u, 1u, gone || kind != 0u);
        fault[team] = faulty;
        let stats = (now.slot * C + chain) * (P + STATS) + P;
        if now.keep == 1u {
            keep_unknown(chain, diverged);
            if faulty == 0u {
                let c = cost[chain];
                kept[stats + STAT_LP] = bitcast<u32>(c.z - c.x);
                if FULL_DENSITY == 0u {
                    kept[stats + STAT_LP] = NAN_BITS;
                }
                kept[stats + STAT_LP_MINIBATCH] = bitcast<u32>(c.y * f32(N) / f32(BATCH) - c.x);
                kept[stats + STAT_GRAD_NORM] = bitcast<u32>(sqrt(sums[thread].x));
                kept[stats + STAT_NOISE_NORM] = bitcast<u32>(sqrt(sums[thread].y));
                kept[stats + STAT_CHOLESKY_JITTER] = bitcast<u32>(jitter_of(status[at + LEVEL]));
                kept[stats + STAT_STEP_SIZE] = bitcast<u32>(now.epsilon);
                kept[stats + STAT_TEMPERATURE] = bitcast<u32>(now.temperature);
                kept[stats + STAT_ACCEPTANCE_RATE] = bitcast<u32>(1.0);
            }
        } else if diverged {
            kept[stats + STAT_DIVERGING] = bitcast<u32>(1.0);
        }
    }
    workgroupBarrier();
    if writes && fault[team] == 0u {
        for (var p = lane; p < P; p += LANES) {
            omega[chain * P + p] += delta[chain * P + p];
        }
    }
}
