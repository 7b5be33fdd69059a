//! Computes from the measured noise how many rows a step needs.

use crate::noise::Noise;
use sngd_core::plan::Plan;

/// Steps after the reference at which the noise is measured; index 5 is the lag of the check.
pub const LAGS: [usize; 9] = [0, 1, 2, 5, 10, 20, 50, 100, 200];

/// Measurements at one lag after one reference.
pub struct Point {
    /// Squared distance |ω − ω̃|² in the metric, divided by P.
    pub distance: f64,
    /// Noise of the plain gradient.
    pub plain: Noise,
    /// Noise with control variates.
    pub cv: Noise,
}

/// Cost of a step by one kind of noise: the mean over directions, or the worst direction.
pub struct Cost<'a> {
    plan: &'a Plan,
    /// Batch size B that plain steps need, with replacement.
    pub batch: f64,
    /// Share of the plain noise that remains with control variates, one for each of `LAGS`.
    pub left: Vec<f64>,
}

impl Cost<'_> {
    /// Finds B from εN²/(2B)·noise = `share`; `of` is the mean over directions or the largest eigenvalue.
    pub fn new<'a>(
        plan: &'a Plan,
        points: &[Vec<Point>],
        share: f64,
        of: fn(&Noise) -> f64,
    ) -> Cost<'a> {
        let mean = |k: usize, part: fn(&Point) -> &Noise| -> f64 {
            points[k].iter().map(|x| of(part(x))).sum::<f64>() / points[k].len() as f64
        };
        let n = plan.n as f64;
        Cost {
            plan,
            batch: plan.step_size.at(0) * n * n * mean(0, |x| &x.plain) / (2.0 * share),
            left: (0..LAGS.len())
                .map(|k| mean(k, |x| &x.cv) / mean(k, |x| &x.plain))
                .collect(),
        }
    }

    /// Mean of `left` over the m steps from a reference to the next, interpolated linearly between the lags.
    pub fn mean_left(&self, m: usize) -> f64 {
        let at = |l: usize| {
            let k = LAGS.iter().rposition(|&x| x <= l).expect("lag 0");
            let next = (k + 1).min(LAGS.len() - 1);
            let part = (l - LAGS[k]) as f64 / (LAGS[next] - LAGS[k]).max(1) as f64;
            self.left[k] + part * (self.left[next] - self.left[k])
        };
        (0..m).map(at).sum::<f64>() / m as f64
    }

    /// Size of the batch without replacement that has the same noise as b rows with replacement.
    pub fn distinct(&self, b: f64) -> f64 {
        let n = self.plan.n as f64;
        b * n / (b + n - 1.0)
    }

    /// Rows per step with control variates refreshed every m steps: those of the two batch gradients, and of the full gradient.
    pub fn rows(&self, m: usize, replacement: bool) -> (f64, f64) {
        let b = self.batch * self.mean_left(m);
        let b = if replacement { b } else { self.distinct(b) };
        (2.0 * b, self.plan.n as f64 / m as f64)
    }

    /// The refresh period with the fewest rows, as text.
    pub fn best(&self, replacement: bool) -> String {
        let all = |m: usize| self.rows(m, replacement).0 + self.rows(m, replacement).1;
        let m = (1..=LAGS[LAGS.len() - 1]).min_by(|&a, &b| all(a).total_cmp(&all(b)));
        let m = m.expect("a period");
        let plain = if replacement {
            self.batch
        } else {
            self.distinct(self.batch)
        };
        format!(
            "{:.0} at m = {m} against {plain:.0} plain, {:.2} of it",
            all(m),
            all(m) / plain
        )
    }
}
