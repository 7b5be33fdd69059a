// (r/N)·v from the metrics at ω and ω + δu: −∂M[u]·u + (κ/2)·∂ln|M|[u]·Lz, where Lz = Mu, damping included.
#import <consts>
#import "state/shared/place.wgsl"
#import "lib/group_sum.wgsl"

@group(0) @binding(1) var<storage, read> linv: array<f32>; // linv[C,SQUARES], L⁻¹ at ω
@group(0) @binding(2) var<storage, read> linv_moved: array<f32>; // linv_moved[C,SQUARES], L⁻¹ at ω + δu
@group(0) @binding(3) var<storage, read> here: array<f32>; // here[C,P], the metric at ω times u, less RIDGE·u
@group(0) @binding(4) var<storage, read> there: array<f32>; // there[C,P], the same with the metric at ω + δu
@group(0) @binding(5) var<storage, read> u: array<f32>; // u[C,P], L⁻ᵀz
@group(0) @binding(6) var<storage, read_write> drift: array<f32>; // drift[1,C,P]

@compute @workgroup_size(64)
fn slope(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    var s = 0.0;
    for (var p = lane; p < P && HALF_KAPPA > 0.0; p += 64u) {
        let at = chain * SQUARES + diagonal_of(p);
        // ln|M| = −2 Σ ln (L⁻¹)_pp. The ratio is near one, so the log of the ratio is exact where two logs would cancel.
        let a = linv[at];
        let b = linv_moved[at];
        let t = (a - b) / (a + b);
        s += 4.0 * t * (1.0 + t * t * (0.33333334 + 0.2 * t * t));
    }
    let all = group_sum(lane, vec4<f32>(s, 0.0, 0.0, 0.0)).x;
    let log_det = all;
    for (var p = lane; p < P; p += 64u) {
        let at = chain * P + p;
        let lz = here[at] + RIDGE * u[at];
        drift[at] = (here[at] - there[at] + HALF_KAPPA * log_det * lz) / (DELTA * SHARE);
    }
}
