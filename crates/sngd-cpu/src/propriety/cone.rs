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

use crate::linear::{dot, norm};
use std::collections::HashSet;

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
    numbers: HashSet<usize>,
    vectors: Vec<Vec<f64>>,
    weights: Vec<f64>,
    /// Places of the vectors whose weight is above 0, in the order of the basis.
    active: Vec<usize>,
    basis: Basis,
}

impl Hand {
    fn new(target: Vec<f64>) -> Hand {
        Hand {
            r: target.clone(),
            target,
            numbers: HashSet::new(),
            vectors: Vec::new(),
            weights: Vec::new(),
            active: Vec::new(),
            basis: Basis::default(),
        }
    }

    /// Takes vectors in hand; says whether one of them is new.
    fn take(&mut self, vectors: Vec<(usize, Vec<f64>)>) -> bool {
        let before = self.vectors.len();
        for (number, b) in vectors {
            if self.numbers.insert(number) {
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
            let open =
                (0..self.vectors.len()).filter(|j| self.weights[*j] == 0.0 && !refused.contains(j));
            let worst = open
                .map(|j| (j, dot(&self.vectors[j], &self.r) / length))
                .min_by(|a, b| a.1.total_cmp(&b.1));
            let Some((j, _)) = worst.filter(|(_, cosine)| *cosine < -0.5 * tolerance) else {
                return true;
            };
            if self.enter(j) {
                refused.clear();
            } else {
                refused.push(j);
            }
        }
        false
    }

    /// Makes vector j active and solves for the weights; `false` where rounding keeps it out.
    fn enter(&mut self, j: usize) -> bool {
        if !self.basis.push(&self.vectors[j], &self.target) {
            return false;
        }
        self.active.push(j);
        let mut z = self.basis.solve();
        if z.last().is_none_or(|z| *z <= 0.0) {
            self.active.pop();
            self.basis.keep(self.active.len());
            return false;
        }
        // As long as a weight would fall below 0, goes as far as the first is 0, and drops its vector.
        while z.iter().any(|z| *z <= 0.0) {
            let reaches: Vec<f64> = (self.active.iter().zip(&z))
                .map(|(&j, z)| reach(self.weights[j], *z))
                .collect();
            let share = reaches.iter().copied().fold(1.0, f64::min);
            let mut first = None;
            for (at, (&j, z)) in self.active.iter().zip(&z).enumerate() {
                let emptied = *z <= 0.0 && reaches[at] <= share;
                self.weights[j] += share * (z - self.weights[j]);
                if emptied || self.weights[j] <= 0.0 {
                    self.weights[j] = 0.0;
                    first = first.or(Some(at));
                }
            }
            let from = first.unwrap_or(self.active.len());
            let rest = self.active.split_off(from);
            self.basis.keep(from);
            for j in rest {
                if self.weights[j] > 0.0 && self.basis.push(&self.vectors[j], &self.target) {
                    self.active.push(j);
                } else {
                    self.weights[j] = 0.0;
                }
            }
            z = self.basis.solve();
        }
        (self.active.iter().zip(&z)).for_each(|(&j, z)| self.weights[j] = *z);
        self.r = self.basis.rest(&self.target);
        true
    }
}

/// Share of the way from a weight to z at which it is 0; 1 where it stays above.
fn reach(weight: f64, z: f64) -> f64 {
    if z <= 0.0 { weight / (weight - z) } else { 1.0 }
}

/// Vectors bⱼ = Σ qᵢ·rᵢⱼ by orthonormal ones qᵢ, made one after the other.
#[derive(Default)]
struct Basis {
    q: Vec<Vec<f64>>,
    /// Column j of the triangle, `[j + 1]`.
    r: Vec<Vec<f64>>,
    /// −qᵢᵀtarget.
    t: Vec<f64>,
}

impl Basis {
    /// Adds a vector of unit length; `false`, and nothing is added, where it lies in the space of those before.
    fn push(&mut self, v: &[f64], target: &[f64]) -> bool {
        let mut left = v.to_vec();
        let mut column = vec![0.0; self.q.len() + 1];
        // Twice, so that it is orthogonal to working precision also where little is left.
        for _ in 0..2 {
            for (q, c) in self.q.iter().zip(&mut column) {
                let along = dot(q, &left);
                *c += along;
                left.iter_mut().zip(q).for_each(|(l, q)| *l -= along * q);
            }
        }
        let length = norm(&left);
        if length < 1e-12 {
            return false;
        }
        left.iter_mut().for_each(|l| *l /= length);
        column[self.q.len()] = length;
        self.t.push(-dot(&left, target));
        self.q.push(left);
        self.r.push(column);
        true
    }

    /// Keeps the first `count` vectors.
    fn keep(&mut self, count: usize) {
        self.q.truncate(count);
        self.r.truncate(count);
        self.t.truncate(count);
    }

    /// The weights z for which target + Σ zⱼbⱼ is shortest.
    fn solve(&self) -> Vec<f64> {
        let mut z = self.t.clone();
        for i in (0..z.len()).rev() {
            z[i] /= self.r[i][i];
            let (known, zi) = (&self.r[i], z[i]);
            z[..i].iter_mut().zip(known).for_each(|(z, r)| *z -= r * zi);
        }
        z
    }

    /// What is left of a vector beside the space of these.
    fn rest(&self, v: &[f64]) -> Vec<f64> {
        let mut left = v.to_vec();
        for _ in 0..2 {
            for q in &self.q {
                let along = dot(q, &left);
                left.iter_mut().zip(q).for_each(|(l, q)| *l -= along * q);
            }
        }
        left
    }
}
