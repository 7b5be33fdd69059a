//! Directions that no row sees: linear dependencies between columns, by QR with column pivoting.

use super::columns::Columns;
use faer::Mat;

/// Factor on the rounding errors of the data and of the factorisation below which a pivot counts as 0.
pub const MARGIN: f64 = 16.0;
/// Relative size of a pivot, up to which it is asked whether the decimals of the data explain it.
const NEARLY: f64 = 1e-4;
/// Relative size of the pivots of some rows from which on no further row is needed.
const CLEAR: f64 = 1e-5;

/// A dependency Σ cₖ·columnₖ = 0 `[F]`, in scaled columns.
pub type Dependency = Vec<f64>;

/// Dependencies between the columns over all rows that count, up to the rounding of the data; empty where the rows determine every
/// coefficient.
pub fn dependencies(columns: &Columns<'_>) -> Vec<Dependency> {
    unseen(
        columns,
        |_| true,
        |c, pivot| {
            // Lengths in cm and in inches agree to the decimals of the file, and no further.
            let grains = (0..columns.len())
                .filter(|&k| c[k].abs() > 1e-6)
                .map(|k| c[k] * columns.decimals(k).unwrap_or(0.0));
            pivot <= NEARLY && pivot <= 1.5 * norm(grains)
        },
    )
}

/// Directions that the rows for which `wanted` holds do not see. `also` may call a pivot 0, relative to the columns, that rounding of the
/// numbers in memory does not explain.
pub fn unseen(
    columns: &Columns<'_>,
    wanted: impl Fn(usize) -> bool + Sync,
    also: impl Fn(&[f64], f64) -> bool,
) -> Vec<Dependency> {
    let f = columns.len();
    // Where some of the rows determine every direction, all rows do.
    let stride = columns.counted / (16 * f + 64);
    if stride > 1 && independent(&columns.sample(|i| i.is_multiple_of(stride) && wanted(i))) {
        return Vec::new();
    }
    let all = columns.triangle(0, wanted, |_, _| {});
    let root = (columns.counted as f64).sqrt();
    null_space(&all, |c, pivot| {
        let rounding = norm(c.iter().zip(&columns.rounding).map(|(c, r)| c * r));
        let working = f as f64 * f64::EPSILON * norm(c.iter().copied());
        pivot / root <= MARGIN * (rounding + working) || also(c, pivot / root)
    })
}

/// Whether columns are clearly independent.
fn independent(columns: &Columns<'_>) -> bool {
    let f = columns.len();
    let r = columns.triangle(0, |_| true, |_, _| {});
    if r.nrows() < f {
        return false;
    }
    let qr = r.col_piv_qr();
    let r = qr.R();
    let largest = r[(0, 0)].abs();
    (0..f).all(|k| r[(k, k)].abs() > CLEAR * largest)
}

/// Vectors c with R·c = 0, one per dependent column, whose own entry is 1. `zero` decides by the combination and
/// the length of what is left of it beside the columns before whether that is nothing.
pub fn null_space(r: &Mat<f64>, zero: impl Fn(&[f64], f64) -> bool) -> Vec<Dependency> {
    let f = r.ncols();
    if r.nrows() == 0 {
        return (0..f)
            .map(|k| (0..f).map(|j| f64::from(u8::from(j == k))).collect())
            .collect();
    }
    let qr = r.col_piv_qr();
    let (triangle, order) = (qr.R(), qr.P().arrays().0);
    // The combination of the first `rank` columns that equals column k.
    let combination = |rank: usize, k: usize| -> Dependency {
        let mut x: Vec<f64> = (0..rank).map(|i| -triangle[(i, k)]).collect();
        for i in (0..rank).rev() {
            x[i] /= triangle[(i, i)];
            for h in 0..i {
                x[h] -= triangle[(h, i)] * x[i];
            }
        }
        let mut out = vec![0.0; f];
        (0..rank).for_each(|i| out[order[i]] = x[i]);
        out[order[k]] = 1.0;
        out
    };
    let pivots = triangle.nrows().min(f);
    // Pivots fall, so that the rank is the place of the first that is 0.
    let rank = (0..pivots).find(|&k| {
        let pivot = triangle[(k, k)].abs();
        pivot == 0.0 || zero(&combination(k, k), pivot)
    });
    let rank = rank.unwrap_or(pivots);
    (rank..f).map(|k| combination(rank, k)).collect()
}

fn norm(v: impl Iterator<Item = f64>) -> f64 {
    v.map(|v| v * v).sum::<f64>().sqrt()
}
