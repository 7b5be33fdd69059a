//! Derivatives by central differences, (f(x + step) − f(x − step)) / (2·step): for functions that have no derivative of their own, and to
//! check those that have one.

use crate::likelihood::packed;
use crate::real::Real;

/// Derivative of `f` at x.
pub fn slope(mut f: impl FnMut(f64) -> f64, x: f64, step: f64) -> f64 {
    (f(x + step) - f(x - step)) / (2.0 * step)
}

/// Derivatives of a function from `[n]` to `[m]`, which `f` writes into its second argument: for each coordinate i of `x` calls
/// `each(i, ∂f/∂x_i)`. `step` gives the step at a coordinate's value. `room` is a buffer of `[n + 2m]`.
pub fn slopes<T: Real>(
    mut f: impl FnMut(&[T], &mut [T]),
    x: &[T],
    step: impl Fn(T) -> T,
    room: &mut [T],
    mut each: impl FnMut(usize, &[T]),
) {
    let (moved, values) = room.split_at_mut(x.len());
    let (above, below) = values.split_at_mut(values.len() / 2);
    moved.copy_from_slice(x);
    for (i, &here) in x.iter().enumerate() {
        let step = step(here);
        moved[i] = here + step;
        f(moved, above);
        moved[i] = here - step;
        f(moved, below);
        moved[i] = here;
        let both = step + step;
        for (a, &b) in above.iter_mut().zip(&*below) {
            *a = (*a - b) / both;
        }
        each(i, above);
    }
}

/// Contracts ∂W/∂η with h, as [`LikelihoodBody::contract`](crate::likelihood::LikelihoodBody::contract) does: `fisher` writes W, packed
/// lower `[H(H+1)/2]`, at its first argument `[H]`. `room` is a buffer of `[H(H+2)]`.
pub fn contract<T: Real>(
    fisher: impl FnMut(&[T], &mut [T]),
    eta: &[T],
    step: T,
    h: &[T],
    volume: &mut [T],
    divergence: &mut [T],
    room: &mut [T],
) {
    let n = eta.len();
    volume.fill(T::zero());
    divergence.fill(T::zero());
    slopes(
        fisher,
        eta,
        |_| step,
        room,
        |m, slope| {
            for k in 0..n {
                for l in 0..n {
                    volume[m] += slope[packed(k, l)] * h[packed(k, l)];
                    divergence[k] += slope[packed(k, l)] * h[packed(l, m)];
                }
            }
        },
    );
}
