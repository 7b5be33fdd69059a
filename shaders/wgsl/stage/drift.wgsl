// step += εT·correction, as it was when the metric was made.
#import <consts>
#import "stage/now.wgsl"

@group(0) @binding(1) var<storage, read> correction: array<f32>; // correction[C,P], Γ + (κ/2)M⁻¹∇ln|M|
@group(0) @binding(2) var<storage, read_write> delta: array<f32>; // delta[C,P]

@compute @workgroup_size(64)
fn drift(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = group.x * 64u + lane;
    if p < P {
        let at = group.y * P + p;
        delta[at] += now.heat * correction[at];
    }
}
