//! Is there a direction d with bᵢᵀd ≥ 0 for every i, and bᵢᵀd > 0 for one? Either there is, or there are weights wᵢ > 0 with Σ wᵢbᵢ = 0
//! (Farkas, Gordan). One least-squares problem decides it and gives the one or the other:
//!
//! ```text
//! r = the shortest vector of the form Σ (1 + wᵢ)bᵢ,  wᵢ ≥ 0.
//! ```
//!
//! Where r = 0 the weights 1 + wᵢ are such weights. Else the optimum's conditions say bᵢᵀr ≥ 0 for all i and Σ bᵢᵀr = |r|², so that r
//! itself is the direction: the one of unit length along which the mean of bᵢᵀd is largest. It is found by the active sets of Lawson and
//! Hanson (1974), with few vectors in hand: a pass over all of them finds those that r does not respect yet.

use faer::Mat;

/// Number of passes over all vectors after which the search gives up.
const MOST_PASSES: usize = 400;

/// Vectors bᵢ `[Q]`, too many to hold.
pub trait Vectors {
    /// Length of each vector, Q.
    fn length(&self) -> usize;
    /// Their number, their sum, and the sum of their squared lengths.
    fn sums(&self) -> (usize, Vec<f64>, f64);
    /// The `most` vectors with the smallest cosines bᵢᵀr/(|bᵢ||r|) below −`tolerance`, as (number, bᵢ/|bᵢ|).
    fn against(&self, r: &[f64], tolerance: f64, most: usize) -> Vec<(usize, Vec<f64>)>;
}

/// What was found of a set of vectors.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// Positive weights balance the vectors: no direction.
    Balanced,
    /// A direction, `[Q]`, of unit length.
    Direction(Vec<f64>),
    /// The search was given up.
    Unknown,
}

/// Searches for a direction; cosines and lengths below `tolerance` count as 0.
pub fn direction(vectors: &impl Vectors, tolerance: f64) -> Verdict {
    let q = vectors.length();
    let (count, mut target, squares) = vectors.sums();
    if count == 0 || squares == 0.0 {
        return Verdict::Balanced;
    }
    let size = (squares / count as f64).sqrt();
    target.iter_mut().for_each(|t| *t /= size * count as f64);
    let mut hand = Hand::new(target);
    for _ in 0..MOST_PASSES {
        let length = norm(&hand.r);
        if length <= tolerance {
            return Verdict::Balanced;
        }
        let against = vectors.against(&hand.r, tolerance, 2 * q + 16);
        if against.is_empty() {
            return Verdict::Direction(hand.r.iter().map(|r| r / length).collect());
        }
        if !hand.take(against) || !hand.shorten(tolerance) {
            return Verdict::Unknown;
        }
    }
    Verdict::Unknown
}

/// The vectors in hand, and the shortest r that they allow.
struct Hand {
    target: Vec<f64>,
    r: Vec<f64>,
    numbers: Vec<usize>,
    vectors: Vec<Vec<f64>>,
    weights: Vec<f64>,
    /// Places of the vectors whose weight is above 0.
    active: Vec<usize>,
}

impl Hand {
    fn new(target: Vec<f64>) -> Hand {
        Hand {
            r: target.clone(),
            target,
            numbers: Vec::new(),
            vectors: Vec::new(),
            weights: Vec::new(),
            active: Vec::new(),
        }
    }

    /// Takes vectors in hand; says whether one of them is new.
    fn take(&mut self, vectors: Vec<(usize, Vec<f64>)>) -> bool {
        let before = self.vectors.len();
        for (number, b) in vectors {
            if !self.numbers.contains(&number) {
                self.numbers.push(number);
                self.vectors.push(b);
                self.weights.push(0.0);
            }
        }
        self.vectors.len() > before
    }

