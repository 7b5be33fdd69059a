// A sum over the rows of a pass through a network for each parameter: sixteen parameters per workgroup, four threads each.
// The importing root defines what is summed (`term`) and where it is written (`write_sum`).
#import <consts>
#import "state/shared/inputs.wgsl"
#import "state/shared/place.wgsl"

@group(0) @binding(3) var<storage, read> delta: array<f32>; // delta[C,R,UNITS], R = ROWS·SEEDS

const ROWS_A_SPLIT = (R + GRAD_SPLITS - 1u) / GRAD_SPLITS;

var<workgroup> parts: array<f32, 64>;

@compute @workgroup_size(64)
fn network_sum(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y;
    let p = group.x * 16u + lane % 16u;
    let here = place[min(p, P - 1u)];
    let first = group.z * ROWS_A_SPLIT;
    let last = min(R, first + ROWS_A_SPLIT);
    var sum = 0.0;
    for (var j = first + lane / 16u; j < last; j += 4u) {
        let at = chain * R + j;
        sum += term(delta[at * UNITS + here.x] * input_of(at / SEEDS, here.y));
    }
    parts[lane] = sum;
    workgroupBarrier();
    if lane < 16u && p < P {
        let total = (parts[lane] + parts[lane + 16u]) + (parts[lane + 32u] + parts[lane + 48u]);
        write_sum((group.z * C + chain) * P + p, total);
    }
}
