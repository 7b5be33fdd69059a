//! Data of a metric fixed at the mode: all chains read them, no chain changes them.

use crate::scalar::Scalar;
use faer::{MatMut, MatRef, Par};
use sngd_core::expansion::{Expansion, PriorReference, PriorWork};
use sngd_core::likelihood::Likelihood;
use sngd_core::problem::Problem;
use std::sync::Arc;

use super::lanes::{LANES, Lane, Rows};

/// The expansion at the mode in an engine's number format.
#[derive(Debug)]
pub struct ModeData<T> {
    /// The expansion at the mode, shared with the plan.
    pub expansion: Arc<Expansion>,
    /// The likelihood, in internal units.
    pub likelihood: Likelihood,
    /// Number of parameters, P.
    pub p: usize,
    /// Number of linear outputs, K.
    pub k: usize,
    /// Number of auxiliary outputs, A.
    pub aux: usize,
    /// Change of an auxiliary output per unit of its entry in the vector that `to_design` writes.
    pub aux_scale: T,
    /// Gradient c at the mode in u, `[P]`; close to 0.
    pub slope: Vec<T>,
    /// L⁻¹ by rows and its transpose, `[P,P]`; empty where the design is whitened.
    inverse: Vec<f32>,
    inverse_transposed: Vec<f32>,
    /// The prior and its values at the mode; `None` where −ln prior has no terms beyond second order.
    prior: Option<(Problem, PriorReference)>,
}

impl<T: Scalar> ModeData<T> {
    /// Converts the expansion of a problem.
    pub fn new(problem: &Problem, expansion: Arc<Expansion>) -> ModeData<T> {
        let p = expansion.omega.len();
        let (mut inverse, mut inverse_transposed) = (Vec::new(), Vec::new());
        if !expansion.whitened {
            let full = inverse_factor(&expansion.chol, p);
            // `full` is column-major: its columns are the rows of the transpose.
            inverse_transposed = full.iter().map(|v| *v as f32).collect();
            inverse = vec![0.0; p * p];
            for j in 0..p {
                for i in j..p {
                    inverse[i * p + j] = full[j * p + i] as f32;
                }
            }
        }
        let last = expansion.chol[p * p - 1];
        ModeData {
            likelihood: problem.likelihood.clone(),
            p,
            k: problem.likelihood.linear_outputs(),
            aux: problem.likelihood.aux_outputs(),
            aux_scale: T::of(if expansion.whitened { 1.0 / last } else { 1.0 }),
            slope: expansion.slope.iter().map(|&c| T::of(c)).collect(),
            inverse,
            inverse_transposed,
            prior: (!expansion.quadratic_prior).then(|| {
                let reference = PriorReference::at(problem, &expansion.omega);
                (problem.clone_without_design(), reference)
            }),
            expansion,
        }
    }

    /// Rows `first..first + count` of the design.
    pub fn design(&self, first: usize, count: usize) -> Rows<'_> {
        let n = self.expansion.columns;
        Rows {
            x: &self.expansion.x[first * n..],
            stride: n,
            rows: count,
            n,
        }
    }

    /// Writes the vector whose products with design rows are Δη: u itself, or ω − ω* = L⁻ᵀu where the design is not whitened. `[P][16]`.
    pub fn to_design(&self, u: &[Lane<T>], out: &mut [Lane<T>]) {
        if self.expansion.whitened {
            out.copy_from_slice(u);
            return;
        }
        triangular(&self.inverse_transposed, self.p, false, u, out);
    }

    /// Turns the sums over rows into a gradient in u: the sums themselves, or L⁻¹ times them. `[P][16]`.
    pub fn whiten_sums(&self, sums: &[Lane<T>], out: &mut [Lane<T>]) {
        if self.expansion.whitened {
            out.copy_from_slice(sums);
            return;
        }
        triangular(&self.inverse, self.p, true, sums, out);
    }

    /// `to_design` of one chain, `[P]`.
    #[inline(always)]
    pub fn to_design_one(&self, u: &[T], out: &mut [T]) {
        // Row j of L⁻¹ times u_j, summed over j, is L⁻ᵀu.
        out.fill(T::zero());
        for (j, &u) in u.iter().enumerate() {
            let row = &self.inverse[j * self.p..][..=j];
            for (o, &a) in out.iter_mut().zip(row) {
                *o += T::of(f64::from(a)) * u;
            }
        }
    }

    /// `whiten_sums` of one chain, `[P]`.
    #[inline(always)]
    pub fn whiten_one(&self, sums: &[T], out: &mut [T]) {
        out.fill(T::zero());
        for (j, &s) in sums.iter().enumerate() {
            let column = &self.inverse_transposed[j * self.p + j..][..self.p - j];
            for (o, &a) in out[j..].iter_mut().zip(column) {
                *o += T::of(f64::from(a)) * s;
            }
        }
    }

    /// Returns the prior's remainder at u, in nats, and calls `off` with each index and entry of its gradient in u. The caller subtracts
    /// both. 0 where the prior is quadratic.
    pub fn add_prior(
        &self,
        room: &mut PriorRoom,
        u: impl Fn(usize) -> T,
        mut off: impl FnMut(usize, T),
    ) -> f64 {
        let Some((problem, reference)) = &self.prior else {
            return 0.0;
        };
        let p = self.p;
        for (j, d) in room.delta.iter_mut().enumerate() {
            *d = u(j).to64();
        }
        let chol = &self.expansion.chol;
        for j in (0..p).rev() {
            let column = &chol[j * p..(j + 1) * p];
            let known: f64 = (j + 1..p).map(|i| column[i] * room.delta[i]).sum();
            room.delta[j] = (room.delta[j] - known) / column[j];
        }
        let rest = self.expansion.prior_remainder(
            problem,
            reference,
            &room.delta,
            &mut room.work,
            &mut room.gradient,
        );
        for j in 0..p {
            let column = &chol[j * p..(j + 1) * p];
            let y = room.gradient[j] / column[j];
            off(j, T::of(y));
            for i in j + 1..p {
                room.gradient[i] -= column[i] * y;
            }
        }
        rest
    }
}

