//! The noise of a step with a dense metric, for each choice of `noise`.

use super::Dense;
use super::context::Context;
use super::metric::add_to_diagonal;
use crate::normals::fill_normals;
use crate::resident::Resident;
use crate::scalar::Scalar;
use sngd_core::config::{Noise, NoiseRows};
use sngd_core::engine::FaultKind;
use sngd_core::philox::Stream;
use sngd_core::plan::Plan;
use sngd_core::step::{PassName, StepNumbers};

impl<T: Scalar> Dense<T> {
    /// Writes the noise of the step into `noise`.
    pub(super) fn add_noise(
        &mut self,
        cx: &Context<'_, T>,
        now: &StepNumbers,
        fresh: bool,
    ) -> Result<(), FaultKind> {
        let Context {
            data,
            plan,
            chain,
            t,
            par,
            ..
        } = *cx;
        let p = data.p;
        self.noise.force.fill(T::zero());
        self.noise.white.fill(T::zero());
        if plan.noise == Noise::None {
            return Ok(());
        }
        fill_normals(&mut self.z[..p], plan.seed, Stream::Noise, chain, t);
        match plan.noise {
            Noise::Residual => {
                // Rows of a batch are new at every step. Between, sums are kept with the metric, and only ε may change.
                let measured = fresh || plan.noise_rows == NoiseRows::Batch;
                if measured {
                    self.noise_covariance(data, plan);
                }
                if measured || self.residual_epsilon != now.step_size {
                    self.residual_epsilon = now.step_size;
                    let v = T::of(now.covariance);
                    let b = T::of(now.budget);
                    for ((q, &m), &c) in self
                        .residual
                        .iter_mut()
                        .zip(&self.metric)
                        .zip(&self.noise_covariance)
                    {
                        *q = b * m - v * c;
                    }
                    let extra = T::of(now.ridge);
                    add_to_diagonal(&data.layout, &mut self.residual, extra);
                    let ok = self.residual_factor.factor(&self.residual, 0.0, 0, par);
                    self.fell_back = ok.is_err();
                }
                if self.fell_back {
                    self.full_noise(now.budget);
                    self.independent_share(cx, 0.0, now.ridge);
                } else {
                    let force = &mut self.noise.force;
                    self.residual_factor.times_l(&self.z[..p], force);
                }
            }
            Noise::Nominal => {
                let free = now.budget - now.minibatch;
                if free < 0.0 {
                    return Err(FaultKind::ResidualNotPositive { pivot: 0 });
                }
                self.full_noise(free);
                self.independent_share(cx, now.minibatch, now.ridge);
            }
            _ => {
                self.full_noise(now.budget);
                self.independent_share(cx, 0.0, now.ridge);
            }
        }
        Ok(())
    }

    fn full_noise(&mut self, budget: f64) {
        let root = T::of(budget.sqrt());
        (self.noise.white.iter_mut().zip(&self.z)).for_each(|(w, &z)| *w = root * z);
    }

    /// Sets the force to independent noise with covariance prior·Λ + ridge·I: the part that nominal noise must not deduct (its law
    /// covers N·F alone), and the part that damping adds to the budget.
    fn independent_share(&mut self, cx: &Context<'_, T>, prior: f64, ridge: f64) {
        if prior == 0.0 && ridge == 0.0 {
            return;
        }
        let Context {
            data,
            plan,
            chain,
            t,
            ..
        } = *cx;
        let p = data.p;
        fill_normals(&mut self.z, plan.seed, Stream::PriorNoise, chain, t);
        let g = &mut self.metric_pass.prior.gradient;
        let share = prior.sqrt();
        for i in 0..p {
            g[i] = share * data.prior_root[i] * self.z[i].to64();
        }
        if data.network.is_none() {
            data.problem.prior_transform.pull_back(g);
        }
        let root = ridge.sqrt();
        for i in 0..p {
            self.noise.force[i] = T::of(g[i] + root * self.z[p + i].to64());
        }
    }

    /// Sums (g−ḡ)(g−ḡ)ᵀ over the rows that `noise_rows` names: V̂, the covariance of the minibatch gradient, but for a factor
    /// (`StepNumbers::covariance`). g is that of the row itself times how often it counts, since a minibatch takes rows whole.
    fn noise_covariance(&mut self, data: &Resident<T>, plan: &Plan) {
        let rows = plan.rows();
        let pass = match (&self.batch_pass, rows.covariance) {
            (Some(batch), PassName::Batch) => batch,
            _ => &self.metric_pass,
        };
        let rows = rows.covariance_rows().count;
        let r = T::of(1.0 / rows as f64);
        for block in &data.layout.blocks {
            let g = &pass.gradient[block.offset..block.offset + block.size];
            for j in 0..block.size {
                let gj = g[j] * r;
                for i in j..block.size {
                    let at = block.at + j * block.size + i;
                    self.noise_covariance[at] = pass.second[at] - g[i] * gj;
                }
            }
        }
    }
}
