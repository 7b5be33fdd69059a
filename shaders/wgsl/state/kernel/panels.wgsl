// Blocked right-looking Cholesky factorisation and inverse for ORDER above 88, in panels of 32. W starts as I and gets the
// same row operations as the matrix, so that it ends as L⁻¹. For each panel: diagonal block, then L below it and W's block
// row, then an update of everything below.
#import <consts>
#import "lib/finite.wgsl"

#import "state/shared/panel_buffers.wgsl"

const PANELS = (ORDER + 31u) / 32u;
const PIVOT_MIN = 1e-7;

var<workgroup> left: array<f32, 1024>;
var<workgroup> right: array<f32, 1024>;
var<workgroup> bad: u32;

@compute @workgroup_size(64)
fn panel_scale(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.y;
    let base = square_at(sq);
    let i = group.x * 64u + lane;
    if i == 0u {
        failed[sq] = 0u;
    }
    if i < ORDER {
        let d = matrix[base + i * ORDER + i];
        // A diagonal entry that is not positive becomes a pivot of −1, so that the factorisation reports it.
        scale[vector_at(sq) + i] = select(-1.0, inverseSqrt(max(d, 1e-37)), is_finite(d) && d > 0.0);
    }
}

@compute @workgroup_size(64)
fn panel_prepare(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.z;
    let base = square_at(sq);
    let i = group.y;
    let j = group.x * 64u + lane;
    if j <= i {
        let at = base + i * ORDER + j;
        let si = scale[vector_at(sq) + i];
        let sj = scale[vector_at(sq) + j];
        if i == j {
            l[at] = select(-1.0, 1.0, si > 0.0);
        } else {
            l[at] = matrix[at] * si * sj;
        }
        if INVERT == 1u {
            w[at] = select(0.0, 1.0, i == j);
        }
    }
}

@compute @workgroup_size(64)
fn panel_diagonal(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.x;
    let base = square_at(sq);
    let p0 = panel.index * B32;
    for (var e = lane; e < 1024u; e += 64u) {
        let i = e / B32;
        let j = e % B32;
        var v = select(0.0, 1.0, i == j);
        if p0 + i < ORDER && j <= i {
            v = l[base + (p0 + i) * ORDER + p0 + j];
        }
        left[e] = v;
        right[e] = 0.0;
    }
    if lane == 0u {
        bad = 0u;
    }
    workgroupBarrier();
    // Columns one after another; lanes 0..32 have one row each.
    for (var j = 0u; j < B32; j++) {
        var d = left[j * B32 + j];
        let fine = is_finite(d) && d > PIVOT_MIN;
        let r = select(1.0, inverseSqrt(max(d, PIVOT_MIN)), fine);
        workgroupBarrier();
        if lane == j {
            if !fine && bad == 0u {
                bad = 1u + p0 + j;
            }
            left[j * B32 + j] = 1.0 / r;
        } else if lane > j && lane < B32 {
            left[lane * B32 + j] *= r;
        }
        workgroupBarrier();
        if lane > j && lane < B32 {
            let v = left[lane * B32 + j];
            for (var k = j + 1u; k <= lane; k++) {
                left[lane * B32 + k] -= v * left[k * B32 + j];
            }
        }
        workgroupBarrier();
    }
    // Inverse, one column per lane.
    if lane < B32 {
        for (var i = lane; i < B32; i++) {
            var s = select(0.0, 1.0, i == lane);
            for (var k = lane; k < i; k++) {
                s -= left[i * B32 + k] * right[k * B32 + lane];
            }
            right[i * B32 + lane] = s / left[i * B32 + i];
        }
    }
    workgroupBarrier();
    for (var e = lane; e < 1024u; e += 64u) {
        let i = e / B32;
        let j = e % B32;
        block[sq * 1024u + e] = right[e];
        if p0 + i < ORDER && j <= i {
            l[base + (p0 + i) * ORDER + p0 + j] = left[e];
        }
    }
    if lane == 0u && bad != 0u && failed[sq] == 0u {
        failed[sq] = bad;
    }
}

