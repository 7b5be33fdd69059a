// Retries for squares whose blocked factorisation failed, ORDER above 88. They are rare, so one workgroup per square is
// enough.
#import <consts>
#import "state/shared/triangle_global.wgsl"
#import "state/shared/left_looking.wgsl"

@group(0) @binding(5) var<storage, read> failed: array<u32>; // failed[C,COUNT], 1 + failing pivot of the first attempt, 0 if none

var<workgroup> wanted: u32;

@compute @workgroup_size(WIDTH)
fn cholesky_retry(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if lane == 0u {
        wanted = failed[group.x];
        // A residual gets no jitter, so only the pivot is reported.
        if wanted == 0u || INVERT == 0u {
            record_outcome(group.x, 0u, select(wanted - 1u, NONE, wanted == 0u));
            wanted = 0u;
        }
    }
    if workgroupUniformLoad(&wanted) != 0u {
        factor_square(group.x, lane, 1u);
    }
}
