//! Chain-steps a second on the workloads W1 to W5 of the performance notes, and where the time goes with `--stages`.
#![allow(clippy::print_stdout, reason = "an example prints")]

use sngd_core::config::Config;
use sngd_core::engine::{Engine, Span};
use sngd_core::philox::{Stream, at, normals_f64};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine};
use std::time::Instant;

fn problem(n: usize, p: usize, chains: usize, batch: usize) -> (Problem, Plan) {
    let text = format!(
        r#"{{"data": {{"path": "none", "response": "y", "intercept": false}}, "model": {{"likelihood": "bernoulli"}},
            "prior": {{"weights": "normal(0, 1)"}}, "run": {{"chains": {chains}}},
            "sampler": {{"step_size": 0.1, "batch_size": {batch}, "fisher_rows": "batch", "noise": "full", "correction": "closed_form"}}}}"#
    );
    let config: Config = serde_json::from_str(&text).expect("config");
    let mut features = vec![0.0; n * p];
    for (b, chunk) in features.chunks_mut(4).enumerate() {
        let z = normals_f64(at(3, Stream::Split, 0, 0, b as u32));
        chunk.copy_from_slice(&z[..chunk.len()]);
    }
    let index = (0..n)
        .map(|i| {
            let s: f64 = features[i * p..(i + 1) * p].iter().sum::<f64>() / (p as f64).sqrt();
            let z = normals_f64(at(4, Stream::Split, 0, 0, i as u32))[0];
            u32::from(s + z > 0.0)
        })
        .collect();
    let table = Table {
        source: "workload".into(),
        feature_names: (0..p).map(|j| format!("x{j}")).collect(),
        features,
        response: Response::Labels {
            index,
            levels: vec!["0".into(), "1".into()],
        },
        trials: None,
    };
    let problem = Problem::build(&config, table).expect("problem");
    let plan = Plan::check(&config, &problem).expect("plan");
    (problem, plan)
}

fn main() {
    let gpu = Gpu::open(&DeviceSelector::Auto)
        .or_else(|_| Gpu::open(&DeviceSelector::Software))
        .expect("a device");
    println!("{} ({})", gpu.info.name, gpu.info.driver);
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| a.starts_with('W'))
        .collect();
    for (name, n, p, c, b, steps) in [
        ("W1", 10_000, 8, 1024, 64, 200),
        ("W2", 10_000, 32, 256, 128, 100),
        ("W3", 10_000, 64, 64, 256, 100),
        ("W4", 10_000, 256, 16, 512, 20),
        ("W5", 20_000, 1024, 2, 1024, 8),
    ] {
        if !wanted.is_empty() && !wanted.iter().any(|w| w == name) {
            continue;
        }
        let (problem, plan) = problem(n, p, c, b);
        let init = vec![0.0; c * p];
        let start = Instant::now();
        let mut engine = GpuEngine::new(gpu.clone(), &problem, &plan, &init).expect("engine");
        let ready = start.elapsed();
        if std::env::args().any(|a| a == "--stages") {
            for (stage, ms) in engine.time_stages(20).expect("stages") {
                println!("    {ms:9.3} ms  {stage}");
            }
        }
        let span = |first| Span {
            first_step: first,
            draws: 1,
            thin: steps,
            warmup: true,
        };
        engine.enqueue(span(0)).expect("enqueue");
        engine.collect().expect("collect");
        let start = Instant::now();
        engine.enqueue(span(steps)).expect("enqueue");
        let block = engine.collect().expect("collect");
        let took = start.elapsed().as_secs_f64();
        println!(
            "{name}: {:.0} chain-steps/s ({:.2} ms a step, ready in {:.2} s, {} faults)",
            f64::from(steps) * c as f64 / took,
            1e3 * took / f64::from(steps),
            ready.as_secs_f64(),
            block.faults.len()
        );
    }
}
