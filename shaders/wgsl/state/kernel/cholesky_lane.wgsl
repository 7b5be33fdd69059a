// Cholesky factorisation and inverse of a square by one thread, in blocks of eight: for software drivers, which have no
// parallelism but their lanes. There is no barrier and no shared memory. Eight by eight sums stay in registers, so loops
// over them have constant bounds, and everything with a run-time index is in memory. During the factorisation, the
// diagonal blocks of `result` are the inverses of those of L.
#import <consts>
#import "state/shared/now.wgsl"
#import "state/shared/outcome.wgsl"
#import "state/shared/jitter.wgsl"
#import "lib/finite.wgsl"

@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,SQUARES], lower, row-major
@group(0) @binding(2) var<storage, read_write> result: array<f32>; // result[C,SQUARES]: L⁻¹ where INVERT, else L; lower, row-major
@group(0) @binding(4) var<storage, read_write> scale: array<f32>; // scale[C,P], 1/√M_ii
@group(0) @binding(6) var<storage, read_write> triangle: array<f32>; // triangle[C,SQUARES], lower, row-major

const PIVOT_MIN = 1e-7;

// Subtracts Σ_k L[i0 + r, k]·L[j0 + c, k] over k < j0 from the scaled matrix, into `triangle`. Rows past ORDER repeat the
// last and are not written.
fn accumulate(base: u32, vector: u32, i0: u32, j0: u32, jitter: f32) {
    var s: array<f32, 64>;
    var ri: array<u32, 8>;
    var rj: array<u32, 8>;
    for (var m = 0u; m < 8u; m++) {
        ri[m] = base + min(i0 + m, ORDER - 1u) * ORDER;
        rj[m] = base + min(j0 + m, ORDER - 1u) * ORDER;
    }
    for (var k = 0u; k < j0; k++) {
        var a: array<f32, 8>;
        var b: array<f32, 8>;
        for (var m = 0u; m < 8u; m++) {
            a[m] = triangle[ri[m] + k];
            b[m] = triangle[rj[m] + k];
        }
        for (var r = 0u; r < 8u; r++) {
            for (var c = 0u; c < 8u; c++) {
                s[r * 8u + c] += a[r] * b[c];
            }
        }
    }
    for (var r = 0u; r < 8u; r++) {
        for (var c = 0u; c < 8u; c++) {
            let i = i0 + r;
            let j = j0 + c;
            if i < ORDER && j <= i {
                var v = 1.0 + jitter;
                if j < i {
                    v = matrix[base + i * ORDER + j] * scale[vector + i] * scale[vector + j];
                }
                triangle[base + i * ORDER + j] = v - s[r * 8u + c];
            }
        }
    }
}

// Factors the diagonal block in memory and writes its inverse to `result`. Returns the failing pivot, ORDER if none.
fn factor_block(base: u32, j0: u32) -> u32 {
    let end = min(j0 + 8u, ORDER);
    var bad = ORDER;
    for (var q = j0; q < end; q++) {
        var d = triangle[base + q * ORDER + q];
        for (var k = j0; k < q; k++) {
            let v = triangle[base + q * ORDER + k];
            d -= v * v;
        }
        if !(is_finite(d) && d > PIVOT_MIN) {
            bad = min(bad, q);
            d = 1.0;
        }
        let inverse = inverseSqrt(d);
        triangle[base + q * ORDER + q] = d * inverse;
        for (var r = q + 1u; r < end; r++) {
            var v = triangle[base + r * ORDER + q];
            for (var k = j0; k < q; k++) {
                v -= triangle[base + r * ORDER + k] * triangle[base + q * ORDER + k];
            }
            triangle[base + r * ORDER + q] = v * inverse;
        }
    }
    for (var c = j0; c < end; c++) {
        for (var r = j0; r < end; r++) {
            var v = select(0.0, 1.0, r == c);
            for (var k = c; k < r; k++) {
                v -= triangle[base + r * ORDER + k] * result[base + k * ORDER + c];
            }
            if r < c {
                v = 0.0;
            }
            result[base + r * ORDER + c] = v / triangle[base + r * ORDER + r];
        }
    }
    return bad;
}

