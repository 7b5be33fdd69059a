//! The noise of a step with a dense metric, for each choice of `noise`.

use super::metric::add_to_diagonal;
use super::{Context, Dense};
use crate::normals::fill_normals;
use crate::resident::{Resident, Scalar};
use sngd_core::batch::Batches;
use sngd_core::config::{Noise, NoiseRows};
use sngd_core::engine::FaultKind;
use sngd_core::philox::Stream;
use sngd_core::plan::{MetricRows, Plan};

impl<T: Scalar> Dense<T> {
    /// Writes the noise of the step into `noise`.
    pub(super) fn add_noise(
        &mut self,
        cx: &Context<'_, T>,
        epsilon: f64,
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
        let budget = plan.budget(epsilon) * plan.temperature;
        self.noise.force.fill(T::zero());
        self.noise.white.fill(T::zero());
        if plan.noise == Noise::None {
            return Ok(());
        }
        fill_normals(&mut self.z[..p], plan.seed, Stream::Noise, chain, t);
        match plan.noise {
            Noise::Residual => {
                let stale = self.residual_epsilon != epsilon;
                if fresh || stale || plan.noise_rows == NoiseRows::Batch {
                    self.residual_epsilon = epsilon;
                    self.noise_covariance(data, plan);
                    let v = T::of(epsilon * epsilon);
                    let b = T::of(budget);
                    for ((q, &m), &c) in self
                        .residual
                        .iter_mut()
                        .zip(&self.metric)
                        .zip(&self.noise_covariance)
                    {
                        *q = b * m - v * c;
                    }
                    let extra = T::of(plan.ridge_variance(epsilon));
                    add_to_diagonal(&data.layout, &mut self.residual, extra);
                    let ok = self.residual_factor.factor(&self.residual, 0.0, 0, par);
                    self.fell_back = ok.is_err();
                }
                if self.fell_back {
                    self.full_noise(budget);
                    self.independent_share(cx, 0.0, plan.ridge_variance(epsilon));
                } else {
                    let force = &mut self.noise.force;
                    self.residual_factor.times_l(&self.z[..p], force);
                }
            }
            Noise::Nominal => {
                let law = plan.rho() * epsilon * epsilon * plan.n as f64 / plan.batch as f64;
                let free = budget - law;
                if free < 0.0 {
                    return Err(FaultKind::ResidualNotPositive { pivot: 0 });
                }
                self.full_noise(free);
                let ridge = law * plan.observations() * plan.damping + plan.ridge_variance(epsilon);
                self.independent_share(cx, law, ridge);
            }
            _ => {
                self.full_noise(budget);
                self.independent_share(cx, 0.0, plan.ridge_variance(epsilon));
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
            data.problem.transform.pull_back(g);
        }
        let root = ridge.sqrt();
        for i in 0..p {
            self.noise.force[i] = T::of(g[i] + root * self.z[p + i].to64());
        }
    }

    /// Measures V̂ = ρ(N²/B)·Σ̂_g, the covariance of the minibatch gradient, over the rows that `noise_rows` names. Σ̂_g is that of the
    /// rows' own gradients, each times how often its row counts, since a minibatch takes rows whole.
    fn noise_covariance(&mut self, data: &Resident<T>, plan: &Plan) {
        let (pass, rows) = match (&self.batch_pass, plan.noise_rows) {
            (Some(batch), NoiseRows::Batch) => (batch, plan.batch),
            (Some(_), NoiseRows::Fisher) => (&self.metric_pass, plan.metric_row_count()),
            (None, _) => (&self.metric_pass, plan.batch),
        };
        let share = covariance_share(plan, rows, pass.rows.is_empty());
        let r = T::of(1.0 / rows as f64);
        let s = T::of(share);
        for block in &data.layout.blocks {
            let g = &pass.gradient[block.offset..block.offset + block.size];
            for j in 0..block.size {
                let gj = g[j] * r;
                for i in j..block.size {
                    let at = block.at + j * block.size + i;
                    self.noise_covariance[at] = s * (pass.second[at] - g[i] * gj);
                }
            }
        }
    }
}

/// The factor that turns Σ(g−ḡ)(g−ḡ)ᵀ over `rows` rows into V̂: exact over all rows; from a sample, unbiased with the
/// (r−1) normaliser, times (N−1)/N where the sample is without replacement.
fn covariance_share(plan: &Plan, rows: usize, all: bool) -> f64 {
    let n = plan.n as f64;
    let v = plan.rho() * n * n / plan.batch as f64;
    if all {
        return v / n;
    }
    let replaced = plan.batches == Batches::WithReplacement
        && (plan.metric_rows == MetricRows::Batch || plan.noise_rows == NoiseRows::Batch);
    let finite = if replaced { 1.0 } else { (n - 1.0) / n };
    v * finite / (rows as f64 - 1.0)
}
