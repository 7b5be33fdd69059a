// Scales M to unit diagonal, factors it left-looking in columns of eight, and inverts it, with one workgroup per square.
// A thread has one row, with eight columns in registers. The importing root defines where the triangle is stored.
#import <consts>
#import "state/shared/now.wgsl"
#import "state/shared/outcome.wgsl"
#import "state/shared/jitter.wgsl"
#import "lib/finite.wgsl"

@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,SQUARES], lower, row-major
@group(0) @binding(2) var<storage, read_write> result: array<f32>; // result[C,SQUARES]: L⁻¹ where INVERT, else L; lower, row-major
@group(0) @binding(4) var<storage, read_write> scale: array<f32>; // scale[C,P], 1/√M_ii

var<workgroup> bad_pivot: atomic<u32>;
var<workgroup> chosen: u32;

// Smallest pivot of the unit-diagonal matrix that f32 can distinguish from rounding.
const PIVOT_MIN = 1e-7;

fn scaled(sq: u32, i: u32, j: u32, jitter: f32) -> f32 {
    if i == j {
        return 1.0 + jitter;
    }
    return matrix[square_at(sq) + i * ORDER + j] * scale[vector_at(sq) + i] * scale[vector_at(sq) + j];
}

fn prepare_scale(sq: u32, lane: u32) {
    if lane == 0u {
        atomicStore(&bad_pivot, ORDER);
    }
    triangle_barrier();
    for (var i = lane; i < ORDER; i += WIDTH) {
        let d = matrix[square_at(sq) + i * (ORDER + 1u)];
        var s = 1.0;
        if is_finite(d) && d > 0.0 {
            s = inverseSqrt(d);
        } else {
            atomicMin(&bad_pivot, i);
        }
        scale[vector_at(sq) + i] = s;
    }
    storageBarrier();
    triangle_barrier();
}

fn factor_once(sq: u32, lane: u32, jitter: f32) {
    for (var c0 = 0u; c0 < ORDER; c0 += 8u) {
        for (var i = c0 + lane; i < ORDER; i += WIDTH) {
            var s: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                if c0 + q <= i {
                    s[q] = scaled(sq, i, c0 + q, jitter);
                }
            }
            for (var k = 0u; k < c0; k++) {
                let v = get_l(sq, i, k);
                for (var q = 0u; q < 8u; q++) {
                    s[q] -= v * get_l(sq, min(c0 + q, ORDER - 1u), k);
                }
            }
            for (var q = 0u; q < 8u; q++) {
                if c0 + q <= i {
                    set_l(sq, i, c0 + q, s[q]);
                }
            }
        }
        triangle_barrier();
        // Every thread factors the same 8×8 block on the diagonal, which saves barriers.
        var b: array<f32, 36>;
        for (var r = 0u; r < 8u; r++) {
            for (var q = 0u; q <= r; q++) {
                if c0 + r < ORDER {
                    b[r * (r + 1u) / 2u + q] = get_l(sq, c0 + r, c0 + q);
                } else {
                    b[r * (r + 1u) / 2u + q] = select(0.0, 1.0, r == q);
                }
            }
        }
        triangle_barrier();
        var inverse: array<f32, 8>;
        for (var q = 0u; q < 8u; q++) {
            var d = b[q * (q + 1u) / 2u + q];
            for (var k = 0u; k < q; k++) {
                d -= b[q * (q + 1u) / 2u + k] * b[q * (q + 1u) / 2u + k];
            }
            if !(is_finite(d) && d > PIVOT_MIN) {
                atomicMin(&bad_pivot, c0 + q);
                d = 1.0;
            }
            inverse[q] = inverseSqrt(d);
            for (var r = q + 1u; r < 8u; r++) {
                var v = b[r * (r + 1u) / 2u + q];
                for (var k = 0u; k < q; k++) {
                    v -= b[r * (r + 1u) / 2u + k] * b[q * (q + 1u) / 2u + k];
                }
                b[r * (r + 1u) / 2u + q] = v * inverse[q];
            }
        }
        for (var i = c0 + lane; i < ORDER; i += WIDTH) {
            var v: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                if c0 + q <= i {
                    var t = get_l(sq, i, c0 + q);
                    for (var k = 0u; k < q; k++) {
                        t -= v[k] * b[q * (q + 1u) / 2u + k];
                    }
                    v[q] = t * inverse[q];
                    set_l(sq, i, c0 + q, v[q]);
                }
            }
        }
        triangle_barrier();
    }
}

// Computes L⁻¹, one column per thread and eight rows at a time. Threads share no data, so there is no barrier.
fn invert(sq: u32, lane: u32) {
    let out = square_at(sq);
    for (var j = lane; j < ORDER; j += WIDTH) {
        let start = (j / 8u) * 8u;
        for (var r0 = start; r0 < ORDER; r0 += 8u) {
            var s: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                s[q] = select(0.0, scale[vector_at(sq) + j], r0 + q == j);
            }
            for (var k = start; k < r0; k++) {
                let v = result[out + k * ORDER + j];
                for (var q = 0u; q < 8u; q++) {
                    s[q] -= get_l(sq, min(r0 + q, ORDER - 1u), k) * v;
                }
            }
            for (var q = 0u; q < 8u; q++) {
                if r0 + q < ORDER {
                    var t = s[q];
                    for (var k = 0u; k < q; k++) {
                        t -= get_l(sq, r0 + q, r0 + k) * s[k];
                    }
                    s[q] = t / get_l(sq, r0 + q, r0 + q);
                    result[out + (r0 + q) * ORDER + j] = s[q];
                }
            }
        }
    }
}

fn write_factor(sq: u32, lane: u32) {
    for (var i = lane; i < ORDER; i += WIDTH) {
        for (var j = 0u; j <= i; j++) {
            result[square_at(sq) + i * ORDER + j] = get_l(sq, i, j) / scale[vector_at(sq) + i];
        }
    }
}

// Factors square sq, starting at jitter level `first`, and reports the outcome.
fn factor_square(sq: u32, lane: u32, first: u32) {
    prepare_scale(sq, lane);
    var level = first;
    var pivot = ORDER;
    loop {
        if lane == 0u {
            chosen = atomicLoad(&bad_pivot);
        }
        pivot = workgroupUniformLoad(&chosen);
        // Jitter cannot repair a diagonal that is not positive.
        if pivot < ORDER {
            break;
        }
        factor_once(sq, lane, jitter_of(level));
        if lane == 0u {
            chosen = atomicLoad(&bad_pivot);
        }
        pivot = workgroupUniformLoad(&chosen);
        if pivot == ORDER || level >= RETRIES {
            break;
        }
        level += 1u;
        if lane == 0u {
            atomicStore(&bad_pivot, ORDER);
        }
        triangle_barrier();
    }
    if pivot == ORDER {
        if INVERT == 1u {
            invert(sq, lane);
        } else {
            write_factor(sq, lane);
        }
    }
    if lane == 0u {
        record_outcome(sq, level, select(NONE, pivot, pivot < ORDER));
    }
}
