//! Some columns of a design over the rows that count, each scaled to a root mean square of 1.

use faer::Mat;
use rayon::prelude::*;
use sngd_core::likelihood::Likelihood;
use sngd_core::problem::Problem;
use std::ops::Range;

/// Rows that are read together.
const BLOCK: usize = 512;
/// Rows per task of the threads.
const CHUNK: usize = 16384;
/// Decimal places at which the values of a column are looked for a grid.
const MOST_DECIMALS: i32 = 9;

/// Columns of a linear predictor's design. A vector d `[F]` over them is a direction of the coefficients: every row's output moves by
/// aᵢᵀd. Where the pivot is one of the columns, the others are centred on it; else they are as the user gave them.
#[derive(Debug)]
pub struct Columns<'a> {
    /// Data and model.
    pub problem: &'a Problem,
    /// Indices of the design's columns, `[F]`, ascending.
    pub index: Vec<usize>,
    /// Number of rows that count.
    pub counted: usize,
    /// Root mean square of each column in internal units, `[F]`; 0 for a column of zeros.
    pub size: Vec<f64>,
    /// Relative rounding error of each column's numbers, `[F]`.
    pub rounding: Vec<f64>,
    shift: Vec<f64>,
    /// Some of the rows, in memory, which then stand for all: their indices, and the scaled columns `[·,F]`.
    in_memory: Option<(Vec<usize>, Vec<f64>)>,
}

/// The rows of a task.
fn chunk(c: usize, n: usize) -> Range<usize> {
    c * CHUNK..((c + 1) * CHUNK).min(n)
}

/// Whether a row says anything about the coefficients: a row of weight 0 or of no trials does not.
pub fn counts(problem: &Problem, i: usize) -> bool {
    let weighs = problem.weights.get(i).is_none_or(|w| *w > 0.0);
    let tried =
        !matches!(problem.likelihood, Likelihood::Binomial(_)) || problem.observed(i).trials > 0.0;
    weighs && tried
}

impl<'a> Columns<'a> {
    /// The columns `index` of the problem's design.
    pub fn new(problem: &'a Problem, index: Vec<usize>) -> Columns<'a> {
        let t = &problem.transform;
        // Where the intercept has a prior at the means, its coefficient and those of centred columns are apart.
        let centred = problem.intercept_at_means || t.pivot.is_none_or(|p| index.contains(&p));
        let ratio = |j: &usize| t.mean[*j] / t.scale[*j];
        let shift: Vec<f64> = index
            .iter()
            .map(|j| if centred { 0.0 } else { ratio(j) })
            .collect();
        let f = index.len();
        let mut out = Columns {
            problem,
            counted: 0,
            size: vec![1.0; f],
            rounding: Vec::new(),
            shift,
            index,
            in_memory: None,
        };
        let sums = out.fold(
            || (0usize, vec![0.0; f]),
            |(count, squares), _, row| {
                *count += 1;
                squares.iter_mut().zip(row).for_each(|(s, x)| *s += x * x);
            },
            |a, b| {
                a.0 += b.0;
                a.1.iter_mut().zip(b.1).for_each(|(a, b)| *a += b);
            },
        );
        out.counted = sums.0;
        let epsilon = match problem.x.as_f64() {
            Some(_) => f64::EPSILON,
            None => f64::from(f32::EPSILON),
        };
        let n = out.counted.max(1) as f64;
        // What is left of a constant column after centring is the rounding of its values.
        let raw = |j: &usize| 1.0 + ratio(j).abs();
        let size = |(s, j): (&f64, &usize)| {
            (s / n).sqrt() * f64::from(u8::from((s / n).sqrt() > 4.0 * epsilon * raw(j)))
        };
        out.size = sums.1.iter().zip(&out.index).map(size).collect();
        out.rounding = (out.index.iter().zip(&out.size))
            .map(|(j, s)| if *s > 0.0 { epsilon * raw(j) / s } else { 0.0 })
            .collect();
        out
    }

    /// Number of columns, F.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether these are some of the rows, in memory.
    pub fn in_memory(&self) -> bool {
        self.in_memory.is_some()
    }

    /// Largest relative rounding error of a column.
    pub fn roughness(&self) -> f64 {
        self.rounding.iter().fold(0.0, |m, r| r.max(m))
    }

    /// The same columns over the rows alone for which `wanted` holds, read once.
    pub fn sample(&self, wanted: impl Fn(usize) -> bool + Sync) -> Columns<'a> {
        if self.in_memory.is_some() {
            return self.keep(|i, _| wanted(i));
        }
        let part = |c: usize| {
            let mut part = (Vec::new(), Vec::new());
            self.each_row(chunk(c, self.problem.rows()), &wanted, |i, row| {
                part.0.push(i);
                part.1.extend_from_slice(row);
            });
            part
        };
        let chunks = 0..self.problem.rows().div_ceil(CHUNK);
        let parts: Vec<(Vec<usize>, Vec<f64>)> = chunks.into_par_iter().map(part).collect();
        let numbers = parts.iter().flat_map(|p| p.0.iter().copied()).collect();
        self.over(numbers, parts.into_iter().flat_map(|p| p.1).collect())
    }

