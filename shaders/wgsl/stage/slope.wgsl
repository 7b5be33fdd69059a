// Γ + (κ/2)M⁻¹∇ln|M| from the metrics at ω ± δu: [(M⁺)⁻¹ − (M⁻)⁻¹]Lz/(2δ) and u·Δln|M|/(2δ).
#import <consts>
#import "stage/place.wgsl"

@group(0) @binding(1) var<storage, read> linv_up: array<f32>; // linv_up[C,SQUARES], L⁻¹ at ω + δu
@group(0) @binding(2) var<storage, read> linv_down: array<f32>; // linv_down[C,SQUARES], L⁻¹ at ω − δu
@group(0) @binding(3) var<storage, read> up: array<f32>; // up[C,P], (M⁺)⁻¹Lz
@group(0) @binding(4) var<storage, read> down: array<f32>; // down[C,P], (M⁻)⁻¹Lz
@group(0) @binding(5) var<storage, read> u: array<f32>; // u[C,P]
@group(0) @binding(6) var<storage, read_write> correction: array<f32>; // correction[C,P]

var<workgroup> sums: array<f32, 64>;

@compute @workgroup_size(64)
fn slope(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.x;
    var s = 0.0;
    for (var p = lane; p < P; p += 64u) {
        let at = chain * SQUARES + diagonal_of(p);
        // ln|M| = −2 Σ ln (L⁻¹)_pp; the ratio is near one, so its log keeps what the two logs would lose.
        let a = linv_down[at];
        let b = linv_up[at];
        let t = (a - b) / (a + b);
        s += 4.0 * t * (1.0 + t * t * (0.33333334 + 0.2 * t * t));
    }
    sums[lane] = s;
    workgroupBarrier();
    for (var half = 32u; half > 0u; half /= 2u) {
        if lane < half {
            sums[lane] += sums[lane + half];
        }
        workgroupBarrier();
    }
    let log_det = sums[0];
    for (var p = lane; p < P; p += 64u) {
        let at = chain * P + p;
        correction[at] = (up[at] - down[at] + HALF_KAPPA * log_det * u[at]) / (2.0 * DELTA);
    }
}
