//! The loop: spans in, blocks of kept draws out. It runs on a thread of its own, keeps two submissions in flight, and
//! reads draws back through a ring of three staging buffers, so that neither caller nor device waits for the other.

mod inspect;
mod readback;

use crate::buffers::Buffers;
use crate::device::Gpu;
use crate::kernel::Pass;
use crate::shape::{STATS, Shape, covariance_share, residual};
use crate::sizes::{RING, SLICE};
use crate::spec::When;
use bytemuck::{Pod, Zeroable};
use sngd_core::config::Noise;
use sngd_core::engine::{ChainState, EngineError, RawBlock, Span};
use sngd_core::plan::Plan;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// A submission aims at this much device time.
const TARGET: Duration = Duration::from_millis(60);

/// The scalars of a step, `stage/now.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub struct Now {
    /// t.
    pub step: u32,
    /// Whether the state is a kept draw.
    pub keep: u32,
    /// Kept draw of the block.
    pub slot: u32,
    /// ε.
    pub epsilon: f32,
    /// εT.
    pub heat: f32,
    /// Noise budget times T.
    pub budget: f32,
    /// ρε²N/B.
    pub law: f32,
    /// ε² times the factor of V̂.
    pub spread: f32,
    /// As reported.
    pub temperature: f32,
    /// 1/T.
    pub inverse_temperature: f32,
    /// Whether it is the engine's first step.
    pub first: u32,
    /// Variance of the noise that damping adds.
    pub ridge: f32,
}

/// What the engine asks of its loop.
pub enum Command {
    /// Run a span.
    Run(Span),
    /// Tell the state.
    State(Sender<Result<ChainState, EngineError>>),
    /// Time each stage alone, or one of them.
    Time(
        usize,
        Option<String>,
        Sender<Result<Vec<(String, f64)>, EngineError>>,
    ),
    /// Read a buffer.
    Inspect(String, Sender<Result<Vec<f32>, EngineError>>),
}

struct Staging {
    buffer: wgpu::Buffer,
    mapped: Arc<AtomicU8>,
}

/// A copy under way.
struct Copy {
    staging: usize,
    slots: usize,
    last: bool,
    scored: bool,
    submission: wgpu::SubmissionIndex,
}

/// The loop's own state.
pub struct Loop {
    /// Device.
    pub gpu: Gpu,
    /// Plan.
    pub plan: Plan,
    /// Shape.
    pub shape: Shape,
    /// Buffers.
    pub buffers: Buffers,
    /// Dispatches of a step.
    pub passes: Vec<Pass>,
    /// −Σ of what the kernels leave out of ln prior.
    pub prior_norm: f64,
    staging: Vec<Staging>,
    copies: VecDeque<Copy>,
    open: VecDeque<RawBlock>,
    in_flight: VecDeque<(wgpu::SubmissionIndex, Instant, usize)>,
    last_done: Instant,
    step_time: Duration,
    next_staging: usize,
    next_step: u32,
    started: bool,
    residual_epsilon: f64,
    fallbacks: u64,
    blocks: Sender<Result<RawBlock, EngineError>>,
    ring: Vec<u8>,
    stop: Arc<AtomicBool>,
}

