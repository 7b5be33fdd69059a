//! Proper priors whose tails are too heavy to end a direction along which the likelihood does not fall.
//!
//! Where larger x separates all rows, the likelihood is near 1 for a slope b beyond some size and an intercept from a range as long as b.
//! Under a flat intercept the mass of such slopes is that of b·p(b), infinite for a Cauchy prior p. In general, where the directions of m
//! flat coefficients and one more with a Student-t prior of ν degrees of freedom fill a cone of dimension k, the mass is that of
//! r^(k−1)·r^−(ν+1) over their length r: infinite for k ≥ ν + 1. Several such priors at once are not looked at.

use super::Direction;
use super::columns::Columns;
use super::cone::Verdict;
use super::rank::unseen;
use super::recession::{one_output, widest};
use super::sides::Sides;
use sngd_core::prior::Prior;
use sngd_core::problem::Problem;

/// A direction of the flat coefficients and one under such a prior. The flat ones alone must have none.
pub fn open(problem: &Problem, flat: &[usize]) -> Option<Direction> {
    let sides = Sides::new(problem)?;
    let freedom = |j: usize| match problem.priors[j] {
        Prior::Cauchy(..) => Some(1.0),
        Prior::StudentT(nu, ..) => Some(nu),
        _ => None,
    };
    let heavy: Vec<(usize, f64)> = (0..problem.design_columns())
        .filter_map(|j| {
            freedom(j)
                .filter(|nu| *nu <= flat.len() as f64)
                .map(|nu| (j, nu))
        })
        .collect();
    let with = |more: &[(usize, f64)]| {
        let mut index: Vec<usize> = flat
            .iter()
            .copied()
            .chain(more.iter().map(|m| m.0))
            .collect();
        index.sort_unstable();
        Columns::new(problem, index)
    };
    let none = |columns: &Columns<'_>| one_output(columns, sides) == Verdict::Balanced;
    if heavy.is_empty()
        || (heavy.len() > 1
            && unseen(&with(&heavy), |_| true, |_, _| false).is_empty()
            && none(&with(&heavy)))
    {
        return None;
    }
    heavy.iter().find_map(|&(j, nu)| {
        let columns = with(&[(j, nu)]);
        let still = widest(&columns, sides)?.still;
        // The cone fills what the rows that stay leave open.
        let dimension = match still.counted {
            0 => columns.len(),
            _ => unseen(&still, |_| true, |_, _| false).len(),
        };
        let wide = dimension as f64 >= nu + 1.0;
        let found = wide.then(|| super::one_sided(columns, sides, None))?;
        found.map(|found| Direction {
            heavy: Some(j),
            ..found
        })
    })
}
