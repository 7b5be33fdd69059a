// One workgroup a chain: M scaled to unit diagonal, factored left-looking in columns of eight, and inverted. A row a
// thread, eight columns in registers. The importing root says where the triangle lives.
#import <consts>
#import "stage/now.wgsl"
#import "stage/status.wgsl"
#import "stage/jitter.wgsl"
#import "lib/finite.wgsl"

@group(0) @binding(1) var<storage, read> matrix: array<f32>; // matrix[C,P,P], lower, row-major
@group(0) @binding(2) var<storage, read_write> result: array<f32>; // result[C,P,P]: L⁻¹ where INVERT, else L; lower, row-major
@group(0) @binding(3) var<storage, read_write> status: array<u32>; // status[C,STATUS]
@group(0) @binding(4) var<storage, read_write> scale: array<f32>; // scale[C,P], 1/√M_ii

var<workgroup> bad_pivot: atomic<u32>;
var<workgroup> chosen: u32;

// Smallest pivot of the unit-diagonal matrix that f32 can tell from rounding.
const PIVOT_MIN = 1e-7;

fn scaled(chain: u32, i: u32, j: u32, jitter: f32) -> f32 {
    if i == j {
        return 1.0 + jitter;
    }
    return matrix[(chain * P + i) * P + j] * scale[chain * P + i] * scale[chain * P + j];
}

fn prepare_scale(chain: u32, lane: u32) {
    if lane == 0u {
        atomicStore(&bad_pivot, P);
    }
    triangle_barrier();
    for (var i = lane; i < P; i += WIDTH) {
        let d = matrix[(chain * P + i) * P + i];
        var s = 1.0;
        if is_finite(d) && d > 0.0 {
            s = inverseSqrt(d);
        } else {
            atomicMin(&bad_pivot, i);
        }
        scale[chain * P + i] = s;
    }
    storageBarrier();
    triangle_barrier();
}

fn factor_once(chain: u32, lane: u32, jitter: f32) {
    for (var c0 = 0u; c0 < P; c0 += 8u) {
        for (var i = c0 + lane; i < P; i += WIDTH) {
            var s: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                if c0 + q <= i {
                    s[q] = scaled(chain, i, c0 + q, jitter);
                }
            }
            for (var k = 0u; k < c0; k++) {
                let v = get_l(chain, i, k);
                for (var q = 0u; q < 8u; q++) {
                    s[q] -= v * get_l(chain, min(c0 + q, P - 1u), k);
                }
            }
            for (var q = 0u; q < 8u; q++) {
                if c0 + q <= i {
                    set_l(chain, i, c0 + q, s[q]);
                }
            }
        }
        triangle_barrier();
        // Every thread factors the 8×8 block on the diagonal for itself.
        var b: array<f32, 36>;
        for (var r = 0u; r < 8u; r++) {
            for (var q = 0u; q <= r; q++) {
                if c0 + r < P {
                    b[r * (r + 1u) / 2u + q] = get_l(chain, c0 + r, c0 + q);
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
        for (var i = c0 + lane; i < P; i += WIDTH) {
            var v: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                if c0 + q <= i {
                    var t = get_l(chain, i, c0 + q);
                    for (var k = 0u; k < q; k++) {
                        t -= v[k] * b[q * (q + 1u) / 2u + k];
                    }
                    v[q] = t * inverse[q];
                    set_l(chain, i, c0 + q, v[q]);
                }
            }
        }
        triangle_barrier();
    }
}

// A column of L⁻¹ a thread, eight rows at a time; nothing is shared, so nothing waits.
fn invert(chain: u32, lane: u32) {
    let out = chain * P * P;
    for (var j = lane; j < P; j += WIDTH) {
        let start = (j / 8u) * 8u;
        for (var r0 = start; r0 < P; r0 += 8u) {
            var s: array<f32, 8>;
            for (var q = 0u; q < 8u; q++) {
                s[q] = select(0.0, scale[chain * P + j], r0 + q == j);
            }
            for (var k = start; k < r0; k++) {
                let v = result[out + k * P + j];
                for (var q = 0u; q < 8u; q++) {
                    s[q] -= get_l(chain, min(r0 + q, P - 1u), k) * v;
                }
            }
            for (var q = 0u; q < 8u; q++) {
                if r0 + q < P {
                    var t = s[q];
                    for (var k = 0u; k < q; k++) {
                        t -= get_l(chain, r0 + q, r0 + k) * s[k];
                    }
                    s[q] = t / get_l(chain, r0 + q, r0 + q);
                    result[out + (r0 + q) * P + j] = s[q];
                }
            }
        }
    }
}

fn write_factor(chain: u32, lane: u32) {
    for (var i = lane; i < P; i += WIDTH) {
        for (var j = 0u; j <= i; j++) {
            result[(chain * P + i) * P + j] = get_l(chain, i, j) / scale[chain * P + i];
        }
    }
}

// TELL: 1 where this is the metric's own factor, 2 the volume's, 3 both.
fn tell_level(at: u32, level: u32) {
    if (TELL & 1u) != 0u {
        status[at + LEVEL] = level;
    }
    if (TELL & 2u) != 0u {
        status[at + VOLUME_LEVEL] = level;
    }
}

// Factors from `first` jitter level on; leaves level or fault in the chain's status.
fn factor_chain(chain: u32, lane: u32, first: u32) {
    prepare_scale(chain, lane);
    var level = first;
    var pivot = P;
    loop {
        if lane == 0u {
            chosen = atomicLoad(&bad_pivot);
        }
        pivot = workgroupUniformLoad(&chosen);
        // The diagonal itself is wrong: no jitter mends that.
        if pivot < P {
            break;
        }
        factor_once(chain, lane, jitter_of(level));
        if lane == 0u {
            chosen = atomicLoad(&bad_pivot);
        }
        pivot = workgroupUniformLoad(&chosen);
        if pivot == P || level >= RETRIES {
            break;
        }
        level += 1u;
        if lane == 0u {
            atomicStore(&bad_pivot, P);
        }
        triangle_barrier();
    }
    if pivot == P {
        if INVERT == 1u {
            invert(chain, lane);
        } else {
            write_factor(chain, lane);
        }
    }
    if lane == 0u {
        let at = chain * STATUS;
        if INVERT == 1u {
            tell_level(at, level);
            if pivot < P && status[at + PENDING] == 0u {
                status[at + PENDING] = METRIC_NOT_POSITIVE;
                status[at + PENDING_PIVOT] = pivot;
            }
        } else {
            status[at + FELL_BACK] = select(0u, 1u, pivot < P);
            status[at + PENDING_PIVOT] = select(status[at + PENDING_PIVOT], pivot, pivot < P && status[at + PENDING] == 0u);
        }
    }
}
