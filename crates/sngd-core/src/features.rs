//! A design whose numbers are stored in f64, or in f32 where that loses nothing, so that large data are in memory once.

use std::ops::Range;
use std::sync::Arc;

/// Rows whose numbers are widened together where a method reads all of them.
const TILE: usize = 256;

/// A table of numbers `[N,D]`, row-major, stored as f64 or as f32. Its readers get f64 and need not know which. Clones share the numbers
/// until one of them is changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    columns: usize,
    numbers: Numbers,
}

/// The numbers of [`Features`].
#[derive(Debug, Clone, PartialEq)]
pub enum Numbers {
    /// Eight bytes each.
    F64(Arc<Vec<f64>>),
    /// Four bytes each.
    F32(Arc<Vec<f32>>),
    /// Whitened, four bytes each: an engine uses them in this form, and there is no second copy.
    Whitened(Whitened),
}

/// A design multiplied by an inverse factor: x̃ = L⁻¹(x, 0).
#[derive(Debug, Clone, PartialEq)]
pub struct Whitened {
    /// The numbers x̃, `[N,P]`, row-major.
    pub x: Arc<Vec<f32>>,
    /// The factor L, `[P,P]`, column-major lower, whose products L·x̃ begin with the rows x.
    pub factor: Arc<Vec<f64>>,
    /// Number of columns of x̃, P.
    pub columns: usize,
}

impl Whitened {
    /// Appends rows L·x̃ to `out`, the first D numbers of each.
    fn restore(&self, rows: Range<usize>, d: usize, out: &mut Vec<f64>) {
        let p = self.columns;
        for white in self.x[rows.start * p..rows.end * p].chunks_exact(p) {
            let from = out.len();
            out.resize(from + d, 0.0);
            for j in 0..d {
                let column = &self.factor[j * p + j..j * p + d];
                let w = f64::from(white[j]);
                for (o, l) in out[from + j..].iter_mut().zip(column) {
                    *o += l * w;
                }
            }
        }
    }
}

impl From<Vec<f64>> for Numbers {
    fn from(numbers: Vec<f64>) -> Numbers {
        Numbers::F64(Arc::new(numbers))
    }
}

impl From<Vec<f32>> for Numbers {
    fn from(numbers: Vec<f32>) -> Numbers {
        Numbers::F32(Arc::new(numbers))
    }
}

/// Changes the vector of numbers, of either width, in place.
macro_rules! change {
    ($features:expr, $v:ident => $body:expr) => {{
        $features.restore();
        match &mut $features.numbers {
            Numbers::F64($v) => {
                let $v = Arc::make_mut($v);
                $body
            }
            Numbers::F32($v) => {
                let $v = Arc::make_mut($v);
                $body
            }
            Numbers::Whitened(_) => {}
        }
    }};
}

impl Features {
    /// Numbers `[N,columns]`, row-major.
    pub fn new(columns: usize, numbers: impl Into<Numbers>) -> Features {
        Features {
            columns,
            numbers: numbers.into(),
        }
    }

    /// Number of columns, D.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Count of all numbers, N·D.
    pub fn len(&self) -> usize {
        match &self.numbers {
            Numbers::F64(v) => v.len(),
            Numbers::F32(v) => v.len(),
            Numbers::Whitened(w) => w.x.len() / w.columns.max(1) * self.columns,
        }
    }

    /// Whether there are no numbers.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of memory that the numbers take.
    pub fn bytes(&self) -> usize {
        match &self.numbers {
            Numbers::F64(v) => size_of_val(&v[..]),
            Numbers::F32(v) => size_of_val(&v[..]),
            Numbers::Whitened(w) => size_of_val(&w.x[..]),
        }
    }

    /// Whether the numbers are these, and not a second copy.
    pub fn shares(&self, numbers: &Arc<Vec<f32>>) -> bool {
        match &self.numbers {
            Numbers::F64(_) => false,
            Numbers::F32(v) => Arc::ptr_eq(v, numbers),
            Numbers::Whitened(w) => Arc::ptr_eq(&w.x, numbers),
        }
    }

    /// The numbers, where they are stored as f64.
    pub fn as_f64(&self) -> Option<&Arc<Vec<f64>>> {
        match &self.numbers {
            Numbers::F64(v) => Some(v),
            _ => None,
        }
    }

    /// The numbers, where they are stored as f32.
    pub fn as_f32(&self) -> Option<&Arc<Vec<f32>>> {
        match &self.numbers {
            Numbers::F32(v) => Some(v),
            _ => None,
        }
    }

    /// Takes the numbers out, for an engine that keeps them in another form: where they are stored as f32, and no clone shares them.
    pub fn take_f32(&mut self) -> Option<Vec<f32>> {
        let Numbers::F32(v) = &mut self.numbers else {
            return None;
        };
        Arc::get_mut(v).map(std::mem::take)
    }

