// Products of squares with vectors: eight rows per workgroup, eight lanes per row.
#import <consts>
#import "state/shared/square.wgsl"
@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,SQUARES], lower, row-major
@group(0) @binding(2) var<storage, read> input: array<f32>; // input[C,VECTORS,P]
@group(0) @binding(3) var<storage, read_write> output: array<f32>; // output[C,VECTORS,P]

var<workgroup> parts: array<f32, 64>;

fn total(lane: u32, sum: f32) -> f32 {
    parts[lane] = sum;
    workgroupBarrier();
    var t = 0.0;
    for (var q = 0u; q < 8u; q++) {
        t += parts[(lane / 8u) * 8u + q];
    }
    return t;
}

// output = L·input.
@compute @workgroup_size(64)
fn lower(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let base = square_at(group.y);
    let vector = (group.y / COUNT * VECTORS + group.z) * P + parameter_at(group.y);
    let row = group.x * 8u + lane / 8u;
    var sum = 0.0;
    if row < ORDER {
        for (var b = lane % 8u; b <= row; b += 8u) {
            sum += matrix[base + row * ORDER + b] * input[vector + b];
        }
    }
    let t = total(lane, sum);
    if row < ORDER && lane % 8u == 0u {
        output[vector + row] = t;
    }
}

// output = Lᵀ·input.
@compute @workgroup_size(64)
fn upper(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let base = square_at(group.y);
    let vector = (group.y / COUNT * VECTORS + group.z) * P + parameter_at(group.y);
    let row = group.x * 8u + lane % 8u;
    var sum = 0.0;
    if row < ORDER {
        for (var a = row + lane / 8u; a < ORDER; a += 8u) {
            sum += matrix[base + a * ORDER + row] * input[vector + a];
        }
    }
    // Here the lanes of one row are eight apart.
    let t = total((lane % 8u) * 8u + lane / 8u, sum);
    if row < ORDER && lane < 8u {
        output[vector + row] = t;
    }
}

// output = M·input from M's lower triangle.
@compute @workgroup_size(64)
fn symmetric(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let base = square_at(group.y);
    let vector = (group.y / COUNT * VECTORS + group.z) * P + parameter_at(group.y);
    let row = group.x * 8u + lane / 8u;
    var sum = 0.0;
    if row < ORDER {
        for (var b = lane % 8u; b < ORDER; b += 8u) {
            let hi = max(row, b);
            let lo = min(row, b);
            sum += matrix[base + hi * ORDER + lo] * input[vector + b];
        }
    }
    let t = total(lane, sum);
    if row < ORDER && lane % 8u == 0u {
        output[vector + row] = t;
    }
}
