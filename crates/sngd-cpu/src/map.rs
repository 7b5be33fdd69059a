//! The mode by damped Fisher scoring in f64. Chains start there, and the noise budget is checked there. Posteriors that are known to be
//! improper are refused before (`propriety`); what has no mode otherwise is refused here.

use crate::correction::Derivative;
use crate::dense::Factor;
use crate::marginal;
use crate::newton;
pub use crate::newton::Found;
use crate::pass::{LabelAddress, Pass, Wanted};
use crate::resident::Resident;
use crate::row_sums::{Curvature, row_sums};
use faer::Par;
use sngd_core::batch::BatchRows;
use sngd_core::blocks::Layout;
use sngd_core::config::{FisherKind, Storage};
use sngd_core::error::CheckError;
use sngd_core::normals::fill_normals;
use sngd_core::philox::Stream;
use sngd_core::plan::Plan;
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::problem::Problem;

/// The minimum of C − (κT/2)·ln|M|, with the matrices there, internal coordinates.
#[derive(Debug, Clone, PartialEq)]
pub struct Mode {
    /// The mode ω*, `[P]`.
    pub omega: Vec<f64>,
    /// Cost at the mode, C(ω*), in nats: without `Problem::log_norm`, prior constants included.
    pub cost: f64,
    /// The metric N·F + Λ, `[P,P]`, symmetric; with κ = 0 the damping is included.
    pub metric: Vec<f64>,
    /// Cholesky factor of the metric, `[P,P]` column-major lower.
    pub chol: Vec<f64>,
    /// Exact Fisher information per row, F, `[P,P]`, symmetric; a row counts with its weight.
    pub fisher: Vec<f64>,
    /// Covariance Σ_g of the gradients of single rows, each times its weight, `[P,P]`, symmetric: what minibatches scatter by.
    pub sigma_g: Vec<f64>,
    /// Whether the last steps of the search were small enough.
    pub converged: bool,
}

impl Mode {
    /// The mode of a plan whose metric is fixed there, from its expansion; `fisher` and `sigma_g` are empty.
    pub fn of_expansion(plan: &Plan) -> Mode {
        let none = Mode {
            omega: vec![0.0; plan.p],
            cost: f64::NAN,
            metric: Vec::new(),
            chol: Vec::new(),
            fisher: Vec::new(),
            sigma_g: Vec::new(),
            converged: false,
        };
        let Some(expansion) = &plan.expansion else {
            return none;
        };
        let p = plan.p;
        let mut metric = vec![0.0; if p <= LARGEST_KEPT { p * p } else { 0 }];
        if !metric.is_empty() {
            let l = faer::MatRef::from_column_major_slice(&expansion.chol, p, p);
            faer::linalg::matmul::matmul(
                faer::MatMut::from_column_major_slice_mut(&mut metric, p, p),
                faer::Accum::Replace,
                l,
                l.transpose(),
                1.0,
                Par::Seq,
            );
        }
        Mode {
            omega: expansion.omega.clone(),
            cost: expansion.cost,
            metric,
            chol: expansion.chol.clone(),
            converged: true,
            ..none
        }
    }

    /// A start for a chain near the mode, ω* + scale·L⁻ᵀz: `scale` posterior sds at T = 1 in every direction.
    pub fn near(&self, scale: f64, seed: u64, chain: u32) -> Vec<f64> {
        let p = self.omega.len();
        let mut u = vec![0.0; p];
        fill_normals(&mut u, seed, Stream::Init, chain, 0);
        for j in (0..p).rev() {
            let column = &self.chol[j * p..(j + 1) * p];
            let known: f64 = (j + 1..p).map(|i| column[i] * u[i]).sum();
            u[j] = (u[j] - known) / column[j];
        }
        let jitter = |(w, u): (&f64, &f64)| w + scale * u;
        self.omega.iter().zip(&u).map(jitter).collect()
    }
}

/// Largest number of parameters for which the metric is stored beside its factor.
const LARGEST_KEPT: usize = 1024;
const MAX_ITERATIONS: usize = 200;

