// total[i] = SHARE·Σ_s parts[s,i] + added[i mod SQUARES], in the order of s.
#import <consts>
@group(0) @binding(1) var<storage, read> parts: array<f32>; // parts[S,L]
@group(0) @binding(2) var<storage, read> added: array<f32>; // added[SQUARES]
@group(0) @binding(3) var<storage, read_write> total: array<f32>; // total[L]

@compute @workgroup_size(64)
fn reduce(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * REDUCE_ROW + group.x) * 64u + lane;
    if i >= LENGTH {
        return;
    }
    var sum = 0.0;
    for (var s = 0u; s < SPLITS; s++) {
        sum += parts[s * LENGTH + i];
    }
    if WITH_LAMBDA == 1u {
        sum = SHARE * sum + added[i % SQUARES];
    }
    total[i] = sum;
}
