//! Criterion benches of the GPU engine's kernels, one group per stage, named after its file: `cargo bench -p sngd-benches
//! --bench kernels`, with a name after `--` for some of them. A stage's time is that of all its dispatches in a step.
#![allow(
    clippy::print_stdout,
    reason = "a bench without a device must be heard"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sngd_core::config::{
    Blocks, Config, Correction, Family, FisherRows, Method, Noise, RowsName, Target,
};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};
use sngd_core::workload::WORKLOADS;
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine, dispatches};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::time::Duration;

/// Number of dispatches per submission: more would block a display or trigger a watchdog.
const SUBMISSION: u64 = 256;

/// Changes of a workload that together run every kernel, the unchanged workload first. A stage is timed in the first variant
/// that has it.
const VARIANTS: [fn(&mut Config); 8] = [
    |_| (),
    |c| {
        c.sampler.noise = Some(Noise::Residual);
        c.sampler.fisher_rows = FisherRows::Named(RowsName::Full);
    },
    |c| {
        c.sampler.damping = Some(0.01);
        c.sampler.target = Target::Jeffreys;
    },
    |c| c.sampler.correction = Correction::Probe,
    |c| c.sampler.correction = Correction::FiniteDifference,
    |c| c.sampler.blocks = Blocks::Diagonal,
    |c| {
        c.sampler.method = Some(Method::Mala);
        c.sampler.target = Target::Jeffreys;
        c.sampler.batch_size = None;
    },
    // An unknown scale is a second output.
    |c| c.model.likelihood = Family::Gaussian,
];

/// The workload's features with a response that fits a Gaussian.
fn gaussian(config: &Config, bernoulli: &Problem) -> Problem {
    let d = bernoulli.design_columns();
    let response = bernoulli
        .x
        .to_vec()
        .chunks(d)
        .zip(&bernoulli.y)
        .map(|(x, y)| x[0] + y)
        .collect();
    let table = Table::new(
        bernoulli.source.clone(),
        bernoulli.columns.clone(),
        bernoulli.x.clone(),
        Response::Numbers(response),
    );
    Problem::build(config, table).expect("a workload's features suit a Gaussian")
}

/// Every stage at W1 to W3; at W4 only those needed for a metric too large for shared memory.
fn kernels(c: &mut Criterion) {
    let gpu =
        match Gpu::open(&DeviceSelector::Auto).or_else(|_| Gpu::open(&DeviceSelector::Software)) {
            Ok(gpu) => gpu,
            Err(e) => {
                println!("no kernels are timed: {e}");
                return;
            }
        };
    let mut known = BTreeSet::new();
    for w in &WORKLOADS[..4] {
        let (base, bernoulli) = w.build().expect("a workload builds");
        let mut here = BTreeSet::new();
        for change in VARIANTS {
            let mut config = base.clone();
            change(&mut config);
            let problem = if config.model.likelihood == Family::Gaussian {
                &gaussian(&config, &bernoulli)
            } else {
                &bernoulli
            };
            let plan = Plan::check(&config, problem).expect("a workload's plan is sound");
            // Made for the first of its stages that is asked for, dropped after the last.
            let engine: RefCell<Option<GpuEngine>> = RefCell::new(None);
            for (stage, _) in dispatches(&plan, gpu.tuning) {
                if (w.name == "W4" && known.contains(&stage)) || !here.insert(stage.clone()) {
                    continue;
                }
                let mut group = c.benchmark_group(&stage);
                group.sample_size(10);
                group.throughput(Throughput::Elements(w.c as u64));
                group.bench_function(BenchmarkId::from_parameter(w.name), |b| {
                    let mut engine = engine.borrow_mut();
                    let engine = engine.get_or_insert_with(|| {
                        let init = vec![0.01; w.c * plan.p];
                        GpuEngine::new(gpu.clone(), problem, &plan, &init)
                            .expect("a workload fits the device")
                    });
                    b.iter_custom(|iterations| {
                        let mut ms = 0.0;
                        let mut left = iterations;
                        while left > 0 {
                            let now = left.min(SUBMISSION);
                            let each = engine
                                .time_stage(&stage, now as usize)
                                .expect("a stage is timed");
                            ms += each * now as f64;
                            left -= now;
                        }
                        Duration::from_secs_f64(1e-3 * ms)
                    });
                });
            }
        }
        known.extend(here);
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
