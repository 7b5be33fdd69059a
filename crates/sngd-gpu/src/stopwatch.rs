//! How long dispatches take: by the device's own clock where it has timestamp queries, else by the CPU's, which counts the
//! way to the device and back too.

use crate::device::Gpu;
use sngd_core::engine::EngineError;
use std::time::{Duration, Instant};

/// Bytes of the two timestamps, in ticks of the device's clock.
const BYTES: u64 = 2 * wgpu::QUERY_SIZE as u64;

impl Gpu {
    /// Whether stages are timed by the device's own clock.
    pub fn has_timestamps(&self) -> bool {
        let features = self.device.features();
        features.contains(wgpu::Features::TIMESTAMP_QUERY)
    }
}

/// Submits the dispatches that `record` adds to a pass, waits for the device for as long as `patience`, and returns the milliseconds that they took.
///
/// # Errors
/// Where the device fails.
pub fn time(
    gpu: &Gpu,
    patience: Duration,
    record: impl FnOnce(&mut wgpu::ComputePass<'_>),
) -> Result<f64, EngineError> {
    let queries = gpu.has_timestamps().then(|| {
        gpu.device.create_query_set(&wgpu::QuerySetDescriptor {
            label: Some("stopwatch"),
            ty: wgpu::QueryType::Timestamp,
            count: 2,
        })
    });
    let timestamp_writes = queries
        .as_ref()
        .map(|query_set| wgpu::ComputePassTimestampWrites {
            query_set,
            beginning_of_pass_write_index: Some(0),
            end_of_pass_write_index: Some(1),
        });
    let mut encoder = gpu.device.create_command_encoder(&Default::default());
    record(
        &mut encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some("stopwatch"),
            timestamp_writes,
        }),
    );
    let read = queries.map(|set| read_after(gpu, &mut encoder, &set));
    let start = Instant::now();
    gpu.queue.submit([encoder.finish()]);
    gpu.wait_for(None, patience, "a stage that is timed")?;
    let by_cpu = 1e3 * start.elapsed().as_secs_f64();
    let Some(read) = read else { return Ok(by_cpu) };
    let view = read
        .get_mapped_range(..)
        .map_err(|e| EngineError::Device(format!("reading timestamps back failed: {e}")))?;
    let ticks: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
    let ns = f64::from(gpu.queue.get_timestamp_period());
    let by_device = match ticks[..] {
        [begun, ended] if ended > begun => 1e-6 * ns * (ended - begun) as f64,
        // A clock that stood still, or ran over in between.
        _ => by_cpu,
    };
    Ok(by_device)
}

/// Records that the timestamps are copied into a buffer, which is mapped once the submission is done.
fn read_after(gpu: &Gpu, encoder: &mut wgpu::CommandEncoder, set: &wgpu::QuerySet) -> wgpu::Buffer {
    let buffer = |usage| {
        gpu.device.create_buffer(&wgpu::BufferDescriptor {
            label: Some("stopwatch"),
            size: BYTES,
            usage,
            mapped_at_creation: false,
        })
    };
    let resolved = buffer(wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC);
    let read = buffer(wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::MAP_READ);
    encoder.resolve_query_set(set, 0..2, &resolved, 0);
    encoder.copy_buffer_to_buffer(&resolved, 0, &read, 0, BYTES);
    encoder.map_buffer_on_submit(&read, wgpu::MapMode::Read, .., |_| {});
    read
}
