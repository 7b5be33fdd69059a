// The packed triangle in shared memory, for ORDER up to 88 (15.3 KiB).
#import <consts>
var<workgroup> triangle: array<f32, ORDER * (ORDER + 1u) / 2u>;

fn get_l(sq: u32, i: u32, j: u32) -> f32 {
    return triangle[i * (i + 1u) / 2u + j];
}

fn set_l(sq: u32, i: u32, j: u32, v: f32) {
    triangle[i * (i + 1u) / 2u + j] = v;
}

fn triangle_barrier() {
    workgroupBarrier();
}
