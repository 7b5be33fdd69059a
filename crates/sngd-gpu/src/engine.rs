//! The GPU's implementation of the trait `Engine`: it sends spans to the loop's thread and receives blocks of draws from it.

use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::{Gpu, Tuning};
use crate::fit::check_fit;
use crate::kernel::{Kernels, Pass};
use crate::mode;
use crate::recipe::recipe;
use crate::run::{Command, Loop};
use crate::shape::Shape;
use crate::sizes::Sizes;
use crate::steps::StateSteps;
use sngd_core::engine::{ChainState, Engine, EngineError, EngineInfo, RawBlock, Span};
use sngd_core::likelihood::Likelihood;
use sngd_core::plan::{Metric, Plan};
use sngd_core::problem::Problem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

/// An engine that runs all chains on a GPU.
#[derive(Debug)]
pub struct GpuEngine {
    info: EngineInfo,
    commands: Option<Sender<Command>>,
    blocks: Receiver<Result<RawBlock, EngineError>>,
    thread: Option<JoinHandle<()>>,
    error: Option<EngineError>,
    in_flight: usize,
    stop: Arc<AtomicBool>,
}

impl GpuEngine {
    /// Loads a problem onto the device and starts chains at `init`, `[C,P]` in internal coordinates.
    pub fn new(
        gpu: Gpu,
        problem: &Problem,
        plan: &Plan,
        init: &[f64],
    ) -> Result<GpuEngine, EngineError> {
        if init.len() != plan.chains * plan.p {
            return Err(EngineError::Misuse(format!(
                "found {} initial numbers, expected {} chains of {} parameters",
                init.len(),
                plan.chains,
                plan.p
            )));
        }
        if let Likelihood::Custom(own) = &problem.likelihood
            && own.wgsl.is_none()
        {
            return Err(EngineError::NoDevice(format!(
                "the likelihood \"{}\" has no WGSL body, which the GPU engine needs; give it one, or set run.device = \"cpu\"",
                own.name
            )));
        }
        let (send, blocks) = channel();
        let (commands, receive) = channel();
        let stop = Arc::new(AtomicBool::new(false));
        let serve: Box<dyn FnOnce(Receiver<Command>) + Send> = if plan.metric == Metric::Mode {
            let loaded = mode::load(&gpu, problem, plan, init)?;
            let staging = loaded.staging;
            let steps = mode::ModeSteps::new(plan.clone(), loaded);
            let run = Loop::new(gpu.clone(), steps, staging, send, Arc::clone(&stop));
            Box::new(move |commands| run.serve(commands))
        } else {
            let shape = Shape::new(plan, gpu.tuning == Tuning::Software);
            let sizes = Sizes::new(plan, &shape);
            let limits = gpu.device.limits();
            check_fit(
                plan,
                &shape,
                &sizes,
                (
                    limits.max_storage_buffer_binding_size,
                    limits.max_buffer_size,
                    limits.max_compute_workgroups_per_dimension,
                ),
            )?;
            let (buffers, passes) = load(&gpu, problem, plan, &shape, &sizes, init)?;
            let norm = problem.prior_norm;
            let steps = StateSteps::new(plan.clone(), shape, buffers, passes, norm);
            let run = Loop::new(gpu.clone(), steps, sizes.staging, send, Arc::clone(&stop));
            Box::new(move |commands| run.serve(commands))
        };
        let thread = std::thread::Builder::new()
            .name("sngd-gpu".into())
            .spawn(move || serve(receive))
            .map_err(|e| EngineError::Device(format!("the device's thread did not start: {e}")))?;
        Ok(GpuEngine {
            info: EngineInfo {
                kind: "gpu",
                device: gpu.info.name.clone(),
                driver: format!("{} ({})", gpu.info.driver, gpu.info.backend),
            },
            commands: Some(commands),
            blocks,
            thread: Some(thread),
            error: None,
            in_flight: 0,
            stop,
        })
    }

    /// Milliseconds that each stage of a step takes when it runs alone, as a mean over `repeats` runs. The chains do not
    /// move. Stages have the names that `dispatches` gives them.
    pub fn time_stages(&mut self, repeats: usize) -> Result<Vec<(String, f64)>, EngineError> {
        self.time(repeats, None)
    }

