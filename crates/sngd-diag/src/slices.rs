//! Moments and quantiles of a slice.

/// Mean in two passes, so that a large offset costs no digits. NaN for an empty slice.
pub(crate) fn centre(values: &[f64]) -> f64 {
    let n = values.len() as f64;
    let rough = values.iter().sum::<f64>() / n;
    rough + values.iter().map(|x| x - rough).sum::<f64>() / n
}

/// Sample variance, divisor one less than the count. NaN for fewer than two values.
pub(crate) fn variance(values: &[f64]) -> f64 {
    if values.len() < 2 {
        return f64::NAN;
    }
    let mean = centre(values);
    values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (values.len() - 1) as f64
}

/// Type 7 quantile of sorted values.
pub(crate) fn quantile_sorted(sorted: &[f64], prob: f64) -> f64 {
    if sorted.is_empty() || !(0.0..=1.0).contains(&prob) {
        return f64::NAN;
    }
    let at = (sorted.len() - 1) as f64 * prob;
    let below = at.floor() as usize;
    let share = at - at.floor();
    let low = sorted[below];
    let high = sorted[(below + 1).min(sorted.len() - 1)];
    // Interpolate from the nearer end, as NumPy does: an indicator of draws not above the
    // quantile may turn on its last digit.
    if share < 0.5 {
        low + (high - low) * share
    } else {
        high - (high - low) * (1.0 - share)
    }
}
