//! Whether the posterior of a Gaussian's unknown scale σ has a finite mass at both of its ends.
//!
//! With W rows counted by their weights, R the rank of the design and F the number of coefficients under a flat prior, the coefficients
//! integrate to σ^(R−W) as σ → 0 where the columns fit the response without error (else to 0 faster than any power), and to σ^(F−W) as
//! σ → ∞. The prior of σ decides what is integrable.

use super::columns::Columns;
use super::rank::MARGIN;
use faer::Mat;
use sngd_core::likelihood::Likelihood;
use sngd_core::prior::ScalePrior;
use sngd_core::problem::Problem;

/// Whether the mass near σ = 0 is infinite under this prior: an exact fit of more rows than columns can bend to. A response that many
/// columns fit because they are many, as where P > N, is none.
pub fn falls(problem: &Problem, prior: ScalePrior) -> bool {
    if problem.likelihood != Likelihood::GaussianUnknownScale
        || matches!(prior, ScalePrior::InvGamma(..))
    {
        return false;
    }
    let columns = Columns::new(problem, (0..problem.design_columns()).collect());
    if count(problem) < 1.0 {
        return false;
    }
    let stride = columns.counted / (16 * columns.len() + 64);
    // What some of the rows do not fit, all rows do not fit.
    if stride > 1 && fit(&columns.sample(|i| i.is_multiple_of(stride))).is_none() {
        return false;
    }
    fit(&columns).is_some_and(|rank| count(problem) >= rank as f64 + 1.0)
}

/// Whether the mass at large σ is infinite under this prior, with `flat` coefficients under a flat prior.
pub fn grows(problem: &Problem, prior: ScalePrior, flat: usize) -> bool {
    // The power of 1/σ with which the prior's density falls.
    let tail = match prior {
        ScalePrior::Flat => 0.0,
        ScalePrior::HalfCauchy(..) => 2.0,
        ScalePrior::InvGamma(shape, _) => shape + 1.0,
        ScalePrior::HalfNormal(..) | ScalePrior::Exponential(_) => f64::INFINITY,
    };
    problem.likelihood == Likelihood::GaussianUnknownScale
        && count(problem) + tail - flat as f64 <= 1.0
}

/// Number of rows, each counted by its weight.
pub fn count(problem: &Problem) -> f64 {
    match problem.weights.as_slice() {
        [] => problem.rows() as f64,
        w => w.iter().sum(),
    }
}

/// The rank of the columns, where they fit the response but for the rounding of the numbers; `None` where something is left.
fn fit(columns: &Columns<'_>) -> Option<usize> {
    let problem = columns.problem;
    let response = |i: usize| problem.y[i] - problem.offset.get(i).copied().unwrap_or(0.0);
    let f = columns.len();
    let r = columns.triangle(1, |_| true, |i, row| row.push(response(i)));
    if r.nrows() == 0 {
        return None;
    }
    let qr = r.get(.., ..f).to_owned().col_piv_qr();
    let (q, triangle, order) = (qr.compute_thin_Q(), qr.R(), qr.P().arrays().0);
    let pivots = triangle.nrows().min(f);
    let largest = triangle[(0, 0)].abs();
    let smallest = largest * MARGIN * f as f64 * columns.roughness().max(f64::EPSILON);
    let rank = (0..pivots)
        .find(|&k| triangle[(k, k)].abs() <= smallest)
        .unwrap_or(pivots);
    let whole: Vec<f64> = (0..r.nrows()).map(|i| r[(i, f)]).collect();
    let left = beside(&whole, &q, rank);
    // Coefficients of the columns, whose rounding is multiplied by them.
    let mut b: Vec<f64> = (0..rank)
        .map(|k| (0..whole.len()).map(|i| q[(i, k)] * whole[i]).sum())
        .collect();
    for i in (0..rank).rev() {
        b[i] /= triangle[(i, i)];
        for h in 0..i {
            b[h] -= triangle[(h, i)] * b[i];
        }
    }
    let ratio = (problem.transform.y_mean / problem.transform.y_scale).abs();
    let own = f64::EPSILON * (1.0 + ratio);
    let grains = b
        .iter()
        .zip(order)
        .map(|(b, &k)| (b * columns.rounding[k].max(f64::EPSILON)).powi(2));
    let rounding = (own * own + grains.sum::<f64>()).sqrt();
    (left / (columns.counted as f64).sqrt() <= MARGIN * rounding).then_some(rank)
}

/// Length of what is left of a vector beside the first `rank` columns of an orthonormal basis.
fn beside(v: &[f64], basis: &Mat<f64>, rank: usize) -> f64 {
    let mut out = v.to_vec();
    for k in 0..rank {
        let along: f64 = (0..out.len()).map(|i| basis[(i, k)] * out[i]).sum();
        (0..out.len()).for_each(|i| out[i] -= along * basis[(i, k)]);
    }
    out.iter().map(|v| v * v).sum::<f64>().sqrt()
}
