//! Directions along which the likelihood does not fall to 0, per likelihood: the rows' conditions on a direction d of the coefficients,
//! put before `cone`.

use super::columns::Columns;
use super::cone::{Vectors, Verdict, direction};
use super::rank::unseen;
use super::sides::{Side, Sides};
use crate::linear::{dot, norm};
use faer::Mat;

/// Cosines and lengths that count as 0, where the numbers of the data are no rougher.
const TOLERANCE: f64 = 1e-9;
/// Largest number of coefficients for which directions are searched: the work grows with its third power.
const MOST: usize = 200;
/// Rows of each side that a first look takes, per column and beside that.
const FIRST_LOOK: (usize, usize) = (16, 256);
/// Number of times that rows are added to those of a first look.
const MOST_LOOKS: usize = 100;

/// Cosines and lengths below which a direction counts as 0.
pub fn tolerance(columns: &Columns<'_>) -> f64 {
    TOLERANCE.max(16.0 * columns.roughness())
}

/// Searches for a direction `[K·F]` of the columns' coefficients along which the likelihood of softmax does not fall, up to scale. There
/// must be no direction that no row sees.
pub fn of_classes(columns: &Columns<'_>, classes: usize, baseline: bool) -> Verdict {
    let label = |i: usize| columns.problem.y[i] as usize;
    let all = Several {
        columns,
        classes,
        baseline,
    };
    if all.length() > MOST {
        return Verdict::Unknown;
    }
    let cosine = |i: usize, row: &[f64], d: &[f64]| {
        let others = (0..classes).filter(|k| *k != label(i));
        others
            .map(|k| all.cosine(label(i), k, row, d))
            .fold(0.0, f64::min)
    };
    grown(columns, classes, label, cosine, |columns| {
        let some = Several {
            columns,
            classes,
            baseline,
        };
        direction(&some, tolerance(columns))
    })
}

/// The same for one output, whose rows have these sides: `[F]`.
pub fn one_output(columns: &Columns<'_>, sides: Sides<'_>) -> Verdict {
    if columns.len() > MOST {
        return Verdict::Unknown;
    }
    let cosine = |i: usize, row: &[f64], d: &[f64]| {
        let cosine = dot(row, d) / (norm(row) * norm(d)).max(f64::MIN_POSITIVE);
        match sides.of(i) {
            Side::Up => cosine,
            Side::Down => -cosine,
            Side::Fixed => -cosine.abs(),
        }
    };
    grown(
        columns,
        3,
        |i| sides.of(i) as usize,
        cosine,
        |columns| {
            let free = unseen(columns, |i| sides.of(i) == Side::Fixed, |_, _| false);
            if free.is_empty() {
                return Verdict::Balanced;
            }
            let one = One {
                columns,
                sides,
                basis: orthonormal(&free),
                tolerance: tolerance(columns),
            };
            match direction(&one, one.tolerance) {
                Verdict::Direction(r) => Verdict::Direction(one.back(&r)),
                other => other,
            }
        },
    )
}

/// A direction along which the likelihood does not fall, and which moves every row that such a direction can move.
pub struct Widest<'a> {
    /// Coefficients on columns of one size, `[F]`.
    pub direction: Vec<f64>,
    /// Rows that no such direction moves.
    pub still: Columns<'a>,
}

/// Adds directions for the rows that stay until none more moves.
pub fn widest<'a>(columns: &Columns<'a>, sides: Sides<'_>) -> Option<Widest<'a>> {
    let tolerance = tolerance(columns);
    let stays = |d: &[f64], i: usize, row: &[f64]| {
        sides.of(i) == Side::Fixed || dot(d, row).abs() <= tolerance * norm(d) * norm(row)
    };
    let Verdict::Direction(mut direction) = one_output(columns, sides) else {
        return None;
    };
    let mut still = columns.keep(|i, row| stays(&direction, i, row));
    while still.counted > 0
        && let Verdict::Direction(more) = one_output(&still, sides)
    {
        let next = still.keep(|i, row| stays(&more, i, row));
        if next.counted == still.counted {
            break;
        }
        // So far that half of what moves a row already is left.
        let reach = columns.fold(
            || f64::INFINITY,
            |reach, i, row| {
                let sign = if sides.of(i) == Side::Up { 1.0 } else { -1.0 };
                let (before, change) = (sign * dot(&direction, row), sign * dot(&more, row));
                if sides.of(i) != Side::Fixed && before > 0.0 && change < 0.0 {
                    *reach = reach.min(-before / change);
                }
            },
            |a, b| *a = a.min(b),
        );
        let share = if reach.is_finite() { 0.5 * reach } else { 1.0 };
        direction
            .iter_mut()
            .zip(&more)
            .for_each(|(d, m)| *d += share * m);
        still = next;
    }
    Some(Widest { direction, still })
}

