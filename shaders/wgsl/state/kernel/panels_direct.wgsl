// The products of panels.wgsl for software drivers: one 8×8 block per thread, straight from memory.
#import <consts>
#import "state/shared/panel_buffers.wgsl"

// (Row, column) of a block, in blocks of eight, from its number in a packed lower triangle.
fn block_of(number: u32) -> vec2<u32> {
    var i = u32((sqrt(8.0 * f32(number) + 1.0) - 1.0) * 0.5);
    while (i + 1u) * (i + 2u) / 2u <= number {
        i += 1u;
    }
    while i * (i + 1u) / 2u > number {
        i -= 1u;
    }
    return vec2<u32>(i, number - i * (i + 1u) / 2u);
}

// Copies the panel's values before `panel_below` overwrites them.
@compute @workgroup_size(32)
fn panel_copy(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.z;
    let base = square_at(sq);
    let p0 = panel.index * B32;
    // Below the panel, `lane` is its column; on its block row, `lane` is its row.
    let k = lane;
    let other = group.y;
    let at = (sq * ORDER + other) * B32 + k;
    if other < p0 + B32 {
        if INVERT == 1u && p0 + k < ORDER && other <= p0 + k {
            strip[at] = w[base + (p0 + k) * ORDER + other];
        } else {
            strip[at] = 0.0;
        }
    } else {
        strip[at] = l[base + other * ORDER + p0 + k];
    }
}

// L_IJ = A_IJ·D⁻ᵀ below the diagonal block, W_JK = D⁻¹·W_JK on its row; an 8×8 block per thread.
@compute @workgroup_size(64)
fn panel_below(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.z;
    let base = square_at(sq);
    let number = group.x * 64u + lane;
    let p0 = panel.index * B32;
    let o0 = (number / 4u) * 8u;
    let k0 = (number % 4u) * 8u;
    if o0 >= ORDER || (INVERT == 0u && o0 < p0 + B32) {
        return;
    }
    // sum[other, k] = Σ_m strip[other, m]·D⁻¹[k, m]: the same for both, since strip is W's transpose on the row.
    var sum: array<f32, 64>;
    for (var m = 0u; m < B32; m++) {
        var a: array<f32, 8>;
        var b: array<f32, 8>;
        for (var q = 0u; q < 8u; q++) {
            a[q] = strip[(sq * ORDER + min(o0 + q, ORDER - 1u)) * B32 + m];
            b[q] = block[sq * 1024u + (k0 + q) * B32 + m];
        }
        for (var r = 0u; r < 8u; r++) {
            for (var c = 0u; c < 8u; c++) {
                sum[r * 8u + c] += a[r] * b[c];
            }
        }
    }
    for (var r = 0u; r < 8u; r++) {
        for (var c = 0u; c < 8u; c++) {
            let other = o0 + r;
            let k = p0 + k0 + c;
            if other < ORDER && k < ORDER {
                if other >= p0 + B32 {
                    l[base + other * ORDER + k] = sum[r * 8u + c];
                } else if other <= k {
                    w[base + k * ORDER + other] = sum[r * 8u + c];
                }
            }
        }
    }
}

// A −= L_IJ·L_KJᵀ right of the panel, W −= L_IJ·W_JK left of it: eight rows below the panel by eight columns per thread.
@compute @workgroup_size(64)
fn panel_update(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let sq = group.z;
    let base = square_at(sq);
    let number = group.x * 64u + lane;
    let p0 = panel.index * B32;
    let start = p0 + B32;
    let rows = (ORDER - start + 7u) / 8u;
    let triangle = rows * (rows + 1u) / 2u;
    var i0 = 0u;
    var k0 = 0u;
    if number < triangle {
        let b = block_of(number);
        i0 = start + b.x * 8u;
        k0 = start + b.y * 8u;
    } else {
        let rest = number - triangle;
        i0 = start + (rest / (start / 8u)) * 8u;
        k0 = (rest % (start / 8u)) * 8u;
        if INVERT == 0u || i0 >= ORDER {
            return;
        }
    }
    let on_l = k0 >= start;
    var sum: array<f32, 64>;
    var ri: array<u32, 8>;
    for (var q = 0u; q < 8u; q++) {
        ri[q] = base + min(i0 + q, ORDER - 1u) * ORDER + p0;
    }
    if on_l {
        for (var m = 0u; m < B32; m++) {
            var a: array<f32, 8>;
            var b: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                a[q] = l[ri[q] + m];
                b[q] = l[base + min(k0 + q, ORDER - 1u) * ORDER + p0 + m];
            }
            for (var r = 0u; r < 8u; r++) {
                for (var c = 0u; c < 8u; c++) {
                    sum[r * 8u + c] += a[r] * b[c];
                }
            }
        }
    } else {
        for (var m = 0u; m < B32; m++) {
            var a: array<f32, 8>;
            var b: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                a[q] = l[ri[q] + m];
                // Above its diagonal W is zero and not stored.
                b[q] = select(0.0, w[base + (p0 + m) * ORDER + k0 + q], k0 + q <= p0 + m);
            }
            for (var r = 0u; r < 8u; r++) {
                for (var c = 0u; c < 8u; c++) {
                    sum[r * 8u + c] += a[r] * b[c];
                }
            }
        }
    }
    for (var r = 0u; r < 8u; r++) {
        for (var c = 0u; c < 8u; c++) {
            let i = i0 + r;
            let j = k0 + c;
            if i < ORDER && j <= i {
                let at = base + i * ORDER + j;
                if on_l {
                    l[at] -= sum[r * 8u + c];
                } else {
                    w[at] -= sum[r * 8u + c];
                }
            }
        }
    }
}
