// M⁻¹ = L⁻ᵀL⁻¹, both triangles, in tiles of 8·TILE_M squared as in gram.wgsl.
#import <consts>
@group(0) @binding(1) var<storage, read> linv: array<f32>; // linv[C,P,P], lower, row-major
@group(0) @binding(2) var<storage, read_write> inverse: array<f32>; // inverse[C,P,P], both triangles

const T = 8u * TILE_M;
const CHUNK = 8u;
var<workgroup> left: array<f32, CHUNK * T>;
var<workgroup> right: array<f32, CHUNK * T>;

@compute @workgroup_size(64)
fn inverse_tiles(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.z;
    let i0 = group.y * T;
    let j0 = group.x * T;
    if j0 > i0 {
        return;
    }
    let base = chain * P * P;
    let ti = (lane / 8u) * TILE_M;
    let tj = (lane % 8u) * TILE_M;
    var sum: array<f32, TILE_M * TILE_M>;
    for (var a0 = i0; a0 < P; a0 += CHUNK) {
        let a = a0 + lane / 8u;
        for (var m = 0u; m < TILE_M; m++) {
            let column = lane % 8u + 8u * m;
            let at = base + min(a, P - 1u) * P;
            left[(lane / 8u) * T + column] = select(0.0, linv[at + min(i0 + column, P - 1u)], a < P && i0 + column <= a);
            right[(lane / 8u) * T + column] = select(0.0, linv[at + min(j0 + column, P - 1u)], a < P && j0 + column <= a);
        }
        workgroupBarrier();
        for (var row = 0u; row < CHUNK; row++) {
            var u: array<f32, TILE_M>;
            var v: array<f32, TILE_M>;
            for (var m = 0u; m < TILE_M; m++) {
                u[m] = left[row * T + ti + m];
                v[m] = right[row * T + tj + m];
            }
            for (var r = 0u; r < TILE_M; r++) {
                for (var c = 0u; c < TILE_M; c++) {
                    sum[r * TILE_M + c] += u[r] * v[c];
                }
            }
        }
        workgroupBarrier();
    }
    for (var r = 0u; r < TILE_M; r++) {
        for (var c = 0u; c < TILE_M; c++) {
            let i = i0 + ti + r;
            let j = j0 + tj + c;
            if i < P && j <= i {
                inverse[base + i * P + j] = sum[r * TILE_M + c];
                inverse[base + j * P + i] = sum[r * TILE_M + c];
            }
        }
    }
}
