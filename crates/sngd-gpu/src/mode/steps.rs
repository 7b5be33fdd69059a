//! The steps of a plan whose metric is fixed at the mode.

use super::load::Loaded;
use super::shape::{PACE, Rows};
use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::Gpu;
use crate::run::{Steps, Stretch};
use crate::sizes::{RING, SLICE};
use bytemuck::{Pod, Zeroable};
use sngd_core::engine::{ChainState, EngineError, Fault, FaultKind, RawBlock, Span};
use sngd_core::plan::Plan;
use sngd_core::stat::Stat;
use sngd_shaders::{Code, FaultCode, MODE_STATUS, ModeStatusWord};

/// The scalars of one dispatch, laid out as the struct `ModeNow` of `mode/shared/now.wgsl`.
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
#[repr(C)]
pub struct ModeNow {
    /// Number of the dispatch's first step, t.
    pub step: u32,
    /// Number of steps that the dispatch makes.
    pub steps: u32,
    /// Number of steps since the first of the kept draws that the device now stores.
    pub done: u32,
    /// Steps per kept draw.
    pub thin: u32,
    /// 1 where the dispatch only evaluates the starting point and does not move, else 0.
    pub first: u32,
    /// Factor of the current u, 1 − ε.
    pub stay: f32,
    /// Step size ε, no unit.
    pub epsilon: f32,
    /// Standard deviation of the noise in u, √((2ε − ε²)T).
    pub spread: f32,
    /// Inverse temperature, 1/T; 0 where T is 0.
    pub inverse_temperature: f32,
    /// Factor in the acceptance test, 1/(2(2ε − ε²)T); 0 where T is 0.
    pub inverse_budget: f32,
}

/// A loaded plan, and how far its run is.
pub struct ModeSteps {
    pub(super) plan: Plan,
    pub(super) loaded: Loaded,
    looked: bool,
    /// Bytes of the scalars of all dispatches of one submission, a slice each.
    scalars: Vec<u8>,
    /// (1 − ε, ε, spread of the noise, 0) of every step of a dispatch.
    pace: Vec<[f32; 4]>,
}

impl ModeSteps {
    /// Starts before the first step, with buffers filled and kernels compiled.
    pub fn new(plan: Plan, loaded: Loaded) -> ModeSteps {
        ModeSteps {
            // Only a plan over all rows evaluates its starting point in a separate pass.
            looked: matches!(loaded.shape.rows, Rows::Few(_)),
            plan,
            loaded,
            scalars: vec![0; RING * SLICE],
            pace: Vec::with_capacity(PACE),
        }
    }

    /// Step size ε and the standard deviation of the noise at step t.
    pub(super) fn moves(&self, t: u32) -> (f64, f64) {
        let e = self.plan.step_size.at(t);
        (e, ((2.0 * e - e * e) * self.plan.temperature).sqrt())
    }

    fn now(&self, t: u32) -> ModeNow {
        let (e, spread) = self.moves(t);
        // Without an acceptance test no kernel reads either, and T may be 0.
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

    /// Records one dispatch that makes many steps.
    fn record_few(
        &mut self,
        gpu: &Gpu,
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
        let queue = &gpu.queue;
        queue.write_buffer(buffers.get(Buffer::Now)?, 0, bytemuck::bytes_of(&now));
        queue.write_buffer(
            buffers.get(Buffer::Pace)?,
            behind,
            bytemuck::cast_slice(&self.pace),
        );
        self.dispatch(encoder, 0..1);
        Ok(())
    }

    /// Records the dispatches of every step. Those that evaluate the starting point come before the engine's first step.
    fn record_all(
        &mut self,
        gpu: &Gpu,
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
            self.scalars[s * SLICE..s * SLICE + size_of::<ModeNow>()]
                .copy_from_slice(bytemuck::bytes_of(&now));
        }
        let buffer = self.loaded.buffers.get(Buffer::Now)?;
        let used = &self.scalars[..stretch.steps * SLICE];
        gpu.queue.write_buffer(buffer, 0, used);
        if !self.looked {
            let look = ModeNow {
                first: 1,
                ..self.now(t)
            };
            let at = (RING * SLICE) as u64;
            gpu.queue
                .write_buffer(buffer, at, bytemuck::bytes_of(&look));
            self.dispatch(encoder, RING..RING + 1);
            self.looked = true;
        }
        self.dispatch(encoder, 0..stretch.steps);
        Ok(())
    }

    /// Records all dispatches once for each slice of the uniform ring.
    fn dispatch(&self, encoder: &mut wgpu::CommandEncoder, slices: std::ops::Range<usize>) {
        let mut pass = encoder.begin_compute_pass(&Default::default());
        for slice in slices {
            for p in &self.loaded.passes {
                pass.set_pipeline(&p.pipeline);
                p.bind(&mut pass, (slice * SLICE) as u32);
                pass.dispatch_workgroups(p.grid[0], p.grid[1], p.grid[2]);
            }
        }
    }
}

impl Steps for ModeSteps {
    fn buffers(&self) -> &Buffers {
        &self.loaded.buffers
    }

    fn slots(&self) -> usize {
        self.loaded.shape.slots
    }

    fn most_steps(&self) -> usize {
        self.loaded.most_steps
    }

