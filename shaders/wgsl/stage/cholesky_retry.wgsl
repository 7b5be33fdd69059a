// The retries of chains whose blocked factorisation failed, P above 88: rare, so one workgroup a chain will do.
#import <consts>
#import "stage/triangle_global.wgsl"
#import "stage/left_looking.wgsl"

@group(0) @binding(5) var<storage, read> failed: array<u32>; // failed[C], 1 + failing pivot of the first attempt, 0 if none

var<workgroup> wanted: u32;

@compute @workgroup_size(WIDTH)
fn cholesky_retry(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    if lane == 0u {
        wanted = failed[group.x];
        if wanted == 0u {
            let at = group.x * STATUS;
            if INVERT == 0u {
                status[at + FELL_BACK] = 0u;
            } else {
                tell_level(at, 0u);
            }
        } else if INVERT == 0u {
            // A residual gets no jitter: the pivot is all there is to tell.
            let at = group.x * STATUS;
            status[at + FELL_BACK] = 1u;
            if status[at + PENDING] == 0u {
                status[at + PENDING_PIVOT] = wanted - 1u;
            }
            wanted = 0u;
        }
    }
    if workgroupUniformLoad(&wanted) != 0u {
        factor_chain(group.x, lane, 1u);
    }
}
