//! Derivatives by central differences, (f(x + step) − f(x − step)) / (2·step): for functions whose derivative is not written down, and to
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

#[cfg(test)]
mod tests {
    use super::*;

    /// On polynomials of second order central differences are exact but for rounding.
    #[test]
    fn quadratics_have_exact_slopes() {
        let f = |x: &[f64], out: &mut [f64]| out.copy_from_slice(&[x[0] * x[1], x[1] * x[1], 3.0]);
        let mut found = Vec::new();
        let mut room = [0.0; 2 + 2 * 3];
        slopes(
            f,
            &[2.0, -5.0],
            |x| 0.01 * x,
            &mut room,
            |i, d| found.push((i, d.to_vec())),
        );
        for ((i, d), (j, expected)) in found
            .iter()
            .zip([(0, [-5.0, 0.0, 0.0]), (1, [2.0, -10.0, 0.0])])
        {
            assert_eq!(*i, j);
            assert!(
                d.iter().zip(expected).all(|(d, e)| (d - e).abs() < 1e-12),
                "{d:?}"
            );
        }
        assert_eq!(found.len(), 2);
        assert!((slope(|x| x * x, 3.0, 0.5) - 6.0).abs() < 1e-12);
    }
}
