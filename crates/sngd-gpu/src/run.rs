//! The loop: spans in, blocks of kept draws out. It runs on a separate thread, keeps two submissions in flight, and
//! reads draws back through a ring of three staging buffers, so that neither caller nor device waits for the other.
//! The trait [`Steps`] defines a step: `steps` for a metric at the state of each chain, `mode::steps` for one at the mode.

mod readback;

use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::Gpu;
use readback::Staging;
use sngd_core::engine::{ChainState, EngineError, Fault, RawBlock, Span};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, Instant};

/// Device time that a submission aims at.
const TARGET: Duration = Duration::from_millis(60);

/// Largest factor by which a submission may have more steps than any before it.
const GROWTH: usize = 4;
/// Operations that a small GPU is not done with before its driver ends a submission.
const LONG_SUBMISSION: f64 = 1e11;
/// What the engine can ask its loop to do.
pub enum Command {
    /// Run a span.
    Run(Span),
    /// Send the chains' state.
    State(Sender<Result<ChainState, EngineError>>),
    /// Set the chains' state, before the first step.
    Restore(Box<ChainState>, Sender<Result<(), EngineError>>),
    /// Time each stage alone, or only the one named, over so many runs.
    Time(
        usize,
        Option<String>,
        Sender<Result<Vec<(String, f64)>, EngineError>>,
    ),
    /// Read the buffer of that name.
    Inspect(Buffer, Sender<Result<Vec<f32>, EngineError>>),
}

/// Steps `done..done + steps`, counted from step `first`, where a series of kept draws begins.
#[derive(Debug, Clone, Copy)]
pub struct Stretch {
    /// Number of the step at which the first of the kept draws is taken, t.
    pub first: u32,
    /// Number of steps made since then.
    pub done: usize,
    /// Number of steps to make now.
    pub steps: usize,
    /// Steps per kept draw.
    pub thin: usize,
    /// Whether these are warm-up steps, whose draws are not used.
    pub warmup: bool,
}

/// What differs between kinds of plan: how to record steps and how to read the results.
pub trait Steps {
    /// The plan's device buffers.
    fn buffers(&self) -> &Buffers;

    /// Number of kept draws that the device stores before they are read back.
    fn slots(&self) -> usize;

    /// Largest number of steps in a submission.
    fn most_steps(&self) -> usize;

    /// What the steps are, for a message: words that follow "step".
    fn kind(&self) -> &'static str;

    /// Floating-point operations of so many steps from step `t` on, over all chains. It need only be right relative to other
    /// steps of the same run.
    fn price(&self, t: u32, steps: usize) -> f64;

    /// An empty block for the draws of a span.
    fn block(&self, span: Span) -> RawBlock;

    /// Records the dispatches of some steps and uploads their scalars.
    ///
    /// # Errors
    /// Where a buffer is missing.
    fn record(
        &mut self,
        gpu: &Gpu,
        encoder: &mut wgpu::CommandEncoder,
        stretch: Stretch,
    ) -> Result<(), EngineError>;

    /// What is copied to the CPU side after `slots` kept draws, as (buffer, bytes): first the draws, then the chains' status,
    /// then anything else.
    fn copied(&self, slots: usize, warmup: bool) -> Vec<(Buffer, u64)>;

    /// Adds what was copied, as words and in the same order, to its block.
    fn take(&self, block: &mut RawBlock, parts: &[&[u32]]);

    /// Reads the chains' status: the faults, and the number of steps since the start, over all chains, that used a fallback or
    /// were not made.
    fn judge(&self, status: &[u32]) -> (Vec<Fault>, u64);

    /// The state of the chains before step `next_step`.
    ///
    /// # Errors
    /// Where the device fails.
    fn state(&self, gpu: &Gpu, next_step: u32) -> Result<ChainState, EngineError>;

    /// Sets the state of the chains, before the first step.
    ///
    /// # Errors
    /// Where the device fails.
    fn restore(&mut self, gpu: &Gpu, state: &ChainState) -> Result<(), EngineError>;

