//! The loop of a plan at the mode: spans in, blocks of kept draws out, two submissions in flight and a ring of three staging
//! buffers, as the loop of other plans.

use super::Loaded;
use super::readback::{Copy, Staging};
use super::shape::Rows;
use super::sizes::PACE;
use crate::device::Gpu;
use crate::run::Command;
use crate::sizes::{RING, SLICE};
use bytemuck::{Pod, Zeroable};
use sngd_core::engine::{ChainState, EngineError, RawBlock, STATS, Span};
use sngd_core::plan::Plan;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// A submission aims at this much device time.
const TARGET: Duration = Duration::from_millis(60);

/// The scalars of a dispatch, `mode/now.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub struct ModeNow {
    /// t of the first step.
    pub step: u32,
    /// Steps of the dispatch.
    pub steps: u32,
    /// Steps since the first of the kept draws at hand.
    pub done: u32,
    /// Steps a kept draw.
    pub thin: u32,
    /// Whether the starting point is only looked at.
    pub first: u32,
    /// 1 − ε.
    pub stay: f32,
    /// ε.
    pub epsilon: f32,
    /// √((2ε − ε²)T).
    pub spread: f32,
    /// 1/T.
    pub inverse_temperature: f32,
    /// 1/(2(2ε − ε²)T).
    pub inverse_budget: f32,
}

/// Steps `done..done + steps` of a run of slots that starts at step `first`.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    first: u32,
    done: usize,
    steps: usize,
    thin: usize,
}

/// The loop's own state.
pub struct Loop {
    pub(super) gpu: Gpu,
    pub(super) plan: Plan,
    pub(super) loaded: Loaded,
    pub(super) staging: Vec<Staging>,
    pub(super) next_staging: usize,
    pub(super) copies: VecDeque<Copy>,
    pub(super) open: VecDeque<RawBlock>,
    pub(super) fallbacks: u64,
    pub(super) blocks: Sender<Result<RawBlock, EngineError>>,
    in_flight: VecDeque<(wgpu::SubmissionIndex, Instant, usize)>,
    last_done: Instant,
    step_time: Duration,
    next_step: u32,
    looked: bool,
    ring: Vec<u8>,
    pace: Vec<[f32; 4]>,
    stop: Arc<AtomicBool>,
}

impl Loop {
    /// A loop with everything loaded.
    pub fn new(
        gpu: Gpu,
        plan: Plan,
        loaded: Loaded,
        blocks: Sender<Result<RawBlock, EngineError>>,
        stop: Arc<AtomicBool>,
    ) -> Loop {
        Loop {
            staging: Staging::ring(&gpu, loaded.staging),
            // Only the pass at the starting point of a plan over all rows is looked at apart.
            looked: matches!(loaded.shape.rows, Rows::Few(_)),
            gpu,
            plan,
            loaded,
            next_staging: 0,
            copies: VecDeque::new(),
            open: VecDeque::new(),
            fallbacks: 0,
            blocks,
            in_flight: VecDeque::new(),
            last_done: Instant::now(),
            step_time: TARGET,
            next_step: 0,
            ring: vec![0; RING * SLICE],
            pace: Vec::with_capacity(PACE),
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
            if let Err(e) = self.obey(command) {
                let _ = self.blocks.send(Err(e));
                return;
            }
        }
    }

    fn obey(&mut self, command: Command) -> Result<(), EngineError> {
        match command {
            Command::Run(span) => self.run(span),
            Command::Time(repeats, only, reply) => {
                let timed = self.drain().and_then(|()| self.time(repeats, only));
                let _ = reply.send(timed);
                Ok(())
            }
            Command::Inspect(name, reply) => {
                let read = self.drain();
                let read = read.and_then(|()| self.loaded.buffers.read(&self.gpu, &name));
                let _ = reply.send(read);
                Ok(())
            }
            Command::State(reply) => {
                let state = self.drain().and_then(|()| self.state());
                let failed = state.as_ref().err().cloned();
                let _ = reply.send(state);
                failed.map_or(Ok(()), Err)
            }
        }
    }