    /// The same for one stage, all its dispatches together.
    pub fn time_stage(&mut self, stage: &str, repeats: usize) -> Result<f64, EngineError> {
        match self.time(repeats, Some(stage.into()))?.pop() {
            Some((_, ms)) => Ok(ms),
            None => Err(EngineError::Misuse(format!(
                "no dispatch of this plan is of stage \"{stage}\""
            ))),
        }
    }

    fn time(
        &mut self,
        repeats: usize,
        only: Option<String>,
    ) -> Result<Vec<(String, f64)>, EngineError> {
        let (send, receive) = channel();
        self.send(Command::Time(repeats.max(1), only, send))?;
        receive.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    /// The content of a device buffer after the last step, padded to 16 bytes, with integers as the bits of f32. For tests.
    #[doc(hidden)]
    pub fn inspect(&mut self, buffer: Buffer) -> Result<Vec<f32>, EngineError> {
        let (send, receive) = channel();
        self.send(Command::Inspect(buffer, send))?;
        receive.recv().unwrap_or_else(|_| Err(self.gone()))
    }

    fn send(&mut self, command: Command) -> Result<(), EngineError> {
        if let Some(e) = &self.error {
            return Err(e.clone());
        }
        let sent = self
            .commands
            .as_ref()
            .is_some_and(|c| c.send(command).is_ok());
        if sent { Ok(()) } else { Err(self.gone()) }
    }

    /// The error that ended the loop's thread.
    fn gone(&mut self) -> EngineError {
        while let Ok(block) = self.blocks.try_recv() {
            if let Err(e) = block {
                self.error.get_or_insert(e);
            }
        }
        self.error
            .get_or_insert_with(|| EngineError::Device("the device's thread ended".into()))
            .clone()
    }
}

/// Allocates and fills the buffers, and compiles the kernels.
pub(crate) fn load(
    gpu: &Gpu,
    problem: &Problem,
    plan: &Plan,
    shape: &Shape,
    sizes: &Sizes,
    init: &[f64],
) -> Result<(Buffers, Vec<Pass>), EngineError> {
    let memory = gpu.device.push_error_scope(wgpu::ErrorFilter::OutOfMemory);
    let buffers = Buffers::new(gpu, sizes);
    if let Some(e) = pollster::block_on(memory.pop()) {
        return Err(EngineError::DoesNotFit(format!(
            "the device has no {} MiB for this run ({e}); use fewer chains",
            sizes.total() >> 20
        )));
    }
    buffers.upload(gpu, problem, plan, shape, init)?;
    let mut kernels = Kernels::new(gpu, problem, plan, shape);
    let passes = recipe(plan, shape)
        .iter()
        .map(|s| kernels.pass(s, &buffers))
        .collect::<Result<Vec<_>, _>>()?;
    gpu.check()?;
    Ok((buffers, passes))
}

impl Engine for GpuEngine {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn enqueue(&mut self, span: Span) -> Result<(), EngineError> {
        self.send(Command::Run(span))?;
        self.in_flight += 1;
        Ok(())
    }

    fn collect(&mut self) -> Result<RawBlock, EngineError> {
        if let Some(e) = &self.error {
            return Err(e.clone());
        }
        if self.in_flight == 0 {
            return Err(EngineError::Misuse(
                "collect: found no span, expected one that was enqueued".into(),
            ));
        }
        self.in_flight -= 1;
        match self.blocks.recv() {
            Ok(Ok(block)) => Ok(block),
            Ok(Err(e)) => {
                self.error = Some(e.clone());
                Err(e)
            }
            Err(_) => Err(self.gone()),
        }
    }

    fn depth(&self) -> usize {
        3
    }

    fn state(&mut self) -> Result<ChainState, EngineError> {
        let (send, receive) = channel();
        self.send(Command::State(send))?;
        match receive.recv() {
            Ok(state) => state,
            Err(_) => Err(self.gone()),
        }
    }

    fn restore(&mut self, state: &ChainState) -> Result<(), EngineError> {
        let (send, receive) = channel();
        self.send(Command::Restore(Box::new(state.clone()), send))?;
        receive.recv().unwrap_or_else(|_| Err(self.gone()))
    }
}

impl Drop for GpuEngine {
    fn drop(&mut self) {
        // Nobody needs what is still queued: the loop ends after the current submission.
        self.stop.store(true, Ordering::Release);
        self.commands = None;
        if let Some(t) = self.thread.take() {
            let _ = t.join();
        }
    }
}
