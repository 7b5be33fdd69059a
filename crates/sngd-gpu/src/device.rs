//! Adapters and the device: which adapters exist, which one to open, and errors of the open device.

use sngd_core::engine::EngineError;
use std::sync::{Arc, Mutex, PoisonError};

/// What an adapter reports about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdapterInfo {
    /// Name of the device, as the driver gives it.
    pub name: String,
    /// Name and version of the driver.
    pub driver: String,
    /// Graphics API: `vulkan`, `metal` or `dx12`.
    pub backend: String,
    /// Type of the device: `discrete`, `integrated`, `virtual`, `software` or `other`.
    pub device_type: &'static str,
    /// Whether it is a software driver, which computes on the CPU.
    pub software: bool,
    /// Names of the features that sngd can use.
    pub features: Vec<&'static str>,
    /// Smallest and largest subgroup size, in threads.
    pub subgroup: (u32, u32),
    /// Most storage buffers per shader stage.
    pub storage_buffers: u32,
    /// Largest storage binding in bytes.
    pub storage_binding_bytes: u64,
    /// Largest buffer in bytes.
    pub buffer_bytes: u64,
    /// Most shared memory per workgroup, in bytes.
    pub shared_bytes: u32,
    /// Most threads per workgroup.
    pub workgroup_threads: u32,
}

/// Which adapter to open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeviceSelector {
    /// The first real GPU, discrete before integrated; never a software driver.
    Auto,
    /// The first software driver.
    Software,
    /// The first adapter whose name contains this text, of any type; case does not matter.
    Named(String),
}

impl DeviceSelector {
    /// Reads `auto` or `gpu`, `software`, or part of a name.
    pub fn parse(text: &str) -> DeviceSelector {
        match text {
            "auto" | "gpu" | "" => DeviceSelector::Auto,
            "software" => DeviceSelector::Software,
            name => DeviceSelector::Named(name.to_string()),
        }
    }
}

/// Which of the two forms of the kernels runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tuning {
    /// Shared memory and many workgroups: for GPUs.
    Hardware,
    /// Straight from memory, few workgroups: for software drivers, where shared memory costs more than it saves.
    Software,
}

/// An open device.
#[derive(Debug, Clone)]
pub struct Gpu {
    /// Which form of the kernels runs; `open` chooses by the adapter's type.
    pub tuning: Tuning,
    pub(crate) device: wgpu::Device,
    pub(crate) queue: wgpu::Queue,
    /// What the adapter reports about itself.
    pub info: AdapterInfo,
    /// What the driver has compiled for this device, so that engines with the same kernels compile them once.
    pub(crate) compiled: Option<wgpu::PipelineCache>,
    trouble: Arc<Mutex<Option<String>>>,
}

/// Features that are used where a device has them. No step needs one.
fn wanted_features() -> wgpu::Features {
    wgpu::Features::TIMESTAMP_QUERY | wgpu::Features::PIPELINE_CACHE
}

fn instance() -> wgpu::Instance {
    let mut desc = wgpu::InstanceDescriptor::new_without_display_handle_from_env();
    desc.flags |= wgpu::InstanceFlags::ALLOW_UNDERLYING_NONCOMPLIANT_ADAPTER;
    wgpu::Instance::new(desc)
}

fn enumerate() -> Vec<wgpu::Adapter> {
    let found = pollster::block_on(instance().enumerate_adapters(wgpu::Backends::PRIMARY));
    found
        .into_iter()
        .filter(|a| {
            a.get_downlevel_capabilities()
                .flags
                .contains(wgpu::DownlevelFlags::COMPUTE_SHADERS)
        })
        .collect()
}

fn describe(
    info: &wgpu::AdapterInfo,
    features: wgpu::Features,
    limits: &wgpu::Limits,
) -> AdapterInfo {
    let known = [
        (wgpu::Features::SUBGROUP, "subgroups"),
        (wgpu::Features::TIMESTAMP_QUERY, "timestamp queries"),
        (wgpu::Features::PIPELINE_CACHE, "pipeline cache"),
        (wgpu::Features::SHADER_F16, "f16"),
        (wgpu::Features::SHADER_F64, "f64"),
    ];
    AdapterInfo {
        name: info.name.clone(),
        driver: format!("{} {}", info.driver, info.driver_info)
            .trim()
            .to_string(),
        backend: info.backend.to_string(),
        device_type: match info.device_type {
            wgpu::DeviceType::DiscreteGpu => "discrete",
            wgpu::DeviceType::IntegratedGpu => "integrated",
            wgpu::DeviceType::VirtualGpu => "virtual",
            wgpu::DeviceType::Cpu => "software",
            wgpu::DeviceType::Other => "other",
        },
        software: info.device_type == wgpu::DeviceType::Cpu,
        features: known
            .iter()
            .filter(|(f, _)| features.contains(*f))
            .map(|(_, n)| *n)
            .collect(),
        subgroup: (info.subgroup_min_size, info.subgroup_max_size),
        storage_buffers: limits.max_storage_buffers_per_shader_stage,
        storage_binding_bytes: limits.max_storage_buffer_binding_size,
        buffer_bytes: limits.max_buffer_size,
        shared_bytes: limits.max_compute_workgroup_storage_size,
        workgroup_threads: limits.max_compute_invocations_per_workgroup,
    }
}

fn rank(info: &AdapterInfo) -> u32 {
    match info.device_type {
        "discrete" => 0,
        "virtual" => 1,
        "integrated" => 2,
        "other" => 3,
        _ => 4,
    }
}

