//! Steps with a diagonal metric: the diagonal of the Fisher metric, N·I (SGLD), RMSProp (pSGLD).

use crate::normals::fill_normals;
use crate::pass::{Pass, Wanted};
use crate::resident::Resident;
use crate::scalar::Scalar;
use crate::step::context::{Context, StepInfo};
use crate::step::labels::label_address;
use crate::step::metric::cost_gradient;
use pulp::{Simd, WithSimd};
use sngd_core::config::FisherKind;
use sngd_core::engine::FaultKind;
use sngd_core::philox::Stream;
use sngd_core::plan::{CorrectionPlan, Metric, Plan, RMSPROP_DECAY, RMSPROP_FLOOR};
use sngd_core::stat::Stat;

/// Buffers of one chain.
#[derive(Debug)]
pub struct Diagonal<T> {
    metric_pass: Pass<T>,
    batch_pass: Option<Pass<T>>,
    /// RMSProp's running mean V, `[P]`.
    pub second_moment: Vec<T>,
    metric: Vec<T>,
    inverse: Vec<T>,
    volume_inverse: Vec<T>,
    gradient: Vec<T>,
    correction: Vec<T>,
    own: Vec<T>,
    z: Vec<T>,
    started: bool,
}

impl<T: Scalar> Diagonal<T> {
    /// Buffers for one chain.
    pub fn new(data: &Resident<T>, plan: &Plan) -> Diagonal<T> {
        let zeros = || vec![T::zero(); data.p];
        Diagonal {
            metric_pass: Pass::new(
                data,
                plan.metric_row_count().max(plan.batch),
                false,
                false,
                false,
            ),
            batch_pass: (plan.rows().metric.is_some())
                .then(|| Pass::new(data, plan.batch, false, false, false)),
            second_moment: zeros(),
            metric: zeros(),
            inverse: zeros(),
            volume_inverse: zeros(),
            gradient: zeros(),
            correction: zeros(),
            own: zeros(),
            z: zeros(),
            started: false,
        }
    }

    /// Sets RMSProp's running mean V `[P]`.
    pub fn restore(&mut self, second_moment: &[f64]) {
        let to = self.second_moment.iter_mut().zip(second_moment);
        to.for_each(|(to, v)| *to = T::of(*v));
        self.started = true;
    }

    /// Makes step t and moves the chain.
    pub fn step(&mut self, cx: &Context<'_, T>, omega: &mut [T]) -> Result<StepInfo, FaultKind> {
        let Context {
            data,
            plan,
            chain,
            t,
            par,
            ..
        } = *cx;
        let (now, rows) = (plan.step(t), plan.rows());
        let epsilon = now.step_size;
        let fresh = !self.started || t.is_multiple_of(plan.refresh);
        let address = label_address(plan, chain, t);
        let diagonal = plan.metric != Metric::Identity;
        // The Γ of RMSProp needs the exact Fisher diagonal of the batch, whatever `fisher` is.
        let kind = if plan.metric == Metric::RmsProp {
            FisherKind::Exact
        } else {
            plan.fisher
        };
        let fisher = (fresh && diagonal).then_some(kind);
        let (full, mini) = if let Some(batch) = &mut self.batch_pass {
            if fresh {
                self.metric_pass.select(
                    data,
                    rows.metric().at(plan, chain, t),
                    rows.metric().count,
                );
                let wanted = Wanted {
                    fisher,
                    diagonal_only: true,
                    ..Wanted::default()
                };
                self.metric_pass.run(data, omega, wanted, address, par);
            }
            batch.select(data, rows.batch.at(plan, chain, t), plan.batch);
            let wanted = Wanted {
                gradient: true,
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
                log_lik: true,
                gradient: true,
                fisher,
                second: false,
                diagonal_only: true,
            };
            self.metric_pass.run(data, omega, wanted, address, par);
            let ll = self.metric_pass.log_lik;
            (plan.full_batch.then_some(ll), ll)
        };
        let pass = self.batch_pass.as_mut().unwrap_or(&mut self.metric_pass);
        let prior = cost_gradient(data, plan, omega, pass, plan.batch, &mut self.gradient);
        self.metric_and_correction(data, plan, fresh)?;
        self.started = true;

        if now.budget > 0.0 {
            fill_normals(&mut self.z, plan.seed, Stream::Noise, chain, t);
        }
        pulp::Arch::new().dispatch(Move {
            omega,
            metric: &self.metric,
            gradient: &self.gradient,
            correction: &self.correction,
            z: &self.z,
            budget: now.budget,
            epsilon,
            velocity: now.correction,
        });
        let (grad_norm, noise_norm) = if cx.keep {
            self.norms(now.budget)
        } else {
            (f64::NAN, f64::NAN)
        };
        let scale = plan.n as f64 / plan.batch as f64;
        let stats = Stat::row(&[
            (Stat::Lp, full.map_or(f64::NAN, |l| l - prior)),
            (Stat::LpMinibatch, mini * scale - prior),
            (Stat::GradNorm, grad_norm),
            (Stat::NoiseNorm, noise_norm),
            (Stat::CholeskyJitter, 0.0),
            (Stat::Diverging, 0.0),
            (Stat::StepSize, epsilon),
            (Stat::Temperature, now.temperature),
            (Stat::AcceptanceRate, 1.0),
        ]);
        Ok(StepInfo {
            stats,
            fell_back: false,
        })
    }

