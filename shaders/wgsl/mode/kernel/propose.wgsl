// u′ = (1 − ε)u + ε∇R + spread·z of every chain, four entries per thread. On the engine's first pass u′ = u.
#import <consts>
#import "lib/normal.wgsl"
#import "mode/shared/now.wgsl"

@group(0) @binding(1) var<storage, read> state: array<f32>; // state[C,2P], u and ∇R
@group(0) @binding(2) var<storage, read_write> there: array<f32>; // there[C,P]

@compute @workgroup_size(64)
fn propose(@builtin(global_invocation_id) id: vec3<u32>) {
    let chain = id.y;
    if 4u * id.x >= P || chain >= C {
        return;
    }
    var z = normals(philox(vec4<u32>(id.x, now.step, chain, STREAM_NOISE), vec2<u32>(SEED0, SEED1)));
    for (var i = 0u; i < 4u; i++) {
        let j = 4u * id.x + i;
        if j < P {
            let u = state[chain * 2u * P + j];
            var next = u;
            if now.first == 0u {
                next = now.stay * u + now.epsilon * state[chain * 2u * P + P + j] + now.spread * z[i];
            }
            there[chain * P + j] = next;
        }
    }
}
