//! Compares moments with a reference: how far off they are, whether that is within the bounds, and when it would be.

use serde::{Deserialize, Serialize};

/// Largest error of a mean, in posterior sds.
pub const MEAN_BOUND: f64 = 0.1;
/// Largest error of an sd, in percent of it.
pub const SD_BOUND: f64 = 5.0;

/// Posterior moments of each parameter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reference {
    /// Names of the parameters as in `sngd summary`, `[P]`.
    pub names: Vec<String>,
    /// Posterior mean of each parameter, `[P]`.
    pub mean: Vec<f64>,
    /// Posterior standard deviation of each parameter, `[P]`.
    pub sd: Vec<f64>,
}

/// A contender's estimate of the posterior at one moment of its run; a line of a peer's output.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Checkpoint {
    /// Wall time since its process began, in seconds.
    pub seconds: f64,
    /// The part of `seconds` before the first kept draw: start, reading, compilation, warm-up.
    #[serde(default)]
    pub before_draws: f64,
    /// Number of draws of all chains.
    #[serde(default)]
    pub draws: u64,
    /// Posterior means in the reference's order, `[P]`.
    pub mean: Vec<f64>,
    /// Posterior sds in the same order, `[P]`; none for a fit, which has no sds.
    #[serde(default)]
    pub sd: Option<Vec<f64>>,
    /// Smallest effective sample size over all parameters.
    #[serde(default)]
    pub ess: Option<f64>,
}

/// The worst errors over all parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Errors {
    /// Largest error of a mean, in posterior sds.
    pub mean: f64,
    /// Largest error of an sd, in percent; none for a fit, which has no sds.
    pub sd: Option<f64>,
}

impl Errors {
    /// The errors of moments in the reference's order. A NaN counts as an infinite error.
    pub fn of(mean: &[f64], sd: Option<&[f64]>, reference: &Reference) -> anyhow::Result<Errors> {
        let p = reference.mean.len();
        for (what, found) in [("means", Some(mean.len())), ("sds", sd.map(<[f64]>::len))] {
            if let Some(found) = found
                && found != p
            {
                anyhow::bail!("a contender gave {found} {what}, expected {p} as in the reference");
            }
        }
        let worst = |errors: &mut dyn Iterator<Item = f64>| {
            errors.fold(
                0.0f64,
                |a, b| {
                    if b.is_nan() { f64::INFINITY } else { a.max(b) }
                },
            )
        };
        let at = |i: usize| (reference.mean[i], reference.sd[i]);
        Ok(Errors {
            mean: worst(&mut (0..p).map(|i| ((mean[i] - at(i).0) / at(i).1).abs())),
            sd: sd.map(|sd| worst(&mut (0..p).map(|i| 100.0 * (sd[i] / at(i).1 - 1.0).abs()))),
        })
    }

    /// Whether both errors are within their bounds; never true without sds.
    pub fn within(&self) -> bool {
        self.excess() <= 1.0
    }

    /// The larger of the two errors, each divided by its bound; infinite without sds.
    pub fn excess(&self) -> f64 {
        let sd = self.sd.map_or(f64::INFINITY, |sd| sd / SD_BOUND);
        sd.max(self.mean / MEAN_BOUND)
    }
}

/// Wall time in seconds at which the errors would be within the bounds, if they keep falling as one over the root of the
/// time spent on draws. `None` if the errors are infinite or no time was spent on draws.
pub fn extrapolated(at: &Checkpoint, errors: &Errors) -> Option<f64> {
    let excess = errors.excess();
    let drawing = at.seconds - at.before_draws;
    (excess.is_finite() && drawing > 0.0)
        .then(|| at.before_draws + drawing * excess.max(1.0).powi(2))
}

/// Smallest, median and largest of some times; the median of an even number is the mean of the two middle ones.
pub fn spread(times: &[f64]) -> Option<[f64; 3]> {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let n = sorted.len();
    let (first, last) = (*sorted.first()?, *sorted.last()?);
    Some([first, 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]), last])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference() -> Reference {
        Reference {
            names: vec!["a".into(), "b".into()],
            mean: vec![1.0, -2.0],
            sd: vec![0.5, 4.0],
        }
    }

    fn checkpoint(seconds: f64, before_draws: f64) -> Checkpoint {
        Checkpoint {
            seconds,
            before_draws,
            draws: 1,
            mean: Vec::new(),
            sd: None,
            ess: None,
        }
    }

    #[test]
    fn the_worst_parameter_counts_in_its_own_sds() {
        let e = Errors::of(&[1.04, -2.2], Some(&[0.51, 3.88]), &reference()).unwrap();
        assert!((e.mean - 0.08).abs() < 1e-12, "{e:?}");
        assert!((e.sd.unwrap() - 3.0).abs() < 1e-9, "{e:?}");
        assert!(e.within());
        let mean_off = Errors::of(&[1.06, -2.0], Some(&[0.5, 4.0]), &reference()).unwrap();
        assert!(!mean_off.within(), "{mean_off:?}");
        let sd_off = Errors::of(&[1.0, -2.0], Some(&[0.5, 4.3]), &reference()).unwrap();
        assert!(!sd_off.within(), "{sd_off:?}");
    }

    #[test]
    fn missing_numbers_are_never_within_the_bound() {
        let nan = Errors::of(&[f64::NAN, -2.0], Some(&[0.5, 4.0]), &reference()).unwrap();
        assert!(!nan.within());
        let fit = Errors::of(&[1.0, -2.0], None, &reference()).unwrap();
        assert!(!fit.within() && fit.mean == 0.0);
        let short = Errors::of(&[1.0], None, &reference()).unwrap_err();
        assert!(short.to_string().contains("1 means, expected 2"), "{short}");
    }

    /// Errors of twice the bound need four times the time spent on draws; what came before the draws is spent only once.
    #[test]
    fn errors_fall_with_the_root_of_the_time_spent_on_draws() {
        let e = Errors {
            mean: 0.05,
            sd: Some(10.0),
        };
        let guess = |at: Checkpoint, e: &Errors| extrapolated(&at, e).unwrap();
        assert!((guess(checkpoint(30.0, 10.0), &e) - 90.0).abs() < 1e-9);
        let e = Errors {
            mean: 0.3,
            sd: Some(10.0),
        };
        assert!((guess(checkpoint(30.0, 20.0), &e) - 110.0).abs() < 1e-9);
        let met = Errors {
            mean: 0.01,
            sd: Some(1.0),
        };
        assert_eq!(extrapolated(&checkpoint(30.0, 20.0), &met), Some(30.0));
        let fit = Errors {
            mean: 0.01,
            sd: None,
        };
        assert_eq!(extrapolated(&checkpoint(30.0, 0.0), &fit), None);
    }

    #[test]
    fn the_spread_is_least_middle_and_largest() {
        assert_eq!(spread(&[3.0, 1.0, 2.0]), Some([1.0, 2.0, 3.0]));
        assert_eq!(spread(&[4.0, 1.0]), Some([1.0, 2.5, 4.0]));
        assert_eq!(spread(&[]), None);
    }
}