/// Finds the mode of the plan's target (κ included). A network has many; its search begins at the standard start of chain 0.
pub fn find(problem: &Problem, plan: &Plan) -> Result<Mode, CheckError> {
    if problem.network.is_none() && plan.kappa == 0.0 {
        let ridge = plan.ridge();
        let found = search(problem, ridge, 1e-16)?;
        return at(problem, found, ridge);
    }
    let data = Resident::<f64>::new(problem, Storage::F32, &Layout::full(problem.parameters()));
    let par = if data.p > 256 {
        Par::rayon(0)
    } else {
        Par::Seq
    };
    let mut search = Search {
        pass: Pass::new(&data, data.n, true, true, false),
        factor: Factor::new(data.p),
        inverse: vec![0.0; data.p * data.p],
        data,
        plan,
        par,
    };
    search.run(problem)
}

/// Bytes of a plan's mode with the metric at the state: of the [`Mode`], which stays, and of the search for it.
pub fn bytes(problem: &Problem, plan: &Plan) -> (u64, u64) {
    let square = 8 * (plan.p * plan.p) as u64;
    // Metric, factor, F and Σ_g stay; the search needs five more and Λ, and with volume a design in f64.
    let design = match plan.kappa > 0.0 {
        true => Resident::<f64>::design_bytes(problem, plan),
        false => 0,
    };
    (4 * square, 10 * square + design)
}

/// Finds the mode of a linear predictor's posterior, to `tolerance` nats. `ridge` is added to the diagonal of the metric.
///
/// # Errors
/// [`CheckError::Improper`].
pub fn search(problem: &Problem, ridge: f64, tolerance: f64) -> Result<Found, CheckError> {
    let found = newton::search(problem, ridge, tolerance)
        .map_err(|newton::NoMode::Singular| no_mode(problem, NoMode::Singular))
        .and_then(|found| {
            let runs_away = RunsAway {
                last_move: found.last_move,
                converged: found.converged,
            };
            runs_away.check(problem, &found.omega).map(|()| found)
        });
    match found {
        // A scale that falls to 0 under a proper posterior has a marginal density with a mode.
        Err(e) if problem.transform.aux == 1 => marginal::search(problem, tolerance).ok_or(e),
        other => other,
    }
}

/// Computes cost and matrices at a mode that was found.
///
/// # Errors
/// [`CheckError::Improper`].
pub fn at(problem: &Problem, found: Found, ridge: f64) -> Result<Mode, CheckError> {
    let (p, n) = (problem.parameters(), problem.rows() as f64);
    let sums = row_sums(problem, &found.omega, Curvature::Fisher, true);
    let lambda = problem.prior_information();
    let mut fisher = vec![0.0; p * p];
    let mut sigma_g = vec![0.0; p * p];
    let mut metric = vec![0.0; p * p];
    for j in 0..p {
        for i in j..p {
            let (a, b) = (j * p + i, i * p + j);
            fisher[a] = sums.matrix[a] / n;
            sigma_g[a] = sums.second[a] / n - sums.gradient[i] * sums.gradient[j] / (n * n);
            metric[a] = sums.matrix[a] + lambda[a];
            if i == j {
                metric[a] += ridge;
            }
            (fisher[b], sigma_g[b], metric[b]) = (fisher[a], sigma_g[a], metric[a]);
        }
    }
    let mut factor = Factor::new(p);
    let par = if p > 256 { Par::rayon(0) } else { Par::Seq };
    if factor.factor(&metric, 0.0, 0, par).is_err() {
        return Err(no_mode(problem, NoMode::Singular));
    }
    let mut step = vec![0.0; p];
    let prior = problem.prior_cost(&found.omega, true, &mut vec![0.0; p], &mut step);
    step.iter_mut()
        .zip(&sums.gradient)
        .for_each(|(g, s)| *g -= s);
    factor.solve(&mut step);
    if !found.marginal {
        check_still(problem, &found.omega, &step)?;
    }
    Ok(Mode {
        omega: found.omega,
        cost: prior - sums.log_lik,
        metric,
        chol: factor.l,
        fisher,
        sigma_g,
        converged: found.converged,
    })
}

