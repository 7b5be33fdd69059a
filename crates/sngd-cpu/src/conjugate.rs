//! Independent draws from the posterior of a linear model with Gaussian errors of unknown scale σ and normal priors of its coefficients β. Given σ
//! the coefficients are Gaussian, and what remains is the density of one number, log σ, which is read from a fine grid.
//!
//! Used where the joint density has no largest value (`marginal`): there σ may be anything down to 0, and the room that it leaves the
//! coefficients shrinks with it, so that no constant metric fits all of it.
//!
//! With A = XᵀX over the rows with their weights, Λ the priors' information and LLᵀ = A/σ₀² + Λ for one σ₀, let L⁻¹AL⁻ᵀ = V diag(a) Vᵀ. In γ = VᵀLᵀβ
//! everything is diagonal for all σ at once:
//!
//! ```text
//! hₖ(σ) = aₖ/σ² + (1 − aₖ/σ₀²),   rₖ(σ) = cₖ/σ² + dₖ,   γₖ | σ ~ N(rₖ/hₖ, 1/hₖ)
//! ln p(log σ | y) = −N log σ − yᵀy/(2σ²) + ½ Σₖ (rₖ²/hₖ − ln hₖ) + ln p(log σ) + constant
//! ```
//!
//! where c = VᵀL⁻¹Xᵀy and d = VᵀL⁻¹Λm come from the response and the priors' means m (Gelman et al., Bayesian Data Analysis, 3rd ed., 14.2 and 14.8).

use crate::dense::Factor;
use crate::memory::{DataBytes, EngineBytes};
use crate::row_sums::{Curvature, row_sums};
use faer::linalg::triangular_solve::{
    solve_lower_triangular_in_place, solve_upper_triangular_in_place,
};
use faer::{Accum, Mat, MatMut, MatRef, Par, Side};
use rayon::prelude::*;
use sngd_core::engine::{ChainState, EngineError, RawBlock, Span};
use sngd_core::expansion::Expansion;
use sngd_core::likelihood::Likelihood;
use sngd_core::normals::fill_normals;
use sngd_core::philox::{Stream, at, uniform};
use sngd_core::plan::Plan;
use sngd_core::prior::Prior;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;

/// Log σ is looked at from e^FROM up to e^TO of the response's spread, in steps of STEP.
const FROM: f64 = -14.0;
const TO: f64 = 6.0;
const STEP: f64 = 0.01;
/// Draws that are mapped to β together.
const BLOCK: usize = 64;

/// Whether this posterior can be drawn from directly.
pub fn applies(problem: &Problem) -> bool {
    let normal = |prior: &Prior| matches!(prior, Prior::Flat | Prior::Normal(..));
    matches!(problem.likelihood, Likelihood::GaussianUnknownScale)
        && problem.network.is_none()
        && problem.priors.iter().all(normal)
}

/// The posterior in diagonal form. The draw at a step depends on seed, chain and step alone.
#[derive(Debug)]
pub(crate) struct Conjugate {
    problem: Problem,
    /// Information of log σ at σ₀.
    scale_information: f64,
    /// Coefficients, P − 1.
    q: usize,
    /// a, c and d of the module text, `[q]` each.
    a: Vec<f64>,
    c: Vec<f64>,
    d: Vec<f64>,
    /// 1/σ₀².
    precision: f64,
    /// β = `to_beta`·γ, `[q,q]`.
    to_beta: Mat<f64>,
    /// yᵀy of the rows with their weights, offsets taken off.
    squares: f64,
    /// Number of observations: rows by their weights.
    count: f64,
    /// Probability that log σ is below each point of the grid.
    below: Vec<f64>,
    /// Logarithm of the density there, up to a constant.
    log_density: Vec<f64>,
}

