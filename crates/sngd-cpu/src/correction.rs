//! Closed-form and probed corrections of a linear predictor with a full or diagonal metric: ∂W/∂η contracted with leverages.

use crate::dense::Factor;
use crate::linear::BLOCK;
use crate::linear::{add_transposed, multiply, outer, outputs};
use crate::pass::{BlockBuffers, Pass, block_of, row_at, row_count};
use crate::resident::Resident;
use crate::scalar::{Scalar, counted};
use faer::Par;
use sngd_core::config::FisherKind;
use sngd_core::differences;
use sngd_core::likelihood::{Observed, packed};

impl<T: Scalar> Pass<T> {
    /// Adds Σ Jᵀc over the rows of the last pass to `out` `[P]`, c = (κ/2)·volume − divergence at h = J M⁻¹ Jᵀ: exact leverages.
    pub(crate) fn correction_exact(
        &mut self,
        data: &Resident<T>,
        factor: &Factor<T>,
        inverse: &mut [T],
        how: Derivative,
        out: &mut [T],
        par: Par,
    ) {
        let (d, h, k, p) = (data.d, data.h, data.k, data.p);
        if let (Some(columns), Some(source), Some(l), Some(out)) = (
            &mut self.columns,
            &data.columns,
            T::as_f32(&factor.l),
            T::as_f32_mut(out),
        ) {
            let share = 0.5 * how.kappa - f64::from(u8::from(how.divergence));
            columns.correction(source, l, share, out);
            return;
        }
        // With one output ‖L⁻¹x‖² is a triangular solve. With more, xᵀ(M⁻¹)_{kl}x takes the inverse, which all pairs share.
        let by_solve = h == 1;
        if !by_solve {
            factor.inverse(inverse, par);
        }
        self.each_block(data, how, out, |x, m, lever, buffers| {
            let hh = h * (h + 1) / 2;
            if by_solve {
                buffers.wide[..m * d].copy_from_slice(x);
                factor.solve_lower_many(&mut buffers.wide[..m * d], par);
                for j in 0..m {
                    lever[j] = buffers.wide[j * d..(j + 1) * d]
                        .iter()
                        .map(|&v| v * v)
                        .sum();
                }
                return;
            }
            for a in 0..k {
                for b in 0..=a {
                    multiply(
                        x,
                        &inverse[b * d * p + a * d..],
                        p,
                        &mut buffers.scaled[..m * d],
                        d,
                        par,
                    );
                    for j in 0..m {
                        lever[j * hh + packed(a, b)] = x[j * d..(j + 1) * d]
                            .iter()
                            .zip(&buffers.scaled[j * d..(j + 1) * d])
                            .map(|(&u, &v)| u * v)
                            .sum();
                    }
                }
            }
            for a in k..h {
                let col = k * d + a - k;
                for j in 0..m {
                    for b in 0..k {
                        lever[j * hh + packed(a, b)] = x[j * d..(j + 1) * d]
                            .iter()
                            .zip(&inverse[col * p + b * d..])
                            .map(|(&u, &v)| u * v)
                            .sum();
                    }
                    for b in k..=a {
                        lever[j * hh + packed(a, b)] = inverse[col * p + k * d + b - k];
                    }
                }
            }
        });
    }

    /// The same sum from one probe u ∼ N(0, M⁻¹), `[P]`: h = (Ju)(Ju)ᵀ, whose expectation is the exact h. Adds it to `out` `[P]`.
    pub(crate) fn correction_probe(
        &mut self,
        data: &Resident<T>,
        u: &[T],
        how: Derivative,
        out: &mut [T],
    ) {
        let (d, h, k) = (data.d, data.h, data.k);
        let hh = h * (h + 1) / 2;
        self.each_block(data, how, out, |x, m, lever, buffers| {
            // H ≤ P, so the buffer of BLOCK·P numbers has room for the outputs of a block.
            let ju = &mut buffers.wide[..m * h];
            outputs(x, u, ju, d, k, h);
            for j in 0..m {
                outer(&ju[j * h..(j + 1) * h], &mut lever[j * hh..(j + 1) * hh]);
            }
        });
    }

