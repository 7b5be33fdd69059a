//! One step of one chain with the metric at its state; `sngd_core::engine` states what is computed.

pub(crate) mod context;
pub(crate) mod labels;
pub(crate) mod metric;
mod noise;

use crate::blocked::{BlockFactor, add_symmetric_product};
use crate::columns;
use crate::correction::Derivative;
use crate::diagonal::Diagonal;
use crate::linear::norm;
use crate::mala::Mala;
use crate::memory::VECTORS;
use crate::normals::fill_normals;
use crate::pass::{Pass, Wanted};
use crate::resident::Resident;
use crate::scalar::Scalar;
pub use context::{Context, StepInfo};
use labels::label_address;
use metric::{assemble_metric, cost_gradient, factor_metric};
use sngd_core::blocks::Layout;
use sngd_core::config::{Noise, NoiseRows};
use sngd_core::engine::FaultKind;
use sngd_core::philox::Stream;
use sngd_core::plan::{CorrectionPlan, DIVERGED, Metric, Plan, RFD_STEP};
use sngd_core::stat::Stat;
use sngd_core::step::PassName;

/// State and buffers of one chain.
pub struct Chain<T> {
    /// Index of the chain.
    pub index: u32,
    /// Position in internal coordinates, ω `[P]`.
    pub omega: Vec<T>,
    /// Buffers for the kind of step.
    pub kind: ChainKind<T>,
    /// Step and kind of the fault that ended the chain; `None` while it can go on.
    pub fault: Option<(u32, FaultKind)>,
}

/// Buffers by kind of step.
pub enum ChainKind<T> {
    /// Step with a dense Fisher metric.
    Dense(Box<Dense<T>>),
    /// Step with a diagonal metric.
    Diagonal(Box<Diagonal<T>>),
    /// Metropolis-adjusted step.
    Mala(Box<Mala<T>>),
}

impl<T: Scalar> Chain<T> {
    /// Starts a chain at ω `[P]` with all its buffers.
    pub fn new(data: &Resident<T>, plan: &Plan, index: u32, omega: &[f64]) -> Chain<T> {
        let kind = if plan.metropolis {
            ChainKind::Mala(Box::new(Mala::new(data, plan)))
        } else if plan.metric == Metric::Fisher {
            ChainKind::Dense(Box::new(Dense::new(data, plan)))
        } else {
            ChainKind::Diagonal(Box::new(Diagonal::new(data, plan)))
        };
        let omega = omega.iter().map(|&w| T::of(w)).collect();
        Chain {
            index,
            omega,
            kind,
            fault: None,
        }
    }

    /// Bytes of what [`Chain::new`] makes for a plan.
    pub fn bytes(plan: &Plan) -> u64 {
        let squares = if plan.metropolis {
            Mala::<T>::squares()
        } else if plan.metric == Metric::Fisher {
            Dense::<T>::squares(plan)
        } else {
            0
        };
        let numbers = squares * plan.blocks.len as u64 + VECTORS * plan.p as u64;
        size_of::<T>() as u64 * (numbers + Pass::<T>::numbers(plan))
    }

    /// Makes step t and moves the chain; on a fault the position stays.
    pub fn step(&mut self, cx: &Context<'_, T>) -> Result<StepInfo, FaultKind> {
        let omega = &mut self.omega;
        let info = match &mut self.kind {
            ChainKind::Dense(c) => c.step(cx, omega)?,
            ChainKind::Diagonal(c) => c.step(cx, omega)?,
            ChainKind::Mala(c) => c.step(cx, omega)?,
        };
        if omega.iter().all(|w| w.to64().abs() < DIVERGED) {
            Ok(info)
        } else {
            Err(FaultKind::Diverged)
        }
    }
}

/// Buffers of the dense step.
pub struct Dense<T> {
    metric_pass: Pass<T>,
    batch_pass: Option<Pass<T>>,
    metric: Vec<T>,
    noise_covariance: Vec<T>,
    residual: Vec<T>,
    factor: BlockFactor<T>,
    residual_factor: BlockFactor<T>,
    /// Factor of N·F + Λ without damping; `None` where that matrix is not needed beside the metric (κ = 0 or no damping).
    volume: Option<Box<BlockFactor<T>>>,
    shifted: Option<Box<Shifted<T>>>,
    inverse: Vec<T>,
    residual_epsilon: f64,
    started: bool,
    gradient: Vec<T>,
    correction: Vec<T>,
    noise: StepNoise<T>,
    z: Vec<T>,
    u: Vec<T>,
    work: Vec<T>,
    fell_back: bool,
}