    fn run(&mut self, span: Span) -> Result<(), EngineError> {
        let (c, p) = (self.loaded.shape.c, self.loaded.shape.p);
        let n = span.draws as usize;
        self.open.push_back(RawBlock {
            span,
            omega: Vec::with_capacity(n * c * p),
            stats: Vec::with_capacity(n * c * STATS.len()),
            gradient: Vec::with_capacity(n * c * p),
            fallbacks: 0,
            faults: Vec::new(),
            predicted: None,
        });
        let thin = span.thin as usize;
        let mut draw = 0;
        while draw < n {
            let slots = self.loaded.shape.slots.min(n - draw);
            let mut stretch = Stretch {
                first: span.first_step + (draw * thin) as u32,
                done: 0,
                steps: 0,
                thin,
            };
            while stretch.done < slots * thin {
                if self.stop.load(Ordering::Acquire) {
                    return Err(EngineError::Device("the engine was dropped".into()));
                }
                stretch.steps = self.steps_a_submission().min(slots * thin - stretch.done);
                let last = stretch.done + stretch.steps == slots * thin;
                let copy = last.then_some((slots, draw + slots == n));
                self.submit(stretch, copy)?;
                stretch.done += stretch.steps;
                self.harvest(false)?;
            }
            draw += slots;
        }
        self.next_step = span.first_step + span.draws * span.thin;
        Ok(())
    }

    fn steps_a_submission(&self) -> usize {
        let each = self.step_time.as_secs_f64().max(1e-8);
        ((TARGET.as_secs_f64() / each) as usize).clamp(1, self.loaded.most_steps)
    }

    /// ε and the spread of the noise at step t.
    pub(super) fn moves(&self, t: u32) -> (f64, f64) {
        let e = self.plan.step_size.at(t);
        (e, ((2.0 * e - e * e) * self.plan.temperature).sqrt())
    }

    fn now(&self, t: u32) -> ModeNow {
        let (e, spread) = self.moves(t);
        // Without a test neither is read, and T may be 0.
        let inverse = |x: f64| if x > 0.0 { (1.0 / x) as f32 } else { 0.0 };
        ModeNow {
            step: t,
            steps: 1,
            thin: 1,
            stay: (1.0 - e) as f32,
            epsilon: e as f32,
            spread: spread as f32,
            inverse_temperature: inverse(self.plan.temperature),
            inverse_budget: inverse(2.0 * spread * spread),
            ..ModeNow::default()
        }
    }