    /// Finds the shortest r = target + Σ wⱼbⱼ with w ≥ 0 over the vectors in hand; `false` where that does not end.
    fn shorten(&mut self, tolerance: f64) -> bool {
        // A vector that rounding alone keeps out is not tried again before r has changed.
        let mut refused: Vec<usize> = Vec::new();
        for _ in 0..20 * (self.target.len() + self.vectors.len()) + 100 {
            let length = norm(&self.r);
            if length <= tolerance {
                return true;
            }
            let open = (0..self.vectors.len())
                .filter(|j| !self.active.contains(j) && !refused.contains(j));
            let worst = open
                .map(|j| (j, dot(&self.vectors[j], &self.r) / length))
                .min_by(|a, b| a.1.total_cmp(&b.1));
            let Some((j, _)) = worst.filter(|(_, cosine)| *cosine < -0.5 * tolerance) else {
                return true;
            };
            self.active.push(j);
            if self.solve(j) {
                refused.clear();
            } else {
                refused.push(j);
            }
        }
        false
    }

    /// Solves for the weights of the active vectors, and drops those whose weight would fall below 0. `false` where the vector `new`
    /// itself had to be dropped at once.
    fn solve(&mut self, new: usize) -> bool {
        loop {
            let (q, m) = (self.target.len(), self.active.len());
            let basis = Mat::from_fn(q, m, |i, j| self.vectors[self.active[j]][i]);
            let qr = basis.qr();
            let (thin, r) = (qr.compute_thin_Q(), qr.thin_R().to_owned());
            let size = m.min(q);
            let mut z: Vec<f64> = (0..size)
                .map(|i| -(0..q).map(|k| thin[(k, i)] * self.target[k]).sum::<f64>())
                .collect();
            let singular = m > q || (0..m).any(|i| r[(i, i)].abs() < 1e-12);
            if !singular {
                for i in (0..m).rev() {
                    z[i] /= r[(i, i)];
                    for h in 0..i {
                        z[h] -= r[(h, i)] * z[i];
                    }
                }
            }
            let newest = self.active.iter().position(|j| *j == new);
            let kept_out = newest.is_some_and(|at| singular || z[at] <= 0.0);
            if kept_out && self.weights[new] == 0.0 {
                self.active.retain(|j| *j != new);
                return false;
            }
            if !singular && z.iter().all(|z| *z > 0.0) {
                (self.active.iter().zip(&z)).for_each(|(&j, z)| self.weights[j] = *z);
                self.r = rest(&self.target, &thin);
                return true;
            }
            // Goes towards z until the first weight is 0.
            let reach = |(j, z): (&usize, &f64)| match *z <= 0.0 {
                true => self.weights[*j] / (self.weights[*j] - z),
                false => 1.0,
            };
            let share = self.active.iter().zip(&z).map(reach).fold(1.0, f64::min);
            for (&j, z) in self.active.iter().zip(&z) {
                self.weights[j] += share * (z - self.weights[j]);
            }
            let before = self.active.len();
            let smallest = (self.active.iter().copied())
                .min_by(|a, b| self.weights[*a].total_cmp(&self.weights[*b]));
            self.active
                .retain(|j| self.weights[*j] > 1e-15 && Some(*j) != smallest);
            for j in 0..self.weights.len() {
                if !self.active.contains(&j) {
                    self.weights[j] = 0.0;
                }
            }
            if self.active.is_empty() || self.active.len() == before {
                self.r.clone_from(&self.target);
                return true;
            }
        }
    }
}

/// What is left of a vector beside the columns of an orthonormal basis, projected twice, so that it is orthogonal to working precision
/// also where little is left.
fn rest(v: &[f64], basis: &Mat<f64>) -> Vec<f64> {
    let mut out = v.to_vec();
    for _ in 0..2 {
        for j in 0..basis.ncols() {
            let along: f64 = (0..out.len()).map(|k| basis[(k, j)] * out[k]).sum();
            (0..out.len()).for_each(|k| out[k] -= along * basis[(k, j)]);
        }
    }
    out
}

/// aᵀb.
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// |v|.
pub fn norm(v: &[f64]) -> f64 {
    dot(v, v).sqrt()
}