/// The noise of a step in two parts, of which M = LLᵀ makes one: n = M⁻¹·force + L⁻ᵀ·white. `[P]` each.
struct StepNoise<T> {
    force: Vec<T>,
    white: Vec<T>,
}

/// Buffers of the random finite difference.
struct Shifted<T> {
    pass: Pass<T>,
    /// The matrix N·F + Λ at the shifted state and its factor; with κ > 0 only.
    volume: Option<(Vec<T>, BlockFactor<T>)>,
    omega: Vec<T>,
}

impl<T: Scalar> Dense<T> {
    fn new(data: &Resident<T>, plan: &Plan) -> Dense<T> {
        let p = data.p;
        let zeros = |n: usize| vec![T::zero(); n];
        let square = |on: bool| zeros(if on { data.layout.len } else { 0 });
        let residual = plan.noise == Noise::Residual;
        let rows = plan.rows();
        let metric_rows = rows.metric().count;
        // The metric's pass measures V̂ too, where its rows are those of the noise.
        let by_batch = rows.metric.is_some() && rows.covariance == PassName::Batch;
        let columns = columns::serves(plan);
        Dense {
            metric_pass: Pass::new(data, metric_rows, true, residual && !by_batch, columns),
            batch_pass: rows.metric.is_some().then(|| {
                let dense = residual && by_batch;
                Pass::new(data, plan.batch, dense, dense, columns)
            }),
            metric: zeros(data.layout.len),
            noise_covariance: square(residual),
            residual: square(residual),
            factor: BlockFactor::new(&data.layout),
            residual_factor: if residual {
                BlockFactor::new(&data.layout)
            } else {
                BlockFactor::new(&Layout::full(1))
            },
            volume: plan
                .split_volume()
                .then(|| Box::new(BlockFactor::new(&data.layout))),
            shifted: (plan.correction == CorrectionPlan::FiniteDifference).then(|| {
                Box::new(Shifted {
                    pass: Pass::new(data, metric_rows, true, false, columns),
                    volume: (plan.kappa > 0.0)
                        .then(|| (zeros(data.layout.len), BlockFactor::new(&data.layout))),
                    omega: zeros(p),
                })
            }),
            inverse: square(plan.correction == CorrectionPlan::ClosedForm && data.h > 1),
            residual_epsilon: f64::NAN,
            started: false,
            gradient: zeros(p),
            correction: zeros(p),
            noise: StepNoise {
                force: zeros(p),
                white: zeros(p),
            },
            z: zeros(2 * p),
            u: zeros(p),
            work: zeros(p),
            fell_back: false,
        }
    }

    /// Count of matrices in the layout's blocks that [`Dense::new`] makes.
    fn squares(plan: &Plan) -> u64 {
        let residual = u64::from(plan.noise == Noise::Residual);
        // F, M and its factor; V̂'s pass, V̂, the residual and its factor; F at the shifted state, and two for its volume.
        3 + 3 * residual
            + match plan.noise_rows {
                NoiseRows::Batch => 2 * residual,
                NoiseRows::Fisher => residual,
            }
            + match plan.correction {
                CorrectionPlan::FiniteDifference => 1 + 2 * u64::from(plan.kappa > 0.0),
                _ => 0,
            }
            + u64::from(plan.correction == CorrectionPlan::ClosedForm && plan.h > 1)
            + u64::from(plan.split_volume())
    }

