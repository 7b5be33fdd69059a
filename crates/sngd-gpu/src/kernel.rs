//! Compiles and binds kernels. Each linked source, pipeline and bind group is made once and shared.

use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::{Gpu, SOFTWARE_ITERATIONS};
use crate::shape::Shape;
use crate::sizes::SLICE;
use crate::spec::{Spec, When};
use crate::stopwatch;
use crate::text::{Texts, bound};
use sngd_core::engine::EngineError;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_shaders::{Binding, BindingKind, Budget, LinkError, Linked, MOST_ITERATIONS};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// A dispatch that is ready to be recorded.
#[derive(Debug, Clone)]
pub struct Pass {
    /// File name of its kernel, without folder and extension.
    pub stage: &'static str,
    /// Compiled kernel.
    pub pipeline: Arc<wgpu::ComputePipeline>,
    /// Number of workgroups along x, y and z.
    pub grid: [u32; 3],
    /// Steps at which it runs.
    pub when: When,
    group: Arc<wgpu::BindGroup>,
    step_offset: bool,
    panel_offset: Option<u32>,
}

impl Pass {
    /// Binds its buffers, with the slice of the uniform ring that starts at byte `step`.
    pub fn bind(&self, pass: &mut wgpu::ComputePass<'_>, step: u32) {
        // Dynamic offsets come in order of binding: the step has binding 0, the panel 9.
        let mut offsets = [0; 2];
        let mut n = 0;
        if self.step_offset {
            offsets[n] = step;
            n += 1;
        }
        if let Some(p) = self.panel_offset {
            offsets[n] = p;
            n += 1;
        }
        pass.set_bind_group(0, &*self.group, &offsets[..n]);
    }

    /// Runs it `repeats` times and nothing else, with the scalars of the first slice, then waits for the device: for as long as
    /// steps of `price` operations may take. Returns the milliseconds of one of them.
    pub fn repeat(&self, gpu: &Gpu, repeats: usize, price: f64) -> Result<f64, EngineError> {
        let patience = gpu.patience(price * repeats as f64, true);
        let all = stopwatch::time(gpu, patience, |pass| {
            pass.set_pipeline(&self.pipeline);
            for _ in 0..repeats {
                self.bind(pass, 0);
                pass.dispatch_workgroups(self.grid[0], self.grid[1], self.grid[2]);
            }
        })?;
        Ok(all / repeats as f64)
    }
}

#[derive(Debug)]
struct Kernel {
    pipeline: Arc<wgpu::ComputePipeline>,
    layout: wgpu::BindGroupLayout,
    bindings: Vec<Binding>,
}

/// All kernels compiled so far.
#[derive(Debug)]
pub struct Kernels {
    gpu: Gpu,
    texts: Texts,
    compiled: HashMap<String, Arc<Kernel>>,
    groups: HashMap<String, Arc<wgpu::BindGroup>>,
}

impl Kernels {
    /// Starts without any compiled kernel.
    pub fn new(gpu: &Gpu, problem: &Problem, plan: &Plan, shape: &Shape) -> Kernels {
        Kernels {
            gpu: gpu.clone(),
            texts: Texts::new(problem, plan, shape),
            compiled: HashMap::new(),
            groups: HashMap::new(),
        }
    }

    /// Compiles and binds one dispatch.
    pub fn pass(&mut self, spec: &Spec, buffers: &Buffers) -> Result<Pass, EngineError> {
        let id = format!("{} {} {:?}", spec.root, spec.entry, spec.consts);
        let kernel = match self.compiled.get(&id) {
            Some(k) => Arc::clone(k),
            None => {
                let k = Arc::new(self.compile(spec)?);
                self.compiled.insert(id.clone(), Arc::clone(&k));
                k
            }
        };
        let bound = bound(spec, &kernel.bindings)?;
        let group_id = format!("{id} {bound:?}");
        let group = match self.groups.get(&group_id) {
            Some(g) => Arc::clone(g),
            None => {
                let g = Arc::new(self.group(&kernel, &bound, buffers, spec)?);
                self.groups.insert(group_id, Arc::clone(&g));
                g
            }
        };
        let has = |name: &str| kernel.bindings.iter().any(|b| b.name == name);
        Ok(Pass {
            stage: spec.stage(),
            pipeline: Arc::clone(&kernel.pipeline),
            grid: spec.grid,
            when: spec.when,
            group,
            step_offset: has("now"),
            panel_offset: has("panel").then_some(spec.panel * SLICE as u32),
        })
    }

