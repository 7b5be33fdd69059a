//! The run loop: a thread that owns the engine, keeps its spans in flight, and sends blocks of draws on the natural
//! scale through a bounded channel. No block contains a draw that a fault has touched.

use crate::checkpoint::RunState;
use crate::error::Error;
use crate::event::{Ending, Outcome, Progress};
use crate::fault;
use crate::gauges::Meter;
use crate::prepare::{Prepared, THERMOMETER_PARAMETERS, target_metric};
use crate::run_error::{MAX_FALLBACK_SHARE, RunError};
use crate::span::Sizer;
use crate::stray::Watch;
use crate::summary::verdict::AGREE;
use sngd_core::engine::{Engine, Fault, FaultKind, RawBlock, Span};
use sngd_core::span::Cursor;
use sngd_core::stat::Stat;
use sngd_core::trace::DrawBlock;
use sngd_cpu::gain;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Number of blocks that may wait for the receiver.
const WAITING: usize = 4;
/// Kept draws per chain before the run first checks whether it has enough, and draws after which it checks again at the earliest.
const LOOKS: (u64, u64) = (100, 10);
/// Chain-steps before the share of fallbacks is judged during a run.
const JUDGED_FROM: u64 = 20_000;

/// A message from the run's thread.
pub(crate) enum Message {
    /// A block of draws, or none, and the progress so far.
    Block(Option<DrawBlock>, Progress),
    /// All that the run needs to go on after the blocks before this message.
    Checkpoint(Box<RunState>),
    /// The last message.
    Done(Outcome, Option<Error>),
}

/// The receiving end of a run.
pub(crate) struct Running {
    pub messages: mpsc::Receiver<Message>,
}

/// Starts the thread; with `from` the run goes on there, and `engine` is in that state. Setting `stop` ends the run after the spans in flight.
pub(crate) fn start(
    engine: Box<dyn Engine>,
    prepared: Prepared,
    stop: Arc<AtomicBool>,
    from: Option<RunState>,
) -> Result<Running, Error> {
    let (send, messages) = mpsc::channel(WAITING);
    std::thread::Builder::new()
        .name("sngd-run".into())
        .spawn(move || {
            let mut worker = Worker::new(&prepared);
            if let Some(from) = from {
                worker.restore(from);
            }
            let (ending, error) = match worker.run(engine, &stop, &send) {
                Ok(ending) => (ending, None),
                Err(e) => (Ending::Failed, Some(e)),
            };
            // If the receiver is gone, nobody needs the result.
            let _ = send.blocking_send(Message::Done(worker.outcome(ending), error));
        })
        .map_err(|e| Error::Input(format!("the run's thread could not be started: {e}")))?;
    Ok(Running { messages })
}

struct Worker<'a> {
    prepared: &'a Prepared,
    began: Instant,
    /// Seconds of earlier parts of the run.
    before: f64,
    /// The step at which the run begins, or goes on.
    first_step: u32,
    /// Kept draws at which the run next checks whether it has enough. Looks come at fixed draws, whatever a block's length, so that the same run
    /// has the same draws.
    next_look: u64,
    steps: u64,
    draws: u64,
    warmup_draws: u64,
    divergences: u64,
    fallbacks: u64,
    chain_steps: u64,
    rate: f64,
    temperature: Temperature,
    watch: Watch,
    meter: Meter,
    /// Positions of a network's last draws, `[C,P]`; empty for linear predictors.
    last: Vec<f64>,
}