    fn kind(&self) -> &'static str {
        "with the metric at the mode"
    }

    fn price(&self, _: u32, steps: usize) -> f64 {
        let (each, _) = self.plan.flops();
        (steps * self.loaded.shape.c) as f64 * each
    }

    fn block(&self, span: Span) -> RawBlock {
        let lanes = span.draws as usize * self.loaded.shape.c;
        let p = self.loaded.shape.p;
        RawBlock {
            span,
            omega: Vec::with_capacity(lanes * p),
            stats: Vec::with_capacity(lanes * Stat::COUNT),
            gradient: Vec::with_capacity(lanes * p),
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
        match self.loaded.shape.rows {
            Rows::Few(_) => self.record_few(gpu, encoder, stretch),
            Rows::All(_) => self.record_all(gpu, encoder, stretch),
        }
    }

    fn copied(&self, slots: usize, _warmup: bool) -> Vec<(Buffer, u64)> {
        let shape = &self.loaded.shape;
        let kept = slots * shape.c * shape.kept();
        vec![
            (Buffer::Kept, 4 * kept as u64),
            (Buffer::Status, (4 * shape.c * MODE_STATUS) as u64),
        ]
    }

    fn take(&self, block: &mut RawBlock, parts: &[&[u32]]) {
        self.take_kept(block, parts[0], parts[1]);
    }

    fn judge(&self, status: &[u32]) -> (Vec<Fault>, u64) {
        let (mut faults, mut unmade) = (Vec::new(), 0);
        for (chain, words) in status.chunks_exact(MODE_STATUS).enumerate() {
            let word = |w: ModeStatusWord| words[w.code() as usize];
            unmade += u64::from(word(ModeStatusWord::Unmade));
            if word(ModeStatusWord::Fault) != FaultCode::None.code() {
                faults.push(Fault {
                    chain: chain as u32,
                    step: word(ModeStatusWord::FaultStep),
                    kind: FaultKind::Diverged,
                });
            }
        }
        (faults, unmade)
    }

    fn state(&self, gpu: &Gpu, next_step: u32) -> Result<ChainState, EngineError> {
        let shape = &self.loaded.shape;
        let state = self.loaded.buffers.read(gpu, Buffer::State)?;
        let mut exact: Vec<f64> = (state.iter().take(shape.c * shape.state()))
            .map(|&v| f64::from(v))
            .collect();
        // Where a chain is looked at before it moves, what was seen is part of its state.
        if self.looked && self.loaded.buffers.get(Buffer::Rest).is_ok() {
            let rest = self.loaded.buffers.read(gpu, Buffer::Rest)?;
            exact.extend(rest.iter().take(shape.c).map(|&v| f64::from(v)));
        }
        let mut omega = Vec::with_capacity(shape.c * shape.p);
        for chain in state.chunks(shape.state()).take(shape.c) {
            let at = omega.len();
            omega.extend(chain[..shape.p].iter().map(|&u| f64::from(u)));
            self.loaded.expansion.to_internal(&mut omega[at..]);
        }
        Ok(ChainState {
            step: next_step,
            omega,
            second_moment: Vec::new(),
            exact,
        })
    }

    fn restore(&mut self, gpu: &Gpu, state: &ChainState) -> Result<(), EngineError> {
        let shape = &self.loaded.shape;
        let buffers = &self.loaded.buffers;
        let numbers = shape.c * shape.state();
        let seen = matches!(shape.rows, Rows::All(_)) && state.exact.len() == numbers + shape.c;
        if seen || (matches!(shape.rows, Rows::Few(_)) && state.exact.len() == numbers) {
            let words: Vec<f32> = state.exact.iter().map(|&v| v as f32).collect();
            buffers.write(gpu, Buffer::State, &words[..numbers])?;
            if seen {
                buffers.write(gpu, Buffer::Rest, &words[numbers..])?;
                self.looked = true;
            }
            return Ok(());
        }
        // The state of another engine, or of one that had made no step.
        let mut words = vec![0.0f32; numbers];
        let mut u = vec![0.0; shape.p];
        let chains = words.chunks_mut(shape.state());
        for (to, omega) in chains.zip(state.omega.chunks_exact(shape.p)) {
            self.loaded.expansion.whiten(omega, &mut u);
            to.iter_mut().zip(&u).for_each(|(to, u)| *to = *u as f32);
        }
        buffers.write(gpu, Buffer::State, &words)
    }

    fn time(
        &mut self,
        gpu: &Gpu,
        repeats: usize,
        only: Option<&str>,
    ) -> Result<Vec<(String, f64)>, EngineError> {
        let moved = [Buffer::State, Buffer::Status, Buffer::Rest];
        let buffers = &self.loaded.buffers;
        let mut before = Vec::new();
        for moved in moved {
            if let Ok(buffer) = buffers.get(moved) {
                before.push((buffer, buffers.read(gpu, moved)?));
            }
        }
        let now = ModeNow {
            done: 1,
            thin: 2,
            ..self.now(0)
        };
        let (e, spread) = self.moves(0);
        let pace = [(1.0 - e) as f32, e as f32, spread as f32, 0.0];
        let queue = &gpu.queue;
        queue.write_buffer(buffers.get(Buffer::Now)?, 0, bytemuck::bytes_of(&now));
        if let Ok(buffer) = buffers.get(Buffer::Pace) {
            let behind = 4 * self.loaded.shape.p.next_multiple_of(4) as u64;
            queue.write_buffer(buffer, behind, bytemuck::cast_slice(&pace));
        }
        let price = self.price(0, 1);
        let mut out: Vec<(String, f64)> = Vec::new();
        for p in &self.loaded.passes {
            if only.is_some_and(|o| o != p.stage) {
                continue;
            }
            // Run it once first: drivers compile then.
            p.repeat(gpu, 1, price)?;
            let ms = p.repeat(gpu, repeats, price)?;
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

    /// The Rust struct has the layout that naga gives to the shader's struct.
    #[test]
    fn now_lies_as_the_shader_reads_it() {
        let root = "#import \"mode/shared/now.wgsl\"\n@compute @workgroup_size(1) fn main() { _ = now.step; }";
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
