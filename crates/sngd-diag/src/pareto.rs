//! Pareto shape of importance weights.

/// k̂ of the largest weights, given by their logarithms: below 0.5 the weighted mean has a finite variance, above 0.7 it cannot be
/// trusted (Vehtari et al. 2024). The generalised Pareto fit is that of Zhang & Stephens (2009) with the prior that Vehtari et al. add;
/// the tail is the largest min(n/5, 3√n) weights. 0 where all weights agree; infinite where one is not finite.
pub fn pareto_k(log_weights: &[f64]) -> f64 {
    let n = log_weights.len();
    let mut sorted = log_weights.to_vec();
    sorted.sort_by(f64::total_cmp);
    let Some(&largest) = sorted.last() else {
        return f64::NAN;
    };
    let tail =
        ((n as f64 / 5.0).min(3.0 * (n as f64).sqrt()).ceil() as usize).min(n.saturating_sub(1));
    if tail < 5 {
        return f64::NAN;
    }
    if !largest.is_finite() {
        return f64::INFINITY;
    }
    let cutoff = (sorted[n - tail - 1] - largest).exp();
    let excess: Vec<f64> = sorted[n - tail..]
        .iter()
        .map(|w| (w - largest).exp() - cutoff)
        .collect();
    if excess[tail - 1] <= 1e-12 || excess[tail / 4] <= 0.0 {
        return 0.0;
    }
    generalised_pareto_shape(&excess)
}

/// Shape of a generalised Pareto law, estimated from its sorted exceedances.
fn generalised_pareto_shape(x: &[f64]) -> f64 {
    let n = x.len() as f64;
    let grid = 30 + n.sqrt() as usize;
    let quartile = x[(n / 4.0 + 0.5) as usize - 1];
    let largest = x[x.len() - 1];
    let shape = |theta: f64| x.iter().map(|v| (-theta * v).ln_1p()).sum::<f64>() / n;
    let points: Vec<(f64, f64)> = (1..=grid)
        .map(|j| {
            let theta =
                1.0 / largest + (1.0 - (grid as f64 / (j as f64 - 0.5)).sqrt()) / (3.0 * quartile);
            let k = shape(theta);
            (theta, n * ((-theta / k).ln() - k - 1.0))
        })
        .collect();
    let top = points.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
    let (mut total, mut mean) = (0.0, 0.0);
    for (theta, log_lik) in points {
        let w = (log_lik - top).exp();
        if w.is_finite() {
            total += w;
            mean += w * theta;
        }
    }
    let k = shape(mean / total);
    // The prior: ten pseudo-observations at one half.
    (n * k + 5.0) / (n + 10.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of a Pareto law with shape k: the fit finds k, pulled towards one half by its prior.
    #[test]
    fn shapes_of_pareto_laws_are_found() {
        for k in [0.2, 0.5, 0.9, 1.5] {
            let logs: Vec<f64> = (1..=4000)
                .map(|i| -k * (1.0 - (f64::from(i) - 0.5) / 4000.0).ln())
                .collect();
            let found = pareto_k(&logs);
            let m = 190.0;
            let expected = (m * k + 5.0) / (m + 10.0);
            assert!((found - expected).abs() < 0.08, "{k}: {found}");
        }
        assert_eq!(pareto_k(&[0.0; 100]), 0.0);
        assert!(pareto_k(&[0.0; 3]).is_nan());
    }
}
