// Sums that MALA's test needs from both points: squares of whitened gradient and noise, rᵀM′r, and
// ½(ln|M′| − ln|M|) + (κ/2)(ln|V′| − ln|V|), V = N·F + Λ.
#import <consts>
#import "lib/group_sum.wgsl"
@group(0) @binding(1) var<storage, read> squares: array<vec2<f32>>; // squares[C,P]
@group(0) @binding(2) var<storage, read> back: array<f32>; // back[C,P], r
@group(0) @binding(3) var<storage, read> product: array<f32>; // product[C,P], M′r
@group(0) @binding(4) var<storage, read> linv: array<f32>; // linv[C,P,P], at ω
@group(0) @binding(5) var<storage, read> linv_next: array<f32>; // linv_next[C,P,P], at ω′
@group(0) @binding(7) var<storage, read> volume: array<f32>; // volume[C,P,P], the same of N·F + Λ at ω
@group(0) @binding(8) var<storage, read> volume_next: array<f32>; // volume_next[C,P,P], at ω′
@group(0) @binding(6) var<storage, read_write> terms: array<vec4<f32>>; // terms[C]

@compute @workgroup_size(64)
fn accept_terms(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    var s = vec4<f32>();
    for (var p = lane; p < P; p += 64u) {
        let at = chain * P + p;
        let pp = at * P + p;
        var change = log(linv[pp] / linv_next[pp]);
        if HALF_KAPPA > 0.0 {
            change += 2.0 * HALF_KAPPA * log(volume[pp] / volume_next[pp]);
        }
        s += vec4<f32>(squares[at], back[at] * product[at], change);
    }
    let all = group_sum(lane, s);
    if lane == 0u {
        terms[chain] = all;
    }
}