    fn step(&mut self, cx: &Context<'_, T>, omega: &mut [T]) -> Result<StepInfo, FaultKind> {
        let Context { data, plan, t, .. } = *cx;
        let now = plan.step(t);
        let epsilon = now.step_size;
        let fresh = !self.started || t.is_multiple_of(plan.refresh);
        let (full, mini) = self.passes(cx, omega, fresh);
        if fresh {
            if let Some(volume) = &mut self.volume {
                assemble_metric(data, plan, &self.metric_pass, 0.0, &mut self.metric);
                factor_metric(volume, &self.metric, cx.par)?;
            }
            assemble_metric(
                data,
                plan,
                &self.metric_pass,
                plan.damping,
                &mut self.metric,
            );
            factor_metric(&mut self.factor, &self.metric, cx.par)?;
        }
        self.started = true;
        let prior = self.cost_gradient(data, plan, omega);
        if fresh {
            self.corrections(cx, omega)?;
        }
        self.add_noise(cx, &now, fresh)?;

        let (grad_norm, noise_norm) = if cx.keep {
            self.norms()
        } else {
            (f64::NAN, f64::NAN)
        };
        // Drift and noise share their two solves: ω += L⁻ᵀ(L⁻¹(force − ε∇C + εTv) + white).
        let eps = T::of(epsilon);
        let pull = T::of(now.correction);
        for (i, w) in self.work.iter_mut().enumerate() {
            *w = self.noise.force[i] - eps * self.gradient[i] + pull * self.correction[i];
        }
        self.factor.solve_lower(&mut self.work);
        add(&mut self.work, &self.noise.white);
        self.factor.solve_upper(&mut self.work);
        add(omega, &self.work);
        let lp = full.map_or(f64::NAN, |l| l - prior);
        let scale = plan.n as f64 / plan.batch as f64;
        let stats = Stat::row(&[
            (Stat::Lp, lp),
            (Stat::LpMinibatch, mini * scale - prior),
            (Stat::GradNorm, grad_norm),
            (Stat::NoiseNorm, noise_norm),
            (Stat::CholeskyJitter, self.factor.jitter),
            (Stat::Diverging, 0.0),
            (Stat::StepSize, epsilon),
            (Stat::Temperature, now.temperature),
            (Stat::AcceptanceRate, 1.0),
        ]);
        Ok(StepInfo {
            stats,
            fell_back: self.fell_back,
        })
    }

    /// Lengths of M⁻¹∇C and of the noise in the metric: |L⁻¹∇C| and |L⁻¹·force + white|.
    fn norms(&mut self) -> (f64, f64) {
        self.u.copy_from_slice(&self.gradient);
        self.factor.solve_lower(&mut self.u);
        let gradient = norm(&self.u);
        self.u.copy_from_slice(&self.noise.force);
        self.factor.solve_lower(&mut self.u);
        add(&mut self.u, &self.noise.white);
        (gradient, norm(&self.u))
    }

    /// Makes both passes. Returns the log likelihood over all rows, where it is known, and that of the batch, in nats.
    fn passes(&mut self, cx: &Context<'_, T>, omega: &[T], fresh: bool) -> (Option<f64>, f64) {
        let Context {
            data,
            plan,
            chain,
            t,
            par,
            ..
        } = *cx;
        let rows = plan.rows();
        let residual = plan.noise == Noise::Residual;
        let address = label_address(plan, chain, t);
        // A batch is new at every step, and so is a V̂ that is measured over it.
        let own = residual && plan.noise_rows == NoiseRows::Batch;
        if let Some(batch) = &mut self.batch_pass {
            if fresh {
                self.metric_pass.select(
                    data,
                    rows.metric().at(plan, chain, t),
                    rows.metric().count,
                );
                let second = residual && !own;
                let wanted = Wanted {
                    log_lik: cx.keep,
                    gradient: second,
                    fisher: Some(plan.fisher),
                    second,
                    diagonal_only: false,
                };
                self.metric_pass.run(data, omega, wanted, address, par);
            }
            batch.select(data, rows.batch.at(plan, chain, t), plan.batch);
            let wanted = Wanted {
                log_lik: cx.keep,
                gradient: true,
                second: own,
                ..Wanted::default()
            };
            batch.run(data, omega, wanted, address, par);
            let full = if plan.full_batch {
                Some(batch.log_lik)
            } else {
                plan.full_log_density().then_some(self.metric_pass.log_lik)
            };
            (full, batch.log_lik)
        } else {
            self.metric_pass
                .select(data, rows.batch.at(plan, chain, t), plan.batch);
            let wanted = Wanted {
                log_lik: cx.keep,
                gradient: true,
                fisher: fresh.then_some(plan.fisher),
                second: residual && (fresh || own),
                diagonal_only: false,
            };
            self.metric_pass.run(data, omega, wanted, address, par);
            let ll = self.metric_pass.log_lik;
            (plan.full_batch.then_some(ll), ll)
        }
    }

    /// Writes the batch's estimate of ∇C into `gradient`; returns −ln prior in nats.
    fn cost_gradient(&mut self, data: &Resident<T>, plan: &Plan, omega: &[T]) -> f64 {
        let pass = self.batch_pass.as_mut().unwrap_or(&mut self.metric_pass);
        cost_gradient(data, plan, omega, pass, plan.batch, &mut self.gradient)
    }