// Multiplies block (i0, j0) of the triangle by the inverse of the diagonal block's transpose.
fn below_block(base: u32, i0: u32, j0: u32) {
    var s: array<f32, 64>;
    for (var k = j0; k < min(j0 + 8u, ORDER); k++) {
        var a: array<f32, 8>;
        var b: array<f32, 8>;
        for (var m = 0u; m < 8u; m++) {
            a[m] = triangle[base + min(i0 + m, ORDER - 1u) * ORDER + k];
            b[m] = result[base + min(j0 + m, ORDER - 1u) * ORDER + k];
        }
        for (var r = 0u; r < 8u; r++) {
            for (var c = 0u; c < 8u; c++) {
                s[r * 8u + c] += a[r] * b[c];
            }
        }
    }
    for (var r = 0u; r < 8u; r++) {
        for (var c = 0u; c < 8u; c++) {
            if i0 + r < ORDER && j0 + c < ORDER {
                triangle[base + (i0 + r) * ORDER + j0 + c] = s[r * 8u + c];
            }
        }
    }
}

fn factor_lane(base: u32, vector: u32, jitter: f32) -> u32 {
    var bad = ORDER;
    for (var j0 = 0u; j0 < ORDER; j0 += 8u) {
        accumulate(base, vector, j0, j0, jitter);
        bad = min(bad, factor_block(base, j0));
        for (var i0 = j0 + 8u; i0 < ORDER; i0 += 8u) {
            accumulate(base, vector, i0, j0, jitter);
            below_block(base, i0, j0);
        }
    }
    return bad;
}

// W_IJ = −W_II Σ_k L_Ik W_kJ, block column by block column; then the scaling is undone.
fn invert_lane(base: u32, vector: u32) {
    for (var j0 = 0u; j0 < ORDER; j0 += 8u) {
        for (var i0 = j0 + 8u; i0 < ORDER; i0 += 8u) {
            var s: array<f32, 64>;
            for (var k = j0; k < i0; k++) {
                var a: array<f32, 8>;
                var b: array<f32, 8>;
                for (var m = 0u; m < 8u; m++) {
                    a[m] = triangle[base + min(i0 + m, ORDER - 1u) * ORDER + k];
                    b[m] = result[base + k * ORDER + j0 + m];
                }
                for (var r = 0u; r < 8u; r++) {
                    for (var c = 0u; c < 8u; c++) {
                        s[r * 8u + c] += a[r] * b[c];
                    }
                }
            }
            for (var r = 0u; r < 8u; r++) {
                for (var c = 0u; c < 8u; c++) {
                    if i0 + r < ORDER {
                        result[base + (i0 + r) * ORDER + j0 + c] = s[r * 8u + c];
                    }
                }
            }
            var t: array<f32, 64>;
            for (var k = i0; k < min(i0 + 8u, ORDER); k++) {
                var a: array<f32, 8>;
                var b: array<f32, 8>;
                for (var m = 0u; m < 8u; m++) {
                    a[m] = result[base + min(i0 + m, ORDER - 1u) * ORDER + k];
                    b[m] = result[base + k * ORDER + j0 + m];
                }
                for (var r = 0u; r < 8u; r++) {
                    for (var c = 0u; c < 8u; c++) {
                        t[r * 8u + c] += a[r] * b[c];
                    }
                }
            }
            for (var r = 0u; r < 8u; r++) {
                for (var c = 0u; c < 8u; c++) {
                    if i0 + r < ORDER {
                        result[base + (i0 + r) * ORDER + j0 + c] = -t[r * 8u + c];
                    }
                }
            }
        }
    }
    for (var i = 0u; i < ORDER; i++) {
        for (var j = 0u; j <= i; j++) {
            result[base + i * ORDER + j] *= scale[vector + j];
        }
    }
}

@compute @workgroup_size(8)
fn cholesky(@builtin(global_invocation_id) id: vec3<u32>) {
    let sq = id.x;
    if sq >= C * COUNT {
        return;
    }
    let base = square_at(sq);
    let vector = vector_at(sq);
    var pivot = ORDER;
    for (var i = 0u; i < ORDER; i++) {
        let d = matrix[base + i * ORDER + i];
        var s = 1.0;
        if is_finite(d) && d > 0.0 {
            s = inverseSqrt(d);
        } else {
            pivot = min(pivot, i);
        }
        scale[vector + i] = s;
    }
    var level = 0u;
    // Jitter cannot repair a diagonal that is not positive.
    if pivot == ORDER {
        loop {
            pivot = factor_lane(base, vector, jitter_of(level));
            if pivot == ORDER || level >= RETRIES {
                break;
            }
            level += 1u;
        }
    }
    if INVERT == 0u {
        for (var i = 0u; i < ORDER; i++) {
            for (var j = 0u; j <= i; j++) {
                result[base + i * ORDER + j] = triangle[base + i * ORDER + j] / scale[vector + i];
            }
        }
    } else if pivot == ORDER {
        invert_lane(base, vector);
    }
    record_outcome(sq, level, select(NONE, pivot, pivot < ORDER));
}
