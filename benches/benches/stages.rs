//! Criterion benches of the CPU engine's stages and of whole steps of both engines: `cargo bench -p sngd-benches`.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use faer::Par;
use sngd_core::batch::{BatchRows, Batches};
use sngd_core::config::{FisherKind, Precision};
use sngd_core::engine::{Engine, Span};
use sngd_core::plan::Plan;
use sngd_core::workload::WORKLOADS;
use sngd_cpu::CpuEngine;
use sngd_cpu::dense::Factor;
use sngd_cpu::pass::{LabelAddress, Pass, Wanted};
use sngd_cpu::resident::Resident;
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine};

/// Gradient and Fisher pass, and the factorisation, for one chain at the sizes of W1 to W4.
fn stages(c: &mut Criterion) {
    for w in &WORKLOADS[..4] {
        let (config, problem) = w.build().expect("a workload builds");
        let plan = Plan::check(&config, &problem).expect("a workload's plan is sound");
        let data = Resident::<f32>::new(&problem, plan.storage, &plan.blocks);
        let omega = vec![0.01f32; w.p()];
        for columns in [true, false] {
            let mut pass = Pass::new(&data, w.b, true, false, columns);
            let wanted = Wanted {
                gradient: true,
                fisher: Some(FisherKind::Exact),
                ..Wanted::default()
            };
            let label = LabelAddress {
                seed: 1,
                chain: 0,
                step: 0,
                labels: 1,
            };
            let name = if columns {
                "pass by columns where it fits"
            } else {
                "pass by rows"
            };
            let mut group = c.benchmark_group(name);
            group.throughput(Throughput::Elements((w.b * w.p() * w.p()) as u64));
            let mut step = 0;
            group.bench_function(BenchmarkId::from_parameter(w.name), |b| {
                b.iter(|| {
                    step += 1;
                    let rows = BatchRows::new(Batches::WithReplacement, w.n, w.b, 1, 0, step);
                    pass.select(&data, rows, w.b);
                    pass.run(&data, &omega, wanted, label, Par::Seq);
                });
            });
        }
        let p = w.p();
        let m: Vec<f32> = (0..p * p)
            .map(|i| {
                if i % (p + 1) == 0 {
                    2.0
                } else {
                    1.0 / (p as f32 * 2.0)
                }
            })
            .collect();
        let mut factor = Factor::new(p);
        let mut group = c.benchmark_group("cholesky");
        group.throughput(Throughput::Elements((p * p * p / 3) as u64));
        group.bench_function(BenchmarkId::from_parameter(w.name), |b| {
            b.iter(|| {
                factor
                    .factor(&m, 1e-6, 0, Par::Seq)
                    .expect("a positive definite matrix")
            });
        });
    }
}

/// Sixteen steps of every chain, on either engine.
fn steps(c: &mut Criterion) {
    let gpu = Gpu::open(&DeviceSelector::Auto).or_else(|_| Gpu::open(&DeviceSelector::Software));
    for w in &WORKLOADS[..3] {
        let (config, problem) = w.build().expect("a workload builds");
        let plan = Plan::check(&config, &problem).expect("a workload's plan is sound");
        let init = vec![0.0; w.c * w.p()];
        let mut engines: Vec<(&str, Box<dyn Engine>)> = Vec::new();
        if let Ok(e) = CpuEngine::new(Precision::F32, &problem, &plan, &init, None) {
            engines.push(("cpu", Box::new(e)));
        }
        if let Ok(gpu) = &gpu
            && let Ok(e) = GpuEngine::new(gpu.clone(), &problem, &plan, &init)
        {
            engines.push(("gpu", Box::new(e)));
        }
        for (name, mut engine) in engines {
            let mut group = c.benchmark_group(format!("sixteen steps, {name}"));
            group.sample_size(10);
            group.throughput(Throughput::Elements(16 * w.c as u64));
            let mut first_step = 0;
            group.bench_function(BenchmarkId::from_parameter(w.name), |b| {
                b.iter(|| {
                    let span = Span {
                        first_step,
                        draws: 1,
                        thin: 16,
                        warmup: false,
                    };
                    engine.enqueue(span).expect("a span is taken");
                    engine.collect().expect("a span is done");
                    first_step += 16;
                });
            });
        }
    }
}

criterion_group!(benches, stages, steps);
criterion_main!(benches);
