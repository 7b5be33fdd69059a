//! A user's WGSL on a device: loops within the limit change nothing, and loops beyond it end the chain that meets them.

use crate::common::{self, compare, gpu, gpus, setup_config};
use sngd_core::config::Config;
use sngd_core::engine::{Engine, FaultKind, Span};
use sngd_core::likelihood::{Custom, WgslBody};
use sngd_gpu::GpuEngine;
use sngd_shaders::{Interpreted, MOST_ITERATIONS};
use std::sync::Arc;

/// A small metric, whose kernel keeps all sums in registers, and one that goes through every other kernel with the model in it.
const SAMPLERS: [(usize, &str); 2] = [
    (
        3,
        r#""noise": "full", "step_size": 0.3, "batch_size": "full""#,
    ),
    (
        20,
        r#""noise": "residual", "step_size": 0.3, "batch_size": 96"#,
    ),
];

/// A normal response around η; a loop of 200 iterations adds up the weight of the square, and `trap` comes after it.
fn config(trap: &str, sampler: &str, chains: usize) -> Config {
    let wgsl = WgslBody {
        file: "own.wgsl".into(),
        text: format!(
            "fn total_share() -> f32 {{ var s = 0.0; for (var i = 0u; i < 200u; i++) {{ s += 0.005; }} return s; }}
            fn log_lik(eta: array<f32, H>, obs: vec2<f32>) -> f32 {{
                let r = obs.x - eta[0];
                var extra = 0.0;
                {trap}
                return extra - 0.5 * total_share() * r * r - 0.91893853;
            }}
            fn score(eta: array<f32, H>, obs: vec2<f32>) -> array<f32, H> {{
                var extra = 0.0;
                {trap}
                return array<f32, H>(total_share() * (obs.x - eta[0]) + extra);
            }}
            fn fisher(eta: array<f32, H>, trials: f32) -> array<f32, HH> {{ return array<f32, HH>(total_share()); }}"
        ),
    };
    let mut config = common::config("custom", "", sampler, chains);
    config.model.custom = Some(Arc::new(Custom {
        name: "own".into(),
        linear_outputs: 1,
        auxiliary: None,
        body: Arc::new(Interpreted::new(&wgsl, 1, 1).unwrap()),
        wgsl: Some(wgsl),
    }));
    config
}

#[test]
fn loops_within_the_limit_change_nothing() {
    for (d, sampler) in SAMPLERS {
        let config = config("", sampler, 5);
        let (problem, plan, init) = setup_config(&config, "gaussian", 200, d);
        for gpu in gpus() {
            let (worst, _) = compare(&gpu, &problem, &plan, &init, 8);
            assert!(worst < 2e-4, "D = {d}, {:?}: {worst}", gpu.tuning);
        }
    }
}

/// Only chain 0 starts where a loop does not end, or ends after the limit. A software driver would end it too, without a fault.
#[test]
fn a_loop_beyond_the_limit_ends_the_chain_that_meets_it() {
    let endless = "while i < 1u { extra += 1e-9; i *= 1u; }";
    let long = format!(
        "for (; i < {}u; i++) {{ extra += 1e-9; }}",
        4 * MOST_ITERATIONS
    );
    for (d, sampler) in SAMPLERS {
        for body in [endless, &long] {
            let trap = format!("var i = 0u; if eta[0] > 300.0 {{ {body} }}");
            let config = config(&trap, sampler, 4);
            let (problem, plan, mut init) = setup_config(&config, "gaussian", 200, d);
            init[..plan.p].fill(400.0);
            let Some(gpu) = gpu() else { return };
            let mut engine = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
            engine
                .enqueue(Span {
                    first_step: 0,
                    draws: 6,
                    thin: 1,
                    warmup: false,
                })
                .unwrap();
            let faults = engine.collect().unwrap().faults;
            assert_eq!(faults.len(), 1, "D = {d}, {body}: {faults:?}");
            assert_eq!(faults[0].chain, 0);
            assert!(
                matches!(
                    faults[0].kind,
                    FaultKind::Diverged | FaultKind::MetricNotPositive { .. }
                ),
                "{faults:?}"
            );
        }
    }
}