    fn group(
        &self,
        kernel: &Kernel,
        bound: &[Buffer],
        buffers: &Buffers,
        spec: &Spec,
    ) -> Result<wgpu::BindGroup, EngineError> {
        let mut entries = Vec::new();
        for (b, buffer) in kernel.bindings.iter().zip(bound) {
            let size = match b.kind {
                BindingKind::Uniform => wgpu::BufferSize::new(SLICE as u64),
                _ => None,
            };
            entries.push(wgpu::BindGroupEntry {
                binding: b.binding,
                resource: wgpu::BindingResource::Buffer(wgpu::BufferBinding {
                    buffer: buffers.get(*buffer)?,
                    offset: 0,
                    size,
                }),
            });
        }
        let scope = self
            .gpu
            .device
            .push_error_scope(wgpu::ErrorFilter::Validation);
        let group = self
            .gpu
            .device
            .create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(spec.entry),
                layout: &kernel.layout,
                entries: &entries,
            });
        match pollster::block_on(scope.pop()) {
            None => Ok(group),
            Some(e) => Err(EngineError::Device(format!(
                "{} cannot be bound: {e}",
                spec.entry
            ))),
        }
    }

    fn compile(&self, spec: &Spec) -> Result<Kernel, EngineError> {
        let failed = |e: LinkError| EngineError::Device(e.to_string());
        let linked = self.texts.of(spec).map_err(failed)?;
        let bindings = linked.bindings(spec.entry).map_err(failed)?;
        let device = &self.gpu.device;
        let scope = device.push_error_scope(wgpu::ErrorFilter::Validation);
        let entries: Vec<wgpu::BindGroupLayoutEntry> = bindings
            .iter()
            .map(|b| wgpu::BindGroupLayoutEntry {
                binding: b.binding,
                visibility: wgpu::ShaderStages::COMPUTE,
                ty: wgpu::BindingType::Buffer {
                    ty: match b.kind {
                        BindingKind::Uniform => wgpu::BufferBindingType::Uniform,
                        BindingKind::Storage { read_only } => {
                            wgpu::BufferBindingType::Storage { read_only }
                        }
                    },
                    has_dynamic_offset: b.kind == BindingKind::Uniform,
                    min_binding_size: None,
                },
                count: None,
            })
            .collect();
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(spec.entry),
            entries: &entries,
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(spec.entry),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let module = self.module(spec.root, &linked).map_err(failed)?;
        let pipeline = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(spec.entry),
            layout: Some(&pipeline_layout),
            module: &module,
            entry_point: Some(spec.entry),
            compilation_options: wgpu::PipelineCompilationOptions {
                zero_initialize_workgroup_memory: false,
                ..Default::default()
            },
            cache: None,
        });
        if let Some(e) = pollster::block_on(scope.pop()) {
            return Err(EngineError::Device(format!(
                "kernel {} of {} does not compile: {e}",
                spec.entry, spec.root
            )));
        }
        Ok(Kernel {
            pipeline: Arc::new(pipeline),
            layout,
            bindings,
        })
    }

    /// Compiles a shader without naga's bounds checks in a release build: our kernels keep their indices in bounds, and
    /// tests run them checked. `SNGD_CHECKED=1` keeps the checks in a release build too. A shader with a user's text is always
    /// checked, and its loops have an end.
    fn module(&self, root: &str, linked: &Linked) -> Result<wgpu::ShaderModule, LinkError> {
        let desc = |source| wgpu::ShaderModuleDescriptor {
            label: Some(root),
            source,
        };
        let device = &self.gpu.device;
        if linked.has_users_text() {
            let guarded = linked.guarded(self.budget())?;
            return Ok(
                device.create_shader_module(desc(wgpu::ShaderSource::Naga(Cow::Owned(guarded))))
            );
        }
        let desc = desc(wgpu::ShaderSource::Wgsl(linked.wgsl.as_str().into()));
        if cfg!(debug_assertions) || std::env::var_os("SNGD_CHECKED").is_some_and(|v| v == "1") {
            return Ok(device.create_shader_module(desc));
        }
        // SAFETY: every kernel of ours guards its indices by the sizes that its buffers were allocated with, has no
        // unbounded loop but the bounded walks of the permutation, and divides by constants only.
        Ok(unsafe {
            device.create_shader_module_trusted(desc, wgpu::ShaderRuntimeChecks::unchecked())
        })
    }

    /// How long loops of a user's text may be. A software driver counts all iterations of a thread together and ends loops
    /// itself after 65,535, so that a share of them is the user's.
    fn budget(&self) -> Budget {
        if self.gpu.info.software {
            Budget::Thread(SOFTWARE_ITERATIONS / 2)
        } else {
            Budget::Call(MOST_ITERATIONS)
        }
    }
}
