// Q = (2ε − ε²)·T·M − ε²V̂ + ridge·I, V̂ = spread·Σ(g − ḡ)(g − ḡ)ᵀ from the sums over R rows.
#import <consts>
#import "stage/now.wgsl"
#import "stage/place.wgsl"

@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,P,P], M, lower
@group(0) @binding(2) var<storage, read> second: array<f32>; // second[C,P,P], Σ ggᵀ, lower
@group(0) @binding(3) var<storage, read> first: array<f32>; // first[C,P], Σ g
@group(0) @binding(4) var<storage, read_write> q: array<f32>; // q[C,P,P], lower

@compute @workgroup_size(64)
fn residual(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.z;
    let i = group.y;
    let j = group.x * 64u + lane;
    if j <= i {
        let at = (chain * P + i) * P + j;
        let spread = second[at] - first[chain * P + i] * (first[chain * P + j] / f32(R));
        // Between blocks the metric is 0 and nothing is deducted.
        let own = now.budget * matrix[at] - now.spread * spread + select(0.0, now.ridge, i == j);
        q[at] = select(0.0, own, same_block(i, j));
    }
}
