// Standard normals at fixed Philox addresses: VECTORS vectors of LENGTH per chain and step. Entry j is block j/4, lane j%4.
#import <consts>
#import "state/shared/seed.wgsl"
#import "state/shared/now.wgsl"
#import "lib/normal.wgsl"

@group(0) @binding(1) var<storage, read_write> z: array<f32>; // z[C,VECTORS,LENGTH]

const BLOCKS = (LENGTH + 3u) / 4u;

@compute @workgroup_size(64)
fn draw_normals(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let i = (group.y * WIDE + group.x) * 64u + lane;
    if i >= C * VECTORS * BLOCKS {
        return;
    }
    let block = i % BLOCKS;
    let v = (i / BLOCKS) % VECTORS;
    let chain = i / (BLOCKS * VECTORS);
    let n = normals(philox(vec4<u32>(block, now.step * VECTORS + v, chain, STREAM), SEED));
    let out = (chain * VECTORS + v) * LENGTH + block * 4u;
    for (var q = 0u; q < 4u; q++) {
        if block * 4u + q < LENGTH {
            z[out + q] = n[q];
        }
    }
}
