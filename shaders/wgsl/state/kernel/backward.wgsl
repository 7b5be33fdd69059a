// The reverse move of MALA's test: r = ω − ω′ + εM′⁻¹∇C′, from L′⁻ᵀL′⁻¹∇C′.
#import <consts>
#import "state/shared/now.wgsl"

@group(0) @binding(1) var<storage, read> delta: array<f32>; // delta[C,P], ω′ − ω
@group(0) @binding(2) var<storage, read> natural: array<f32>; // natural[C,P], M′⁻¹∇C′
@group(0) @binding(3) var<storage, read_write> back: array<f32>; // back[C,P]

@compute @workgroup_size(64)
fn backward(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let p = group.x * 64u + lane;
    if p < P {
        let at = group.y * P + p;
        back[at] = now.epsilon * natural[at] - delta[at];
    }
}
