//! Default priors of a linear predictor: weakly informative on the scale of the data, those of rstanarm (Gabry and Goodrich, "Prior
//! Distributions for rstanarm Models", section "Default priors and scale adjustments"), with two changes: the intercept's location is the
//! link of the mean response for counts and binary responses too, and numbers are rounded so that what is printed is what is used.

use super::coordinates::Coordinates;
use crate::likelihood::Likelihood;
use crate::prior::{Prior, ScalePrior};

/// Prior sds of a coefficient, in sds of the linear predictor that the response suggests.
const WIDTH: f64 = 2.5;
/// Significant digits of a default prior's scale.
const DIGITS: usize = 4;

/// What the defaults are made of.
pub(super) struct Defaults {
    /// Sd of a Gaussian response; 1 for any other.
    response_sd: f64,
    /// Sd of each design column on the user's scale, `[D]`; 1 for a constant one.
    column_sd: Vec<f64>,
    /// Link of the mean response, without its mean offset.
    location: f64,
}

/// The response of the fitted rows, on the user's scale.
pub(super) struct Fitted<'a> {
    /// Response, `[N]`.
    pub y: &'a [f64],
    /// Trials, `[N]`; empty when all are 1.
    pub trials: &'a [f64],
    /// Offset, `[N]`; empty where there is none.
    pub offset: &'a [f64],
    /// How often each row counts, `[N]`; empty when every row counts once.
    pub weights: &'a [f64],
}

impl Defaults {
    pub fn of(likelihood: &Likelihood, coordinates: &Coordinates, fitted: &Fitted<'_>) -> Defaults {
        let n = fitted.count();
        // Moments have divisor N, sample variances N − 1.
        let sample = (n / (n - 1.0).max(1.0)).sqrt();
        let column_sd = coordinates.moments.iter().map(|&(mean, sd)| {
            match sd > 1e-12 * mean.abs() && sd > 0.0 {
                true => sd * sample,
                false => 1.0,
            }
        });
        let gaussian = matches!(
            likelihood,
            Likelihood::Gaussian { .. } | Likelihood::GaussianUnknownScale
        );
        Defaults {
            column_sd: column_sd.collect(),
            response_sd: match gaussian {
                true => fitted.y_sd() * sample,
                false => 1.0,
            },
            location: fitted.location(likelihood),
        }
    }

    /// Prior of column j's weight.
    pub fn weight(&self, j: usize) -> Prior {
        Prior::Normal(0.0, rounded(WIDTH * self.response_sd / self.column_sd[j]))
    }

    /// Prior of the linear predictor where every column is at its mean.
    pub fn intercept(&self) -> Prior {
        let sd = rounded(WIDTH * self.response_sd);
        Prior::Normal(rounded_beside(self.location, sd), sd)
    }

    /// Prior of an unknown scale.
    pub fn scale(&self) -> ScalePrior {
        ScalePrior::Exponential(rounded(1.0 / self.response_sd))
    }
}

impl Fitted<'_> {
    fn weight(&self, i: usize) -> f64 {
        self.weights.get(i).copied().unwrap_or(1.0)
    }

    fn sum(&self, of: impl Fn(usize) -> f64) -> f64 {
        // A row that does not count may hold anything.
        let counted = (0..self.y.len()).filter(|&i| self.weight(i) > 0.0);
        counted.map(|i| self.weight(i) * of(i)).sum()
    }

    fn count(&self) -> f64 {
        self.sum(|_| 1.0)
    }

    /// Population sd of the response.
    fn y_sd(&self) -> f64 {
        let mean = self.sum(|i| self.y[i]) / self.count();
        (self.sum(|i| (self.y[i] - mean).powi(2)) / self.count()).sqrt()
    }

    /// Link of the mean response; half an event is added to counts, and half a failure, which keeps it finite.
    fn location(&self, likelihood: &Likelihood) -> f64 {
        let offset = |i: usize| self.offset.get(i).copied().unwrap_or(0.0);
        let total = self.sum(|i| self.y[i]);
        let mean_offset = self.sum(offset) / self.count();
        match likelihood {
            Likelihood::Gaussian { .. } | Likelihood::GaussianUnknownScale => {
                total / self.count() - mean_offset
            }
            Likelihood::Poisson => ((total + 0.5) / self.sum(|i| offset(i).exp())).ln(),
            Likelihood::Binomial(link) => {
                let trials = self.sum(|i| self.trials.get(i).copied().unwrap_or(1.0));
                link.of_mean((total + 0.5) / (trials + 1.0)) - mean_offset
            }
            Likelihood::Softmax { .. } | Likelihood::Custom(_) => 0.0,
        }
    }
}

/// To four significant digits.
fn rounded(x: f64) -> f64 {
    format!("{x:.*e}", DIGITS - 1).parse().unwrap_or(x)
}

/// To the decimal place of the last digit that `rounded` keeps of `sd`.
fn rounded_beside(x: f64, sd: f64) -> f64 {
    let place = DIGITS as i32 - 1 - sd.log10().floor() as i32;
    let unit = 10f64.powi(place.abs());
    let out = match place > 0 {
        // By text, so that the number is the one nearest to its decimal form.
        true => format!("{x:.*}", place as usize).parse().unwrap_or(x),
        false => (x / unit).round() * unit,
    };
    // No −0.
    out + 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_that_are_printed() {
        assert_eq!(rounded(0.000_123_456_7), 0.000_123_5);
        assert_eq!(rounded(175_331.4), 175_300.0);
        assert_eq!(rounded_beside(232_345.1, 175_300.0), 232_300.0);
        assert_eq!(rounded_beside(0.405_465_1, 2.5), 0.405);
        assert_eq!(rounded_beside(-1e-9, 2.5).to_string(), "0");
    }
}
