// Q = (2ε − ε²)·T·M − ε²V̂ + ridge·I, V̂ = spread·Σ(g − ḡ)(g − ḡ)ᵀ from the sums over R rows.
#import <consts>
#import "state/shared/now.wgsl"
#import "state/shared/square.wgsl"

@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,SQUARES], M, lower
@group(0) @binding(2) var<storage, read> second: array<f32>; // second[C,SQUARES], Σ ggᵀ, lower
@group(0) @binding(3) var<storage, read> first: array<f32>; // first[C,P], Σ g
@group(0) @binding(4) var<storage, read_write> q: array<f32>; // q[C,SQUARES], lower

@compute @workgroup_size(64)
fn residual(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let base = square_at(group.z);
    let vector = vector_at(group.z);
    let i = group.y;
    let j = group.x * 64u + lane;
    if j <= i {
        let at = base + i * ORDER + j;
        let spread = second[at] - first[vector + i] * (first[vector + j] / f32(R));
        q[at] = now.budget * matrix[at] - now.covariance * spread + select(0.0, now.ridge, i == j);
    }
}
