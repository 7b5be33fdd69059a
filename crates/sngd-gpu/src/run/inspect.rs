//! What is asked of a loop at rest: the state, a buffer as it lies, and how long each stage takes.

use super::Loop;
use crate::spec::When;
use sngd_core::engine::{ChainState, EngineError};
use sngd_core::plan::Metric;
use std::time::Instant;

impl Loop {
    /// Milliseconds of each stage of a step, or of `only` one, each of its dispatches run alone `repeats` times in a
    /// submission; ω is put back afterwards.
    pub(super) fn time(
        &mut self,
        repeats: usize,
        only: Option<String>,
    ) -> Result<Vec<(String, f64)>, EngineError> {
        let mut now = self.now(0).0;
        now.first = 0;
        let omega = self.buffers.read(&self.gpu, "omega")?;
        let status = self.buffers.read(&self.gpu, "status")?;
        self.gpu
            .queue
            .write_buffer(self.buffers.get("now")?, 0, bytemuck::bytes_of(&now));
        let mut out: Vec<(String, f64)> = Vec::new();
        for i in 0..self.passes.len() {
            let stage = self.passes[i].stage;
            if self.passes[i].when == When::Once || only.as_deref().is_some_and(|o| o != stage) {
                continue;
            }
            // A whole step first: drivers compile then, and the stage finds what it expects.
            for j in 0..self.passes.len() {
                if self.passes[j].when != When::Once {
                    self.repeat(j, 1)?;
                }
            }
            let start = Instant::now();
            self.repeat(i, repeats)?;
            let ms = 1e3 * start.elapsed().as_secs_f64() / repeats as f64;
            match out.iter_mut().find(|(n, _)| n == stage) {
                Some((_, t)) => *t += ms,
                None => out.push((stage.into(), ms)),
            }
        }
        self.gpu
            .queue
            .write_buffer(self.buffers.get("omega")?, 0, bytemuck::cast_slice(&omega));
        self.gpu.queue.write_buffer(
            self.buffers.get("status")?,
            0,
            bytemuck::cast_slice(&status),
        );
        Ok(out)
    }

    pub(super) fn repeat(&self, pass: usize, repeats: usize) -> Result<(), EngineError> {
        let p = &self.passes[pass];
        let mut encoder = self.gpu.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            pass.set_pipeline(&p.pipeline);
            for _ in 0..repeats {
                p.bind(&mut pass, 0);
                pass.dispatch_workgroups(p.grid[0], p.grid[1], p.grid[2]);
            }
        }
        self.gpu.queue.submit([encoder.finish()]);
        self.gpu.wait(None)
    }

    pub(super) fn inspect(&self, name: &str) -> Result<Vec<f32>, EngineError> {
        self.buffers.read(&self.gpu, name)
    }

    pub(super) fn state(&mut self) -> Result<ChainState, EngineError> {
        let omega = self.buffers.read(&self.gpu, "omega")?;
        let count = self.shape.c * self.shape.p;
        let mut second_moment = Vec::new();
        if self.plan.metric == Metric::RmsProp {
            let metric = self.buffers.read(&self.gpu, "metric")?;
            second_moment = metric
                .chunks_exact(4)
                .take(count)
                .map(|m| f64::from(m[3]))
                .collect();
        }
        Ok(ChainState {
            step: self.next_step,
            omega: omega[..count].iter().map(|&w| f64::from(w)).collect(),
            second_moment,
        })
    }
}
