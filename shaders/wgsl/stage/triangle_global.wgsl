// The triangle in global memory, for retries above P = 88.
#import <consts>
@group(0) @binding(6) var<storage, read_write> triangle: array<f32>; // triangle[C,P,P], lower, row-major

fn get_l(chain: u32, i: u32, j: u32) -> f32 {
    return triangle[(chain * P + i) * P + j];
}

fn set_l(chain: u32, i: u32, j: u32, v: f32) {
    triangle[(chain * P + i) * P + j] = v;
}

fn triangle_barrier() {
    storageBarrier();
    workgroupBarrier();
}