struct Search<'a> {
    data: Resident<f64>,
    plan: &'a Plan,
    pass: Pass<f64>,
    factor: Factor<f64>,
    inverse: Vec<f64>,
    par: Par,
}

/// Cost, gradient and metric at one point.
struct Point {
    cost: f64,
    objective: f64,
    gradient: Vec<f64>,
    metric: Vec<f64>,
}

impl Search<'_> {
    fn run(&mut self, problem: &Problem) -> Result<Mode, CheckError> {
        let p = self.data.p;
        let mut omega = vec![0.0; p];
        if let Some(net) = &problem.network {
            // At zero all units are alike and stay so. The mode is then the one that is reached from one standard start.
            net.start(&mut omega, self.plan.seed, 0);
        }
        let Some(mut here) = self.evaluate(&omega, true) else {
            return Err(no_mode(problem, NoMode::Singular));
        };
        let (mut converged, mut last_move) = (false, f64::INFINITY);
        for _ in 0..MAX_ITERATIONS {
            let mut step = here.gradient.clone();
            self.factor.solve(&mut step);
            let decrement: f64 = step.iter().zip(&here.gradient).map(|(s, g)| s * g).sum();
            let mut length = 1.0;
            let next = loop {
                let at: Vec<f64> = omega
                    .iter()
                    .zip(&step)
                    .map(|(w, s)| w - length * s)
                    .collect();
                if let Some(e) = self.evaluate(&at, true)
                    && e.objective.is_finite()
                    && e.objective <= here.objective + 1e-12 * here.objective.abs()
                {
                    break Some((at, e));
                }
                length *= 0.5;
                if length < 1e-9 {
                    break None;
                }
            };
            let Some((at, e)) = next else {
                // No step lowers the cost any more at working precision.
                converged = decrement < 1e-6;
                break;
            };
            last_move = at
                .iter()
                .zip(&omega)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f64::max);
            (omega, here) = (at, e);
            if decrement < 1e-16 * (1.0 + here.objective.abs()) && last_move < 1e-7 {
                converged = true;
                break;
            }
        }
        if self.plan.kappa == 0.0 {
            let runs_away = RunsAway {
                last_move,
                converged,
            };
            runs_away.check(problem, &omega)?;
        }
        // Factor and sums at the final point.
        let Some(here) = self.evaluate(&omega, false) else {
            return Err(no_mode(problem, NoMode::Singular));
        };
        let (pass, n) = (&self.pass, self.data.n as f64);
        let mut fisher = vec![0.0; p * p];
        let mut sigma_g = vec![0.0; p * p];
        let mut metric = here.metric;
        for j in 0..p {
            for i in j..p {
                let (a, b) = (j * p + i, i * p + j);
                fisher[a] = pass.fisher[a] / n;
                sigma_g[a] = pass.second[a] / n - pass.gradient[i] * pass.gradient[j] / (n * n);
                (fisher[b], sigma_g[b], metric[b]) = (fisher[a], sigma_g[a], metric[a]);
            }
        }
        Ok(Mode {
            omega,
            cost: here.cost,
            metric,
            chol: self.factor.l.clone(),
            fisher,
            sigma_g,
            converged,
        })
    }

    /// Objective, gradient and factored metric at ω; `None` when M is not positive definite.
    fn evaluate(&mut self, omega: &[f64], searching: bool) -> Option<Point> {
        let (data, plan) = (&self.data, self.plan);
        let p = data.p;
        self.pass.select(data, BatchRows::All, data.n);
        let wanted = Wanted {
            log_lik: true,
            gradient: true,
            fisher: Some(FisherKind::Exact),
            second: !searching,
            diagonal_only: false,
        };
        let label = LabelAddress {
            seed: 0,
            chain: 0,
            step: 0,
            labels: 1,
        };
        self.pass.run(data, omega, wanted, label, self.par);
        let mut metric = self.pass.fisher.clone();
        data.lambda.add_to(&data.layout, &mut metric);
        let ridge = plan.ridge();
        if plan.kappa == 0.0 {
            for i in 0..p {
                metric[i * p + i] += ridge;
            }
        }
        self.factor.factor(&metric, 0.0, 0, self.par).ok()?;
        let mut gradient = vec![0.0; p];
        let prior = data
            .problem
            .prior_cost(omega, plan.jacobian, &mut vec![0.0; p], &mut gradient);
        for i in 0..p {
            gradient[i] -= self.pass.gradient[i];
        }
        let cost = prior - self.pass.log_lik;
        let mut objective = cost;
        if plan.kappa > 0.0 {
            objective -= 0.5 * plan.kappa * plan.temperature * self.factor.log_det;
            let how = Derivative {
                kappa: plan.kappa,
                divergence: false,
                kind: FisherKind::Exact,
            };
            let mut v = vec![0.0; p];
            self.pass.correction_exact(
                data,
                &self.factor,
                &mut self.inverse,
                how,
                &mut v,
                self.par,
            );
            for i in 0..p {
                gradient[i] -= plan.temperature * v[i];
            }
        }
        Some(Point {
            cost,
            objective,
            gradient,
            metric,
        })
    }
}

