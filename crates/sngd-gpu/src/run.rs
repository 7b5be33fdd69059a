//! The loop: spans in, blocks of kept draws out. It runs on a thread of its own, keeps two submissions in flight, and
//! reads draws back through a ring of three staging buffers, so that neither caller nor device waits for the other.
//! What a step is, [`Steps`] says: `steps` for a metric at the state of each chain, `mode::steps` for one at the mode.

mod readback;

use crate::buffers::Buffers;
use crate::device::Gpu;
use readback::Staging;
use sngd_core::engine::{ChainState, EngineError, Fault, RawBlock, Span};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// A submission aims at this much device time.
const TARGET: Duration = Duration::from_millis(60);

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

/// Steps `done..done + steps` of a run of kept draws that starts at step `first`.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// t at the first of the kept draws.
    pub first: u32,
    /// Steps made since.
    pub done: usize,
    /// Steps to make.
    pub steps: usize,
    /// Steps per kept draw.
    pub thin: usize,
    /// Whether draws are thrown away.
    pub warmup: bool,
}

/// What the loop has to know of a kind of plan.
pub trait Steps {
    /// Everything on the device.
    fn buffers(&self) -> &Buffers;

    /// Kept draws that the device holds before they are read back.
    fn slots(&self) -> usize;

    /// Most steps of a submission.
    fn most_steps(&self) -> usize;

    /// The block of a span, empty.
    fn block(&self, span: Span) -> RawBlock;

    /// Records some steps and sends their scalars.
    ///
    /// # Errors
    /// Where a buffer is missing.
    fn record(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        stretch: Stretch,
    ) -> Result<(), EngineError>;

    /// What goes to the host behind so many kept draws, by buffer and in bytes: the draws, the chains' status, and what else there is.
    fn copied(&self, slots: usize, warmup: bool) -> Vec<(&'static str, u64)>;

    /// Takes what was copied, in words and in the same order, into the block it belongs to.
    fn take(&self, block: &mut RawBlock, parts: &[&[u32]]);

    /// The faults that the chains' status tells, and over all chains the steps since the start that were not made as they should.
    fn judge(&self, status: &[u32]) -> (Vec<Fault>, u64);

    /// The chains at rest before step `next_step`.
    ///
    /// # Errors
    /// Where the device fails.
    fn state(&self, gpu: &Gpu, next_step: u32) -> Result<ChainState, EngineError>;

    /// Milliseconds of each stage of a step, or of `only` one, each of its dispatches run alone `repeats` times in a
    /// submission; the chains are put back afterwards.
    ///
    /// # Errors
    /// Where the device fails.
    fn time(
        &mut self,
        gpu: &Gpu,
        repeats: usize,
        only: Option<&str>,
    ) -> Result<Vec<(String, f64)>, EngineError>;
}

/// A submission on its way: when it went and of how many steps it is.
struct Sent {
    index: wgpu::SubmissionIndex,
    at: Instant,
    steps: usize,
}

/// The loop's own state.
pub struct Loop<S> {
    gpu: Gpu,
    steps: S,
    staging: Staging,
    /// Blocks that are not complete, oldest first.
    open: VecDeque<RawBlock>,
    in_flight: VecDeque<Sent>,
    last_done: Instant,
    step_time: Duration,
    next_step: u32,
    fallbacks: u64,
    blocks: Sender<Result<RawBlock, EngineError>>,
    stop: Arc<AtomicBool>,
}

impl<S: Steps> Loop<S> {
    /// A loop over what is loaded, with staging buffers of so many bytes.
    pub fn new(
        gpu: Gpu,
        steps: S,
        staging_bytes: u64,
        blocks: Sender<Result<RawBlock, EngineError>>,
        stop: Arc<AtomicBool>,
    ) -> Loop<S> {
        Loop {
            staging: Staging::new(&gpu, staging_bytes),
            gpu,
            steps,
            open: VecDeque::new(),
            in_flight: VecDeque::new(),
            last_done: Instant::now(),
            step_time: TARGET,
            next_step: 0,
            fallbacks: 0,
            blocks,
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
                let timed = self
                    .drain()
                    .and_then(|()| self.steps.time(&self.gpu, repeats, only.as_deref()));
                let _ = reply.send(timed);
                Ok(())
            }
            Command::Inspect(name, reply) => {
                let read = self
                    .drain()
                    .and_then(|()| self.steps.buffers().read(&self.gpu, &name));
                let _ = reply.send(read);
                Ok(())
            }
            Command::State(reply) => {
                let state = self
                    .drain()
                    .and_then(|()| self.steps.state(&self.gpu, self.next_step));
                let failed = state.as_ref().err().cloned();
                let _ = reply.send(state);
                failed.map_or(Ok(()), Err)
            }
        }
    }