    /// The same columns over the rows alone for which `wanted` holds of their numbers.
    pub fn keep(&self, wanted: impl Fn(usize, &[f64]) -> bool + Sync) -> Columns<'a> {
        let (numbers, values) = self.fold(
            || (Vec::new(), Vec::new()),
            |(numbers, values), i, row| {
                if wanted(i, row) {
                    numbers.push(i);
                    values.extend_from_slice(row);
                }
            },
            |a, b| {
                a.0.extend(b.0);
                a.1.extend(b.1);
            },
        );
        self.over(numbers, values)
    }

    /// Adds rows to those in memory.
    pub fn append(&mut self, rows: Vec<(usize, Vec<f64>)>) {
        let (numbers, values) = self.in_memory.get_or_insert_default();
        for (i, row) in rows {
            numbers.push(i);
            values.extend(row);
        }
        self.counted = numbers.len();
    }

    /// The same columns over rows in memory.
    fn over(&self, numbers: Vec<usize>, values: Vec<f64>) -> Columns<'a> {
        Columns {
            problem: self.problem,
            index: self.index.clone(),
            counted: numbers.len(),
            size: self.size.clone(),
            rounding: self.rounding.clone(),
            shift: self.shift.clone(),
            in_memory: Some((numbers, values)),
        }
    }

    /// Calls `read` with the index and the scaled columns `[F]` of each row of `rows` that counts and for which `wanted` holds.
    fn each_row(
        &self,
        rows: Range<usize>,
        wanted: impl Fn(usize) -> bool,
        mut read: impl FnMut(usize, &[f64]),
    ) {
        let (problem, d) = (self.problem, self.problem.design_columns());
        let pivot = problem.transform.pivot;
        let (mut wide, mut row) = (Vec::new(), vec![0.0; self.len()]);
        let mut first = rows.start;
        while first < rows.end {
            let m = BLOCK.min(rows.end - first);
            let x = problem.x.rows(first, m, &mut wide);
            for (i, x) in (first..).zip(x.chunks_exact(d)) {
                if !wanted(i) || !counts(problem, i) {
                    continue;
                }
                let one = pivot.map_or(0.0, |p| x[p]);
                for (k, &j) in self.index.iter().enumerate() {
                    let (size, rounding) = (self.size[k], self.rounding.get(k).unwrap_or(&0.0));
                    let value = (x[j] + self.shift[k] * one) / size;
                    // What is left of a zero after centring and back is rounding.
                    row[k] = if size > 0.0 && value.abs() > 4.0 * rounding {
                        value
                    } else {
                        0.0
                    };
                }
                read(i, &row);
            }
            first += m;
        }
    }

    /// Folds all rows that count, chunk by chunk over the threads; the chunks, and with them the bits of a sum, depend on N alone.
    pub fn fold<T: Send>(
        &self,
        start: impl Fn() -> T + Sync,
        read: impl Fn(&mut T, usize, &[f64]) + Sync,
        mut add: impl FnMut(&mut T, T),
    ) -> T {
        let n = self.problem.rows();
        if let Some((numbers, values)) = &self.in_memory {
            let (mut total, mut part) = (start(), start());
            let rows = numbers.iter().zip(values.chunks_exact(self.len()));
            rows.for_each(|(i, row)| read(&mut part, *i, row));
            add(&mut total, part);
            return total;
        }
        let part = |c: usize| {
            let mut part = start();
            self.each_row(chunk(c, n), |_| true, |i, row| read(&mut part, i, row));
            part
        };
        let parts: Vec<T> = (0..n.div_ceil(CHUNK)).into_par_iter().map(part).collect();
        let mut total = start();
        parts.into_iter().for_each(|part| add(&mut total, part));
        total
    }

    /// The triangular factor R of a QR factorisation of the rows for which `wanted` holds, `[≤ F + E, F + E]`: F scaled columns, and E
    /// more numbers per row that `more` appends.
    pub fn triangle(
        &self,
        extra: usize,
        wanted: impl Fn(usize) -> bool + Sync,
        more: impl Fn(usize, &mut Vec<f64>) + Sync,
    ) -> Mat<f64> {
        let width = self.len() + extra;
        let room = width * (2 * width).max(BLOCK);
        let start = || (Vec::with_capacity(room), Mat::zeros(0, width));
        let read = |(rows, r): &mut (Vec<f64>, Mat<f64>), i: usize, row: &[f64]| {
            if !wanted(i) {
                return;
            }
            rows.extend_from_slice(row);
            more(i, rows);
            if rows.len() >= room {
                *r = stacked(r, rows, width);
                rows.clear();
            }
        };
        let add = |a: &mut (Vec<f64>, Mat<f64>), b: (Vec<f64>, Mat<f64>)| {
            let own = stacked(&b.1, &b.0, width);
            let rows: Vec<f64> = (0..own.nrows())
                .flat_map(|i| (0..width).map(move |j| (i, j)))
                .map(|(i, j)| own[(i, j)])
                .collect();
            a.1 = stacked(&a.1, &rows, width);
        };
        self.fold(start, read, add).1
    }

    /// Moves a direction d `[F]` to the user's scale: one coefficient per column, `[F]`.
    pub fn natural(&self, d: &[f64]) -> Vec<f64> {
        let t = &self.problem.transform;
        let mut out = vec![0.0; self.len()];
        let mut shift = 0.0;
        for (k, &j) in self.index.iter().enumerate() {
            let size = if self.size[k] > 0.0 {
                self.size[k]
            } else {
                1.0
            };
            out[k] = d[k] / size / t.scale[j];
            shift += t.mean[j] * out[k];
        }
        if let Some(at) = t
            .pivot
            .and_then(|p| self.index.iter().position(|j| *j == p))
        {
            out[at] = (out[at] - shift) / t.pivot_value;
        }
        out
    }

    /// Relative error of a column whose values were rounded to a fixed number of decimal places, such as lengths in a text file: the root
    /// mean square of that rounding. `None` for whole numbers, which may be exact, and where no grid is seen.
    pub fn decimals(&self, k: usize) -> Option<f64> {
        let (problem, j) = (self.problem, self.index[k]);
        let (mean, scale) = (problem.transform.mean[j], problem.transform.scale[j]);
        if !problem.roots.is_empty() || self.size[k] == 0.0 {
            return None;
        }
        let mut places = 0;
        let mut grid = true;
        problem.x.each_row(|row| {
            let value = row[j] * scale + mean;
            let off = |places: i32| {
                let v = value * 10f64.powi(places);
                (v - v.round()).abs() > 1e-3_f64.max(v.abs() * 1e-14)
            };
            while grid && off(places) {
                places += 1;
                grid = places <= MOST_DECIMALS;
            }
        });
        (grid && places > 0).then(|| 10f64.powi(-places) / 12f64.sqrt() / scale / self.size[k])
    }
}

/// The triangular factor of [R; rows].
fn stacked(r: &Mat<f64>, rows: &[f64], width: usize) -> Mat<f64> {
    let (top, below) = (r.nrows(), rows.len() / width);
    let all = Mat::from_fn(top + below, width, |i, j| {
        if i < top {
            r[(i, j)]
        } else {
            rows[(i - top) * width + j]
        }
    });
    match below {
        0 => all,
        _ => all.qr().thin_R().to_owned(),
    }
}