impl Conjugate {
    /// Reads the rows twice and makes one eigendecomposition of order P.
    pub fn new(problem: &Problem, expansion: &Expansion) -> Result<Conjugate, EngineError> {
        let p = problem.parameters();
        let q = p - 1;
        let par = if p > 256 { Par::rayon(0) } else { Par::Seq };
        // At β = 0 and σ = 1 the information of the coefficients is A, their score Xᵀy, and the log likelihood −yᵀy/2.
        let sums = row_sums(problem, &vec![0.0; p], Curvature::Fisher, false);
        let lambda = problem.prior_information();
        let mut prior = vec![0.0; p];
        problem.prior_cost(&vec![0.0; p], true, &mut vec![0.0; p], &mut prior);
        let precision = (-2.0 * expansion.omega[q]).exp();
        let lower = |i: usize, j: usize| sums.matrix[j.min(i) * p + j.max(i)];
        let information: Vec<f64> = (0..q * q)
            .map(|at| lower(at % q, at / q) * precision + lambda[(at / q) * p + at % q])
            .collect();
        let mut factor = Factor::new(q);
        let singular =
            |_| EngineError::Misuse("the information of the coefficients has no factor".into());
        factor.factor(&information, 0.0, 0, par).map_err(singular)?;
        let l = MatRef::from_column_major_slice(&factor.l, q, q);
        let mut white = Mat::from_fn(q, q, lower);
        solve_lower_triangular_in_place(l, white.as_mut(), par);
        let mut white = white.transpose().to_owned();
        solve_lower_triangular_in_place(l, white.as_mut(), par);
        let eigen = white.self_adjoint_eigen(Side::Lower).map_err(|_| {
            EngineError::Misuse("the eigenvectors of the information did not converge".into())
        })?;
        let v = eigen.U();
        let a: Vec<f64> = (0..q)
            .map(|k| eigen.S()[k].clamp(0.0, 1.0 / precision))
            .collect();
        let rotated = |from: &dyn Fn(usize) -> f64| -> Vec<f64> {
            let mut b = Mat::from_fn(q, 1, |i, _| from(i));
            solve_lower_triangular_in_place(l, b.as_mut(), Par::Seq);
            let b = v.transpose() * b;
            (0..q).map(|k| b[(k, 0)]).collect()
        };
        let c = rotated(&|i| sums.gradient[i]);
        let d = rotated(&|i| -prior[i]);
        let mut to_beta = v.to_owned();
        solve_upper_triangular_in_place(l.transpose(), to_beta.as_mut(), par);
        let mut out = Conjugate {
            problem: problem.clone_without_design(),
            scale_information: expansion.chol[p * p - 1].powi(2),
            q,
            a,
            c,
            d,
            precision,
            to_beta,
            squares: -2.0 * sums.log_lik,
            count: match problem.weights.is_empty() {
                true => problem.rows() as f64,
                false => problem.weights.iter().sum(),
            },
            below: Vec::new(),
            log_density: Vec::new(),
        };
        out.tabulate();
        Ok(out)
    }

    /// Bytes of what [`Conjugate::new`] makes.
    pub fn bytes(plan: &Plan) -> EngineBytes {
        let square = 8 * (plan.p * plan.p) as u64;
        EngineBytes {
            data: DataBytes {
                rows: 0,
                columns: 0,
                prior: 0,
                start: 5 * square,
            },
            chain: 2 * square / plan.chains as u64,
        }
    }

    /// Precision of γₖ and its linear term, at 1/σ².
    fn given(&self, k: usize, precision: f64) -> (f64, f64) {
        let h = self.a[k] * precision + (1.0 - self.a[k] * self.precision);
        (h, self.c[k] * precision + self.d[k])
    }

