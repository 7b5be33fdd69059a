// Sums over the 64 threads of a workgroup, in an order that never changes. All threads must call it; each gets the sum.
var<workgroup> group_parts: array<vec4<f32>, 64>;

fn group_sum(lane: u32, mine: vec4<f32>) -> vec4<f32> {
    workgroupBarrier(); // the last sum has been read
    group_parts[lane] = mine;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            group_parts[lane] += group_parts[lane + half];
        }
        workgroupBarrier();
    }
    return group_parts[0];
}