    /// `count` rows from row `first` on, `[count,D]`: the numbers themselves where they are stored as f64, else a copy in `buffer`.
    pub fn rows<'a>(&'a self, first: usize, count: usize, buffer: &'a mut Vec<f64>) -> &'a [f64] {
        let range = first * self.columns..(first + count) * self.columns;
        buffer.clear();
        match &self.numbers {
            Numbers::F64(v) => return &v[range],
            Numbers::F32(v) => buffer.extend(v[range].iter().map(|&x| f64::from(x))),
            Numbers::Whitened(w) => w.restore(first..first + count, self.columns, buffer),
        }
        buffer
    }

    /// Calls `read` with each row `[D]` in turn.
    pub fn each_row(&self, mut read: impl FnMut(&[f64])) {
        let Some(n) = self.len().checked_div(self.columns) else {
            return;
        };
        let mut buffer = Vec::new();
        for first in (0..n).step_by(TILE) {
            let tile = self.rows(first, TILE.min(n - first), &mut buffer);
            tile.chunks_exact(self.columns).for_each(&mut read);
        }
    }

    /// All numbers, each after `convert`.
    pub fn map<T>(&self, mut convert: impl FnMut(f64) -> T) -> Vec<T> {
        let mut out = Vec::with_capacity(self.len());
        self.each_row(|row| out.extend(row.iter().map(|&x| convert(x))));
        out
    }

    /// All numbers as f64.
    pub fn to_vec(&self) -> Vec<f64> {
        self.map(|x| x)
    }

    /// Changes each row `[D]` in place; `change` also gets the row's index. What it computes in f64 is rounded where numbers are stored as f32.
    pub fn change_rows(&mut self, mut change: impl FnMut(usize, &mut [f64])) {
        if self.columns == 0 {
            return;
        }
        self.restore();
        match &mut self.numbers {
            Numbers::F64(v) => {
                let rows = Arc::make_mut(v).chunks_exact_mut(self.columns);
                rows.enumerate().for_each(|(i, row)| change(i, row));
            }
            Numbers::Whitened(_) => {}
            Numbers::F32(v) => {
                let mut wide = vec![0.0; self.columns];
                let rows = Arc::make_mut(v).chunks_exact_mut(self.columns);
                for (i, row) in rows.enumerate() {
                    wide.iter_mut()
                        .zip(&*row)
                        .for_each(|(w, &x)| *w = f64::from(x));
                    change(i, &mut wide);
                    row.iter_mut().zip(&wide).for_each(|(x, &w)| *x = w as f32);
                }
            }
        }
    }

    /// A copy of some rows, in the given order.
    pub fn gather(&self, rows: &[usize]) -> Features {
        fn gathered<T: Copy>(v: &[T], rows: &[usize], d: usize) -> Vec<T> {
            let all = rows.iter().flat_map(|&i| &v[i * d..(i + 1) * d]);
            all.copied().collect()
        }
        let d = self.columns;
        match &self.numbers {
            Numbers::F64(v) => Features::new(d, gathered(v, rows, d)),
            Numbers::F32(v) => Features::new(d, gathered(v, rows, d)),
            Numbers::Whitened(_) => Features::new(d, gathered(&self.to_vec(), rows, d)),
        }
    }

    /// Keeps some rows only, whose indices ascend, without a second copy.
    pub fn keep(&mut self, rows: &[usize]) {
        let d = self.columns;
        change!(self, v => {
            for (to, &from) in rows.iter().enumerate() {
                v.copy_within(from * d..(from + 1) * d, to * d);
            }
            v.truncate(rows.len() * d);
            v.shrink_to_fit();
        });
    }

