//! Checks of the stages after the sums over rows: the factor, the correction, the noise, the step.

use super::oracle::{Matrix, U, gamma, narrow};
use super::step::{Pass, Step};
use sngd_core::config::Noise;
use sngd_core::engine::Engine;
use sngd_core::likelihood::packed;
use sngd_core::philox::{Stream, at, normals_f64};
use sngd_core::plan::CorrectionPlan;
use sngd_core::stat::Stat;
use sngd_gpu::Buffer;
use sngd_shaders::{Code, STATUS, StatusWord};

impl Step<'_> {
    /// Checks cholesky.wgsl, cholesky_lane.wgsl, panels.wgsl: L⁻¹ M L⁻ᵀ = I.
    pub fn factor(&mut self, matrix: &str, linv: &str) -> Matrix {
        let (m, w) = (self.triangle(matrix), self.triangle(linv));
        for (i, j, got, size) in w.whitened(&m) {
            let want = if i == j { 1.0 } else { 0.0 };
            self.held
                .is("factor: whitens", got, want, gamma(m.n) * size);
        }
        w
    }

    /// Leverages h = J M⁻¹ Jᵀ of each row from L⁻¹ in f64, packed, with the errors that f32 allows.
    pub fn levers(
        &mut self,
        w: &Matrix,
        pass: &Pass,
        inverse: Option<&Matrix>,
    ) -> Vec<Vec<(f64, f64)>> {
        let (p, h) = (self.plan.p, self.plan.h);
        let g = gamma(p);
        pass.z
            .iter()
            .map(|z| {
                if let Some(m) = inverse {
                    let mut out = vec![(0.0, 0.0); h * (h + 1) / 2];
                    for a in 0..p {
                        for b in 0..p {
                            let (k, l) = (self.design.output(a), self.design.output(b));
                            if k >= l {
                                let v = z[a] * m.at(a, b) * z[b];
                                let o = &mut out[packed(k, l)];
                                *o = (o.0 + v, o.1 + 2.0 * g * v.abs());
                            }
                        }
                    }
                    return out;
                }
                let y = w.times(z);
                let sum: f64 = y.iter().map(|(y, _)| y * y).sum();
                let error: f64 = y.iter().map(|(y, a)| 2.0 * y.abs() * g * a).sum();
                vec![(sum, error + g * sum)]
            })
            .collect()
    }

    /// Checks inverse.wgsl, leverage.wgsl, contraction.wgsl, small_lever.wgsl: c = (κ/2)·volume − divergence, Σ Jᵀc.
    pub fn correction(&mut self, pass: &Pass, metric: &Matrix, volume: &Matrix) {
        let (p, h, r) = (self.plan.p, self.plan.h, pass.z.len());
        let hh = h * (h + 1) / 2;
        let inverse = (h > 1).then(|| {
            let full = self.own("inverse", p * p);
            for j in 0..p {
                let column: Vec<f64> = (0..p)
                    .map(|i| if i >= j { volume.at(i, j) } else { 0.0 })
                    .collect();
                for (i, (want, size)) in volume.transposed_times(&column).into_iter().enumerate() {
                    self.held
                        .is("inverse", full[i * p + j], want, gamma(p) * size);
                }
            }
            Matrix::lower(p, &full)
        });
        let half_kappa = 0.5 * self.plan.kappa;
        let of_metric = self.levers(metric, pass, inverse.as_ref());
        let of_volume = self.levers(volume, pass, inverse.as_ref());
        if !self.small {
            for (j, got) in self.summed("lever", r * hh).chunks(hh).enumerate() {
                for a in 0..hh {
                    let (want, error) = of_volume[j][a];
                    self.held.is("leverage", got[a].0, want, error);
                }
            }
        }
        let device = if self.small {
            vec![]
        } else {
            self.own("coefficient", r * h)
        };
        let (mut c, mut errors) = (Vec::new(), Vec::new());
        for j in 0..r {
            let (mut want, mut error) = (vec![0.0; h], vec![0.0; h]);
            let size: f64 = of_metric[j]
                .iter()
                .chain(&of_volume[j])
                .map(|v| v.0.abs())
                .sum();
            for pair in 0..hh {
                let mut unit = vec![0.0; hh];
                unit[pair] = 1.0;
                let (mut v, mut d) = (vec![0.0; h], vec![0.0; h]);
                self.problem
                    .likelihood
                    .contract(&pass.eta[j], 1.0, &unit, &mut v, &mut d);
                for a in 0..h {
                    want[a] +=
                        half_kappa * v[a] * of_volume[j][pair].0 - d[a] * of_metric[j][pair].0;
                    error[a] += half_kappa * v[a].abs() * of_volume[j][pair].1
                        + d[a].abs() * of_metric[j][pair].1;
                }
            }
            error
                .iter_mut()
                .for_each(|e| *e += pass.row[j].slope_error * size);
            if self.small {
                c.push(want);
                errors.push(error);
                continue;
            }
            let got = &device[j * h..(j + 1) * h];
            for a in 0..h {
                self.held.is("contraction", got[a], want[a], error[a]);
            }
            c.push(got.to_vec());
            errors.push(vec![0.0; h]);
        }
        self.gradient("gradient: drift", "drift", pass, &c, &errors);
    }

    /// Checks residual.wgsl: Q = (2ε − ε²)T·M − ε²V̂ + ridge·I, with V̂ from the gradients of single rows about their mean; then
    /// its factor.
    pub fn residual(&mut self, pass: &Pass, every_row: bool) {
        let (p, r) = (self.plan.p, pass.z.len());
        let gradients: Vec<Vec<f64>> = pass
            .z
            .iter()
            .zip(&pass.score)
            .map(|(z, s)| (0..p).map(|a| z[a] * s[self.design.output(a)]).collect())
            .collect();
        let mut mean = vec![0.0; p];
        for g in &gradients {
            mean.iter_mut().zip(g).for_each(|(m, g)| *m += g / r as f64);
        }
        let mut spread = Matrix::zeros(p);
        for g in &gradients {
            for i in 0..p {
                for j in 0..=i {
                    spread.v[i * p + j] += (g[i] - mean[i]) * (g[j] - mean[j]);
                }
            }
        }
        let (second, fisher, q) = (
            self.triangle("second"),
            self.triangle("fisher"),
            self.triangle("q"),
        );
        let (n, b, e) = (self.plan.n as f64, self.plan.batch as f64, self.epsilon());
        // With rows drawn with replacement, minibatch noise has N²/B times the covariance of a row's gradient.
        let count = if every_row { r as f64 } else { r as f64 - 1.0 };
        let factor = e * e * n * n / b / count;
        let (budget, ridge) = (self.budget(), self.ridge());
        for i in 0..p {
            for j in 0..=i {
                let raw = spread.at(i, j) + r as f64 * mean[i] * mean[j];
                let size = gamma(r) * second.size(i, j);
                self.held
                    .is("fisher: second moment", second.at(i, j), raw, size);
                let own = if i == j { ridge } else { 0.0 };
                let want = budget * fisher.at(i, j) - factor * spread.at(i, j) + own;
                let bound = 4.0 * U * (budget * fisher.at(i, j).abs() + own) + 3.0 * factor * size;
                self.held.is("residual: Q", q.at(i, j), want, bound);
            }
        }
        let status = self.engine.inspect(Buffer::Status).unwrap();
        let fell_back =
            f64::from(status[self.chain * STATUS + StatusWord::FellBack.code() as usize].to_bits());
        self.held.is("residual: falls back", fell_back, 0.0, 0.0);
        let l = self.triangle("q_factor");
        for i in 0..p {
            for j in 0..=i {
                let terms = (0..=j).map(|k| l.at(i, k) * l.at(j, k));
                let (sum, size) = terms.fold((0.0, 0.0), |(s, a), t| (s + t, a + t.abs()));
                // Scaling the diagonal to 1 and back adds rounding, some ulp of the entry's size.
                let bound = gamma(p) * size + 16.0 * U * q.size(i, j);
                self.held.is("factor: Q", sum, q.at(i, j), bound);
            }
        }
        let z = self.own("z", p);
        let extra = self.own("extra", p);
        for (got, (want, size)) in extra.into_iter().zip(l.times(&z)) {
            self.held
                .is("triangle: residual noise", got, want, gamma(p) * size);
        }
    }

    /// Checks normals.wgsl against the same Philox addresses in f64.
    pub fn normals(&mut self, name: &str, stream: Stream, length: usize) {
        for (j, got) in self.own(name, length).into_iter().enumerate() {
            let bits = at(self.plan.seed, stream, self.chain as u32, 0, (j / 4) as u32);
            let four = normals_f64(bits);
            let radius = four[j % 4].hypot(four[(j % 4) ^ 1]);
            // Two polynomials, a root and a product; ln u is as exact near 1 as near 0.
            self.held.is("normals", got, four[j % 4], 8.0 * U * radius);
        }
    }

    /// Checks whiten.wgsl, triangle.wgsl, update.wgsl: u = L⁻¹(−εĝ + εTv) + noise, the step L⁻ᵀu, ω and the statistics.
    pub fn update(&mut self, linv: &Matrix, rows: usize) {
        let (p, plan) = (self.plan.p, self.plan);
        let (e, chain) = (self.epsilon(), self.chain);
        let gradient = self.own("gradient", p);
        let share = plan.n as f64 / rows as f64;
        let corrected = plan.correction == CorrectionPlan::ClosedForm;
        let drift = if corrected {
            self.summed("drift", p)
        } else {
            vec![(0.0, 0.0); p]
        };
        let z = self.own("z", p);
        let residual = plan.noise == Noise::Residual;
        let mut extra = vec![0.0; p];
        if residual || self.ridge() > 0.0 {
            extra = self.own("extra", p);
        }
        if !residual && self.ridge() > 0.0 {
            self.normals("prior_z", Stream::PriorNoise, 2 * p);
            let own = self.own("prior_z", 2 * p);
            for a in 0..p {
                let want = self.ridge().sqrt() * own[p + a];
                self.held
                    .is("prior noise", extra[a], want, 8.0 * U * want.abs());
            }
        }
        let white = self.own("white", p);
        let squares = self.own("squares", 2 * p);
        let (x, v, n) = (
            linv.times(&gradient),
            linv.times(&drift.iter().map(|v| v.0).collect::<Vec<_>>()),
            linv.times(&extra),
        );
        let parts: Vec<f64> = drift.iter().map(|v| v.1).collect();
        let size_v = linv.times(&parts);
        let pull = e * plan.temperature * share;
        for i in 0..p {
            let full = if residual {
                0.0
            } else {
                self.budget().sqrt() * z[i]
            };
            let noise = full + n[i].0;
            let noise_error = gamma(p) * n[i].1 + 8.0 * U * full.abs();
            let want = noise - e * x[i].0 + pull * v[i].0;
            let bound =
                gamma(p) * (e * x[i].1 + pull * size_v[i].1) + noise_error + 4.0 * U * want.abs();
            self.held.is("whiten", white[i], want, bound);
            let error = gamma(p) * x[i].1;
            let bound = error * (2.0 * x[i].0.abs() + error) + 4.0 * U * x[i].0.powi(2);
            self.held
                .is("whiten: squares", squares[2 * i], x[i].0.powi(2), bound);
            let bound = noise_error * (2.0 * noise.abs() + noise_error) + 4.0 * U * noise.powi(2);
            self.held
                .is("whiten: squares", squares[2 * i + 1], noise.powi(2), bound);
        }
        let delta = self.own("delta", p);
        for (got, (want, size)) in delta.iter().zip(linv.transposed_times(&white)) {
            self.held.is("triangle: step", *got, want, gamma(p) * size);
        }
        let after = self.engine.state().unwrap().omega;
        for a in 0..p {
            let before = self.omega[chain * p + a];
            let kept = self.block.omega[chain * p + a];
            self.held.is("update: kept draw", kept, before, 0.0);
            let want = narrow(before + delta[a]);
            self.held.is(
                "update: omega",
                after[chain * p + a],
                want,
                2.0 * U * want.abs(),
            );
        }
        let norm = |which: usize| squares.iter().skip(which).step_by(2).sum::<f64>().sqrt();
        let stats = self.block.stats[chain * Stat::COUNT..][..Stat::COUNT].to_vec();
        for (at, want) in [
            (Stat::GradNorm, norm(0)),
            (Stat::NoiseNorm, norm(1)),
            (Stat::CholeskyJitter, 0.0),
            (Stat::Diverging, 0.0),
            (Stat::StepSize, e),
            (Stat::Temperature, plan.temperature),
            (Stat::AcceptanceRate, 1.0),
        ] {
            self.held.is(
                "update: statistics",
                stats[at.at()],
                want,
                (gamma(p) + 4.0 * U) * want,
            );
        }
    }
}
