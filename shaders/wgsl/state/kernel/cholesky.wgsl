// Cholesky factorisation of a square with its retries, for ORDER up to 88.
#import <consts>
#import "state/shared/triangle_shared.wgsl"
#import "state/shared/left_looking.wgsl"

@compute @workgroup_size(WIDTH)
fn cholesky(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    factor_square(group.x, lane, 0u);
}
