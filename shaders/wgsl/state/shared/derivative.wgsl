// Contraction of ∂W/∂η with h, packed. The empirical s sᵀ has no closed derivative, so central differences in η give it.
#import <consts>
#import "lib/contract.wgsl"
#import <model>

fn derivative(e: array<f32, H>, o: vec2<f32>, h: array<f32, HH>) -> Contraction {
    if EMPIRICAL == 0u {
        return contract(e, o.y, h);
    }
    var out: Contraction;
    var levers = h;
    var moved = e;
    for (var m = 0u; m < H; m++) {
        let at = moved[m];
        moved[m] = at + 1e-2;
        var up = score(moved, o);
        moved[m] = at - 1e-2;
        var down = score(moved, o);
        moved[m] = at;
        for (var a = 0u; a < H; a++) {
            for (var b = 0u; b < H; b++) {
                let dw = (up[a] * up[b] - down[a] * down[b]) * 50.0;
                let ab = max(a, b) * (max(a, b) + 1u) / 2u + min(a, b);
                let bm = max(b, m) * (max(b, m) + 1u) / 2u + min(b, m);
                out.volume[m] += dw * levers[ab];
                out.divergence[a] += dw * levers[bm];
            }
        }
    }
    return out;
}