impl<'a> Worker<'a> {
    fn new(prepared: &'a Prepared) -> Worker<'a> {
        Worker {
            prepared,
            began: Instant::now(),
            before: 0.0,
            first_step: 0,
            next_look: match prepared.config.run.until {
                Some(_) => LOOKS.0,
                None => u64::MAX,
            },
            steps: 0,
            draws: 0,
            warmup_draws: 0,
            divergences: 0,
            fallbacks: 0,
            chain_steps: 0,
            rate: f64::NAN,
            watch: Watch::new(prepared),
            meter: Meter::new(prepared),
            last: Vec::new(),
            temperature: Temperature {
                metric: (prepared.plan.p <= THERMOMETER_PARAMETERS
                    && !prepared.plan.full_log_density())
                .then(|| target_metric(prepared))
                .flatten(),
                ..Temperature::default()
            },
        }
    }

    fn run(
        &mut self,
        mut engine: Box<dyn Engine>,
        stop: &AtomicBool,
        send: &mpsc::Sender<Message>,
    ) -> Result<Ending, Error> {
        let plan = &self.prepared.plan;
        let saved = self.prepared.config.run.save_warmup;
        let mut cursor = Cursor::after(plan, saved, self.first_step, self.draws);
        let mut sizer = Sizer::new(plan);
        let mut in_flight: VecDeque<Span> = VecDeque::new();
        let until = self.prepared.config.run.until;
        let (mut stopped, mut enough) = (false, false);
        let mut asked = self.draws;
        let every = self.prepared.config.run.checkpoint_seconds;
        let every = (every > 0.0).then(|| Duration::from_secs_f64(every));
        let mut checkpointed = Instant::now();
        let mut last = Instant::now();
        loop {
            stopped |= stop.load(Ordering::Relaxed) || send.is_closed();
            let due = every.is_some_and(|every| checkpointed.elapsed() >= every);
            if due && in_flight.is_empty() && self.can_resume_at(cursor.step()) {
                self.checkpoint(&mut *engine, send)?;
                checkpointed = Instant::now();
                continue;
            }
            while !stopped
                && !enough
                && in_flight.len() < engine.depth().max(1)
                && asked < self.next_look
                && !(due && self.can_resume_at(cursor.step()))
                && let Some(span) = {
                    let left = u32::try_from(self.next_look - asked).unwrap_or(u32::MAX);
                    let (mut steps, mut draws) = (sizer.steps(), sizer.max_draws().min(left));
                    if due {
                        // No further than the next step from which the run can go on.
                        let ahead = plan.refresh - cursor.step() % plan.refresh;
                        (steps, draws) = (ahead, draws.min((ahead / plan.thin as u32).max(1)));
                    }
                    cursor.next(steps, draws)
                }
            {
                asked += if span.warmup {
                    0
                } else {
                    u64::from(span.draws)
                };
                engine.enqueue(span)?;
                in_flight.push_back(span);
            }
            if in_flight.pop_front().is_none() {
                break;
            }
            let raw = engine.collect()?;
            let span = raw.span;
            let took = last.elapsed();
            last = Instant::now();
            sizer.measured(span, took);
            let (block, error) = self.accept(raw, took);
            if block.is_some() || error.is_none() {
                let message = Message::Block(block, self.progress(span));
                stopped |= send.blocking_send(message).is_err();
            }
            if let Some(e) = error {
                return Err(e.into());
            }
            // The draws between two checks grow by a twentieth each time, so that the checks cost next to nothing.
            if let Some(until) = until.as_ref().filter(|_| self.draws >= self.next_look) {
                self.next_look = self.draws + (self.draws / 20).max(LOOKS.1);
                let gauges = self.meter.read(self.prepared);
                enough = gauges.is_some_and(|g| g.enough(until)) && self.meter.agree(AGREE);
            }
        }
        let whole = enough || self.draws == plan.draws as u64;
        if every.is_some() && self.can_resume_at(cursor.step()) {
            self.checkpoint(&mut *engine, send)?;
        }
        if let Some(e) = self.judge(0) {
            return Err(e.into());
        }
        Ok(if whole {
            Ending::Complete
        } else {
            Ending::Interrupted
        })
    }

    /// Whether an engine that is loaded afresh makes the same step `t`: a metric that is kept for several steps is made afresh there.
    fn can_resume_at(&self, t: u32) -> bool {
        t.is_multiple_of(self.prepared.plan.refresh)
    }

    /// Sends everything that the run needs to go on; nothing may be in flight.
    fn checkpoint(
        &self,
        engine: &mut dyn Engine,
        send: &mpsc::Sender<Message>,
    ) -> Result<(), Error> {
        let state = RunState {
            chains: engine.state()?,
            steps: self.steps,
            draws: self.draws,
            warmup_draws: self.warmup_draws,
            seconds: self.seconds(),
            divergences: self.divergences,
            fallbacks: self.fallbacks,
            chain_steps: self.chain_steps,
            next_look: self.next_look,
            temperature: (self.temperature.sum, self.temperature.count),
            watch: self.watch.counts(),
            sums: self.meter.sums.clone(),
        };
        // If the receiver is gone, nobody keeps it.
        let _ = send.blocking_send(Message::Checkpoint(Box::new(state)));
        Ok(())
    }

    /// Goes on from where an earlier part of the run ended.
    fn restore(&mut self, from: RunState) {
        self.first_step = from.chains.step;
        self.steps = from.steps;
        self.draws = from.draws;
        self.warmup_draws = from.warmup_draws;
        self.before = from.seconds;
        self.divergences = from.divergences;
        self.fallbacks = from.fallbacks;
        self.chain_steps = from.chain_steps;
        // A run that had no end of its own may have been given one.
        if from.next_look < u64::MAX && self.next_look < u64::MAX {
            self.next_look = from.next_look;
        } else if self.next_look < u64::MAX {
            self.next_look = self.next_look.max(from.draws + LOOKS.1);
        }
        (self.temperature.sum, self.temperature.count) = from.temperature;
        self.watch.restore(&from.watch);
        self.meter.sums = from.sums;
    }

    fn seconds(&self) -> f64 {
        self.before + self.began.elapsed().as_secs_f64()
    }

    /// The part of a block that may be passed on, and the error that stopped the rest.
    fn accept(&mut self, raw: RawBlock, took: Duration) -> (Option<DrawBlock>, Option<RunError>) {
        let (plan, span) = (&self.prepared.plan, raw.span);
        let (c, p, s) = (plan.chains, plan.p, Stat::COUNT);
        let steps = u64::from(span.draws * span.thin);
        self.steps += steps;
        let now = steps as f64 / took.as_secs_f64().max(1e-9);
        self.rate = if self.rate.is_nan() {
            now
        } else {
            0.7 * self.rate + 0.3 * now
        };
        if !span.warmup {
            self.fallbacks += raw.fallbacks;
            self.chain_steps += steps * c as u64;
        }

        if let Some(error) = fault::stopped(self.prepared) {
            return (None, Some(error));
        }
        let mut fault = raw.faults.iter().min_by_key(|f| (f.step, f.chain)).copied();
        // Draw i is the state before step first + i·thin: it counts if every chain was still good at that step.
        let mut len = span.draws as usize;
        if let Some(f) = fault {
            len = len.min((f.step.saturating_sub(span.first_step)).div_ceil(span.thin) as usize);
        }
        let mut values = vec![0.0; len * c * p];
        for (row, (w, theta)) in raw.omega.chunks(p).zip(values.chunks_mut(p)).enumerate() {
            self.prepared.problem.report(w, theta);
            let finite = w.iter().chain(theta.iter()).all(|v| v.is_finite())
                && !raw.stats[row * s + Stat::Lp.at()].is_infinite();
            if !finite {
                len = row / c;
                let step = span.first_step + len as u32 * span.thin;
                let own = Fault {
                    chain: (row % c) as u32,
                    step,
                    kind: FaultKind::Diverged,
                };
                fault = fault.filter(|f| f.step < step).or(Some(own));
                break;
            }
        }
        values.truncate(len * c * p);
        let mut stats = raw.stats;
        stats.truncate(len * c * s);
        for row in stats.chunks_mut(s) {
            row[Stat::Lp.at()] += self.prepared.problem.log_norm;
            row[Stat::LpMinibatch.at()] += self.prepared.problem.log_norm;
        }
        if !span.warmup {
            self.watch.take(&stats);
        }
        let mut error = fault.map(|f| fault::numbers(self.prepared, f));
        if error.is_none() {
            error = self.judge(JUDGED_FROM);
        }
        if span.warmup {
            // A remainder shorter than one draw has another thinning, and is not kept.
            let kept = self.prepared.config.run.save_warmup && span.thin == plan.thin as u32;
            if !kept || len == 0 {
                return (None, error);
            }
            let first = self.warmup_draws as usize;
            self.warmup_draws += len as u64;
            let block = DrawBlock {
                warmup: true,
                first_draw: first,
                len,
                values,
                stats,
                predicted: None,
            };
            return (Some(block), error);
        }
        if len == 0 {
            return (None, error);
        }
        self.divergences += stats
            .chunks(s)
            .filter(|row| row[Stat::Diverging.at()] != 0.0)
            .count() as u64;
        let numbers = len * c * p;
        let gradient = raw.gradient.get(..numbers).unwrap_or(&[]);
        self.meter.take(&raw.omega[..numbers], gradient);
        self.temperature.measure(
            self.prepared,
            &raw.omega[(len - 1) * c * p..len * c * p],
            &stats,
        );
        if plan.network.is_some() {
            self.last = raw.omega[(len - 1) * c * p..len * c * p].to_vec();
        }
        // The sums cover the whole span: for a part of it the CPU side makes them again.
        let whole = len == span.draws as usize;
        let predicted = raw.predicted.filter(|_| whole);
        let first_draw = self.draws as usize;
        self.draws += len as u64;
        (
            Some(DrawBlock {
                warmup: false,
                first_draw,
                len,
                values,
                stats,
                predicted,
            }),
            error,
        )
    }

    fn judge(&self, from: u64) -> Option<RunError> {
        if let Some(stray) = self.watch.stray() {
            return Some(fault::stray(self.prepared, stray));
        }
        let share = self.fallback_share();
        (self.chain_steps > from && share > MAX_FALLBACK_SHARE)
            .then(|| fault::fallbacks(self.prepared, share))
    }

    fn fallback_share(&self) -> f64 {
        if self.chain_steps == 0 {
            0.0
        } else {
            self.fallbacks as f64 / self.chain_steps as f64
        }
    }

    fn progress(&self, span: Span) -> Progress {
        let total = self.prepared.plan.steps() as u64;
        Progress {
            warmup: span.warmup,
            steps: self.steps,
            steps_total: total,
            draws: self.draws,
            steps_per_second: self.rate,
            eta_seconds: total.saturating_sub(self.steps) as f64 / self.rate,
            temperature: self.temperature.mean(),
            divergences: self.divergences,
            fallbacks: self.fallbacks,
        }
    }

    fn outcome(&self, ending: Ending) -> Outcome {
        Outcome {
            ending,
            draws: self.draws,
            steps: self.steps,
            seconds: self.seconds(),
            divergences: self.divergences,
            fallbacks: self.fallbacks,
            fallback_share: self.fallback_share(),
            gain: gain::of_network(&self.prepared.problem, &self.last),
            gauges: self.meter.read(self.prepared),
        }
    }
}

/// Running mean of the temperature T̂ for the progress line.
#[derive(Default)]
struct Temperature {
    sum: f64,
    count: f64,
    /// M at the mode, `[P,P]`; only where draws have no log density.
    metric: Option<Vec<f64>>,
}

impl Temperature {
    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    /// Uses lp where it is known, otherwise the distance of the last draw to the mode.
    fn measure(&mut self, prepared: &Prepared, last: &[f64], stats: &[f64]) {
        let (Some(mode), plan) = (&prepared.mode, &prepared.plan) else {
            return;
        };
        let p = plan.p;
        if plan.full_log_density() {
            let at_mode = prepared.problem.log_norm - mode.cost;
            for row in stats.chunks(Stat::COUNT) {
                self.sum += 2.0 * (at_mode - row[Stat::Lp.at()]) / p as f64;
                self.count += 1.0;
            }
        } else if let Some(metric) = &self.metric {
            for omega in last.chunks(p) {
                let away: Vec<f64> = omega.iter().zip(&mode.omega).map(|(w, m)| w - m).collect();
                let energy: f64 = metric
                    .chunks(p)
                    .zip(&away)
                    .map(|(row, a)| a * row.iter().zip(&away).map(|(m, b)| m * b).sum::<f64>())
                    .sum();
                self.sum += energy / p as f64;
                self.count += 1.0;
            }
        }
    }
}
