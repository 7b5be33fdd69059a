//! The device buffers of an engine, allocated once, and the data that is uploaded into them.

use crate::buffer::Buffer;
use crate::device::Gpu;
use crate::features;
use crate::network::place;
use crate::shape::Shape;
use crate::sizes::{SLICE, Sizes};
use sngd_core::engine::EngineError;
use sngd_core::features::Features;
use sngd_core::plan::{Metric, Plan};
use sngd_core::prior::Prior;
use sngd_core::problem::Problem;
use sngd_shaders::Code;
use std::collections::HashMap;

/// Device buffers by name.
#[derive(Debug)]
pub struct Buffers(HashMap<Buffer, wgpu::Buffer>);

impl Buffers {
    /// Allocates all buffers, filled with zeros.
    pub fn new(gpu: &Gpu, sizes: &Sizes) -> Buffers {
        let make = |&(buffer, bytes): &(Buffer, u64)| {
            let usage = wgpu::BufferUsages::COPY_DST
                | wgpu::BufferUsages::COPY_SRC
                | if buffer.is_uniform() {
                    wgpu::BufferUsages::UNIFORM
                } else {
                    wgpu::BufferUsages::STORAGE
                };
            let allocated = gpu.device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(buffer.name()),
                size: bytes.next_multiple_of(16),
                usage,
                mapped_at_creation: false,
            });
            (buffer, allocated)
        };
        Buffers(sizes.buffers.iter().map(make).collect())
    }

    /// The buffer as it is on the device.
    ///
    /// # Errors
    /// Where the plan has no such buffer.
    pub fn get(&self, buffer: Buffer) -> Result<&wgpu::Buffer, EngineError> {
        self.0.get(&buffer).ok_or_else(|| {
            EngineError::Device(format!(
                "found a use of buffer \"{}\", expected one that this plan has",
                buffer.name()
            ))
        })
    }

    /// Writes data to a buffer, from its start.
    pub(crate) fn write<T: bytemuck::NoUninit>(
        &self,
        gpu: &Gpu,
        buffer: Buffer,
        data: &[T],
    ) -> Result<(), EngineError> {
        if !data.is_empty() {
            gpu.queue
                .write_buffer(self.get(buffer)?, 0, bytemuck::cast_slice(data));
        }
        Ok(())
    }

    /// Uploads the data, the priors, the transform and the starting points `init`, `[C,P]` in internal coordinates.
    pub fn upload(
        &self,
        gpu: &Gpu,
        problem: &Problem,
        plan: &Plan,
        shape: &Shape,
        init: &[f64],
    ) -> Result<(), EngineError> {
        let narrow = |v: &[f64]| -> Vec<f32> { v.iter().map(|&x| x as f32).collect() };
        let held = problem.held_out.as_ref().filter(|_| shape.held.is_some());
        let inside = held.and_then(|_| problem.held_out_internal());
        let mut obs: Vec<[f32; 2]> = Vec::with_capacity(shape.n * shape.row_pairs);
        let mut push = |seen: [f64; 2], more: [f64; 2]| {
            let pairs = [seen, more].map(|pair| pair.map(|v| v as f32));
            obs.extend_from_slice(&pairs[..shape.row_pairs]);
        };
        let of = |column: &[f64], i: usize, none: f64| column.get(i).copied().unwrap_or(none);
        for i in 0..shape.n {
            let o = problem.observed(i);
            let (offset, weight) = (of(&problem.offset, i, 0.0), of(&problem.weights, i, 1.0));
            push([o.y, o.trials], [offset, weight]);
        }
        if let (Some(held), Some((_, y))) = (held, &inside) {
            for (i, &y) in y.iter().enumerate() {
                let offset = of(&held.offset, i, 0.0) / problem.transform.y_scale;
                push([y, of(&held.trials, i, 1.0)], [offset, 1.0]);
            }
        }
        let held = inside.as_ref().map(|(x, _)| x);
        let parts: Vec<&Features> = [Some(&problem.x), held].into_iter().flatten().collect();
        self.write(gpu, Buffer::X, &features::pack(&parts, plan.storage))?;
        self.write(gpu, Buffer::Obs, &obs)?;
        let mut prior: Vec<[f32; 4]> = problem
            .priors
            .iter()
            .map(|p| (p.code(), p.arguments()))
            .chain(problem.scale_prior.map(|p| (p.code(), p.arguments())))
            .map(|(kind, [a, b, c])| [kind as f32, a as f32, b as f32, c as f32])
            .collect();
        prior.resize(shape.p, [Prior::Flat.code() as f32, 0.0, 0.0, 1.0]);
        self.write(gpu, Buffer::Prior, &prior)?;
        let mut information: Vec<f64> = problem.priors.iter().map(|p| p.information()).collect();
        information.resize(shape.p, 0.0);
        self.write(gpu, Buffer::Information, &narrow(&information))?;
        let t = &problem.prior_transform;
        let affine: Vec<[f32; 2]> = t
            .mean
            .iter()
            .zip(&t.scale)
            .map(|(&m, &s)| [m as f32, (t.y_scale / s) as f32])
            .collect();
        self.write(gpu, Buffer::Affine, &affine)?;
        self.write(gpu, Buffer::Place, &place(plan, shape.net.as_ref()))?;
        let undamped = problem.prior_information_in(&plan.blocks);
        // RMSProp has a separate floor, so nothing but the prior's curvature is added.
        let damping = if plan.metric == Metric::RmsProp {
            0.0
        } else {
            plan.damping
        };
        let mut ridge = vec![0.0; plan.blocks.len];
        for block in &plan.blocks.blocks {
            for i in 0..block.size {
                ridge[block.at + i * (block.size + 1)] = plan.observations() * damping;
            }
        }
        let added: Vec<f64> = undamped.iter().zip(&ridge).map(|(a, b)| a + b).collect();
        self.write(gpu, Buffer::Added, &narrow(&added))?;
        if plan.split_volume() && shape.dense {
            self.write(gpu, Buffer::AddedUndamped, &narrow(&undamped))?;
            self.write(gpu, Buffer::Ridge, &narrow(&ridge))?;
        }
        self.write(gpu, Buffer::Tiles, &shape.tiles)?;
        let mut panels = vec![0u32; shape.panels() * SLICE / 4];
        for i in 0..shape.panels() {
            panels[i * SLICE / 4] = i as u32;
        }
        self.write(gpu, Buffer::Panel, &panels)?;
        self.write(gpu, Buffer::Omega, &narrow(init))
    }

    /// Reads a whole buffer back as f32. It waits for the device: for the state and for tests, not for the loop.
    pub fn read(&self, gpu: &Gpu, buffer: Buffer) -> Result<Vec<f32>, EngineError> {
        read_back(gpu, self.get(buffer)?).map_err(|e| {
            let name = buffer.name();
            EngineError::Device(format!("reading \"{name}\" back failed: {e}"))
        })
    }
}

/// Reads a whole buffer back as f32, waiting for the device.
pub(crate) fn read_back(gpu: &Gpu, source: &wgpu::Buffer) -> Result<Vec<f32>, EngineError> {
    let staging = gpu.device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("read"),
        size: source.size(),
        usage: wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ,
        mapped_at_creation: false,
    });
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    encoder.copy_buffer_to_buffer(source, 0, &staging, 0, source.size());
    encoder.map_buffer_on_submit(&staging, wgpu::MapMode::Read, .., |_| {});
    gpu.queue.submit([encoder.finish()]);
    gpu.wait_for(None, gpu.patience(0.0, false), "a copy")?;
    let view = staging
        .get_mapped_range(..)
        .map_err(|e| EngineError::Device(e.to_string()))?;
    Ok(bytemuck::pod_collect_to_vec(&view))
}
