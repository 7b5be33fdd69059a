//! The entry point: a checked run that can be sampled, streamed or written to sinks.

use crate::builder::{Builder, Data, Model};
use crate::checkpoint::RunState;
use crate::device::{self, Opened};
use crate::error::Error;
use crate::event::{Event, Outcome};
use crate::prepare::{Prepared, prepare};
use crate::run::{self, Message, Running};
use crate::samples::Samples;
use crate::sink::RunSink;
use futures_core::Stream;
use sngd_core::config::Config;
use sngd_core::engine::EngineInfo;
use sngd_core::trace::DrawBlock;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

/// Number of warm-up steps per chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Warmup(pub usize);

/// Number of kept draws per chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draws(pub usize);

/// A checked run, ready to start.
///
/// ```
/// use sngd::{Data, Device, Draws, Model, Prior, Sampler, Sngd, Warmup};
/// use sngd::Family::Bernoulli;
///
/// let x: Vec<f64> = (0..100).map(|i| f64::from(i) / 50.0 - 1.0).collect();
/// let y: Vec<f64> = (0..100).map(|i| f64::from(u8::from((i * 37) % 100 < i))).collect();
/// let data = Data::new(x, ["dose"], y);
/// let run = Sampler::builder(Model::linear(Bernoulli), &data)
///     .prior(Prior::Normal(0.0, 2.5))
///     .method(Sngd::default().step_size(0.3).batch_size(50))
///     .chains(8)
///     .device(Device::Cpu)
///     .build()?; // everything is checked here
/// let draws = run.sample(Warmup(50), Draws(100))?;
/// let summary = draws.summary();
/// assert_eq!(summary.rows[1].name, "weights[dose]");
/// assert!(summary.rows[1].mean > 0.0);
/// # Ok::<(), sngd::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct Sampler {
    prepared: Prepared,
}

impl Builder {
    /// Checks everything that needs no device.
    ///
    /// # Errors
    /// [`Error::Check`] if the data, the model and the settings do not fit each other.
    pub fn build(self) -> Result<Sampler, Error> {
        Ok(Sampler::from_prepared(self.prepare()?))
    }
}

impl Sampler {
    /// Reads the data of a config, whose path is relative to `base`, and checks everything.
    ///
    /// # Errors
    /// [`Error::Data`] if the file cannot be used, [`Error::Check`] if the settings do not fit it.
    pub fn from_config(config: Config, base: &Path) -> Result<Sampler, Error> {
        Ok(Sampler {
            prepared: prepare(config, base)?,
        })
    }

    /// Builds a run from arrays.
    pub fn builder(model: Model, data: &Data) -> Builder {
        Builder::new(model, data)
    }

    /// A sampler for a run that is already checked.
    pub fn from_prepared(prepared: Prepared) -> Sampler {
        Sampler { prepared }
    }

    /// The checked run.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Samples into memory and waits for the end.
    ///
    /// # Errors
    /// [`Error::Engine`] for the device, [`Error::Run`] when a chain cannot go on.
    pub fn sample(&self, warmup: Warmup, draws: Draws) -> Result<Samples, Error> {
        let prepared = self.prepared.with_lengths(warmup.0, draws.0)?;
        let mut samples = Samples::new(&prepared);
        let run = Sampler { prepared }.open()?;
        run.run(&mut [&mut samples], &Arc::default(), &mut |_| {})?;
        Ok(samples)
    }

    /// Samples in the background. Blocks come in order, those of the warm-up only with `save_warmup`; dropping the stream ends
    /// the run.
    ///
    /// # Errors
    /// [`Error::Engine`] for the device; later failures come as the stream's last item.
    pub fn stream(&self, warmup: Warmup, draws: Draws) -> Result<BlockStream, Error> {
        let prepared = self.prepared.with_lengths(warmup.0, draws.0)?;
        let Opened { engine, .. } = device::open(&prepared)?;
        let stop = Arc::new(AtomicBool::new(false));
        let running = run::start(engine, prepared, Arc::clone(&stop), None)?;
        Ok(BlockStream {
            running,
            stop,
            outcome: None,
            done: false,
        })
    }

    /// Opens the engine for the numbers of steps and draws in the config.
    ///
    /// # Errors
    /// [`Error::Engine`] if no device answers or the run does not fit it.
    pub fn open(self) -> Result<OpenRun, Error> {
        let opened = device::open(&self.prepared)?;
        Ok(OpenRun {
            prepared: self.prepared,
            opened,
            from: None,
        })
    }
}

