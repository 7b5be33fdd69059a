// C = A·B, all [N,N] f32 row-major, N a multiple of 64. Its rate is what a device's other products are compared with.
#import <consts>

@group(0) @binding(0) var<storage, read> a: array<vec4<f32>>; // a[N,N/4]
@group(0) @binding(1) var<storage, read> b: array<vec4<f32>>; // b[N,N/4]
@group(0) @binding(2) var<storage, read_write> c: array<vec4<f32>>; // c[N,N/4]

const DEPTH: u32 = 16u;
var<workgroup> left: array<f32, 1024>; // left[DEPTH,64]: a tile of A, transposed
var<workgroup> right: array<vec4<f32>, 256>; // right[DEPTH,16]: a tile of B

/// A tile of 64 × 64 per workgroup through shared memory, 4 × 4 numbers per thread: for GPUs.
@compute @workgroup_size(256)
fn shared_tiles(
    @builtin(workgroup_id) tile: vec3<u32>,
    @builtin(local_invocation_index) i: u32,
) {
    let wide = N / 4u;
    let row = i / 16u;
    let column = i % 16u;
    var sums: array<vec4<f32>, 4>;
    for (var k = 0u; k < N; k += DEPTH) {
        let four = a[(64u * tile.y + i / 4u) * wide + k / 4u + i % 4u];
        for (var e = 0u; e < 4u; e++) {
            left[(4u * (i % 4u) + e) * 64u + i / 4u] = four[e];
        }
        right[i] = b[(k + row) * wide + 16u * tile.x + column];
        workgroupBarrier();
        for (var j = 0u; j < DEPTH; j++) {
            let r = right[j * 16u + column];
            for (var e = 0u; e < 4u; e++) {
                sums[e] += left[j * 64u + 4u * row + e] * r;
            }
        }
        workgroupBarrier();
    }
    for (var e = 0u; e < 4u; e++) {
        c[(64u * tile.y + 4u * row + e) * wide + 16u * tile.x + column] = sums[e];
    }
}

/// 4 × 4 numbers per thread, straight from memory: for software drivers. Neighbouring threads share rows of B.
@compute @workgroup_size(16)
fn straight(@builtin(global_invocation_id) id: vec3<u32>) {
    let wide = N / 4u;
    let row = 4u * id.y;
    var sums: array<vec4<f32>, 4>;
    for (var k = 0u; k < wide; k++) {
        let first = a[row * wide + k];
        let second = a[(row + 1u) * wide + k];
        let third = a[(row + 2u) * wide + k];
        let fourth = a[(row + 3u) * wide + k];
        for (var e = 0u; e < 4u; e++) {
            let r = b[(4u * k + e) * wide + id.x];
            sums[0] += first[e] * r;
            sums[1] += second[e] * r;
            sums[2] += third[e] * r;
            sums[3] += fourth[e] * r;
        }
    }
    for (var e = 0u; e < 4u; e++) {
        c[(row + e) * wide + id.x] = sums[e];
    }
}