// Σ_k left[i,k]·right[k,j], 4×4 entries per thread.
fn product(lane: u32) -> array<f32, 16> {
    var sum: array<f32, 16>;
    let i0 = (lane / 8u) * 4u;
    let j0 = (lane % 8u) * 4u;
    for (var k = 0u; k < B32; k++) {
        var a: array<f32, 4>;
        var b: array<f32, 4>;
        for (var m = 0u; m < 4u; m++) {
            a[m] = left[k * B32 + i0 + m];
            b[m] = right[k * B32 + j0 + m];
        }
        for (var r = 0u; r < 4u; r++) {
            for (var c = 0u; c < 4u; c++) {
                sum[r * 4u + c] += a[r] * b[c];
            }
        }
    }
    return sum;
}

// Below the diagonal block L_IJ = A_IJ·D⁻ᵀ; on its row W_JK = D⁻¹·W_JK. `left` is stored transposed, [k,i].
@compute @workgroup_size(64)
fn panel_below(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.y;
    let base = square_at(sq);
    let p0 = panel.index * B32;
    let below = PANELS - 1u - panel.index;
    let on_l = group.x < below;
    let other = select(group.x - below, panel.index + 1u + group.x, on_l) * B32;
    for (var e = lane; e < 1024u; e += 64u) {
        let i = e / B32;
        let j = e % B32;
        let d = block[sq * 1024u + e];
        if on_l {
            left[j * B32 + i] = select(0.0, l[base + min(other + i, ORDER - 1u) * ORDER + p0 + j], other + i < ORDER);
            right[j * B32 + i] = d;
        } else {
            left[j * B32 + i] = d;
            let inside = p0 + i < ORDER && other + j <= p0 + i;
            right[e] = select(0.0, w[base + min(p0 + i, ORDER - 1u) * ORDER + min(other + j, ORDER - 1u)], inside);
        }
    }
    workgroupBarrier();
    let sum = product(lane);
    for (var m = 0u; m < 16u; m++) {
        let i = (lane / 8u) * 4u + m / 4u;
        let j = (lane % 8u) * 4u + m % 4u;
        if on_l {
            if other + i < ORDER {
                l[base + (other + i) * ORDER + p0 + j] = sum[m];
            }
        } else if p0 + i < ORDER && other + j <= p0 + i {
            w[base + (p0 + i) * ORDER + other + j] = sum[m];
        }
    }
}

// A_IK −= L_IJ·L_KJᵀ right of the panel, W_IK −= L_IJ·W_JK left of it and on it.
@compute @workgroup_size(64)
fn panel_update(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.z;
    let base = square_at(sq);
    let p0 = panel.index * B32;
    let i0 = (panel.index + 1u + group.y) * B32;
    let k0 = select(group.x, panel.index + 1u + group.x, INVERT == 0u) * B32;
    if k0 > i0 {
        return;
    }
    let on_l = k0 > p0;
    for (var e = lane; e < 1024u; e += 64u) {
        let i = e / B32;
        let j = e % B32;
        left[j * B32 + i] = select(0.0, l[base + min(i0 + i, ORDER - 1u) * ORDER + p0 + j], i0 + i < ORDER);
        if on_l {
            right[j * B32 + i] = select(0.0, l[base + min(k0 + i, ORDER - 1u) * ORDER + p0 + j], k0 + i < ORDER);
        } else {
            right[e] = select(0.0, w[base + (p0 + i) * ORDER + k0 + j], k0 + j <= p0 + i);
        }
    }
    workgroupBarrier();
    let sum = product(lane);
    for (var m = 0u; m < 16u; m++) {
        let i = i0 + (lane / 8u) * 4u + m / 4u;
        let j = k0 + (lane % 8u) * 4u + m % 4u;
        if i < ORDER && j <= i {
            let at = base + i * ORDER + j;
            if on_l {
                l[at] -= sum[m];
            } else {
                w[at] -= sum[m];
            }
        }
    }
}

// Undoes the scaling: L⁻¹ = W·S, or L = S⁻¹·L̃ into w.
@compute @workgroup_size(64)
fn panel_finish(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.z;
    let base = square_at(sq);
    let i = group.y;
    let j = group.x * 64u + lane;
    if j <= i {
        let at = base + i * ORDER + j;
        if INVERT == 1u {
            w[at] *= scale[vector_at(sq) + j];
        } else {
            w[at] = l[at] / scale[vector_at(sq) + i];
        }
    }
}