    fn tabulate(&mut self) {
        let p = self.q + 1;
        let points = ((TO - FROM) / STEP) as usize + 1;
        let mut at = vec![0.0; p];
        let (mut theta, mut gradient) = (vec![0.0; p], vec![0.0; p]);
        self.log_density = (0..points)
            .map(|i| {
                let s = FROM + STEP * i as f64;
                at[p - 1] = s;
                let prior = self
                    .problem
                    .prior_cost(&at, true, &mut theta, &mut gradient);
                let precision = (-2.0 * s).exp();
                let fit: f64 = (0..self.q)
                    .map(|k| {
                        let (h, r) = self.given(k, precision);
                        r * r / h - h.ln()
                    })
                    .sum();
                -self.count * s - 0.5 * self.squares * precision + 0.5 * fit - prior
            })
            .collect();
        let top = self
            .log_density
            .iter()
            .fold(f64::NEG_INFINITY, |m, v| m.max(*v));
        self.log_density.iter_mut().for_each(|v| *v -= top);
        let mut total = 0.0;
        self.below = vec![0.0];
        for pair in self.log_density.windows(2) {
            total += pair[0].exp() * STEP * mean_exp(pair[1] - pair[0]);
            self.below.push(total);
        }
        self.below.iter_mut().for_each(|b| *b /= total);
    }

    /// The log σ below which it is with probability `u`: between two points of the grid the logarithm of the density is a line.
    fn log_scale(&self, u: f64) -> f64 {
        let cell = self
            .below
            .partition_point(|b| *b <= u)
            .clamp(1, self.below.len() - 1)
            - 1;
        let (from, to) = (self.below[cell], self.below[cell + 1]);
        let share = if to > from {
            (u - from) / (to - from)
        } else {
            0.5
        };
        let rise = self.log_density[cell + 1] - self.log_density[cell];
        let part = if rise.abs() < 1e-9 {
            share
        } else {
            (share * rise.exp_m1()).ln_1p() / rise
        };
        FROM + STEP * (cell as f64 + part)
    }

    /// Draws of a span, one for each kept draw.
    pub fn run(&self, plan: &Plan, span: Span) -> RawBlock {
        let (p, chains) = (plan.p, plan.chains);
        let draws = span.draws as usize * chains;
        let mut omega = vec![0.0; draws * p];
        let mut stats = vec![0.0; draws * Stat::COUNT];
        omega
            .par_chunks_mut(BLOCK * p)
            .zip(stats.par_chunks_mut(BLOCK * Stat::COUNT))
            .enumerate()
            .for_each(|(block, (omega, stats))| {
                let addresses: Vec<(u32, u32)> = (block * BLOCK..)
                    .take(omega.len() / p)
                    .map(|i| {
                        (
                            (i % chains) as u32,
                            span.first_step + (i / chains) as u32 * span.thin,
                        )
                    })
                    .collect();
                self.block(plan, &addresses, omega, stats);
            });
        RawBlock {
            span,
            omega,
            stats,
            // Independent draws need no certificate, and near σ = 0 its gradients have no finite variance.
            gradient: Vec::new(),
            fallbacks: 0,
            faults: Vec::new(),
            predicted: None,
        }
    }

    /// The draws at a step, which are all the state there is.
    pub fn state(&self, plan: &Plan, step: u32) -> ChainState {
        let span = Span {
            first_step: step,
            draws: 1,
            thin: 1,
            warmup: false,
        };
        ChainState {
            step,
            omega: self.run(plan, span).omega,
            ..ChainState::default()
        }
    }

