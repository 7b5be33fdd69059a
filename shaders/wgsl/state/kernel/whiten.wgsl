// u = L⁻¹(−ε∇C + εTv) + white noise, and the squares for the norms of gradient and noise: eight rows per workgroup, eight
// lanes per row. The step is then L⁻ᵀu.
#import <consts>
#import "state/shared/square.wgsl"
#import "state/shared/now.wgsl"
#import "state/shared/status.wgsl"

@group(0) @binding(1) var<storage, read> linv: array<f32>; // linv[C,SQUARES], lower, row-major
@group(0) @binding(2) var<storage, read> gradient: array<f32>; // gradient[C,P]
@group(0) @binding(3) var<storage, read> drift: array<f32>; // drift[DRIFT_PARTS,C,P], parts of (r/N)·v
@group(0) @binding(4) var<storage, read> z: array<f32>; // z[C,P]
@group(0) @binding(5) var<storage, read> extra: array<f32>; // extra[C,P], Q's share of noise before M⁻¹
@group(0) @binding(6) var<storage, read> status: array<u32>; // status[C,STATUS]
@group(0) @binding(7) var<storage, read_write> white: array<f32>; // white[C,P]
@group(0) @binding(8) var<storage, read_write> squares: array<vec2<f32>>; // squares[C,P]

var<workgroup> parts: array<vec4<f32>, 64>;

@compute @workgroup_size(64)
fn whiten(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let chain = group.y / COUNT;
    let base = square_at(group.y);
    let vector = vector_at(group.y);
    let row = group.x * 8u + lane / 8u;
    var sum = vec3<f32>();
    if row < ORDER {
        for (var b = lane % 8u; b <= row; b += 8u) {
            let l = linv[base + row * ORDER + b];
            sum.x += l * gradient[vector + b];
            if DRIFT_PARTS > 0u {
                var v = 0.0;
                for (var s = 0u; s < DRIFT_PARTS; s++) {
                    v += drift[s * C * P + vector + b];
                }
                sum.y += l * v;
            }
            if NOISE >= 2u || RIDGED == 1u {
                sum.z += l * extra[vector + b];
            }
        }
    }
    parts[lane] = vec4<f32>(sum, 0.0);
    workgroupBarrier();
    if row < ORDER && lane % 8u == 0u {
        var t = vec4<f32>();
        for (var q = 0u; q < 8u; q++) {
            t += parts[lane + q];
        }
        var n = 0.0;
        if NOISE >= 1u {
            let own = z[vector + row];
            let full = sqrt(now.budget) * own;
            n = full;
            if RIDGED == 1u {
                n += t.z;
            }
            if NOISE == NOISE_RESIDUAL {
                n = select(t.z, n, status[chain * STATUS + FELL_BACK] != 0u);
            }
            if NOISE == NOISE_NOMINAL {
                n = sqrt(max(now.budget - now.minibatch, 0.0)) * own + t.z;
            }
        }
        var u = n - now.epsilon * t.x;
        if DRIFT_PARTS > 0u {
            u += now.correction * SHARE * t.y;
        }
        white[vector + row] = u;
        squares[vector + row] = vec2<f32>(t.x * t.x, n * n);
    }
}
