//! How fast a device multiplies matrices: the upper limit that its steps are compared with.

use crate::buffers::read_back;
use crate::device::Gpu;
use sngd_core::engine::EngineError;
use sngd_shaders::{Consts, link};
use std::time::Instant;

/// Number of rows and of columns of the matrices.
const SIDE: u32 = 1024;

impl Gpu {
    /// GFLOP/s of an f32 product of two 1024 × 1024 matrices in a plain kernel of WGSL: by tiles in shared memory or straight
    /// from memory, whichever is faster on this device. It is the best of several turns, which take about `seconds` in all.
    ///
    /// # Errors
    /// Where the device fails or computes a wrong product.
    pub fn product_rate(&self, seconds: f64) -> Result<f64, EngineError> {
        let mut best = 0.0f64;
        for (entry, groups) in [
            ("shared_tiles", [SIDE / 64, SIDE / 64]),
            ("straight", [SIDE / 64, SIDE / 4]),
        ] {
            best = best.max(self.time_product(entry, groups, 0.5 * seconds)?);
        }
        Ok(best)
    }

    fn time_product(
        &self,
        entry: &str,
        groups: [u32; 2],
        seconds: f64,
    ) -> Result<f64, EngineError> {
        let failed = |e: &dyn std::fmt::Display| {
            EngineError::Device(format!("the product of the bench: {e}"))
        };
        let linked = link("bench/product.wgsl", &Consts::new().u32("N", SIDE), None)
            .map_err(|e| failed(&e))?;
        let n = SIDE as usize;
        let (left, right) = (matrix(n, 3), matrix(n, 5));
        let device = &self.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let desc = wgpu::ShaderModuleDescriptor {
            label: Some(entry),
            source: wgpu::ShaderSource::Wgsl(linked.wgsl.into()),
        };
        // SAFETY: `groups` times a workgroup's tile is the whole of C, and no index passes N·N/4.
        let module = unsafe {
            device.create_shader_module_trusted(desc, wgpu::ShaderRuntimeChecks::unchecked())
        };
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(entry),
            layout: None,
            module: &module,
            entry_point: Some(entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        let buffer = |label, usage| {
            device.create_buffer(&wgpu::BufferDescriptor {
                label: Some(label),
                size: (4 * n * n) as u64,
                usage: usage | wgpu::BufferUsages::COPY_DST | wgpu::BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            })
        };
        let [a, b, c] = ["a", "b", "c"].map(|name| buffer(name, wgpu::BufferUsages::STORAGE));
        self.queue.write_buffer(&a, 0, bytemuck::cast_slice(&left));
        self.queue.write_buffer(&b, 0, bytemuck::cast_slice(&right));
        let bound = [&a, &b, &c];
        let entries: Vec<wgpu::BindGroupEntry<'_>> = (0..3)
            .map(|i| wgpu::BindGroupEntry {
                binding: i,
                resource: bound[i as usize].as_entire_binding(),
            })
            .collect();
        let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
            label: Some(entry),
            layout: &pipeline.get_bind_group_layout(0),
            entries: &entries,
        });
        if let Some(e) = pollster::block_on(scope.pop()) {
            return Err(failed(&e));
        }
        let run = |times: u32| -> Result<f64, EngineError> {
            let mut encoder = device.create_command_encoder(&Default::default());
            for _ in 0..times {
                let mut pass = encoder.begin_compute_pass(&Default::default());
                pass.set_pipeline(&pipeline);
                pass.set_bind_group(0, &group, &[]);
                pass.dispatch_workgroups(groups[0], groups[1], 1);
            }
            let lap = Instant::now();
            let sent = self.queue.submit([encoder.finish()]);
            let price = 2.0 * f64::from(SIDE).powi(3) * f64::from(times);
            self.wait_for(
                Some(sent),
                self.patience(price, true),
                "a product of matrices",
            )?;
            Ok(lap.elapsed().as_secs_f64() / f64::from(times))
        };
        // The first turn compiles; the second shows how many products fill a tenth of the time.
        run(1)?;
        let times = (0.1 * seconds / run(1)?).clamp(1.0, 200.0) as u32;
        let begun = Instant::now();
        let mut least = f64::INFINITY;
        while begun.elapsed().as_secs_f64() < seconds {
            least = least.min(run(times)?);
        }
        self.check_product(&c, &left, &right)?;
        Ok(2.0 * f64::from(SIDE).powi(3) / least / 1e9)
    }

    /// Compares some entries of C with sums computed here. All are small whole numbers, which f32 represents exactly.
    fn check_product(
        &self,
        c: &wgpu::Buffer,
        left: &[f32],
        right: &[f32],
    ) -> Result<(), EngineError> {
        let n = SIDE as usize;
        let got = read_back(self, c)?;
        for i in (0..n).step_by(37) {
            for j in (0..n).step_by(41) {
                let expected: f32 = (0..n).map(|k| left[i * n + k] * right[k * n + j]).sum();
                if got[i * n + j] != expected {
                    return Err(EngineError::Device(format!(
                        "the product of the bench is wrong on this device: found {} at row {i} and column {j}, expected {expected}",
                        got[i * n + j]
                    )));
                }
            }
        }
        Ok(())
    }
}

/// A matrix of whole numbers from −4 to 4, `[n,n]`.
fn matrix(n: usize, salt: usize) -> Vec<f32> {
    (0..n * n)
        .map(|i| ((i / n * 7 + i % n * salt) % 9) as f32 - 4.0)
        .collect()
}