impl Loop {
    /// A loop with everything allocated.
    pub fn new(
        gpu: Gpu,
        plan: Plan,
        shape: Shape,
        buffers: Buffers,
        passes: Vec<Pass>,
        (prior_norm, staging_bytes): (f64, u64),
        (blocks, stop): (Sender<Result<RawBlock, EngineError>>, Arc<AtomicBool>),
    ) -> Loop {
        let staging = (0..3)
            .map(|_| Staging {
                buffer: gpu.device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("staging"),
                    size: staging_bytes,
                    usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
                    mapped_at_creation: false,
                }),
                mapped: Arc::new(AtomicU8::new(readback::WAITING)),
            })
            .collect();
        Loop {
            gpu,
            plan,
            shape,
            buffers,
            passes,
            prior_norm,
            staging,
            copies: VecDeque::new(),
            open: VecDeque::new(),
            in_flight: VecDeque::new(),
            last_done: Instant::now(),
            step_time: TARGET,
            next_staging: 0,
            next_step: 0,
            started: false,
            residual_epsilon: f64::NAN,
            fallbacks: 0,
            blocks,
            ring: vec![0; RING * SLICE],
            stop,
        }
    }

    /// Serves commands until the engine is dropped. The first error is sent on and ends the loop.
    pub fn serve(mut self, commands: Receiver<Command>) {
        loop {
            let command = match commands.try_recv() {
                Ok(c) => c,
                Err(_) => {
                    // Nothing new: finish what is under way, then sleep.
                    if let Err(e) = self.drain() {
                        let _ = self.blocks.send(Err(e));
                        return;
                    }
                    match commands.recv() {
                        Ok(c) => c,
                        Err(_) => return,
                    }
                }
            };
            let done = match command {
                Command::Run(span) => self.run(span),
                Command::Time(repeats, only, reply) => {
                    let timed = self.drain().and_then(|()| self.time(repeats, only));
                    let _ = reply.send(timed);
                    Ok(())
                }
                Command::Inspect(name, reply) => {
                    let read = self.drain().and_then(|()| self.inspect(&name));
                    let _ = reply.send(read);
                    Ok(())
                }
                Command::State(reply) => {
                    let state = self.drain().and_then(|()| self.state());
                    let failed = state.as_ref().err().cloned();
                    let _ = reply.send(state);
                    failed.map_or(Ok(()), Err)
                }
            };
            if let Err(e) = done {
                let _ = self.blocks.send(Err(e));
                return;
            }
        }
    }

    fn run(&mut self, span: Span) -> Result<(), EngineError> {
        let (c, p) = (self.shape.c, self.shape.p);
        let n = span.draws as usize;
        self.open.push_back(RawBlock {
            span,
            omega: Vec::with_capacity(n * c * p),
            stats: Vec::with_capacity(n * c * STATS),
            gradient: Vec::new(),
            fallbacks: 0,
            faults: Vec::new(),
            predicted: None,
        });
        let thin = span.thin as usize;
        let mut draw = 0;
        while draw < n {
            let slots = self.shape.slots.min(n - draw);
            let first = span.first_step + (draw * thin) as u32;
            let mut done = 0;
            while done < slots * thin {
                if self.stop.load(Ordering::Acquire) {
                    return Err(EngineError::Device("the engine was dropped".into()));
                }
                let steps = self.steps_a_submission().min(slots * thin - done);
                let last = done + steps == slots * thin;
                let copy = last.then_some((slots, draw + slots == n));
                self.submit(first, (done, steps), (thin, span.warmup), copy)?;
                done += steps;
                self.harvest(false)?;
            }
            draw += slots;
        }
        self.next_step = span.first_step + span.draws * span.thin;
        Ok(())
    }

    fn steps_a_submission(&self) -> usize {
        let each = self.step_time.as_secs_f64().max(1e-7);
        ((TARGET.as_secs_f64() / each) as usize).clamp(1, RING)
    }

    /// The scalars of step t.
    fn now(&self, t: u32) -> (Now, f64) {
        let plan = &self.plan;
        let e = plan.step_size.at(t);
        let temperature = plan.temperature;
        let spread = if residual(plan) {
            e * e * covariance_share(plan, &self.shape)
        } else {
            0.0
        };
        let law = plan.rho() * e * e * plan.n as f64 / plan.batch as f64;
        let mut ridge = plan.ridge_variance(e);
        if plan.noise == Noise::Nominal {
            ridge += law * plan.n as f64 * plan.damping;
        }
        let now = Now {
            step: t,
            epsilon: e as f32,
            heat: (e * temperature * plan.correction_weight(t)) as f32,
            budget: (plan.budget(e) * temperature) as f32,
            law: law as f32,
            ridge: ridge as f32,
            spread: spread as f32,
            temperature: if plan.noise == Noise::None {
                plan.law_temperature()
            } else {
                temperature
            } as f32,
            inverse_temperature: (1.0 / temperature) as f32,
            first: u32::from(!self.started),
            ..Now::default()
        };
        (now, e)
    }

    /// Records and submits steps `done..done + steps` of a run of slots that starts at step `first`.
    fn submit(
        &mut self,
        first: u32,
        (done, steps): (usize, usize),
        (thin, warmup): (usize, bool),
        copy: Option<(usize, bool)>,
    ) -> Result<(), EngineError> {
        let scored = self.shape.held.is_some() && !warmup;
        while self.in_flight.len() >= 2 {
            self.retire()?;
        }
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            let mut bound: Option<*const wgpu::ComputePipeline> = None;
            for s in 0..steps {
                let at = done + s;
                let t = first + at as u32;
                let (mut now, epsilon) = self.now(t);
                now.keep = u32::from(at % thin == 0);
                now.slot = (at / thin) as u32;
                self.ring[s * SLICE..s * SLICE + size_of::<Now>()]
                    .copy_from_slice(bytemuck::bytes_of(&now));
                let fresh = !self.started || t.is_multiple_of(self.plan.refresh);
                let stale = fresh || epsilon != self.residual_epsilon;
                for p in &self.passes {
                    let wanted = match p.when {
                        When::Always => true,
                        When::Fresh => fresh,
                        When::Stale => stale,
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
        }
        self.gpu
            .queue
            .write_buffer(self.buffers.get("now")?, 0, &self.ring[..steps * SLICE]);
        let staging = match copy {
            Some((slots, _)) => Some(self.record_copy(&mut encoder, slots, scored)?),
            None => None,
        };
        let started = Instant::now();
        let submission = self.gpu.queue.submit([encoder.finish()]);
        self.gpu.check()?;
        if let (Some(staging), Some((slots, last))) = (staging, copy) {
            self.copies.push_back(Copy {
                staging,
                slots,
                last,
                scored,
                submission: submission.clone(),
            });
        }
        self.in_flight.push_back((submission, started, steps));
        Ok(())
    }

    /// Waits for the oldest submission and learns how long a step takes.
    fn retire(&mut self) -> Result<(), EngineError> {
        let Some((submission, started, steps)) = self.in_flight.pop_front() else {
            return Ok(());
        };
        self.gpu.wait(Some(submission))?;
        let now = Instant::now();
        let took = now - started.max(self.last_done);
        self.last_done = now;
        self.step_time = took / steps as u32;
        Ok(())
    }

    fn drain(&mut self) -> Result<(), EngineError> {
        while !self.in_flight.is_empty() {
            self.retire()?;
        }
        while !self.copies.is_empty() {
            self.harvest(true)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Now;
    use sngd_shaders::{Consts, link_text};
    use std::mem::offset_of;

    /// The host's struct lies as naga lays out the shader's.
    #[test]
    fn now_lies_as_the_shader_reads_it() {
        let root =
            "#import \"stage/now.wgsl\"\n@compute @workgroup_size(1) fn main() { _ = now.step; }";
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
            heat,
            budget,
            law,
            spread,
            temperature,
            inverse_temperature,
            first,
            ridge
        );
        assert_eq!(layout.fields, ours);
        assert_eq!(layout.size as usize, size_of::<Now>());
    }
}
