// Control variates at the mode: a workgroup makes many steps of one chain in a dispatch, each over BATCH rows drawn by
// their influence. In u: u′ = (1 − ε)u + ε∇R + spread·z with ∇R = (1/B) Σ Jᵀr/q − c.
// Rows come in tiles of TILE_ROWS. LANES threads share a product of a row with the chain's vector. Then each thread sums
// some columns, over every SPLITS-th row.
#import <consts>
#import "lib/philox.wgsl"
#import "lib/normal.wgsl"
#import "lib/finite.wgsl"
#import "mode/shared/now.wgsl"
#import "mode/shared/status.wgsl"
#import "mode/shared/remainder.wgsl"
#import "mode/shared/prior.wgsl"
#import "lib/features.wgsl"

@group(0) @binding(3) var<storage, read> influence: array<vec2<u32>>; // influence[N], (keep, alias) of the alias table
// c[P] padded to a multiple of four, then (1 − ε, ε, spread, 0) of each step.
@group(0) @binding(4) var<storage, read> pace: array<vec4<f32>>;
@group(0) @binding(5) var<storage, read_write> state: array<f32>; // state[C,STATE], u first, then space for two vectors where IN_GROUP is 0
@group(0) @binding(6) var<storage, read_write> kept: array<f32>; // kept[slots,C,MODE_KEPT]
@group(0) @binding(7) var<storage, read_write> status: array<u32>; // status[C,MODE_STATUS]

const KEY: vec2<u32> = vec2<u32>(SEED0, SEED1);
const SUMS: u32 = K * COLS;
const WIDTH: u32 = GROUP / SPLITS;
const OWN: u32 = (SUMS + WIDTH - 1u) / WIDTH;

var<workgroup> tile: array<f32, TILE_WORDS>; // tile[TILE_ROWS,STRIDE]
var<workgroup> picked: array<u32, TILE_ROWS>;
var<workgroup> part: array<f32, PART_WORDS>;
var<workgroup> coefficient: array<f32, COEFFICIENTS>; // coefficient[H,TILE_ROWS]
var<workgroup> group_u: array<f32, GROUP_P>;
var<workgroup> group_v: array<f32, GROUP_P>;
var<workgroup> group_g: array<f32, GROUP_P>;
var<workgroup> pull: array<f32, PRIORS_AT_ONCE>;
var<workgroup> pull_rest: array<f32, PRIORS_AT_ONCE>;
var<workgroup> rest_sum: f32;
var<workgroup> last_sum: f32;
var<workgroup> unfit: u32;
var<workgroup> far: u32;
var<workgroup> ended: u32;

var<private> base: u32;

fn get_u(j: u32) -> f32 {
    if IN_GROUP == 1u {
        return group_u[j];
    }
    return state[base + j];
}
fn put_u(j: u32, value: f32) {
    if IN_GROUP == 1u {
        group_u[j] = value;
    } else {
        state[base + j] = value;
    }
}
// Entry j of the vector whose products with design rows are Δη.
fn get_v(j: u32) -> f32 {
    if WHITENED == 1u {
        return get_u(j);
    }
    if IN_GROUP == 1u {
        return group_v[j];
    }
    return state[base + P + j];
}
fn put_v(j: u32, value: f32) {
    if IN_GROUP == 1u {
        group_v[j] = value;
    } else {
        state[base + P + j] = value;
    }
}
fn get_g(j: u32) -> f32 {
    if IN_GROUP == 1u {
        return group_g[j];
    }
    return state[base + 2u * P + j];
}
fn put_g(j: u32, value: f32) {
    if IN_GROUP == 1u {
        group_g[j] = value;
    } else {
        state[base + 2u * P + j] = value;
    }
}
fn wait() {
    workgroupBarrier();
    if IN_GROUP == 0u {
        storageBarrier();
    }
}
fn slope(j: u32) -> f32 {
    let c = pace[j / 4u][j % 4u];
    if WHITENED == 1u {
        return get_g(j) - c;
    }
    return get_v(j) - c;
}
fn picked_feature(row: u32, j: u32) -> f32 {
    if STAGED == 1u {
        return tile[row * STRIDE + j];
    }
    return feature(picked[row] * COLS + j);
}

// The row that draw j of step t selects, from the alias table.
fn influential(j: u32, chain: u32, t: u32) -> u32 {
    let words = philox(vec4<u32>(j / 2u, t, chain, STREAM_INFLUENCE), KEY);
    let pair = select(words.xy, words.zw, j % 2u == 1u);
    let column = mul_high(pair.x, N);
    let entry = influence[column];
    if pair.y < entry.x || entry.x == 0xffffffffu {
        return column;
    }
    return entry.y;
}

