//! Position-dependent simplified-manifold MALA (Girolami & Calderhead 2011, without the curvature drift) on all rows.
//! With the budget 2ε − ε² the proposal is reversible for a Gaussian, so that its acceptance there is one at any ε.

use crate::blocked::BlockFactor;
use crate::columns;
use crate::linear::norm;
use crate::normals::fill_normals;
use crate::pass::{Pass, Wanted};
use crate::resident::Resident;
use crate::scalar::Scalar;
use crate::step::context::{Context, StepInfo};
use crate::step::labels::label_address;
use crate::step::metric::{assemble_metric, cost_gradient, factor_metric};
use sngd_core::batch::BatchRows;
use sngd_core::engine::FaultKind;
use sngd_core::philox::{Stream, at, uniform};
use sngd_core::plan::{Plan, trusted_pivot};
use sngd_core::stat::Stat;

/// A point, with everything that the proposal and its density need there.
struct Point<T> {
    omega: Vec<T>,
    cost: f64,
    gradient: Vec<T>,
    factor: BlockFactor<T>,
    /// Volume of the target, ln|N·F + Λ|; damping belongs to the proposal alone.
    log_volume: f64,
    /// Mean of the proposal from this point, ω − εM⁻¹∇C, `[P]`.
    mean: Vec<T>,
}

/// Current point, proposal and buffers of one chain.
pub struct Mala<T> {
    current: Point<T>,
    proposal: Point<T>,
    pass: Pass<T>,
    metric: Vec<T>,
    z: Vec<T>,
    work: Vec<T>,
    ready: bool,
}

impl<T: Scalar> Mala<T> {
    /// Buffers for one chain; the first step evaluates the starting point.
    pub fn new(data: &Resident<T>, plan: &Plan) -> Mala<T> {
        let p = data.p;
        let point = || Point {
            omega: vec![T::zero(); p],
            cost: 0.0,
            gradient: vec![T::zero(); p],
            factor: BlockFactor::new(&data.layout),
            log_volume: 0.0,
            mean: vec![T::zero(); p],
        };
        Mala {
            current: point(),
            proposal: point(),
            pass: Pass::new(data, data.n, true, false, columns::serves(plan)),
            metric: vec![T::zero(); data.layout.len],
            z: vec![T::zero(); p],
            work: vec![T::zero(); p],
            ready: false,
        }
    }

    /// Count of matrices in the layout's blocks that [`Mala::new`] makes: F, M, and a factor of each point.
    pub fn squares() -> u64 {
        4
    }

    /// Makes a proposal, tests it, and moves if it is accepted.
    pub fn step(&mut self, cx: &Context<'_, T>, omega: &mut [T]) -> Result<StepInfo, FaultKind> {
        let Context {
            data,
            plan,
            chain,
            t,
            ..
        } = *cx;
        let p = data.p;
        let now = plan.step(t);
        let epsilon = now.step_size;
        if !self.ready {
            self.current.omega.copy_from_slice(omega);
            evaluate(cx, &mut self.current, &mut self.pass, &mut self.metric)?;
            if log_target(plan, &self.current) == f64::NEG_INFINITY
                || !self.current.cost.is_finite()
            {
                return Err(FaultKind::Diverged);
            }
            self.ready = true;
        }
        let budget = now.budget;
        let grad_norm = drift(&mut self.current, epsilon, &mut self.work);
        fill_normals(&mut self.z, plan.seed, Stream::Noise, chain, t);
        let root = T::of(budget.sqrt());
        self.work
            .iter_mut()
            .zip(&self.z)
            .for_each(|(w, &z)| *w = root * z);
        let noise_norm = norm(&self.work);
        self.current.factor.solve_upper(&mut self.work);
        for i in 0..p {
            self.proposal.omega[i] = self.current.mean[i] + self.work[i];
        }
        let evaluated = evaluate(cx, &mut self.proposal, &mut self.pass, &mut self.metric);
        let log_ratio = if evaluated.is_err() || !self.proposal.cost.is_finite() {
            f64::NEG_INFINITY
        } else {
            drift(&mut self.proposal, epsilon, &mut self.work);
            let forward = log_proposal(
                &self.current,
                &self.proposal.omega,
                budget,
                &mut self.z,
                &mut self.work,
            );
            let back = log_proposal(
                &self.proposal,
                &self.current.omega,
                budget,
                &mut self.z,
                &mut self.work,
            );
            log_target(plan, &self.proposal) - log_target(plan, &self.current) + back - forward
        };
        let stats = Stat::row(&[
            (Stat::Lp, -self.current.cost),
            (Stat::LpMinibatch, -self.current.cost),
            (Stat::GradNorm, grad_norm),
            (Stat::NoiseNorm, noise_norm),
            (Stat::CholeskyJitter, self.current.factor.jitter),
            (Stat::Diverging, 0.0),
            (Stat::StepSize, epsilon),
            (Stat::Temperature, plan.temperature),
            (
                Stat::AcceptanceRate,
                if log_ratio.is_nan() {
                    0.0
                } else {
                    log_ratio.exp().min(1.0)
                },
            ),
        ]);
        let u = uniform(at(plan.seed, Stream::Accept, chain, t, 0)[0]);
        // A NaN ratio compares false: the proposal is rejected.
        if u.ln() < log_ratio {
            std::mem::swap(&mut self.current, &mut self.proposal);
            omega.copy_from_slice(&self.current.omega);
        }
        Ok(StepInfo {
            stats,
            fell_back: false,
        })
    }
}