/// Every adapter that can compute.
pub fn adapters() -> Vec<AdapterInfo> {
    enumerate()
        .iter()
        .map(|a| describe(&a.get_info(), a.features(), &a.limits()))
        .collect()
}

impl Gpu {
    /// Opens the adapter that the selector names.
    pub fn open(selector: &DeviceSelector) -> Result<Gpu, EngineError> {
        let mut found: Vec<(AdapterInfo, wgpu::Adapter)> = enumerate()
            .into_iter()
            .map(|a| (describe(&a.get_info(), a.features(), &a.limits()), a))
            .collect();
        found.sort_by_key(|(info, _)| rank(info));
        let wanted = |info: &AdapterInfo| match selector {
            DeviceSelector::Auto => !info.software,
            DeviceSelector::Software => info.software,
            DeviceSelector::Named(part) => info.name.to_lowercase().contains(&part.to_lowercase()),
        };
        let names: Vec<String> = found
            .iter()
            .map(|(i, _)| format!("\"{}\"", i.name))
            .collect();
        let Some((_, adapter)) = found.into_iter().find(|(info, _)| wanted(info)) else {
            return Err(EngineError::NoDevice(no_device(selector, &names)));
        };
        let desc = wgpu::DeviceDescriptor {
            label: Some("sngd"),
            required_features: adapter.features() & wanted_features(),
            required_limits: adapter_limits(&adapter.limits()),
            ..Default::default()
        };
        let (device, queue) = pollster::block_on(adapter.request_device(&desc)).map_err(|e| {
            EngineError::NoDevice(format!(
                "the adapter \"{}\" was found but gave no device: {e}",
                adapter.get_info().name
            ))
        })?;
        let mut gpu = Gpu::from_device(device, queue);
        gpu.info = describe(
            &adapter.get_info(),
            adapter.features(),
            &gpu.device.limits(),
        );
        Ok(gpu)
    }

    /// Uses a device that the caller opened, with the limits that it has.
    pub fn from_device(device: wgpu::Device, queue: wgpu::Queue) -> Gpu {
        let trouble = Arc::new(Mutex::new(None));
        let note = |slot: &Arc<Mutex<Option<String>>>, text: String| {
            let mut first = slot.lock().unwrap_or_else(PoisonError::into_inner);
            first.get_or_insert(text);
        };
        let slot = Arc::clone(&trouble);
        device.on_uncaptured_error(Arc::new(move |e: wgpu::Error| {
            note(&slot, format!("the device reported an error: {e}"));
        }));
        let slot = Arc::clone(&trouble);
        device.set_device_lost_callback(move |reason, text| {
            if reason != wgpu::DeviceLostReason::Destroyed {
                note(&slot, format!("the device was lost ({reason:?}): {text}"));
            }
        });
        let info = describe(&device.adapter_info(), device.features(), &device.limits());
        let tuning = if info.software {
            Tuning::Software
        } else {
            Tuning::Hardware
        };
        let caches = device.features().contains(wgpu::Features::PIPELINE_CACHE);
        let compiled = caches.then(|| {
            let empty = wgpu::PipelineCacheDescriptor {
                label: Some("sngd"),
                data: None,
                fallback: true,
            };
            // SAFETY: the cache starts without data, which is what could be invalid.
            unsafe { device.create_pipeline_cache(&empty) }
        });
        Gpu {
            tuning,
            device,
            queue,
            info,
            compiled,
            trouble,
        }
    }

    /// Bytes that are allocated on the device now; `None` where the backend does not count them.
    pub fn allocated(&self) -> Option<u64> {
        let report = self.device.generate_allocator_report()?;
        Some(report.total_allocated_bytes)
    }

    /// Fails with the first uncaught error of the device, or with its loss, if there was one.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        match &*self.trouble.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(text) => Err(EngineError::Device(text.clone())),
            None => Ok(()),
        }
    }

    /// Waits for one submission, or for all.
    pub(crate) fn wait(&self, until: Option<wgpu::SubmissionIndex>) -> Result<(), EngineError> {
        let polled = self.device.poll(wgpu::PollType::Wait {
            submission_index: until,
            timeout: None,
        });
        self.check()?;
        polled
            .map(|_| ())
            .map_err(|e| EngineError::Device(format!("waiting for the device failed: {e}")))
    }
}

fn no_device(selector: &DeviceSelector, names: &[String]) -> String {
    let there = if names.is_empty() {
        "no adapter answers".to_string()
    } else {
        format!("found {}", names.join(", "))
    };
    match selector {
        DeviceSelector::Auto => format!(
            "no GPU: {there}; install a driver, or use run.device = \"cpu\" (or \"software\" for a software driver)"
        ),
        DeviceSelector::Software => {
            format!(
                "no software driver: {there}; install mesa-vulkan-drivers, or use run.device = \"cpu\""
            )
        }
        DeviceSelector::Named(n) => format!(
            "no adapter's name contains \"{n}\": {there}; use part of one of these names, or run.device = \"cpu\""
        ),
    }
}

/// WebGPU's default limits, raised to the adapter's where kernels or data can use more.
fn adapter_limits(have: &wgpu::Limits) -> wgpu::Limits {
    let floor = wgpu::Limits::defaults();
    wgpu::Limits {
        max_storage_buffer_binding_size: have.max_storage_buffer_binding_size,
        max_buffer_size: have.max_buffer_size,
        max_storage_buffers_per_shader_stage: have
            .max_storage_buffers_per_shader_stage
            .min(floor.max_storage_buffers_per_shader_stage),
        ..floor.or_worse_values_from(have)
    }
}