    /// Lengths of M⁻¹∇C and of the noise in the metric.
    fn norms(&self, budget: f64) -> (f64, f64) {
        let squared = |v: &T| v.to64() * v.to64();
        let pairs = self.gradient.iter().zip(&self.metric);
        let gradient: f64 = pairs.map(|(g, m)| squared(g) / m.to64()).sum();
        let noise: f64 = self.z.iter().map(squared).sum();
        (gradient.sqrt(), (budget * noise).sqrt())
    }

    /// Computes the diagonal of the metric and the correction Γ + (κ/2)M⁻¹∇ln|M|.
    fn metric_and_correction(
        &mut self,
        data: &Resident<T>,
        plan: &Plan,
        fresh: bool,
    ) -> Result<(), FaultKind> {
        let p = data.p;
        // N·I and RMSProp are measured in observations, as the step sizes of their literature are.
        let (n, count) = (plan.n as f64, plan.observations());
        let corrected = plan.correction != CorrectionPlan::Off;
        match plan.metric {
            Metric::Identity => self.metric.fill(T::of(count)),
            Metric::RmsProp => {
                let a = if self.started { RMSPROP_DECAY } else { 0.0 };
                for i in 0..p {
                    let g = self.gradient[i].to64() / count;
                    let v = a * self.second_moment[i].to64() + (1.0 - a) * g * g;
                    self.second_moment[i] = T::of(v);
                    let root = v.sqrt();
                    let floor = RMSPROP_FLOOR + root;
                    self.metric[i] = T::of(count * floor);
                    if corrected && root > 0.0 {
                        // ∂ḡᵢ/∂ωᵢ by the Fisher diagonal of the batch, which for canonical links is that of the Hessian.
                        let rows = plan.batch as f64 * count / n;
                        let curvature = self.metric_pass.diagonal[i].to64() / rows
                            + data.lambda.diagonal()[i] / count;
                        let gamma =
                            -(1.0 - RMSPROP_DECAY) * g * curvature / (root * floor * floor * count);
                        self.correction[i] = T::of(gamma);
                    }
                }
            }
            _ => {
                if fresh {
                    let share = n / plan.metric_row_count() as f64;
                    for i in 0..p {
                        let m = share * self.metric_pass.diagonal[i].to64()
                            + plan.ridge()
                            + data.lambda.diagonal()[i];
                        if !(m > 0.0 && m.is_finite()) {
                            return Err(FaultKind::MetricNotPositive { pivot: i as u32 });
                        }
                        self.metric[i] = T::of(m);
                        self.inverse[i] = T::of(1.0 / m);
                        self.volume_inverse[i] = T::of(1.0 / (m - plan.ridge()));
                    }
                }
                if corrected && fresh {
                    self.correction.fill(T::zero());
                    let share = T::of(n / plan.metric_row_count() as f64);
                    let half_kappa = T::of(0.5 * plan.kappa);
                    self.metric_pass.correction_diagonal(
                        data,
                        &self.volume_inverse,
                        plan.fisher,
                        &mut self.correction,
                        &mut self.own,
                    );
                    for i in 0..p {
                        let inv = self.inverse[i];
                        self.correction[i] = share
                            * (half_kappa * inv * self.correction[i] - inv * inv * self.own[i]);
                    }
                }
            }
        }
        Ok(())
    }
}

/// ω += velocity·correction − ε·gradient/M + √(budget/M)·z, in f64.
struct Move<'a, T> {
    omega: &'a mut [T],
    metric: &'a [T],
    gradient: &'a [T],
    correction: &'a [T],
    z: &'a [T],
    budget: f64,
    epsilon: f64,
    velocity: f64,
}

impl<T: Scalar> WithSimd for Move<'_, T> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let drift = self.metric.iter().zip(self.gradient);
        let rest = self.correction.iter().zip(self.z);
        for ((o, (m, g)), (c, z)) in self.omega.iter_mut().zip(drift).zip(rest) {
            let inverse = 1.0 / m.to64();
            let noise = (self.budget * inverse).sqrt() * z.to64();
            *o += T::of(self.velocity * c.to64() - self.epsilon * g.to64() * inverse + noise);
        }
    }
}
