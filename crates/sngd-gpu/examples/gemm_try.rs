//! scratch
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let f: Vec<&str> = s.rsplit(") ").next().unwrap().split(' ').collect();
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}
fn main() {
    let a: Vec<String> = std::env::args().collect();
    let grid: Vec<u32> = a[2].split(',').map(|v| v.parse().unwrap()).collect();
    let reps: u32 = a[3].parse().unwrap();
    let flops: f64 = a[4].parse().unwrap();
    let inst = wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle());
    let ad = pollster::block_on(inst.enumerate_adapters(wgpu::Backends::VULKAN)).remove(0);
    let (dev, q) = pollster::block_on(ad.request_device(&wgpu::DeviceDescriptor {
        required_limits: ad.limits(),
        ..Default::default()
    }))
    .unwrap();
    let src = std::fs::read_to_string(&a[1]).unwrap();
    let m = unsafe {
        dev.create_shader_module_trusted(
            wgpu::ShaderModuleDescriptor {
                label: None,
                source: wgpu::ShaderSource::Wgsl(src.into()),
            },
            wgpu::ShaderRuntimeChecks::unchecked(),
        )
    };
    let p = dev.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
        label: None,
        layout: None,
        module: &m,
        entry_point: Some("main"),
        compilation_options: wgpu::PipelineCompilationOptions {
            zero_initialize_workgroup_memory: false,
            ..Default::default()
        },
        cache: None,
    });
    let bufs: Vec<wgpu::Buffer> = (0..3)
        .map(|_| {
            dev.create_buffer(&wgpu::BufferDescriptor {
                label: None,
                size: 16 << 20,
                usage: wgpu::BufferUsages::STORAGE,
                mapped_at_creation: false,
            })
        })
        .collect();
    let e: Vec<_> = bufs
        .iter()
        .enumerate()
        .map(|(i, b)| wgpu::BindGroupEntry {
            binding: i as u32,
            resource: b.as_entire_binding(),
        })
        .collect();
    let g = dev.create_bind_group(&wgpu::BindGroupDescriptor {
        label: None,
        layout: &p.get_bind_group_layout(0),
        entries: &e,
    });
    let run = |n: u32| {
        let mut enc = dev.create_command_encoder(&Default::default());
        {
            let mut c = enc.begin_compute_pass(&Default::default());
            c.set_pipeline(&p);
            c.set_bind_group(0, &g, &[]);
            for _ in 0..n {
                c.dispatch_workgroups(grid[0], grid[1], grid[2]);
            }
        }
        q.submit([enc.finish()]);
        dev.poll(wgpu::PollType::wait_indefinitely()).unwrap();
    };
    run(1);
    let t = cpu();
    run(reps);
    let t = (cpu() - t) / f64::from(reps);
    println!(
        "{}: {:.2} ms CPU, {:.2} GFLOP/s a core",
        a[1],
        t * 1e3,
        flops / t / 1e9
    );
}
