//! Runs one kernel over one input buffer on the default adapter.
#![allow(clippy::print_stdout, reason = "a skipped test says so aloud")]

use bytemuck::{Pod, cast_slice, pod_collect_to_vec};
use sngd_shaders::{Consts, ModelSource, link_text};
use std::sync::OnceLock;
use wgpu::{
    Adapter, BindGroupDescriptor, BindGroupEntry, BufferDescriptor, BufferUsages,
    CommandEncoderDescriptor, ComputePassDescriptor, ComputePipelineDescriptor, Device,
    DeviceDescriptor, Instance, InstanceDescriptor, MapMode, PollType, Queue,
    RequestAdapterOptions, ShaderModuleDescriptor, ShaderSource,
};

/// A device with WebGPU's default limits.
pub struct Gpu {
    device: Device,
    queue: Queue,
}

/// The device, opened once. Without a device it is `None` and prints a line, or fails where `SNGD_TEST_DRIVER` names a driver.
pub fn gpu() -> Option<&'static Gpu> {
    static GPU: OnceLock<Result<Gpu, String>> = OnceLock::new();
    match GPU.get_or_init(open) {
        Ok(gpu) => Some(gpu),
        Err(reason) => {
            let promised = std::env::var("SNGD_TEST_DRIVER").ok();
            if let Some(driver) = promised.filter(|d| d != "none") {
                panic!("SNGD_TEST_DRIVER is {driver}, but no Vulkan device answers: {reason}");
            }
            println!("SKIPPED: no Vulkan device answers: {reason}");
            None
        }
    }
}

fn open() -> Result<Gpu, String> {
    let instance = Instance::new(InstanceDescriptor::new_without_display_handle());
    let adapter: Adapter =
        pollster::block_on(instance.request_adapter(&RequestAdapterOptions::default()))
            .map_err(|e| e.to_string())?;
    println!("on {}", adapter.get_info().name);
    let device = pollster::block_on(adapter.request_device(&DeviceDescriptor::default()));
    let (device, queue) = device.map_err(|e| e.to_string())?;
    Ok(Gpu { device, queue })
}

impl Gpu {
    /// Runs entry point `main` of `wgsl` with `threads` threads in workgroups of 64, and returns `out` numbers.
    pub fn run<I: Pod, O: Pod>(
        &self,
        wgsl: &str,
        model: Option<&ModelSource>,
        threads: usize,
        input: &[I],
        out: usize,
    ) -> Vec<O> {
        let linked = link_text("test.wgsl", wgsl, &Consts::new(), model).unwrap();
        linked.validate().unwrap_or_else(|e| panic!("{e}"));
        let module = self.device.create_shader_module(ShaderModuleDescriptor {
            label: None,
            source: ShaderSource::Wgsl(linked.wgsl.into()),
        });
        let pipeline = self
            .device
            .create_compute_pipeline(&ComputePipelineDescriptor {
                label: None,
                layout: None,
                module: &module,
                entry_point: Some("main"),
                compilation_options: Default::default(),
                cache: None,
            });
        let buffer = |size: usize, usage| {
            self.device.create_buffer(&BufferDescriptor {
                label: None,
                size: size as u64,
                usage,
                mapped_at_creation: false,
            })
        };
        let bytes = out * size_of::<O>();
        let from = buffer(
            size_of_val(input),
            BufferUsages::STORAGE | BufferUsages::COPY_DST,
        );
        let to = buffer(bytes, BufferUsages::STORAGE | BufferUsages::COPY_SRC);
        let back = buffer(bytes, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        self.queue.write_buffer(&from, 0, cast_slice(input));
        let group = self.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &pipeline.get_bind_group_layout(0),
            entries: &[
                BindGroupEntry {
                    binding: 0,
                    resource: from.as_entire_binding(),
                },
                BindGroupEntry {
                    binding: 1,
                    resource: to.as_entire_binding(),
                },
            ],
        });
        let mut encoder = self
            .device
            .create_command_encoder(&CommandEncoderDescriptor::default());
        {
            let mut pass = encoder.begin_compute_pass(&ComputePassDescriptor::default());
            pass.set_pipeline(&pipeline);
            pass.set_bind_group(0, &group, &[]);
            pass.dispatch_workgroups(threads.div_ceil(64) as u32, 1, 1);
        }
        encoder.copy_buffer_to_buffer(&to, 0, &back, 0, bytes as u64);
        self.queue.submit([encoder.finish()]);
        back.map_async(MapMode::Read, .., |mapped| mapped.unwrap());
        let wait = PollType::Wait {
            submission_index: None,
            timeout: None,
        };
        self.device.poll(wait).unwrap();
        let view = back.get_mapped_range(..).unwrap();
        pod_collect_to_vec(&view[..])
    }
}

/// Error of `found` in units of the allowed one, which is `relative` times `truth`, plus 1e-6 of terms of size `scale` that
/// may cancel, plus 3e-36, which is 200 trials of f32's smallest normal number. At most 1 where the test passes.
pub fn error(found: f32, truth: f64, relative: f64, scale: f64) -> f64 {
    let bound = relative * truth.abs() + 1e-6 * scale + 3e-36;
    let apart = (f64::from(found) - truth).abs();
    if apart.is_nan() {
        f64::INFINITY
    } else {
        apart / bound
    }
}