// Computes δ = L⁻ᵀu into v.
fn to_design(lane: u32) {
    for (var i = lane; i < P; i += GROUP) {
        var sum = 0.0;
        for (var j = i; j < P; j++) {
            sum += fixed[j * P + i] * get_u(j);
        }
        put_v(i, sum);
    }
}

// Computes L⁻¹ times the sums into v.
fn from_design(lane: u32) {
    for (var i = lane; i < P; i += GROUP) {
        var sum = 0.0;
        for (var j = 0u; j <= i; j++) {
            sum += fixed[(P + j) * P + i] * get_g(j);
        }
        put_v(i, sum);
    }
}

// Subtracts the priors' remainders from the sum over rows and from its gradient.
fn take_priors(lane: u32) {
    for (var q0 = 0u; q0 < PRIORS; q0 += PRIORS_AT_ONCE) {
        let q = q0 + lane / PRIOR_LANES;
        if q < min(PRIORS, q0 + PRIORS_AT_ONCE) {
            var sum = 0.0;
            for (var j = lane % PRIOR_LANES; j < P; j += PRIOR_LANES) {
                sum += prior_row(q, j) * get_u(j);
            }
            part[lane] = sum;
        }
        workgroupBarrier();
        let count = min(PRIORS_AT_ONCE, PRIORS - q0);
        if lane < count {
            var tau = 0.0;
            for (var i = 0u; i < PRIOR_LANES; i++) {
                tau += part[lane * PRIOR_LANES + i];
            }
            let left = prior_left(q0 + lane, tau);
            pull_rest[lane] = left.x;
            pull[lane] = left.y;
        }
        workgroupBarrier();
        for (var j = lane; j < P; j += GROUP) {
            var sum = 0.0;
            for (var i = 0u; i < count; i++) {
                sum += prior_row(q0 + i, j) * pull[i];
            }
            if WHITENED == 1u {
                put_g(j, get_g(j) - sum);
            } else {
                put_v(j, get_v(j) - sum);
            }
        }
        if lane == 0u {
            var sum = 0.0;
            for (var i = 0u; i < count; i++) {
                sum += pull_rest[i];
            }
            rest_sum -= sum;
            if !is_finite(sum) {
                unfit = 1u;
            }
        }
        wait();
    }
}

