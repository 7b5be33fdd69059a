// The triangle in global memory, for retries above ORDER = 88.
#import <consts>
#import "state/shared/square.wgsl"
@group(0) @binding(6) var<storage, read_write> triangle: array<f32>; // triangle[C,SQUARES], lower, row-major

fn get_l(sq: u32, i: u32, j: u32) -> f32 {
    return triangle[square_at(sq) + i * ORDER + j];
}

fn set_l(sq: u32, i: u32, j: u32, v: f32) {
    triangle[square_at(sq) + i * ORDER + j] = v;
}

fn triangle_barrier() {
    storageBarrier();
    workgroupBarrier();
}