    /// The same for a diagonal metric with inverse `inv` `[P]`: `volume` gets ∇ln|M|, `own` gets ∂ᵢMᵢᵢ, both `[P]`.
    pub fn correction_diagonal(
        &mut self,
        data: &Resident<T>,
        inv: &[T],
        how: FisherKind,
        volume: &mut [T],
        own: &mut [T],
    ) {
        let (d, h, k) = (data.d, data.h, data.k);
        let hh = h * (h + 1) / 2;
        let volume_only = Derivative {
            kappa: 2.0,
            divergence: false,
            kind: how,
        };
        volume.fill(T::zero());
        self.each_block(data, volume_only, volume, |x, m, lever, _| {
            lever.fill(T::zero());
            for j in 0..m {
                for a in 0..h {
                    lever[j * hh + packed(a, a)] = if a < k {
                        x[j * d..(j + 1) * d]
                            .iter()
                            .zip(&inv[a * d..])
                            .map(|(&u, &v)| u * u * v)
                            .sum()
                    } else {
                        inv[k * d + a - k]
                    };
                }
            }
        });
        // ∂M_ii/∂ω_i for i = (a, e) is Σ ∂W_aa/∂η_a·x_e³.
        own.fill(T::zero());
        let likelihood = &data.likelihood;
        let (mut vol, mut div, mut unit) =
            (vec![T::zero(); h], vec![T::zero(); h], vec![T::zero(); hh]);
        let count = row_count(data, &self.rows);
        for j in 0..count {
            let i = row_at(&self.rows, j);
            let eta = &self.eta[j * h..(j + 1) * h];
            for a in 0..h {
                unit.fill(T::zero());
                unit[packed(a, a)] = T::one();
                derivative(
                    likelihood,
                    eta,
                    data.observed[i],
                    &unit,
                    how,
                    &mut vol,
                    &mut div,
                );
                if let Some(&times) = data.weights.get(i) {
                    vol[a] = counted(times, vol[a]);
                }
                if a < k {
                    for e in 0..d {
                        let x = data.x[i * d + e];
                        own[a * d + e] += vol[a] * x * x * x;
                    }
                } else {
                    own[k * d + a - k] += vol[a];
                }
            }
        }
    }

    /// Goes over the last pass's rows in blocks: `levers` writes h of each row, which is contracted to c; adds Σ Jᵀc to `out`.
    fn each_block(
        &mut self,
        data: &Resident<T>,
        how: Derivative,
        out: &mut [T],
        mut levers: impl FnMut(&[T], usize, &mut [T], &mut BlockBuffers<T>),
    ) {
        let (d, h, k) = (data.d, data.h, data.k);
        let hh = h * (h + 1) / 2;
        let count = row_count(data, &self.rows);
        let mut lever = std::mem::take(&mut self.block.lever);
        let mut gathered = std::mem::take(&mut self.block.x);
        let (mut vol, mut div) = (vec![T::zero(); h], vec![T::zero(); h]);
        let half_kappa = T::of(0.5 * how.kappa);
        let mut start = 0;
        while start < count {
            let m = BLOCK.min(count - start);
            let x = block_of(data, &self.rows, start, m, &mut gathered);
            levers(x, m, &mut lever[..m * hh], &mut self.block);
            for j in 0..m {
                let eta = &self.eta[(start + j) * h..(start + j + 1) * h];
                let i = row_at(&self.rows, start + j);
                let obs = data.observed[i];
                let hj = &lever[j * hh..(j + 1) * hh];
                derivative(&data.likelihood, eta, obs, hj, how.kind, &mut vol, &mut div);
                let c = &mut self.block.score[j * h..(j + 1) * h];
                for a in 0..h {
                    let minus = if how.divergence { div[a] } else { T::zero() };
                    c[a] = half_kappa * vol[a] - minus;
                }
                if let Some(&times) = data.weights.get(i) {
                    c.iter_mut().for_each(|c| *c = counted(times, *c));
                }
            }
            add_transposed(x, &self.block.score[..m * h], out, d, k, h);
            start += m;
        }
        self.block.lever = lever;
        self.block.x = gathered;
    }
}

/// Which parts of the correction are summed, and for which weights W.
#[derive(Debug, Clone, Copy)]
pub struct Derivative {
    /// Weight κ of the volume |M| in the target, no unit.
    pub kappa: f64,
    /// Whether −divergence, the term Γ, is included.
    pub divergence: bool,
    /// Over which labels the Fisher weights W are averaged.
    pub kind: FisherKind,
}

/// Contracts ∂W/∂η of one row with h, `[H(H+1)/2]`. Monte Carlo labels take the derivative of the expectation. The empirical ssᵀ has no
/// closed derivative in the likelihoods, so it is differenced in η (step 1e-2, error of order 1e-4).
fn derivative<T: Scalar>(
    likelihood: &sngd_core::likelihood::Likelihood,
    eta: &[T],
    obs: Observed<T>,
    lever: &[T],
    kind: FisherKind,
    volume: &mut [T],
    divergence: &mut [T],
) {
    if kind != FisherKind::Empirical {
        likelihood.contract(eta, obs.trials, lever, volume, divergence);
        return;
    }
    let h = eta.len();
    let (mut s, mut room) = (vec![T::zero(); h], vec![T::zero(); h * (h + 2)]);
    let squares = |eta: &[T], w: &mut [T]| {
        likelihood.log_lik_and_score(eta, obs, &mut s);
        for k in 0..h {
            for l in 0..=k {
                w[packed(k, l)] = s[k] * s[l];
            }
        }
    };
    differences::contract(
        squares,
        eta,
        T::of(1e-2),
        lever,
        volume,
        divergence,
        &mut room,
    );
}
