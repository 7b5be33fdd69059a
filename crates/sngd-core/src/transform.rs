//! The affine map between the user's parameters and the internal ones.
//!
//! Engines get features centred and scaled, and for a Gaussian response y too; then f32 is precise enough for designs whose
//! posterior covariance has a condition number of 1e11. With an all-ones column (the intercept, or a constant column of the
//! data) as pivot, x_d = m_d + z_d·s_d gives
//!
//! ```text
//! θ_d = σ_y·ω_d / s_d,        c·θ_pivot = σ_y·ω_pivot + ȳ − Σ_d m_d θ_d,
//! ```
//!
//! where c is the constant. Without a pivot nothing is centred. log σ shifts by ln σ_y. The map is linear, so a density keeps
//! its shape and natural gradients do not change.

use crate::features::Features;

/// θ = A·ω + b, per output; see the module text.
#[derive(Debug, Clone, PartialEq)]
pub struct Transform {
    /// Number of linear outputs, K.
    pub outputs: usize,
    /// Number of design columns, D, the pivot included.
    pub columns: usize,
    /// Number of auxiliary parameters (log σ), A.
    pub aux: usize,
    /// Index of the all-ones column; `None` where there is none.
    pub pivot: Option<usize>,
    /// Value of the pivot's column in the user's data.
    pub pivot_value: f64,
    /// Means m_d that are subtracted from the columns, `[D]`; 0 at the pivot and without one.
    pub mean: Vec<f64>,
    /// Scales s_d that the columns are divided by, `[D]`; 1 at the pivot.
    pub scale: Vec<f64>,
    /// Mean ȳ that is subtracted from the response; 0 unless Gaussian with a pivot, or with a network under its default prior.
    pub y_mean: f64,
    /// Scale σ_y that the response is divided by; 1 unless Gaussian.
    pub y_scale: f64,
}

impl Transform {
    /// Number of parameters, P = K·D + A.
    pub fn parameters(&self) -> usize {
        self.outputs * self.columns + self.aux
    }

    /// The same map, but that θ_pivot is the linear predictor, over the constant, where every column is at its mean.
    pub fn at_means(&self) -> Transform {
        Transform {
            mean: vec![0.0; self.mean.len()],
            ..self.clone()
        }
    }

    /// Internal value of the pivot's column in a row of the user's design: 1, except where a held-out row has another value there.
    pub fn one(&self, row: &[f64]) -> f64 {
        self.pivot.map_or(1.0, |p| row[p] / self.pivot_value)
    }

    /// Moves a row of a linear predictor's design `[D]` and its response to internal coordinates.
    pub fn enter(&self, row: &mut [f64], y: &mut f64) {
        let one = self.one(row);
        for (j, v) in row.iter_mut().enumerate() {
            *v = match self.pivot == Some(j) {
                true => one,
                false => (*v - self.mean[j] * one) / self.scale[j],
            };
        }
        *y = (*y - self.y_mean * one) / self.y_scale;
    }

    /// Moves responses `[N]` of a network, which has no pivot, to internal coordinates.
    pub fn enter_responses(&self, y: &mut [f64]) {
        y.iter_mut()
            .for_each(|y| *y = (*y - self.y_mean) / self.y_scale);
    }

    /// Moves rows `[N,D]` and their responses `[N]` to internal coordinates.
    pub fn enter_rows(&self, x: &mut Features, y: &mut [f64]) {
        x.change_rows(|i, row| self.enter(row, &mut y[i]));
    }

    /// Natural parameters θ from internal ones ω, both `[P]`; auxiliary entries stay on the log scale.
    pub fn natural(&self, omega: &[f64], theta: &mut [f64]) {
        let d = self.columns;
        for k in 0..self.outputs {
            let (w, t) = (&omega[k * d..(k + 1) * d], &mut theta[k * d..(k + 1) * d]);
            let mut shift = 0.0;
            for j in 0..d {
                t[j] = self.y_scale * w[j] / self.scale[j];
                shift += self.mean[j] * t[j];
            }
            if let Some(p) = self.pivot {
                t[p] = (self.y_scale * w[p] + self.y_mean - shift) / self.pivot_value;
            }
        }
        for a in self.outputs * d..self.parameters() {
            theta[a] = omega[a] + self.y_scale.ln();
        }
    }