    fn run(&mut self, span: Span) -> Result<(), EngineError> {
        let n = span.draws as usize;
        self.open.push_back(self.steps.block(span));
        let thin = span.thin as usize;
        let mut draw = 0;
        while draw < n {
            let slots = self.steps.slots().min(n - draw);
            let mut stretch = Stretch {
                first: span.first_step + (draw * thin) as u32,
                done: 0,
                steps: 0,
                thin,
                warmup: span.warmup,
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
        ((TARGET.as_secs_f64() / each) as usize).clamp(1, self.steps.most_steps())
    }

    /// Records and submits some steps, and behind the last of some kept draws the copy of them: how many, and whether they end the span.
    fn submit(&mut self, stretch: Stretch, copy: Option<(usize, bool)>) -> Result<(), EngineError> {
        while self.in_flight.len() >= 2 {
            self.retire()?;
        }
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        self.steps.record(&self.gpu, &mut encoder, stretch)?;
        if let Some((slots, _)) = copy {
            while self.staging.is_full() {
                self.harvest(true)?;
            }
            let parts = self.steps.copied(slots, stretch.warmup);
            self.staging
                .record(&mut encoder, self.steps.buffers(), &parts)?;
        }
        let at = Instant::now();
        let index = self.gpu.queue.submit([encoder.finish()]);
        self.gpu.check()?;
        if let Some((slots, last)) = copy {
            self.staging.sent(slots, last, index.clone());
        }
        self.in_flight.push_back(Sent {
            index,
            at,
            steps: stretch.steps,
        });
        Ok(())
    }

    /// Takes in the oldest copy, if it has arrived or if `wait` says to wait for it.
    fn harvest(&mut self, wait: bool) -> Result<(), EngineError> {
        let Some((slots, last)) = self.staging.oldest() else {
            return Ok(());
        };
        let Some(block) = self.open.front_mut() else {
            return Err(EngineError::Device(
                "draws came back that no span asked for".into(),
            ));
        };
        let parts = self.steps.copied(slots, block.span.warmup);
        let bytes = parts.iter().map(|(_, bytes)| bytes).sum();
        let Some(words) = self.staging.take(&self.gpu, bytes, wait)? else {
            return Ok(());
        };
        let mut rest = words.as_slice();
        let parts: Vec<&[u32]> = parts
            .iter()
            .map(|(_, bytes)| {
                let (part, more) = rest.split_at(*bytes as usize / 4);
                rest = more;
                part
            })
            .collect();
        self.steps.take(block, &parts);
        if last && let Some(mut block) = self.open.pop_front() {
            let (faults, fallbacks) = self.steps.judge(parts[1]);
            block.faults = faults;
            block.fallbacks = fallbacks - self.fallbacks;
            self.fallbacks = fallbacks;
            let _ = self.blocks.send(Ok(block));
        }
        Ok(())
    }

    /// Waits for the oldest submission and learns how long a step takes.
    fn retire(&mut self) -> Result<(), EngineError> {
        let Some(sent) = self.in_flight.pop_front() else {
            return Ok(());
        };
        self.gpu.wait(Some(sent.index))?;
        let now = Instant::now();
        let took = now - sent.at.max(self.last_done);
        self.last_done = now;
        self.step_time = took / sent.steps as u32;
        Ok(())
    }

    fn drain(&mut self) -> Result<(), EngineError> {
        while !self.in_flight.is_empty() {
            self.retire()?;
        }
        while self.staging.oldest().is_some() {
            self.harvest(true)?;
        }
        Ok(())
    }
}