/// A run whose engine is open.
pub struct OpenRun {
    prepared: Prepared,
    opened: Opened,
    from: Option<RunState>,
}

impl OpenRun {
    /// Goes on from where an earlier part of the same run ended, on the same kind of engine with the same bits.
    ///
    /// # Errors
    /// [`Error::Engine`] if the state does not fit the run, or the device fails.
    pub fn resume(mut self, from: RunState) -> Result<OpenRun, Error> {
        self.opened.engine.restore(&from.chains)?;
        self.from = Some(from);
        Ok(self)
    }

    /// The engine that computes.
    pub fn engine(&self) -> &EngineInfo {
        self.opened.engine.info()
    }

    /// The checked run.
    pub fn prepared(&self) -> &Prepared {
        &self.prepared
    }

    /// Runs to the end, to a fault or until `stop`; every block goes to each sink in turn. Each sink is finished whatever
    /// happens.
    ///
    /// # Errors
    /// [`Error::Run`] for the numbers, [`Error::Engine`] for the device, or what a sink failed with.
    pub fn run(
        self,
        sinks: &mut [&mut dyn RunSink],
        stop: &Arc<AtomicBool>,
        on_event: &mut dyn FnMut(&Event),
    ) -> Result<Outcome, Error> {
        let plan = &self.prepared.plan;
        on_event(&Event::Started {
            note: self.opened.note,
            chains: plan.chains,
            steps: plan.steps() as u64,
        });
        let mut running = run::start(
            self.opened.engine,
            self.prepared,
            Arc::clone(stop),
            self.from,
        )?;
        let mut failed: Option<Error> = None;
        loop {
            match pollster::block_on(running.messages.recv()) {
                None => return Err(failed.unwrap_or(Error::Lost)),
                Some(Message::Block(block, progress)) => {
                    if let (Some(block), None) = (&block, &failed) {
                        failed = sinks.iter_mut().find_map(|s| s.block(block).err());
                        if failed.is_some() {
                            // No sink can take more, so nothing more is computed.
                            running.messages.close();
                        }
                    }
                    on_event(&Event::Progress(progress));
                }
                Some(Message::Checkpoint(state)) => {
                    if failed.is_none() {
                        failed = sinks.iter_mut().find_map(|s| s.checkpoint(&state).err());
                        if failed.is_some() {
                            running.messages.close();
                        }
                    }
                }
                Some(Message::Done(outcome, error)) => {
                    return finish(sinks, outcome, failed.or(error), on_event);
                }
            }
        }
    }
}

fn finish(
    sinks: &mut [&mut dyn RunSink],
    outcome: Outcome,
    error: Option<Error>,
    on_event: &mut dyn FnMut(&Event),
) -> Result<Outcome, Error> {
    let why = error.as_ref().map(ToString::to_string);
    let mut later = None;
    for sink in sinks.iter_mut() {
        if let Err(e) = sink.finish(&outcome, why.as_deref()) {
            later.get_or_insert(e);
        }
    }
    on_event(&Event::Finished(outcome.clone()));
    match error.or(later) {
        Some(e) => Err(e),
        None => Ok(outcome),
    }
}

/// Blocks of draws as they come: a `futures` stream.
pub struct BlockStream {
    running: Running,
    stop: Arc<AtomicBool>,
    outcome: Option<Outcome>,
    done: bool,
}

impl BlockStream {
    /// How the run ended; `None` until the stream has ended.
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.as_ref()
    }

    /// Ends the run after the blocks in flight.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// The next block; `None` after the last.
    pub async fn next(&mut self) -> Option<Result<DrawBlock, Error>> {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next(cx)).await
    }
}

impl Stream for BlockStream {
    type Item = Result<DrawBlock, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if self.done {
                return Poll::Ready(None);
            }
            match self.running.messages.poll_recv(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Some(Message::Block(Some(block), _))) => {
                    return Poll::Ready(Some(Ok(block)));
                }
                Poll::Ready(Some(Message::Block(None, _) | Message::Checkpoint(_))) => {}
                Poll::Ready(Some(Message::Done(outcome, error))) => {
                    self.outcome = Some(outcome);
                    self.done = true;
                    if let Some(e) = error {
                        return Poll::Ready(Some(Err(e)));
                    }
                }
                Poll::Ready(None) => {
                    self.done = true;
                    return Poll::Ready(Some(Err(Error::Lost)));
                }
            }
        }
    }
}