/// Buffers for one evaluation of the prior's remainder.
#[derive(Debug, Clone)]
pub struct PriorRoom {
    delta: Vec<f64>,
    gradient: Vec<f64>,
    work: PriorWork,
}

impl PriorRoom {
    /// Buffers for P parameters.
    pub fn new(p: usize) -> PriorRoom {
        PriorRoom {
            delta: vec![0.0; p],
            gradient: vec![0.0; p],
            work: PriorWork::new(p),
        }
    }
}

/// out = A·v for a triangular A `[P,P]` by rows, in blocks of rows that skip most of its zeros.
fn triangular<T: Scalar>(a: &[f32], p: usize, lower: bool, v: &[Lane<T>], out: &mut [Lane<T>]) {
    const BLOCK: usize = 48;
    for first in (0..p).step_by(BLOCK) {
        let rows = BLOCK.min(p - first);
        let (from, to) = if lower { (0, first + rows) } else { (first, p) };
        let block = Rows {
            x: &a[first * p + from..],
            stride: p,
            rows,
            n: to - from,
        };
        T::times(block, &v[from..to], &mut out[first..first + rows]);
    }
}

/// The inverse L⁻¹ of a Cholesky factor, column-major lower, `[P,P]`.
pub fn inverse_factor(chol: &[f64], p: usize) -> Vec<f64> {
    let mut out = vec![0.0; p * p];
    (0..p).for_each(|i| out[i * (p + 1)] = 1.0);
    let l = MatRef::from_column_major_slice(chol, p, p);
    let rhs = MatMut::from_column_major_slice_mut(&mut out, p, p);
    faer::linalg::triangular_solve::solve_lower_triangular_in_place(l, rhs, Par::rayon(0));
    out
}

/// Whitened to internal coordinates: ω = ω* + L⁻ᵀu for many u, `[m,P]`, in place.
pub fn to_internal(expansion: &Expansion, u: &mut [f64]) {
    let p = expansion.omega.len();
    let l = MatRef::from_column_major_slice(&expansion.chol, p, p);
    let m = u.len() / p;
    let rhs = MatMut::from_column_major_slice_mut(u, p, m);
    faer::linalg::triangular_solve::solve_upper_triangular_in_place(
        l.transpose(),
        rhs,
        Par::rayon(0),
    );
    for row in u.chunks_exact_mut(p) {
        row.iter_mut()
            .zip(&expansion.omega)
            .for_each(|(u, w)| *u += w);
    }
}

/// Turns gradients in u into gradients in ω: L·g for many g, `[m,P]`.
pub fn gradients_to_internal(expansion: &Expansion, g: &[f64]) -> Vec<f64> {
    let p = expansion.omega.len();
    let m = g.len() / p;
    let mut out = vec![0.0; g.len()];
    faer::linalg::matmul::matmul(
        MatMut::from_column_major_slice_mut(&mut out, p, m),
        faer::Accum::Replace,
        MatRef::from_column_major_slice(&expansion.chol, p, p),
        MatRef::from_column_major_slice(g, p, m),
        1.0,
        Par::rayon(0),
    );
    out
}

/// A lane of zeros.
pub fn zero_lane<T: Scalar>() -> Lane<T> {
    [T::zero(); LANES]
}