    fn submit(&mut self, stretch: Stretch, copy: Option<(usize, bool)>) -> Result<(), EngineError> {
        while self.in_flight.len() >= 2 {
            self.retire()?;
        }
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        match self.loaded.shape.rows {
            Rows::Few(_) => self.record_few(&mut encoder, stretch)?,
            Rows::All(_) => self.record_all(&mut encoder, stretch)?,
        }
        let staging = match copy {
            Some((slots, _)) => Some(self.record_copy(&mut encoder, slots)?),
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
                submission: submission.clone(),
            });
        }
        self.in_flight
            .push_back((submission, started, stretch.steps));
        Ok(())
    }

    /// One dispatch of many steps.
    fn record_few(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        stretch: Stretch,
    ) -> Result<(), EngineError> {
        let t = stretch.first + stretch.done as u32;
        self.pace.clear();
        for s in 0..stretch.steps {
            let (e, spread) = self.moves(t + s as u32);
            self.pace
                .push([(1.0 - e) as f32, e as f32, spread as f32, 0.0]);
        }
        let now = ModeNow {
            steps: stretch.steps as u32,
            done: stretch.done as u32,
            thin: stretch.thin as u32,
            ..self.now(t)
        };
        let buffers = &self.loaded.buffers;
        let behind = 4 * self.loaded.shape.p.next_multiple_of(4) as u64;
        let queue = &self.gpu.queue;
        queue.write_buffer(buffers.get("now")?, 0, bytemuck::bytes_of(&now));
        queue.write_buffer(
            buffers.get("pace")?,
            behind,
            bytemuck::cast_slice(&self.pace),
        );
        self.record(encoder, &[0]);
        Ok(())
    }

    /// Every step's dispatches; before the engine's first, those that look at the starting point.
    fn record_all(
        &mut self,
        encoder: &mut wgpu::CommandEncoder,
        stretch: Stretch,
    ) -> Result<(), EngineError> {
        let t = stretch.first + stretch.done as u32;
        for s in 0..stretch.steps {
            let now = ModeNow {
                done: (stretch.done + s) as u32,
                thin: stretch.thin as u32,
                ..self.now(t + s as u32)
            };
            self.ring[s * SLICE..s * SLICE + size_of::<ModeNow>()]
                .copy_from_slice(bytemuck::bytes_of(&now));
        }
        let buffer = self.loaded.buffers.get("now")?;
        let used = &self.ring[..stretch.steps * SLICE];
        self.gpu.queue.write_buffer(buffer, 0, used);
        if !self.looked {
            let look = ModeNow {
                first: 1,
                ..self.now(t)
            };
            let at = (RING * SLICE) as u64;
            self.gpu
                .queue
                .write_buffer(buffer, at, bytemuck::bytes_of(&look));
            self.record(encoder, &[RING]);
            self.looked = true;
        }
        let slices: Vec<usize> = (0..stretch.steps).collect();
        self.record(encoder, &slices);
        Ok(())
    }

    /// All dispatches once for each slice of the ring.
    fn record(&self, encoder: &mut wgpu::CommandEncoder, slices: &[usize]) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for slice in slices {
            for p in &self.loaded.passes {
                pass.set_pipeline(&p.pipeline);
                p.bind(&mut pass, (slice * SLICE) as u32);
                pass.dispatch_workgroups(p.grid[0], p.grid[1], p.grid[2]);
            }
        }
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

    fn state(&self) -> Result<ChainState, EngineError> {
        let shape = &self.loaded.shape;
        let state = self.loaded.buffers.read(&self.gpu, "state")?;
        let mut omega = Vec::with_capacity(shape.c * shape.p);
        for chain in state.chunks(shape.state()).take(shape.c) {
            let at = omega.len();
            omega.extend(chain[..shape.p].iter().map(|&u| f64::from(u)));
            self.loaded.expansion.to_internal(&mut omega[at..]);
        }
        Ok(ChainState {
            step: self.next_step,
            omega,
            second_moment: Vec::new(),
        })
    }

    /// Milliseconds of each stage of a step, or of `only` one, each of its dispatches run alone `repeats` times in a
    /// submission; the chains are put back afterwards.
    fn time(
        &mut self,
        repeats: usize,
        only: Option<String>,
    ) -> Result<Vec<(String, f64)>, EngineError> {
        let moved = ["state", "status", "rest"];
        let buffers = &self.loaded.buffers;
        let mut before = Vec::new();
        for name in moved {
            if let Ok(buffer) = buffers.get(name) {
                before.push((buffer, buffers.read(&self.gpu, name)?));
            }
        }
        let now = ModeNow {
            done: 1,
            thin: 2,
            ..self.now(0)
        };
        let (e, spread) = self.moves(0);
        let pace = [(1.0 - e) as f32, e as f32, spread as f32, 0.0];
        let queue = &self.gpu.queue;
        queue.write_buffer(buffers.get("now")?, 0, bytemuck::bytes_of(&now));
        if let Ok(buffer) = buffers.get("pace") {
            let behind = 4 * self.loaded.shape.p.next_multiple_of(4) as u64;
            queue.write_buffer(buffer, behind, bytemuck::cast_slice(&pace));
        }
        let mut out: Vec<(String, f64)> = Vec::new();
        for p in &self.loaded.passes {
            if only.as_deref().is_some_and(|o| o != p.stage) {
                continue;
            }
            let mut ms = 0.0;
            // Once first: drivers compile then.
            for count in [1, repeats] {
                let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
                {
                    let mut pass = encoder.begin_compute_pass(&Default::default());
                    pass.set_pipeline(&p.pipeline);
                    for _ in 0..count {
                        p.bind(&mut pass, 0);
                        pass.dispatch_workgroups(p.grid[0], p.grid[1], p.grid[2]);
                    }
                }
                let start = Instant::now();
                queue.submit([encoder.finish()]);
                self.gpu.wait(None)?;
                ms = 1e3 * start.elapsed().as_secs_f64() / count as f64;
            }
            match out.iter_mut().find(|(n, _)| n == p.stage) {
                Some((_, t)) => *t += ms,
                None => out.push((p.stage.into(), ms)),
            }
        }
        for (buffer, numbers) in before {
            queue.write_buffer(buffer, 0, bytemuck::cast_slice(&numbers));
        }
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::ModeNow;
    use sngd_shaders::{Consts, link_text};
    use std::mem::offset_of;

    /// The host's struct lies as naga lays out the shader's.
    #[test]
    fn now_lies_as_the_shader_reads_it() {
        let root =
            "#import \"mode/now.wgsl\"\n@compute @workgroup_size(1) fn main() { _ = now.step; }";
        let linked = link_text("test.wgsl", root, &Consts::new(), None).unwrap();
        let layout = linked.struct_layout("ModeNow").unwrap();
        macro_rules! fields {
            ($($field:ident),*) => {
                vec![$((stringify!($field).to_string(), offset_of!(ModeNow, $field) as u32)),*]
            };
        }
        let ours = fields!(
            step,
            steps,
            done,
            thin,
            first,
            stay,
            epsilon,
            spread,
            inverse_temperature,
            inverse_budget
        );
        assert_eq!(layout.fields, ours);
        assert_eq!(layout.size as usize, size_of::<ModeNow>());
    }
}
