//! Steps per second, summed over chains, of the CPU engine on the bench workloads:
//! `cargo run --release -p sngd-cpu --example cpu_workloads`.
#![allow(clippy::print_stdout, reason = "an example")]

use sngd_core::config::Precision;
use sngd_core::engine::{Engine, Span};
use sngd_core::plan::Plan;
use sngd_core::workload::WORKLOADS;
use sngd_cpu::CpuEngine;
use std::time::Instant;

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).collect();
    for w in &WORKLOADS[..5] {
        if !wanted.is_empty() && !wanted.iter().any(|n| n == w.name) {
            continue;
        }
        let Ok((config, problem)) = w.build() else {
            continue;
        };
        let Ok(plan) = Plan::check(&config, &problem) else {
            continue;
        };
        let init = vec![0.0; w.c * w.p()];
        let Ok(mut engine) = CpuEngine::new(Precision::F32, &problem, &plan, &init, None) else {
            continue;
        };
        let (mut step, mut rate) = (0, 0.0f64);
        let steps = ((2e9 / (w.flops() * w.c as f64)) as u32).max(1);
        let start = Instant::now();
        while start.elapsed().as_secs_f64() < 2.0 {
            let lap = Instant::now();
            let span = Span {
                first_step: step,
                draws: 1,
                thin: steps,
                warmup: false,
            };
            if engine
                .enqueue(span)
                .and_then(|()| engine.collect())
                .is_err()
            {
                return;
            }
            step += steps;
            rate = rate.max(f64::from(steps) * w.c as f64 / lap.elapsed().as_secs_f64());
        }
        println!(
            "{}: {rate:.0} chain-steps/s, {:.1} GFLOP/s",
            w.name,
            rate * w.flops() / 1e9
        );
    }
}
