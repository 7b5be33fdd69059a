//! The steps of a plan whose metric is computed at the current state of each chain.

use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::Gpu;
use crate::kernel::Pass;
use crate::run::{Steps, Stretch};
use crate::shape::{STATS, Shape};
use crate::sizes::{RING, SLICE};
use crate::spec::When;
use bytemuck::{Pod, Zeroable};
use sngd_core::engine::{ChainState, EngineError, Fault, FaultKind, RawBlock, Span};
use sngd_core::plan::{Metric, Plan};
use sngd_core::stat::Stat;
use sngd_shaders::{Code, FaultCode, STATUS, StatusWord};
use std::sync::Arc;

/// The scalars of one step, laid out as the struct `Now` of `state/shared/now.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Now {
    /// Number of the step, t.
    pub step: u32,
    /// 1 where the state before this step is a kept draw, else 0.
    pub keep: u32,
    /// Index of that kept draw among those that the device stores.
    pub slot: u32,
    /// Step size ε, no unit.
    pub epsilon: f32,
    /// Factor of the correction ([`sngd_core::step::StepNumbers`], as the next four).
    pub correction: f32,
    /// Factor of M in the noise budget.
    pub budget: f32,
    /// Factor of N·F in the covariance of the minibatch noise.
    pub minibatch: f32,
    /// Factor that takes Σ(g−ḡ)(g−ḡ)ᵀ to ε²V̂.
    pub covariance: f32,
    /// Temperature as the statistics report it.
    pub temperature: f32,
    /// Inverse temperature, 1/T.
    pub inverse_temperature: f32,
    /// 1 on the engine's first step, else 0.
    pub first: u32,
    /// Variance of the noise that damping adds.
    pub ridge: f32,
}

/// Operations that a step of a chain costs beside those of the plan: priors, noise, statistics, and starting its dispatches.
const STEP_OPERATIONS: f64 = 1e4;

/// A loaded plan: its buffers and dispatches, and how far the run is.
pub struct StateSteps {
    plan: Plan,
    shape: Shape,
    buffers: Buffers,
    passes: Vec<Pass>,
    /// Constant of −ln prior that the kernels omit, summed over all priors.
    prior_norm: f64,
    /// Bytes of the scalars of all steps of one submission, a slice each.
    scalars: Vec<u8>,
    started: bool,
    residual_epsilon: f64,
}

impl StateSteps {
    /// Starts before the first step, with buffers filled and kernels compiled.
    pub fn new(
        plan: Plan,
        shape: Shape,
        buffers: Buffers,
        passes: Vec<Pass>,
        prior_norm: f64,
    ) -> StateSteps {
        StateSteps {
            plan,
            shape,
            buffers,
            passes,
            prior_norm,
            scalars: vec![0; RING * SLICE],
            started: false,
            residual_epsilon: f64::NAN,
        }
    }

    /// The scalars of step t, and its step size in f64.
    fn now(&self, t: u32) -> (Now, f64) {
        let numbers = self.plan.step(t);
        let now = Now {
            step: t,
            epsilon: numbers.step_size as f32,
            correction: numbers.correction as f32,
            budget: numbers.budget as f32,
            minibatch: numbers.minibatch as f32,
            ridge: numbers.ridge as f32,
            covariance: numbers.covariance as f32,
            temperature: numbers.temperature as f32,
            inverse_temperature: (1.0 / self.plan.temperature) as f32,
            first: u32::from(!self.started),
            ..Now::default()
        };
        (now, numbers.step_size)
    }

    fn take_kept(&self, block: &mut RawBlock, kept: &[u32]) {
        let p = self.shape.p;
        let wide = |w: &u32| f64::from(f32::from_bits(*w));
        for chain in kept.chunks_exact(p + STATS) {
            block.omega.extend(chain[..p].iter().map(wide));
            let at = block.stats.len();
            block.stats.extend(chain[p..].iter().map(wide));
            for lp in [Stat::Lp, Stat::LpMinibatch] {
                block.stats[at + lp.at()] -= self.prior_norm;
            }
        }
    }
}

impl Steps for StateSteps {
    fn buffers(&self) -> &Buffers {
        &self.buffers
    }

    fn slots(&self) -> usize {
        self.shape.slots
    }

    fn most_steps(&self) -> usize {
        RING
    }

