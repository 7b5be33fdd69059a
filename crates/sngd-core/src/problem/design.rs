//! From a table's features to the rows that are fitted and the rows that are held out, and what their columns are like.

use crate::features::Features;

/// The rows `train` and the rows `test` of a table, both in ascending order, each with a leading column of ones if there is an intercept.
/// The first reuse the table's memory.
pub(super) fn split(
    mut x: Features,
    train: &[usize],
    test: &[usize],
    intercept: bool,
) -> (Features, Features) {
    let mut held = x.gather(test);
    if train.len() * x.columns() < x.len() {
        x.keep(train);
    }
    if intercept {
        x.insert_column(0, 1.0, train.len());
        held.insert_column(0, 1.0, test.len());
    }
    (x, held)
}

/// Subtracts each column's mean and divides by its scale, but for the pivot's.
pub(super) fn standardise(x: &mut Features, mean: &[f64], scale: &[f64], pivot: Option<usize>) {
    x.change_rows(|_, row| {
        for j in (0..row.len()).filter(|&j| Some(j) != pivot) {
            row[j] = (row[j] - mean[j]) / scale[j];
        }
    });
}

/// Mean and population sd of each column of `[N,D]`, whose rows count `weights` `[N]` times each; once where that is empty.
pub(super) fn column_moments(x: &Features, weights: &[f64]) -> Vec<(f64, f64)> {
    let d = x.columns();
    let n = match weights {
        [] => (x.len() / d) as f64,
        w => w.iter().sum(),
    };
    let share = |i: usize, v: f64| weights.get(i).map_or(v, |w| w * v) / n;
    let mut mean = vec![0.0; d];
    let mut i = 0;
    x.each_row(|row| {
        (mean.iter_mut().zip(row)).for_each(|(m, &v)| *m += share(i, v));
        i += 1;
    });
    let mut var = vec![0.0; d];
    let mut i = 0;
    x.each_row(|row| {
        for j in 0..d {
            let r = row[j] - mean[j];
            var[j] += share(i, r * r);
        }
        i += 1;
    });
    mean.into_iter()
        .zip(var.into_iter().map(f64::sqrt))
        .collect()
}

/// The all-ones column: the intercept, or without one the first constant column that is not 0.
pub(super) fn find_pivot(moments: &[(f64, f64)], intercept: bool) -> Option<usize> {
    let constant = |&(mean, sd): &(f64, f64)| mean != 0.0 && sd <= 1e-12 * mean.abs();
    match intercept {
        true => Some(0),
        false => moments.iter().position(constant),
    }
}