/// Decides over some rows of each group, to which those are added that go most against what was found, until none does. Rows that balance
/// and determine every coefficient decide for all; so does a direction that no row is against.
fn grown(
    columns: &Columns<'_>,
    groups: usize,
    group: impl Fn(usize) -> usize + Sync,
    cosine: impl Fn(usize, &[f64], &[f64]) -> f64 + Sync,
    decide: impl Fn(&Columns<'_>) -> Verdict,
) -> Verdict {
    if columns.in_memory() {
        return decide(columns);
    }
    let mut sizes = vec![0usize; groups];
    (0..columns.problem.rows()).for_each(|i| sizes[group(i)] += 1);
    let wanted = FIRST_LOOK.0 * columns.len() + FIRST_LOOK.1;
    let strides: Vec<usize> = sizes.iter().map(|size| (size / wanted).max(1)).collect();
    let mut some = columns.sample(|i| i.is_multiple_of(strides[group(i)]));
    let tolerance = tolerance(columns);
    for _ in 0..MOST_LOOKS {
        let found = decide(&some);
        let more = match &found {
            Verdict::Unknown => return found,
            Verdict::Direction(d) => {
                let against = |i: usize, row: &[f64]| cosine(i, row, d);
                worst_rows(columns, tolerance, wanted, against)
            }
            Verdict::Balanced => {
                let free = unseen(&some, |_| true, |_, _| false);
                let sees = |d: &Vec<f64>, row: &[f64]| dot(d, row).abs() / (norm(d) * norm(row));
                let against =
                    |_: usize, row: &[f64]| -free.iter().map(|d| sees(d, row)).fold(0.0, f64::max);
                match free.is_empty() {
                    true => Vec::new(),
                    false => worst_rows(columns, tolerance, wanted, against),
                }
            }
        };
        if more.is_empty() {
            return found;
        }
        some.append(more);
    }
    Verdict::Unknown
}

/// The `most` rows with the smallest cosines below −`tolerance`, with their columns.
fn worst_rows(
    columns: &Columns<'_>,
    tolerance: f64,
    most: usize,
    cosine: impl Fn(usize, &[f64]) -> f64 + Sync,
) -> Vec<(usize, Vec<f64>)> {
    let mut worst = columns.fold(
        Worst::default,
        |worst, i, row| {
            let cosine = cosine(i, row);
            if cosine < -tolerance {
                worst.add(cosine, i, || row.to_vec(), most);
            }
        },
        |a, b| a.join(b, most),
    );
    worst.keep(most);
    worst.vectors()
}

/// An orthonormal basis `[F,Q]` of the space of some vectors.
fn orthonormal(vectors: &[Vec<f64>]) -> Mat<f64> {
    let f = vectors.first().map_or(0, Vec::len);
    Mat::from_fn(f, vectors.len(), |i, j| vectors[j][i])
        .qr()
        .compute_thin_Q()
}

/// The smallest of many by their cosine, as (cosine, number, vector).
#[derive(Default)]
struct Worst {
    found: Vec<(f64, usize, Vec<f64>)>,
    /// Cosine from which on there are enough smaller ones; `None` before there are.
    enough: Option<f64>,
}

impl Worst {
    fn add(&mut self, cosine: f64, number: usize, vector: impl FnOnce() -> Vec<f64>, most: usize) {
        if self.enough.is_some_and(|enough| cosine >= enough) {
            return;
        }
        self.found.push((cosine, number, vector()));
        if self.found.len() >= 4 * most {
            self.keep(most);
        }
    }

    fn keep(&mut self, most: usize) {
        self.found
            .sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        self.found.truncate(most);
        self.enough = (self.found.len() == most).then(|| self.found[most - 1].0);
    }

    fn join(&mut self, other: Worst, most: usize) {
        self.found.extend(other.found);
        self.keep(most);
    }

    fn vectors(self) -> Vec<(usize, Vec<f64>)> {
        self.found
            .into_iter()
            .map(|(_, number, vector)| (number, vector))
            .collect()
    }
}

/// The rows of a likelihood with one output, each once: ±Zᵀaᵢ, Z a basis of what the fixed rows leave.
struct One<'a> {
    columns: &'a Columns<'a>,
    sides: Sides<'a>,
    basis: Mat<f64>,
    tolerance: f64,
}

impl One<'_> {
    /// Writes the row's vector `[Q]` and returns its length; 0 for a fixed row, or one that the basis does not see.
    fn vector(&self, i: usize, row: &[f64], b: &mut [f64]) -> f64 {
        let sign = match self.sides.of(i) {
            Side::Up => 1.0,
            Side::Down => -1.0,
            Side::Fixed => return 0.0,
        };
        for (j, b) in b.iter_mut().enumerate() {
            *b = sign
                * (0..row.len())
                    .map(|k| self.basis[(k, j)] * row[k])
                    .sum::<f64>();
        }
        let (length, whole) = (norm(b), norm(row));
        if length <= self.tolerance * whole {
            0.0
        } else {
            length
        }
    }

    /// A direction `[Q]` as one of the columns' coefficients `[F]`.
    fn back(&self, r: &[f64]) -> Vec<f64> {
        let along = |k: usize| (0..r.len()).map(|j| self.basis[(k, j)] * r[j]).sum();
        (0..self.columns.len()).map(along).collect()
    }
}