/// How a search ended: the largest move of a coordinate in its last step, and whether it converged.
struct RunsAway {
    last_move: f64,
    converged: bool,
}

impl RunsAway {
    /// Where the cost falls for ever along a ray, Fisher scoring goes on taking long steps. `propriety` refuses what it knows to be
    /// improper before any search; this is for a user's own likelihood, and for proper posteriors whose joint density has no maximum.
    fn check(&self, problem: &Problem, omega: &[f64]) -> Result<(), CheckError> {
        if self.converged {
            return Ok(());
        }
        let p = omega.len();
        if problem.transform.aux == 1 && omega[p - 1] < -12.0 {
            return Err(no_mode(problem, NoMode::Falls));
        }
        let flat = problem.priors.contains(&Prior::Flat)
            || problem.scale_prior.is_some_and(|s| s == ScalePrior::Flat);
        if flat && self.last_move > 0.05 {
            let size = |i: &usize| omega[*i].abs();
            let largest = (0..p).max_by(|a, b| size(a).total_cmp(&size(b)));
            return Err(no_mode(problem, NoMode::Grows(largest.unwrap_or(0))));
        }
        Ok(())
    }
}

/// Refuses a point from which a step with the matrix at that point would still be long. A search with an older matrix may stop where
/// classes are separable, since the gradient vanishes along the ray and the information with it.
///
/// # Errors
/// [`CheckError::Improper`].
pub fn check_still(problem: &Problem, omega: &[f64], step: &[f64]) -> Result<(), CheckError> {
    let size = step.iter().fold(0.0, |m: f64, s| m.max(s.abs()));
    let ended = RunsAway {
        last_move: size,
        converged: size < 0.05,
    };
    ended.check(problem, omega)
}

/// Why there is no mode to start from.
enum NoMode {
    /// The information matrix has no factor.
    Singular,
    /// The positive parameter falls to 0.
    Falls,
    /// A parameter grows without bound.
    Grows(usize),
}

fn no_mode(problem: &Problem, why: NoMode) -> CheckError {
    let name = problem.likelihood.auxiliary().unwrap_or("scale");
    CheckError::improper(
        &problem.source,
        match why {
            NoMode::Grows(i) => format!(
                "found no mode: the density keeps rising as {} grows without bound, expected a largest value; use prior.weights = \"default\" and prior.intercept = \"default\"",
                problem.parameter_names()[i]
            ),
            NoMode::Falls => format!(
                "found no mode: the joint density of coefficients and {name} keeps rising as {name} falls to 0, as it does where many columns fit the response without error, expected a largest value; use prior.{name} = \"inv_gamma(2, 1)\", which rules out 0"
            ),
            NoMode::Singular => "found no mode: the Fisher information under the given priors is singular to working precision, expected one that can be inverted; leave out columns that nearly repeat others, or use prior.weights = \"default\"".to_string(),
        },
    )
}
