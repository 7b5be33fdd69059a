// Scores a kept draw on a tile of held-out rows, which come after the N fitted rows. A thread has one row and loops over the
// chains of a share, so that only one thread writes each sum over draws. The first of the stored draws resets the sums.
#import <consts>
#import "state/shared/now.wgsl"
#import "lib/panel.wgsl"
#import "state/shared/observed.wgsl"
#import "state/shared/linear.wgsl"
#import <model>

@group(0) @binding(4) var<storage, read> eta: array<f32>; // eta[C,R,H], a network's outputs
@group(0) @binding(5) var<storage, read_write> terms: array<vec2<f32>>; // terms[C,R], (ln p, whether the likeliest class is right)
@group(0) @binding(6) var<storage, read_write> sums: array<f32>; // sums[SPLITS,HELD,WIDTH]: max ln p, Σ p/e^max, then classes, or mean and P(Y ≤ y)

const LEAST = -3e38;

@compute @workgroup_size(64)
fn predict(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) lane: u32) {
    let j = group.x * 64u + lane;
    let row = panel.index * R + j;
    if j >= R || row >= HELD {
        return;
    }
    let o = row_observed(N + row);
    let at = (group.y * HELD + row) * WIDTH;
    var top = LEAST;
    var mass = 0.0;
    if now.slot > 0u {
        top = sums[at];
        mass = sums[at + 1u];
    } else {
        for (var a = 2u; a < WIDTH; a++) {
            sums[at + a] = 0.0;
        }
    }
    for (var chain = group.y; chain < C; chain += SPLITS) {
        var e: array<f32, H>;
        if NETWORK == 1u {
            for (var a = 0u; a < H; a++) {
                e[a] = eta[(chain * R + j) * H + a];
            }
        } else {
            e = linear_outputs(N + row, chain);
        }
        if ROW_OFFSETS == 1u {
            e[0] += row_offset(N + row);
        }
        let ll = log_lik(e, o);
        if ll > top {
            mass = mass * exp_of(top - ll) + 1.0;
            top = ll;
        } else {
            mass += exp_of(ll - top);
        }
        var right = 0.0;
        if CLASSES > 0u {
            var likeliest = 0u;
            var most = -1.0;
            for (var c = 0u; c < CLASSES; c++) {
                let p = exp_of(log_lik(e, vec2<f32>(f32(c), 1.0)));
                sums[at + 2u + c] += p;
                if p > most {
                    likeliest = c;
                    most = p;
                }
            }
            right = select(0.0, 1.0, likeliest == u32(o.x));
        } else {
            sums[at + 2u] += mean(e, o.y);
            sums[at + 3u] += cdf(e, o);
        }
        terms[chain * R + j] = vec2<f32>(ll, right);
    }
    sums[at] = top;
    sums[at + 1u] = mass;
}