fn evaluate<T: Scalar>(
    cx: &Context<'_, T>,
    point: &mut Point<T>,
    pass: &mut Pass<T>,
    metric: &mut [T],
) -> Result<(), FaultKind> {
    let Context {
        data,
        plan,
        chain,
        t,
        par,
        ..
    } = *cx;
    pass.select(data, BatchRows::All, data.n);
    let wanted = Wanted {
        log_lik: true,
        gradient: true,
        fisher: Some(plan.fisher),
        ..Wanted::default()
    };
    pass.run(
        data,
        &point.omega,
        wanted,
        label_address(plan, chain, t),
        par,
    );
    if plan.kappa > 0.0 {
        // Where |M| is only rounding in this precision, the density counts as 0.
        assemble_metric(data, plan, pass, 0.0, metric);
        factor_metric(&mut point.factor, metric, par)?;
        let trusted = trusted_pivot(data.n, T::epsilon().to64());
        point.log_volume = if point.factor.jitter > 0.0 || point.factor.smallest_pivot < trusted {
            f64::NEG_INFINITY
        } else {
            point.factor.log_det
        };
    }
    if plan.kappa == 0.0 || plan.damping > 0.0 {
        assemble_metric(data, plan, pass, plan.damping, metric);
        factor_metric(&mut point.factor, metric, par)?;
    }
    let prior = cost_gradient(data, plan, &point.omega, pass, data.n, &mut point.gradient);
    point.cost = prior - pass.log_lik;
    Ok(())
}

/// Computes the mean of the proposal; returns √(∇CᵀM⁻¹∇C).
fn drift<T: Scalar>(point: &mut Point<T>, epsilon: f64, work: &mut [T]) -> f64 {
    work.copy_from_slice(&point.gradient);
    point.factor.solve_lower(work);
    let grad_norm = norm(work);
    point.factor.solve_upper(work);
    let e = T::of(epsilon);
    for i in 0..work.len() {
        point.mean[i] = point.omega[i] - e * work[i];
    }
    grad_norm
}

fn log_target<T: Scalar>(plan: &Plan, point: &Point<T>) -> f64 {
    if plan.kappa == 0.0 {
        return -point.cost / plan.temperature;
    }
    0.5 * plan.kappa * point.log_volume - point.cost / plan.temperature
}

/// ln q(to | from) without the constant that both directions share.
fn log_proposal<T: Scalar>(
    from: &Point<T>,
    to: &[T],
    budget: f64,
    delta: &mut [T],
    work: &mut [T],
) -> f64 {
    for i in 0..to.len() {
        delta[i] = to[i] - from.mean[i];
    }
    from.factor.times_l_transposed(delta, work);
    let q = norm(work);
    0.5 * from.factor.log_det - q * q / (2.0 * budget)
}