    /// Writes v = (κ/2)·∇ln|M| − Σ Jᵀ·divergence into `correction`, where it stays until the metric is computed again.
    fn corrections(&mut self, cx: &Context<'_, T>, omega: &[T]) -> Result<(), FaultKind> {
        let Context {
            data,
            plan,
            chain,
            t,
            par,
            ..
        } = *cx;
        let share = plan.n as f64 / plan.metric_row_count() as f64;
        // Γ belongs to the damped metric. The gradient of the volume belongs to the target, which has no damping.
        let both = Derivative {
            kappa: plan.kappa,
            divergence: true,
            kind: plan.fisher,
        };
        let terms = match &self.volume {
            None => [Some((&self.factor, both)), None],
            Some(volume) => [
                Some((&self.factor, Derivative { kappa: 0.0, ..both })),
                Some((
                    &**volume,
                    Derivative {
                        divergence: false,
                        ..both
                    },
                )),
            ],
        };
        self.correction.fill(T::zero());
        match plan.correction {
            CorrectionPlan::Off => {}
            CorrectionPlan::ClosedForm => {
                for (factor, how) in terms.into_iter().flatten() {
                    self.metric_pass.correction_exact(
                        data,
                        factor.full(),
                        &mut self.inverse,
                        how,
                        &mut self.correction,
                        par,
                    );
                }
                scale(&mut self.correction, share);
            }
            CorrectionPlan::Probe(q) => {
                for i in 0..q {
                    let step = t * q + i;
                    for (factor, how) in terms.into_iter().flatten() {
                        fill_normals(&mut self.u, plan.seed, Stream::Probe, chain, step);
                        factor.solve_upper(&mut self.u);
                        self.metric_pass
                            .correction_probe(data, &self.u, how, &mut self.correction);
                    }
                }
                scale(&mut self.correction, share / f64::from(q));
            }
            CorrectionPlan::FiniteDifference => {
                self.finite_difference(cx, omega)?;
            }
        }
        Ok(())
    }

    /// v for any model, from the metric at ω + δu, u = L⁻ᵀz: −∂M[u]·u + (κ/2)·∂ln|M|[u]·Lz by a one-sided difference. Its error terms
    /// of even order in δ are odd in z, with mean zero, so it is as unbiased, to O(δ²), as a two-sided difference.
    fn finite_difference(&mut self, cx: &Context<'_, T>, omega: &[T]) -> Result<(), FaultKind> {
        let Context {
            data,
            plan,
            chain,
            t,
            par,
            ..
        } = *cx;
        let Some(s) = &mut self.shifted else {
            return Ok(());
        };
        fill_normals(&mut self.u, plan.seed, Stream::Probe, chain, t);
        self.factor.times_l(&self.u, &mut self.correction);
        self.factor.solve_upper(&mut self.u);
        let delta = T::of(RFD_STEP);
        for ((moved, &w), &u) in s.omega.iter_mut().zip(omega).zip(&self.u) {
            *moved = w + delta * u;
        }
        s.pass.rows.clone_from(&self.metric_pass.rows);
        let wanted = Wanted {
            fisher: Some(plan.fisher),
            ..Wanted::default()
        };
        s.pass
            .run(data, &s.omega, wanted, label_address(plan, chain, t), par);
        let mut log_det = 0.0;
        if let Some((metric, factor)) = &mut s.volume {
            assemble_metric(data, plan, &s.pass, 0.0, metric);
            factor_metric(factor, metric, par)?;
            log_det = factor.log_det - self.volume.as_deref().unwrap_or(&self.factor).log_det;
        }
        let slope = T::of(0.5 * plan.kappa * log_det / RFD_STEP);
        self.correction.iter_mut().for_each(|v| *v *= slope);
        let share = plan.n as f64 / plan.metric_row_count() as f64;
        s.pass
            .fisher
            .iter_mut()
            .zip(&self.metric_pass.fisher)
            .for_each(|(m, &f)| *m = f - *m);
        let per = T::of(share / RFD_STEP);
        add_symmetric_product(
            &data.layout,
            per,
            &s.pass.fisher,
            &self.u,
            &mut self.correction,
        );
        Ok(())
    }
}

fn add<T: Scalar>(to: &mut [T], what: &[T]) {
    to.iter_mut().zip(what).for_each(|(t, &w)| *t += w);
}

fn scale<T: Scalar>(v: &mut [T], by: f64) {
    let by = T::of(by);
    v.iter_mut().for_each(|x| *x *= by);
}