@compute @workgroup_size(GROUP)
fn subsampled(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    base = chain * STATE;
    if lane == 0u {
        ended = status[chain * MODE_STATUS + MODE_FAULT];
    }
    if IN_GROUP == 1u {
        for (var j = lane; j < P; j += GROUP) {
            group_u[j] = state[base + j];
        }
    }
    wait();
    for (var s = 0u; s < now.steps; s++) {
        if workgroupUniformLoad(&ended) != 0u {
            break;
        }
        let t = now.step + s;
        let how = pace[(P + 3u) / 4u + s];
        let since = now.done + s;
        let keep = since % now.thin == 0u;
        if lane == 0u {
            unfit = 0u;
            far = 0u;
        }
        if WHITENED == 0u {
            to_design(lane);
            wait();
        }
        var own: array<f32, OWN>;
        for (var i = 0u; i < OWN; i++) {
            own[i] = 0.0;
        }
        var rest = 0.0;
        var last = 0.0;
        let column = lane % WIDTH;
        let split = lane / WIDTH;
        for (var start = 0u; start < BATCH; start += TILE_ROWS) {
            let count = min(TILE_ROWS, BATCH - start);
            if lane < count {
                picked[lane] = influential(start + lane, chain, t);
            }
            workgroupBarrier();
            if STAGED == 1u {
                for (var e = lane; e < count * COLS; e += GROUP) {
                    let row = e / COLS;
                    let j = e % COLS;
                    tile[row * STRIDE + j] = feature(picked[row] * COLS + j);
                }
                workgroupBarrier();
            }
            // Products of outputs k and rows, with LANES threads per product.
            for (var task = lane / LANES; task < K * TILE_ROWS; task += GROUP / LANES) {
                let row = task % TILE_ROWS;
                let k = task / TILE_ROWS;
                if row < count {
                    var sum = 0.0;
                    for (var j = lane % LANES; j < COLS; j += LANES) {
                        sum += picked_feature(row, j) * get_v(k * COLS + j);
                    }
                    part[task * LANES + lane % LANES] = sum;
                }
            }
            workgroupBarrier();
            if lane < count {
                var delta: array<f32, H>;
                for (var k = 0u; k < K; k++) {
                    var sum = 0.0;
                    for (var i = 0u; i < LANES; i++) {
                        sum += part[(k * TILE_ROWS + lane) * LANES + i];
                    }
                    delta[k] = sum;
                }
                if H > K {
                    delta[H - 1u] = get_v(P - 1u) * AUX_SCALE;
                }
                let row = picked[lane] * ROW_LEN;
                let share = rows[row + ROW_INVERSE_Q] * SHARE;
                var beyond = mode_remainder(row, delta);
                rest += beyond.rho * share;
                for (var k = 0u; k < K; k++) {
                    coefficient[k * TILE_ROWS + lane] = beyond.r[k] * share;
                }
                if H > K {
                    last += beyond.r[H - 1u] * share;
                }
            }
            workgroupBarrier();
            for (var i = 0u; i < OWN; i++) {
                let q = column + i * WIDTH;
                if q < SUMS && split < SPLITS {
                    let k = q / COLS;
                    let j = q % COLS;
                    var sum = own[i];
                    for (var row = split; row < count; row += SPLITS) {
                        sum += coefficient[k * TILE_ROWS + row] * picked_feature(row, j);
                    }
                    own[i] = sum;
                }
            }
            workgroupBarrier();
        }
        if SPLITS > 1u {
            if split < SPLITS {
                part[lane] = own[0];
            }
        } else {
            for (var i = 0u; i < OWN; i++) {
                let q = column + i * WIDTH;
                if q < SUMS {
                    put_g(q, own[i]);
                }
            }
        }
        if lane < TILE_ROWS {
            coefficient[lane] = rest;
            if H > K {
                coefficient[TILE_ROWS + lane] = last;
            }
        }
        wait();
        if SPLITS > 1u && lane < SUMS {
            var sum = 0.0;
            for (var i = 0u; i < SPLITS; i++) {
                sum += part[i * WIDTH + lane];
            }
            put_g(lane, sum);
        }
        if lane == 0u {
            var sum = 0.0;
            var more = 0.0;
            for (var i = 0u; i < TILE_ROWS; i++) {
                sum += coefficient[i];
                if H > K {
                    more += coefficient[TILE_ROWS + i];
                }
            }
            rest_sum = sum;
            last_sum = more;
            if !is_finite(sum) {
                unfit = 1u;
            }
        }
        wait();
        if H > K {
            if lane == 0u {
                if WHITENED == 1u {
                    put_g(P - 1u, get_g(P - 1u) + last_sum * AUX_SCALE);
                } else {
                    put_g(P - 1u, last_sum * AUX_SCALE);
                }
            }
            wait();
        }
        if WHITENED == 0u {
            from_design(lane);
            wait();
        }
        if PRIORS > 0u {
            take_priors(lane);
        }
        for (var j = lane; j < P; j += GROUP) {
            if !is_finite(slope(j)) {
                unfit = 1u;
            }
        }
        let moves = workgroupUniformLoad(&unfit) == 0u;
        let at = ((since / now.thin) * C + chain) * MODE_KEPT;
        var size = 0.0;
        for (var four = lane; four < (P + 3u) / 4u; four += GROUP) {
            var z = normals(philox(vec4<u32>(four, t, chain, STREAM_NOISE), KEY));
            for (var i = 0u; i < 4u; i++) {
                let j = 4u * four + i;
                if j < P {
                    let u = get_u(j);
                    let b = slope(j);
                    size += z[i] * z[i];
                    if keep {
                        kept[at + j] = u;
                        kept[at + P + j] = u - b;
                    }
                    if moves {
                        let next = how.x * u + how.y * b + how.z * z[i];
                        put_u(j, next);
                        if abs(next) > LARGEST_SDS {
                            far = 1u;
                        }
                    }
                }
            }
        }
        if keep {
            part[lane] = size;
        }
        wait();
        if lane == 0u {
            if keep {
                var sum = 0.0;
                for (var i = 0u; i < min(GROUP, (P + 3u) / 4u); i++) {
                    sum += part[i];
                }
                kept[at + 2u * P] = rest_sum;
                kept[at + 2u * P + 1u] = sum;
                kept[at + 2u * P + 2u] = 1.0;
            }
            if !moves {
                status[chain * MODE_STATUS + MODE_UNMADE] += 1u;
            }
            if far == 1u {
                ended = DIVERGED;
                status[chain * MODE_STATUS + MODE_FAULT] = DIVERGED;
                status[chain * MODE_STATUS + MODE_FAULT_STEP] = t;
            }
        }
    }
    wait();
    if IN_GROUP == 1u {
        for (var j = lane; j < P; j += GROUP) {
            state[base + j] = group_u[j];
        }
    }
}
