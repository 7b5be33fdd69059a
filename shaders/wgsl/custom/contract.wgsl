// For a user's model that does not define `contract`: ∂W/∂η by central differences of its `fisher`.
#import "lib/contract.wgsl"

fn contract(eta: array<f32, H>, trials: f32, h: array<f32, HH>) -> Contraction {
    var out: Contraction;
    var levers = h;
    var moved = eta;
    for (var m = 0u; m < H; m++) {
        let at = moved[m];
        moved[m] = at + 1e-2;
        var up = fisher(moved, trials);
        moved[m] = at - 1e-2;
        var down = fisher(moved, trials);
        moved[m] = at;
        for (var a = 0u; a < H; a++) {
            for (var b = 0u; b < H; b++) {
                let dw = (up[packed(a, b)] - down[packed(a, b)]) * 50.0;
                out.volume[m] += dw * levers[packed(a, b)];
                out.divergence[a] += dw * levers[packed(b, m)];
            }
        }
    }
    return out;
}
