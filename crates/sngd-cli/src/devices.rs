//! `sngd devices`.

use crate::output;
use serde::Serialize;
use sngd::{AdapterInfo, Device, DeviceSelector, SelfTest, TestResult, adapters, self_test};
use std::io::{self, Write};

/// Adapters and the CPU engine, each with a self-test.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Serialize)]
struct Listed {
    kind: &'static str,
    name: String,
    driver: String,
    backend: String,
    device_type: String,
    software: bool,
    features: Vec<&'static str>,
    subgroup: (u32, u32),
    storage_buffers: u32,
    storage_binding_bytes: u64,
    buffer_bytes: u64,
    shared_bytes: u32,
    workgroup_threads: u32,
    self_test: SelfTest,
}

impl Listed {
    fn cpu() -> Listed {
        Listed {
            kind: "cpu",
            name: "CPU engine".into(),
            driver: format!("native {}", std::env::consts::ARCH),
            backend: "native".into(),
            device_type: "cpu".into(),
            software: false,
            features: vec!["f64"],
            subgroup: (0, 0),
            storage_buffers: 0,
            storage_binding_bytes: 0,
            buffer_bytes: 0,
            shared_bytes: 0,
            workgroup_threads: 0,
            self_test: self_test(&Device::Cpu),
        }
    }

    fn gpu(a: AdapterInfo) -> Listed {
        let device = Device::Gpu(DeviceSelector::Named(a.name.clone()));
        Listed {
            kind: "gpu",
            self_test: self_test(&device),
            name: a.name,
            driver: a.driver,
            backend: a.backend,
            device_type: a.device_type.into(),
            software: a.software,
            features: a.features,
            subgroup: a.subgroup,
            storage_buffers: a.storage_buffers,
            storage_binding_bytes: a.storage_binding_bytes,
            buffer_bytes: a.buffer_bytes,
            shared_bytes: a.shared_bytes,
            workgroup_threads: a.workgroup_threads,
        }
    }

    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} ({}, {})", self.name, self.device_type, self.driver)?;
        if self.kind == "gpu" {
            writeln!(
                out,
                "  {}; {}; subgroups of {} to {}; bindings up to {} MiB, buffers up to {} MiB; {} KiB shared, {} threads a workgroup",
                self.backend,
                self.features.join(", "),
                self.subgroup.0,
                self.subgroup.1,
                self.storage_binding_bytes >> 20,
                self.buffer_bytes >> 20,
                self.shared_bytes >> 10,
                self.workgroup_threads
            )?;
        }
        for TestResult {
            name,
            passed,
            detail,
            seconds,
        } in &self.self_test.results
        {
            let word = if *passed { "ok" } else { "FAILED" };
            writeln!(out, "  self-test, {name}: {word}, {detail}, {seconds:.2} s")?;
        }
        Ok(())
    }
}

/// Runs the command; the exit code is 3 if a self-test fails.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut all = vec![Listed::cpu()];
    all.extend(adapters().into_iter().map(Listed::gpu));
    if args.json {
        output::json(&all)?;
    } else {
        output::with_stdout(|out| {
            for device in &all {
                device.write(out)?;
            }
            if all.len() == 1 {
                writeln!(out, "no GPU adapter answers; the CPU engine will be used")?;
            }
            Ok(())
        })?;
    }
    Ok(if all.iter().all(|d| d.self_test.passed()) {
        0
    } else {
        3
    })
}