    fn kind(&self) -> &'static str {
        "with the metric at the state of each chain"
    }

    fn price(&self, t: u32, steps: usize) -> f64 {
        let (each, afresh) = self.plan.flops();
        let refresh = self.plan.refresh;
        // Multiples of `refresh` in t..t + steps, and the engine's first step.
        let end = t as usize + steps;
        let fresh = end.div_ceil(refresh as usize) - t.div_ceil(refresh) as usize;
        let fresh = fresh.max(usize::from(!self.started));
        let chains = self.shape.c as f64;
        chains * (steps as f64 * (each + STEP_OPERATIONS) + fresh as f64 * afresh)
    }

    fn block(&self, span: Span) -> RawBlock {
        let lanes = span.draws as usize * self.shape.c;
        RawBlock {
            span,
            omega: Vec::with_capacity(lanes * self.shape.p),
            stats: Vec::with_capacity(lanes * STATS),
            gradient: Vec::new(),
            fallbacks: 0,
            faults: Vec::new(),
            predicted: None,
        }
    }

    fn record(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        stretch: Stretch,
    ) -> Result<(), EngineError> {
        let scored = self.shape.held.is_some() && !stretch.warmup;
        let mut pass = encoder.begin_compute_pass(&Default::default());
        let mut bound: Option<*const wgpu::ComputePipeline> = None;
        for s in 0..stretch.steps {
            let at = stretch.done + s;
            let t = stretch.first + at as u32;
            let (mut now, epsilon) = self.now(t);
            now.keep = u32::from(at.is_multiple_of(stretch.thin));
            now.slot = (at / stretch.thin) as u32;
            self.scalars[s * SLICE..s * SLICE + size_of::<Now>()]
                .copy_from_slice(bytemuck::bytes_of(&now));
            let fresh = !self.started || t.is_multiple_of(self.plan.refresh);
            let new_noise = fresh || epsilon != self.residual_epsilon;
            for p in &self.passes {
                let wanted = match p.when {
                    When::Always => true,
                    When::Fresh => fresh,
                    When::NewNoise => new_noise,
                    When::Once => !self.started,
                    When::Kept => scored && now.keep == 1,
                };
                if !wanted {
                    continue;
                }
                let pipeline: *const _ = Arc::as_ptr(&p.pipeline);
                if bound != Some(pipeline) {
                    pass.set_pipeline(&p.pipeline);
                    bound = Some(pipeline);
                }
                p.bind(&mut pass, (s * SLICE) as u32);
                pass.dispatch_workgroups(p.grid[0], p.grid[1], p.grid[2]);
            }
            self.started = true;
            self.residual_epsilon = epsilon;
        }
        drop(pass);
        let used = &self.scalars[..stretch.steps * SLICE];
        gpu.queue
            .write_buffer(self.buffers.get(Buffer::Now)?, 0, used);
        Ok(())
    }

    fn copied(&self, slots: usize, warmup: bool) -> Vec<(Buffer, u64)> {
        let s = &self.shape;
        let mut words = vec![
            (Buffer::Kept, slots * s.c * (s.p + STATS)),
            (Buffer::Status, s.c * STATUS),
        ];
        if let Some(held) = s.held.as_ref().filter(|_| !warmup) {
            words.push((Buffer::HeldSums, held.sums()));
            words.push((Buffer::HeldDraws, 2 * slots * s.c));
        }
        let bytes = words.into_iter().map(|(name, n)| (name, 4 * n as u64));
        bytes.collect()
    }

    fn take(&self, block: &mut RawBlock, parts: &[&[u32]]) {
        self.take_kept(block, parts[0]);
        if let (Some(held), [_, _, sums, draws]) = (&self.shape.held, parts) {
            let more = held.predicted(sums, draws, self.plan.classes);
            block.predicted.get_or_insert_default().add(more);
        }
    }

    fn judge(&self, status: &[u32]) -> (Vec<Fault>, u64) {
        let (mut faults, mut fallbacks) = (Vec::new(), 0);
        for (chain, words) in status.chunks_exact(STATUS).enumerate() {
            let word = |w: StatusWord| words[w.code() as usize];
            fallbacks += u64::from(word(StatusWord::Fallbacks));
            let pivot = word(StatusWord::FaultPivot);
            let code = word(StatusWord::Fault);
            let kind = if code == FaultCode::None.code() {
                continue;
            } else if code == FaultCode::MetricNotPositive.code() {
                FaultKind::MetricNotPositive { pivot }
            } else if code == FaultCode::ResidualNotPositive.code() {
                FaultKind::ResidualNotPositive { pivot }
            } else {
                FaultKind::Diverged
            };
            faults.push(Fault {
                chain: chain as u32,
                step: word(StatusWord::FaultStep),
                kind,
            });
        }
        (faults, fallbacks)
    }

    fn state(&self, gpu: &Gpu, next_step: u32) -> Result<ChainState, EngineError> {
        let omega = self.buffers.read(gpu, Buffer::Omega)?;
        let count = self.shape.c * self.shape.p;
        let mut second_moment = Vec::new();
        if self.plan.metric == Metric::RmsProp {
            let metric = self.buffers.read(gpu, Buffer::Metric)?;
            second_moment = metric
                .chunks_exact(4)
                .take(count)
                .map(|m| f64::from(m[3]))
                .collect();
        }
        Ok(ChainState {
            step: next_step,
            omega: omega[..count].iter().map(|&w| f64::from(w)).collect(),
            second_moment,
            exact: Vec::new(),
        })
    }

    fn restore(&mut self, gpu: &Gpu, state: &ChainState) -> Result<(), EngineError> {
        let omega: Vec<f32> = state.omega.iter().map(|&w| w as f32).collect();
        self.buffers.write(gpu, Buffer::Omega, &omega)?;
        if self.plan.metric == Metric::RmsProp && !state.second_moment.is_empty() {
            let mut metric = vec![[0.0f32; 4]; state.second_moment.len()];
            for (m, v) in metric.iter_mut().zip(&state.second_moment) {
                m[3] = *v as f32;
            }
            self.buffers.write(gpu, Buffer::Metric, &metric)?;
            // The running mean goes on; the metric is made afresh at this step in any case.
            self.started = true;
        }
        Ok(())
    }

    fn time(
        &mut self,
        gpu: &Gpu,
        repeats: usize,
        only: Option<&str>,
    ) -> Result<Vec<(String, f64)>, EngineError> {
        let mut now = self.now(0).0;
        now.first = 0;
        let omega = self.buffers.read(gpu, Buffer::Omega)?;
        let status = self.buffers.read(gpu, Buffer::Status)?;
        gpu.queue
            .write_buffer(self.buffers.get(Buffer::Now)?, 0, bytemuck::bytes_of(&now));
        let price = self.price(0, 1);
        let mut out: Vec<(String, f64)> = Vec::new();
        for i in 0..self.passes.len() {
            let stage = self.passes[i].stage;
            if self.passes[i].when == When::Once || only.is_some_and(|o| o != stage) {
                continue;
            }
            // Run a whole step first: drivers compile then, and the stage's inputs are valid.
            for j in 0..self.passes.len() {
                if self.passes[j].when != When::Once {
                    self.passes[j].repeat(gpu, 1, price)?;
                }
            }
            let ms = self.passes[i].repeat(gpu, repeats, price)?;
            match out.iter_mut().find(|(n, _)| n == stage) {
                Some((_, t)) => *t += ms,
                None => out.push((stage.into(), ms)),
            }
        }
        gpu.queue.write_buffer(
            self.buffers.get(Buffer::Omega)?,
            0,
            bytemuck::cast_slice(&omega),
        );
        gpu.queue.write_buffer(
            self.buffers.get(Buffer::Status)?,
            0,
            bytemuck::cast_slice(&status),
        );
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::Now;
    use sngd_shaders::{Consts, link_text};
    use std::mem::offset_of;

    /// The Rust struct has the layout that naga gives to the shader's struct.
    #[test]
    fn now_lies_as_the_shader_reads_it() {
        let root = "#import \"state/shared/now.wgsl\"\n@compute @workgroup_size(1) fn main() { _ = now.step; }";
        let linked = link_text("test.wgsl", root, &Consts::new(), None).unwrap();
        let layout = linked.struct_layout("Now").unwrap();
        macro_rules! fields {
            ($($field:ident),*) => {
                vec![$((stringify!($field).to_string(), offset_of!(Now, $field) as u32)),*]
            };
        }
        let ours = fields!(
            step,
            keep,
            slot,
            epsilon,
            correction,
            budget,
            minibatch,
            covariance,
            temperature,
            inverse_temperature,
            first,
            ridge
        );
        assert_eq!(layout.fields, ours);
        assert_eq!(layout.size as usize, size_of::<Now>());
    }
}