    /// Draws at (chain, step), with their statistics.
    fn block(&self, plan: &Plan, addresses: &[(u32, u32)], omega: &mut [f64], stats: &mut [f64]) {
        let (p, q, m) = (plan.p, self.q, addresses.len());
        let mut gamma = Mat::<f64>::zeros(q, m);
        let mut z = vec![0.0; q];
        let mut scale = vec![(0.0, 0.0, 0.0); m];
        for (i, &(chain, step)) in addresses.iter().enumerate() {
            let words = at(plan.seed, Stream::Accept, chain, step, 0);
            let u = uniform(words[0]) + (uniform(words[1]) - 0.5) / 4_294_967_296.0;
            let s = self.log_scale(u);
            let precision = (-2.0 * s).exp();
            fill_normals(&mut z, plan.seed, Stream::Noise, chain, step);
            let (mut residual, mut steep) = (self.squares, 0.0);
            for k in 0..q {
                let (h, r) = self.given(k, precision);
                let g = r / h + z[k] / h.sqrt();
                gamma[(k, i)] = g;
                steep += (h * g - r).powi(2);
                residual += g * (self.a[k] * g - 2.0 * self.c[k]);
            }
            scale[i] = (s, residual.max(0.0) * precision, steep);
        }
        let beta = MatMut::from_column_major_slice_with_stride_mut(omega, q, m, p);
        faer::linalg::matmul::matmul(beta, Accum::Replace, &self.to_beta, &gamma, 1.0, Par::Seq);
        let (mut theta, mut prior) = (vec![0.0; p], vec![0.0; p]);
        for (i, &(s, fit, steep)) in scale.iter().enumerate() {
            let omega = &mut omega[i * p..][..p];
            omega[q] = s;
            let cost = self.problem.prior_cost(omega, true, &mut theta, &mut prior);
            let lp = -(cost + self.count * s + 0.5 * fit);
            // The metric at σ₀ is the identity in γ.
            let norm = steep + (self.count - fit + prior[q]).powi(2) / self.scale_information;
            let row = Stat::row(&[
                (Stat::Lp, lp),
                (Stat::LpMinibatch, lp),
                (Stat::GradNorm, norm.sqrt()),
                (Stat::NoiseNorm, 0.0),
                (Stat::CholeskyJitter, 0.0),
                (Stat::Diverging, 0.0),
                (Stat::StepSize, 1.0),
                (Stat::Temperature, plan.temperature),
                (Stat::AcceptanceRate, 1.0),
            ]);
            stats[i * Stat::COUNT..][..Stat::COUNT].copy_from_slice(&row);
        }
    }
}