impl Vectors for One<'_> {
    fn length(&self) -> usize {
        self.basis.ncols()
    }

    fn sums(&self) -> (usize, Vec<f64>, f64) {
        let q = self.length();
        let (count, sum, squares, _) = self.columns.fold(
            || (0, vec![0.0; q], 0.0, vec![0.0; q]),
            |(count, sum, squares, b), i, row| {
                let length = self.vector(i, row, b);
                if length > 0.0 {
                    *count += 1;
                    *squares += length * length;
                    sum.iter_mut().zip(&*b).for_each(|(s, b)| *s += b);
                }
            },
            |a, b| {
                a.0 += b.0;
                a.2 += b.2;
                a.1.iter_mut().zip(b.1).for_each(|(a, b)| *a += b);
            },
        );
        (count, sum, squares)
    }

    fn against(&self, r: &[f64], tolerance: f64, most: usize) -> Vec<(usize, Vec<f64>)> {
        let q = self.length();
        let limit = -tolerance * norm(r);
        let (mut worst, _) = self.columns.fold(
            || (Worst::default(), vec![0.0; q]),
            |(worst, b), i, row| {
                let length = self.vector(i, row, b);
                let along = dot(b, r);
                if length > 0.0 && along < limit * length {
                    let unit = || b.iter().map(|b| b / length).collect();
                    worst.add(along / length, i, unit, most);
                }
            },
            |a, b| a.0.join(b.0, most),
        );
        worst.keep(most);
        worst.vectors()
    }
}

/// The rows of softmax, each once per class k other than its own, l: aᵢ in the place of class l, −aᵢ in that of class k.
struct Several<'a> {
    columns: &'a Columns<'a>,
    classes: usize,
    baseline: bool,
}

impl Several<'_> {
    /// Place of a class among the coefficients; a baseline has none.
    fn place(&self, class: usize) -> Option<usize> {
        class.checked_sub(usize::from(self.baseline))
    }

    fn label(&self, i: usize) -> usize {
        self.columns.problem.y[i] as usize
    }

    fn vector(&self, own: usize, other: usize, row: &[f64], scale: f64) -> Vec<f64> {
        let f = row.len();
        let mut out = vec![0.0; self.length()];
        for (class, sign) in [(own, scale), (other, -scale)] {
            if let Some(at) = self.place(class) {
                (0..f).for_each(|k| out[at * f + k] = sign * row[k]);
            }
        }
        out
    }

    /// The cosine between a direction and the vector of a row of class `own` beside class `other`; 0 for a row of zeros.
    fn cosine(&self, own: usize, other: usize, row: &[f64], d: &[f64]) -> f64 {
        let along = |class: usize| {
            let place = self.place(class);
            place.map_or(0.0, |at| dot(&d[at * row.len()..][..row.len()], row))
        };
        let length = norm(row) * self.unit(own, other) * norm(d);
        (along(own) - along(other)) / length.max(f64::MIN_POSITIVE)
    }

    /// Length of the vector of a row of length 1.
    fn unit(&self, own: usize, other: usize) -> f64 {
        let both = self.place(own).is_some() && self.place(other).is_some();
        if both { std::f64::consts::SQRT_2 } else { 1.0 }
    }
}

impl Vectors for Several<'_> {
    fn length(&self) -> usize {
        (self.classes - usize::from(self.baseline)) * self.columns.len()
    }

    fn sums(&self) -> (usize, Vec<f64>, f64) {
        let f = self.columns.len();
        self.columns.fold(
            || (0, vec![0.0; self.length()], 0.0),
            |(count, sum, squares), i, row| {
                let own = self.label(i);
                let square = dot(row, row);
                for other in (0..self.classes).filter(|k| *k != own) {
                    *count += 1;
                    *squares += square * self.unit(own, other).powi(2);
                    if let Some(at) = self.place(other) {
                        (0..f).for_each(|k| sum[at * f + k] -= row[k]);
                    }
                    if let Some(at) = self.place(own) {
                        (0..f).for_each(|k| sum[at * f + k] += row[k]);
                    }
                }
            },
            |a, b| {
                a.0 += b.0;
                a.2 += b.2;
                a.1.iter_mut().zip(b.1).for_each(|(a, b)| *a += b);
            },
        )
    }

    fn against(&self, r: &[f64], tolerance: f64, most: usize) -> Vec<(usize, Vec<f64>)> {
        let mut worst = self.columns.fold(
            Worst::default,
            |worst, i, row| {
                let own = self.label(i);
                for other in (0..self.classes).filter(|k| *k != own) {
                    let cosine = self.cosine(own, other, row, r);
                    if cosine < -tolerance {
                        let scale = 1.0 / (norm(row) * self.unit(own, other));
                        let unit = || self.vector(own, other, row, scale);
                        worst.add(cosine, i * self.classes + other, unit, most);
                    }
                }
            },
            |a, b| a.join(b, most),
        );
        worst.keep(most);
        worst.vectors()
    }
}
