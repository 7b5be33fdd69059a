//! Autocovariance of chains, averaged over them.

use std::cell::RefCell;

use rustfft::FftPlanner;
use rustfft::num_complex::Complex64;

use crate::pool::Pool;
use crate::slices::centre;

thread_local! {
    /// Twiddle factors are kept per thread: all quantities of a run share one length.
    static PLANNER: RefCell<FftPlanner<f64>> = RefCell::new(FftPlanner::new());
}

/// Autocovariance at lags 0 to `draws - 1`, each chain about its own mean and divided by `draws`
/// at every lag, then averaged over chains.
///
/// By Fourier transform, padded so that lags do not wrap. Only the average is wanted, so the power
/// spectra are summed and transformed back once; and two real chains travel as one complex one,
/// since the real part of the transform of |Z|^2 is the sum of both autocovariances.
pub(crate) fn mean_autocovariance(pool: &Pool) -> Vec<f64> {
    let draws = pool.draws;
    let length = smooth_length(2 * draws);
    let (forward, inverse) = PLANNER.with_borrow_mut(|planner| {
        (
            planner.plan_fft_forward(length),
            planner.plan_fft_inverse(length),
        )
    });
    let scratch = forward
        .get_inplace_scratch_len()
        .max(inverse.get_inplace_scratch_len());
    let mut scratch = vec![Complex64::ZERO; scratch];
    let mut wave = vec![Complex64::ZERO; length];
    let mut power = vec![Complex64::ZERO; length];

    for pair in (0..pool.chains).step_by(2) {
        wave.fill(Complex64::ZERO);
        let chain = pool.chain(pair);
        let mean = centre(chain);
        for (w, x) in wave.iter_mut().zip(chain) {
            w.re = x - mean;
        }
        if pair + 1 < pool.chains {
            let chain = pool.chain(pair + 1);
            let mean = centre(chain);
            for (w, x) in wave.iter_mut().zip(chain) {
                w.im = x - mean;
            }
        }
        forward.process_with_scratch(&mut wave, &mut scratch);
        for (p, w) in power.iter_mut().zip(&wave) {
            p.re += w.norm_sqr();
        }
    }

    inverse.process_with_scratch(&mut power, &mut scratch);
    let scale = 1.0 / (length as f64 * draws as f64 * pool.chains as f64);
    power[..draws].iter().map(|p| p.re * scale).collect()
}

/// Smallest number not below `least` with no prime factor above 5.
fn smooth_length(least: usize) -> usize {
    (least.max(1)..)
        .find(|&n| {
            let rest = [2, 3, 5].into_iter().fold(n, |mut n, prime| {
                while n % prime == 0 {
                    n /= prime;
                }
                n
            });
            rest == 1
        })
        .unwrap_or(least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equals_the_sum_over_lagged_products() {
        for (chains, draws) in [(1, 2), (1, 7), (2, 8), (3, 31), (5, 100)] {
            let values: Vec<f64> = (0..chains * draws)
                .map(|i| ((i * i * 7 + 3 * i) % 101) as f64 + 1e3)
                .collect();
            let pool = Pool {
                values,
                chains,
                draws,
            };
            let fast = mean_autocovariance(&pool);
            for lag in 0..draws {
                let mut sum = 0.0;
                for c in 0..chains {
                    let x = pool.chain(c);
                    let mean = centre(x);
                    sum += (0..draws - lag)
                        .map(|t| (x[t] - mean) * (x[t + lag] - mean))
                        .sum::<f64>();
                }
                let slow = sum / (chains * draws) as f64;
                let error = (fast[lag] - slow).abs() / fast[0];
                assert!(
                    error < 1e-13,
                    "{chains} x {draws}, lag {lag}: {} vs {slow}",
                    fast[lag]
                );
            }
        }
    }

    #[test]
    fn lengths_are_smooth() {
        assert_eq!(
            [1, 7, 11, 31, 10_000].map(smooth_length),
            [1, 8, 12, 32, 10_000]
        );
    }
}