    /// Puts a column of one value before column `at`, without a second copy. There are `n` rows, also where there was no column yet.
    #[allow(
        clippy::useless_conversion,
        reason = "for one of the two widths it is one"
    )]
    pub fn insert_column(&mut self, at: usize, value: f32, n: usize) {
        let (from, to) = (self.columns, self.columns + 1);
        change!(self, v => {
            v.reserve_exact(n);
            v.resize(n * to, value.into());
            // From the last number on, so that none is written over before it has moved.
            for i in (0..n).rev() {
                v.copy_within(i * from + at..(i + 1) * from, i * to + at + 1);
                v.copy_within(i * from..i * from + at, i * to);
                v[i * to + at] = value.into();
            }
        });
        self.columns = to;
    }

    /// Makes whitened numbers plain ones.
    fn restore(&mut self) {
        if matches!(self.numbers, Numbers::Whitened(_)) {
            self.numbers = self.to_vec().into();
        }
    }

    /// Rounds the numbers to f32. Memory of the f64 numbers is given back while f32 fills up, so that both are never there in full.
    pub fn into_f32(self) -> Features {
        const PARTS: usize = 64;
        let columns = self.columns;
        let Numbers::F64(wide) = self.numbers else {
            return self;
        };
        let mut wide = Arc::unwrap_or_clone(wide);
        // Pages of zeros take no memory before they are written.
        let mut narrow = vec![0.0f32; wide.len()];
        let part = wide.len().div_ceil(PARTS).max(1);
        while !wide.is_empty() {
            let first = wide.len().saturating_sub(part);
            let rounded = narrow[first..].iter_mut().zip(&wide[first..]);
            rounded.for_each(|(x, &w)| *x = w as f32);
            wide.truncate(first);
            wide.shrink_to_fit();
        }
        Features::new(columns, narrow)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The numbers 1 to 12 as four rows of three, in both widths.
    fn both() -> [Features; 2] {
        let v: Vec<f64> = (1..=12).map(f64::from).collect();
        let wide = Features::new(3, v);
        [wide.clone(), wide.into_f32()]
    }

    #[test]
    fn rows_are_the_same_in_either_width() {
        let [wide, narrow] = both();
        assert_eq!((wide.bytes(), narrow.bytes()), (96, 48));
        let (mut a, mut b) = (Vec::new(), Vec::new());
        assert_eq!(wide.rows(1, 2, &mut a), narrow.rows(1, 2, &mut b));
        assert_eq!(b, [4.0, 5.0, 6.0, 7.0, 8.0, 9.0]);
        assert!(a.is_empty(), "f64 needs no copy");
        assert_eq!(wide.to_vec(), narrow.to_vec());
    }

    #[test]
    fn rows_are_chosen_and_columns_added_in_place() {
        for mut f in both() {
            assert_eq!(
                f.gather(&[3, 0]).to_vec(),
                [10.0, 11.0, 12.0, 1.0, 2.0, 3.0]
            );
            f.keep(&[0, 2, 3]);
            f.insert_column(0, 1.0, 3);
            let expected = [
                1.0, 1.0, 2.0, 3.0, 1.0, 7.0, 8.0, 9.0, 1.0, 10.0, 11.0, 12.0,
            ];
            assert_eq!((f.columns(), f.to_vec()), (4, expected.to_vec()));
        }
        let mut none = Features::new(0, Vec::<f32>::new());
        none.insert_column(0, 1.0, 2);
        assert_eq!((none.columns(), none.to_vec()), (1, vec![1.0, 1.0]));
    }

    /// Whitened rows are read, and changed, as what they were before.
    #[test]
    fn a_whitened_design_is_read_as_it_was() {
        let [plain, _] = both();
        let factor: Vec<f64> = vec![
            2.0, 1.0, -4.0, 0.5, 0.0, 4.0, 1.0, 2.0, 0.0, 0.0, 8.0, 3.0, 0.0, 0.0, 0.0, 1.0,
        ];
        let mut white = Vec::new();
        plain.each_row(|row| {
            let mut left = [row[0], row[1], row[2], 0.0];
            for j in 0..4 {
                left[j] /= factor[j * 5];
                for i in j + 1..4 {
                    left[i] -= factor[j * 4 + i] * left[j];
                }
            }
            white.extend(left.map(|v| v as f32));
        });
        let x = Arc::new(white);
        let mut f = Features::new(
            3,
            Numbers::Whitened(Whitened {
                x: Arc::clone(&x),
                factor: Arc::new(factor),
                columns: 4,
            }),
        );
        assert_eq!((f.len(), f.bytes(), f.shares(&x)), (12, 64, true));
        assert_eq!(
            f.rows(1, 2, &mut Vec::new()),
            plain.rows(1, 2, &mut Vec::new())
        );
        assert!(f.as_f32().is_none() && f.take_f32().is_none());
        assert_eq!(f.gather(&[3, 1]), plain.gather(&[3, 1]));
        f.change_rows(|_, row| row[0] += 1.0);
        assert_eq!(f.to_vec()[..3], [2.0, 2.0, 3.0]);
    }

    #[test]
    fn numbers_are_taken_only_where_no_one_else_has_them() {
        let [mut wide, mut narrow] = both();
        let other = narrow.clone();
        assert_eq!((wide.take_f32(), narrow.take_f32()), (None, None));
        drop(other);
        assert_eq!(narrow.take_f32().map(|v| v.len()), Some(12));
    }

    /// A change is computed in f64: in f32 the large centre would swallow the small difference.
    #[test]
    fn changes_are_rounded_once() {
        let mut f = Features::new(1, vec![16_777_216.0_f32, 16_777_218.0]);
        f.change_rows(|i, row| row[0] = (row[0] - 16_777_215.5) * (i + 1) as f64);
        assert_eq!(f.to_vec(), [0.5, 5.0]);
    }

    #[test]
    fn a_clone_keeps_its_numbers() {
        for f in both() {
            let mut changed = f.clone();
            changed.change_rows(|_, row| row.fill(0.0));
            assert_eq!(f.to_vec()[..3], [1.0, 2.0, 3.0]);
            assert!(changed.to_vec().iter().all(|&v| v == 0.0));
        }
    }

    #[test]
    fn narrowing_keeps_the_order() {
        let v: Vec<f64> = (0..1001).map(f64::from).collect();
        assert_eq!(Features::new(7, v.clone()).into_f32().to_vec(), v);
    }
}