    /// Milliseconds of each stage of a step, or of the stage `only`. Each dispatch runs alone `repeats` times in a
    /// submission. The chains' state is restored afterwards.
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

/// Adds to a device's failure that its driver may have ended a submission which took seconds, where that can be.
fn outlasted(error: EngineError, price: f64) -> EngineError {
    match error {
        EngineError::Device(text) if price > LONG_SUBMISSION => EngineError::Device(format!(
            "{text}; drivers end work of several seconds, and this submission had {price:.1e} operations: fit fewer chains, or lower sampler.batch_size or sampler.fisher_rows"
        )),
        other => other,
    }
}

/// A submission that may still run: when it was sent, its number of steps and their price.
struct Sent {
    index: wgpu::SubmissionIndex,
    at: Instant,
    steps: usize,
    price: f64,
    /// Whether a kernel may not have run before: none has in the first, nor what only draws after warm-up use.
    first: bool,
}

/// State of the loop.
pub struct Loop<S> {
    gpu: Gpu,
    steps: S,
    staging: Staging,
    /// Blocks that are not yet complete, oldest first.
    open: VecDeque<RawBlock>,
    in_flight: VecDeque<Sent>,
    last_done: Instant,
    /// Seconds per operation of the slowest of the last submissions; NaN before the first.
    rate: f64,
    /// Whether the last submission was of warm-up steps; `None` before the first.
    warm: Option<bool>,
    /// Largest number of steps of the next submission: it grows by a factor at a time.
    most: usize,
    next_step: u32,
    fallbacks: u64,
    blocks: Sender<Result<RawBlock, EngineError>>,
    stop: Arc<AtomicBool>,
}

impl<S: Steps> Loop<S> {
    /// A loop for a loaded plan, with staging buffers of `staging_bytes` each.
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
            rate: f64::NAN,
            warm: None,
            most: 1,
            next_step: 0,
            fallbacks: 0,
            blocks,
            stop,
        }
    }

    /// Serves commands until the engine is dropped. The first error is passed to the engine and ends the loop.
    pub fn serve(mut self, commands: Receiver<Command>) {
        loop {
            let command = match commands.try_recv() {
                Ok(c) => c,
                Err(_) => {
                    // No new command: finish the work in flight, then sleep.
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
            Command::Inspect(buffer, reply) => {
                let read = self
                    .drain()
                    .and_then(|()| self.steps.buffers().read(&self.gpu, buffer));
                let _ = reply.send(read);
                Ok(())
            }
            Command::Restore(state, reply) => {
                let set = self.steps.restore(&self.gpu, &state);
                self.next_step = state.step;
                let _ = reply.send(set);
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
                let left = slots * thin - stretch.done;
                stretch.steps = self.steps_from(stretch.first + stretch.done as u32, left);
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

    /// Number of steps of the submission that starts with step `t`, at most `left`: as many as fit the time aimed at.
    fn steps_from(&self, t: u32, left: usize) -> usize {
        let most = self.most.min(self.steps.most_steps()).min(left).max(1);
        let fits = |n: usize| n == 1 || self.rate * self.steps.price(t, n) <= TARGET.as_secs_f64();
        // The largest n that fits, since prices grow with n.
        let (mut low, mut high) = (1, most);
        while low < high {
            let middle = (low + high).div_ceil(2);
            if fits(middle) {
                low = middle;
            } else {
                high = middle - 1;
            }
        }
        low
    }

    /// Records and submits some steps. After the last of the kept draws that the device can store, `copy` asks for a copy of
    /// them: how many they are, and whether they end the span.
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
        let price = (self.steps).price(stretch.first + stretch.done as u32, stretch.steps);
        let index = self.gpu.queue.submit([encoder.finish()]);
        self.gpu.check()?;
        if let Some((slots, last)) = copy {
            self.staging.sent(slots, last, index.clone());
        }
        self.in_flight.push_back(Sent {
            index,
            at,
            steps: stretch.steps,
            price,
            first: self.warm != Some(stretch.warmup),
        });
        self.warm = Some(stretch.warmup);
        Ok(())
    }

    /// Reads the oldest copy, if it has arrived or if `wait` is set.
    fn harvest(&mut self, wait: bool) -> Result<(), EngineError> {
        let Some((slots, last)) = self.staging.oldest() else {
            return Ok(());
        };
        let Some(warmup) = self.open.front().map(|block| block.span.warmup) else {
            return Err(EngineError::Device(
                "draws came back that no span asked for".into(),
            ));
        };
        let parts = self.steps.copied(slots, warmup);
        let bytes = parts.iter().map(|(_, bytes)| bytes).sum();
        let mut words = self.staging.take(&self.gpu, bytes, false)?;
        while words.is_none() && wait {
            // A submission is waited for as long as its price allows; its copy arrives with it.
            let idle = self.in_flight.is_empty();
            self.retire()?;
            words = self.staging.take(&self.gpu, bytes, idle)?;
        }
        let (Some(words), Some(block)) = (words, self.open.front_mut()) else {
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

    /// Waits for the oldest submission and measures how long its steps take.
    fn retire(&mut self) -> Result<(), EngineError> {
        let Some(sent) = self.in_flight.pop_front() else {
            return Ok(());
        };
        let what = match sent.steps {
            1 => format!("a step {}", self.steps.kind()),
            n => format!("{n} steps {}", self.steps.kind()),
        };
        let patience = self.gpu.patience(sent.price, sent.first);
        let waited = self.gpu.wait_for(Some(sent.index), patience, &what);
        waited.map_err(|e| outlasted(e, sent.price))?;
        let now = Instant::now();
        let took = now - sent.at.max(self.last_done);
        self.last_done = now;
        let rate = took.as_secs_f64() / sent.price;
        // A slow submission counts at once, a fast one by a half: steps of different kinds are priced roughly.
        self.rate = if self.rate.is_nan() {
            rate
        } else {
            rate.max(0.5 * (rate + self.rate))
        };
        self.most = self.most.max(sent.steps.saturating_mul(GROWTH));
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