/// Mean of e^(rate·t) over t in [0, 1].
fn mean_exp(rate: f64) -> f64 {
    if rate.abs() < 1e-9 {
        1.0
    } else {
        rate.exp_m1() / rate
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::map;
    use crate::mode::settle;
    use faer::linalg::solvers::Solve;
    use sngd_core::config::Config;
    use sngd_core::features::Features;
    use sngd_core::normals::fill_normals;
    use sngd_core::table::{Response, Table};

    const ROWS: usize = 6;
    const COLUMNS: usize = 9;

    fn wide() -> (Config, Problem) {
        let config: Config = toml::from_str(
            "[data]\npath = \"-\"\nresponse = \"y\"\nintercept = false\n[model]\nlikelihood = \"gaussian\"\n[prior]\nweights = \"normal(0.2, 0.7)\"\nscale = \"exponential(1)\"\n[run]\ndevice = \"cpu\"\n",
        )
        .unwrap();
        let mut x = vec![0.0; ROWS * COLUMNS + ROWS];
        fill_normals(&mut x, 3, Stream::Program, 0, 0);
        let y = x.split_off(ROWS * COLUMNS);
        let names = (0..COLUMNS).map(|i| format!("x{i}")).collect();
        let table = Table::new(
            "t.csv",
            names,
            Features::new(COLUMNS, x),
            Response::Numbers(y),
        );
        let problem = Problem::build(&config, table).unwrap();
        (config, problem)
    }

    /// Means and sds of log σ and of the first coefficient, from the density of y given σ: N(Xm, σ²I + XΛ⁻¹Xᵀ).
    fn by_quadrature(problem: &Problem) -> [(f64, f64); 2] {
        let p = problem.parameters();
        let lambda = problem.prior_information();
        let mut wide = Vec::new();
        let rows = problem.x.rows(0, ROWS, &mut wide).to_vec();
        let x = Mat::from_fn(ROWS, COLUMNS, |i, j| rows[i * COLUMNS + j]);
        let spread = Mat::from_fn(COLUMNS, COLUMNS, |i, j| {
            if i == j {
                1.0 / lambda[i * (p + 1)]
            } else {
                0.0
            }
        });
        let (mut theta, mut gradient) = (vec![0.0; p], vec![0.0; p]);
        problem.prior_cost(&vec![0.0; p], true, &mut theta, &mut gradient);
        let mean = Mat::from_fn(COLUMNS, 1, |i, _| -gradient[i] * spread[(i, i)]);
        let y = Mat::from_fn(ROWS, 1, |i, _| problem.y[i]) - &x * &mean;
        let mut sums = [0.0; 5];
        let mut omega = vec![0.0; p];
        for i in 0..4000 {
            let s = -10.0 + 14.0 * f64::from(i) / 4000.0;
            omega[p - 1] = s;
            let prior = problem.prior_cost(&omega, true, &mut theta, &mut gradient);
            let mut cov = &x * &spread * x.transpose();
            (0..ROWS).for_each(|r| cov[(r, r)] += (2.0 * s).exp());
            let factor = cov.llt(Side::Lower).unwrap();
            let solved = factor.solve(&y);
            let log_det: f64 = (0..ROWS).map(|r| 2.0 * factor.L()[(r, r)].ln()).sum();
            let density = (-prior - 0.5 * ((y.transpose() * &solved)[(0, 0)] + log_det)).exp();
            let gain = x.transpose() * &solved;
            let beta = mean[(0, 0)] + spread[(0, 0)] * gain[(0, 0)];
            let column = Mat::from_fn(ROWS, 1, |r, _| x[(r, 0)]);
            let taken = (column.transpose() * factor.solve(&column))[(0, 0)];
            let variance = spread[(0, 0)] - spread[(0, 0)].powi(2) * taken;
            for (sum, v) in sums
                .iter_mut()
                .zip([1.0, s, s * s, beta, beta * beta + variance])
            {
                *sum += density * v;
            }
        }
        let [one, s, ss, b, bb] = sums;
        [(s / one, ss / one), (b / one, bb / one)].map(|(m, square)| (m, (square - m * m).sqrt()))
    }

    /// Draws have the means and spreads of quadrature, and the log density of each is that of data and priors.
    #[test]
    fn draws_of_a_wide_table_are_right() {
        let (config, mut problem) = wide();
        let found = map::search(&problem, 0.0, 1e-12).unwrap();
        assert!(found.marginal);
        let right = by_quadrature(&problem);
        let plan = settle(&config, &mut problem, &found).unwrap().plan;
        assert!(plan.direct);
        let expansion = plan.expansion.clone().unwrap();
        let sampler = Conjugate::new(&problem, &expansion).unwrap();
        let span = Span {
            first_step: 0,
            draws: 2000,
            thin: 1,
            warmup: false,
        };
        let block = sampler.run(&plan, span);
        let p = plan.p;
        let (mut theta, mut gradient) = (vec![0.0; p], vec![0.0; p]);
        for (w, stats) in block
            .omega
            .chunks(p)
            .zip(block.stats.chunks(Stat::COUNT))
            .take(200)
        {
            let prior = problem.prior_cost(w, true, &mut theta, &mut gradient);
            let lp = row_sums(&problem, w, Curvature::No, false).log_lik - prior;
            let found = stats[Stat::Lp.at()];
            assert!((found - lp).abs() < 1e-6 * (1.0 + lp.abs()), "{found} {lp}");
        }
        let draws = block.omega.len() / p;
        for (column, (mean, sd)) in [p - 1, 0].into_iter().zip(right) {
            let of = |f: &dyn Fn(f64) -> f64| {
                block.omega.chunks(p).map(|w| f(w[column])).sum::<f64>() / draws as f64
            };
            let (m, v) = (of(&|w| w), of(&|w| (w - mean).powi(2)));
            let fourth = of(&|w| (w - mean).powi(4));
            let error = sd / (draws as f64).sqrt();
            assert!(
                (m - mean).abs() < 5.0 * error,
                "{column}: mean {m}, right {mean}"
            );
            let error = ((fourth - v * v) / draws as f64).sqrt();
            assert!(
                (v - sd * sd).abs() < 5.0 * error,
                "{column}: variance {v}, right {}",
                sd * sd
            );
        }
    }
}
