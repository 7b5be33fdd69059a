// L⁻ᵀ or L⁻¹ times a vector of every chain, one entry of the result per thread. It converts between u and the vectors
// that an unwhitened design is multiplied with.
#import <consts>

@group(0) @binding(1) var<storage, read> fixed: array<f32>; // fixed[2,P,P] and more, L⁻¹ by rows and its transpose
@group(0) @binding(2) var<storage, read> input: array<f32>; // input[C,WIDE]: P numbers, and behind sums what mode/kernel/fold.wgsl says
@group(0) @binding(3) var<storage, read_write> output: array<f32>; // output[C,WIDE]

@compute @workgroup_size(64)
fn to_design(@builtin(global_invocation_id) id: vec3<u32>) {
    let chain = id.y;
    if id.x >= P || chain >= C {
        return;
    }
    var sum = 0.0;
    for (var j = id.x; j < P; j++) {
        sum += fixed[j * P + id.x] * input[chain * WIDE + j];
    }
    output[chain * WIDE + id.x] = sum;
}

@compute @workgroup_size(64)
fn from_design(@builtin(global_invocation_id) id: vec3<u32>) {
    let chain = id.y;
    if id.x > P || chain >= C {
        return;
    }
    let at = chain * WIDE;
    if id.x == P {
        // Σρ is copied.
        output[at + P] = input[at + P];
        output[at + P + 1u] = 0.0;
        return;
    }
    var sum = 0.0;
    for (var j = 0u; j <= id.x; j++) {
        var s = input[at + j];
        if H > K && j == P - 1u {
            s += input[at + P + 1u] * AUX_SCALE;
        }
        sum += fixed[(P + j) * P + id.x] * s;
    }
    output[at + id.x] = sum;
}