    /// Internal parameters ω from natural ones θ, both `[P]`.
    pub fn internal(&self, theta: &[f64], omega: &mut [f64]) {
        let d = self.columns;
        for k in 0..self.outputs {
            let (t, w) = (&theta[k * d..(k + 1) * d], &mut omega[k * d..(k + 1) * d]);
            let mut shift = 0.0;
            for j in 0..d {
                w[j] = t[j] * self.scale[j] / self.y_scale;
                if Some(j) != self.pivot {
                    shift += self.mean[j] * t[j];
                }
            }
            if let Some(p) = self.pivot {
                w[p] = (self.pivot_value * t[p] + shift - self.y_mean) / self.y_scale;
            }
        }
        for a in self.outputs * d..self.parameters() {
            omega[a] = theta[a] - self.y_scale.ln();
        }
    }

    /// Turns a gradient in θ `[P]` into one in ω, in place: multiplies by Aᵀ.
    pub fn pull_back(&self, grad: &mut [f64]) {
        let d = self.columns;
        for k in 0..self.outputs {
            let g = &mut grad[k * d..(k + 1) * d];
            let at_pivot = self.pivot.map_or(0.0, |p| g[p] / self.pivot_value);
            for j in 0..d {
                g[j] = if Some(j) == self.pivot {
                    self.y_scale * at_pivot
                } else {
                    self.y_scale / self.scale[j] * (g[j] - self.mean[j] * at_pivot)
                };
            }
        }
    }

    /// Turns a diagonal information Λ on the natural scale `[P]` into AᵀΛA, internal coordinates, dense `[P,P]`.
    pub fn pull_back_information(&self, lambda: &[f64]) -> Vec<f64> {
        let (p, d) = (self.parameters(), self.columns);
        let mut out = vec![0.0; p * p];
        // Row i of A has at most two kinds of entries, so column by column is O(P·D).
        let column = |k: usize, j: usize| -> (f64, f64) {
            // (entry at θ_j, entry at the pivot) of ∂θ/∂ω_j.
            if Some(j) == self.pivot {
                (0.0, self.y_scale / self.pivot_value)
            } else {
                let slope = self.y_scale / self.scale[j];
                let _ = k;
                (
                    slope,
                    self.pivot
                        .map_or(0.0, |_| -self.mean[j] * slope / self.pivot_value),
                )
            }
        };
        for k in 0..self.outputs {
            let at_pivot = self.pivot.map_or(0.0, |q| lambda[k * d + q]);
            for i in 0..d {
                let (own, pi) = column(k, i);
                out[(k * d + i) * p + k * d + i] += own * own * lambda[k * d + i];
                if self.pivot.is_none() {
                    continue;
                }
                for j in 0..d {
                    out[(k * d + i) * p + k * d + j] += pi * column(k, j).1 * at_pivot;
                }
            }
        }
        for a in self.outputs * d..p {
            out[a * p + a] = lambda[a];
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Transform {
        Transform {
            outputs: 2,
            columns: 3,
            aux: 1,
            pivot: Some(1),
            pivot_value: 2.0,
            mean: vec![3952.0, 0.0, -1.0],
            scale: vec![17.0, 1.0, 0.3],
            y_mean: 4.0,
            y_scale: 2.5,
        }
    }

    #[test]
    fn internal_undoes_natural() {
        let t = example();
        let w: Vec<f64> = (0..7).map(|i| (i as f64).cos()).collect();
        let (mut th, mut back) = (vec![0.0; 7], vec![0.0; 7]);
        t.natural(&w, &mut th);
        t.internal(&th, &mut back);
        assert!(w.iter().zip(&back).all(|(a, b)| (a - b).abs() < 1e-10));
    }

    #[test]
    fn pull_backs_are_those_of_the_jacobian() {
        let t = example();
        let p = 7;
        let jac: Vec<Vec<f64>> = (0..p)
            .map(|j| {
                let (mut a, mut b) = (vec![0.0; p], vec![0.0; p]);
                let mut w = vec![0.2; p];
                t.natural(&w, &mut a);
                w[j] += 1.0;
                t.natural(&w, &mut b);
                b.iter().zip(&a).map(|(x, y)| x - y).collect()
            })
            .collect();
        let lambda: Vec<f64> = (0..p).map(|i| 0.5 + i as f64).collect();
        let mut g: Vec<f64> = (0..p).map(|i| (i as f64).sin()).collect();
        let expected: Vec<f64> = (0..p)
            .map(|j| (0..p).map(|i| jac[j][i] * g[i]).sum())
            .collect();
        t.pull_back(&mut g);
        assert!(
            g.iter()
                .zip(&expected)
                .all(|(a, b)| (a - b).abs() < 1e-8 * (1.0 + b.abs()))
        );
        let info = t.pull_back_information(&lambda);
        for a in 0..p {
            for b in 0..p {
                let e: f64 = (0..p).map(|i| jac[a][i] * lambda[i] * jac[b][i]).sum();
                assert!((info[a * p + b] - e).abs() < 1e-7 * (1.0 + e.abs()));
            }
        }
    }
}
