//! Device memory of a run, compared with the prediction of `memory`, for large plans where memory is the limit.
#![allow(clippy::print_stdout, reason = "the figures are worth reading")]

use crate::common::{gpu, noise, table};
use sngd_core::config::Config;
use sngd_core::engine::{Engine, Span};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_gpu::{GpuEngine, memory};

/// Predicted and measured bytes of a run that makes one draw.
fn bytes(model: &str, sampler: &str, d: usize, chains: usize) -> Option<(u64, u64)> {
    let gpu = gpu()?;
    let text = format!(
        r#"{{"seed": 7, "data": {{"path": "none", "response": "y"}}, "model": {{{model}}}, "prior": {{"weights": "normal(0, 1)"}},
            "sampler": {{"batch_size": 8, "fisher_rows": 16, "noise": "full", "damping": 0.1, {sampler}}}, "run": {{"chains": {chains}}}}}"#
    );
    let config: Config = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{text}: {e}"));
    let problem = Problem::build(&config, table("softmax", 32, d)).unwrap();
    let plan = Plan::check(&config, &problem).unwrap();
    let init: Vec<f64> = (0..chains * plan.p).map(|i| 0.1 * noise(23, i)).collect();
    let predicted = memory(&plan, &problem).iter().map(|(_, bytes)| bytes).sum();
    let before = gpu.allocated()?;
    let mut engine = GpuEngine::new(gpu.clone(), &problem, &plan, &init).unwrap();
    let span = Span {
        first_step: 0,
        draws: 1,
        thin: 1,
        warmup: false,
    };
    engine.enqueue(span).unwrap();
    engine.collect().unwrap();
    let measured = gpu.allocated()? - before;
    println!(
        "P = {}, {} chains, {sampler}: predicted {:.1} MiB, measured {:.1} MiB, ratio {:.3}",
        plan.p,
        chains,
        predicted as f64 / 1048576.0,
        measured as f64 / 1048576.0,
        measured as f64 / predicted as f64
    );
    Some((predicted, measured))
}

/// Network, keys of `[sampler]`, features, chains.
type Case<'a> = (&'a [usize], &'a str, usize, usize);

const LAYER: &str = r#""blocks": "layer", "correction": "off""#;
const FULL: &str = r#""blocks": "full", "correction": "off""#;

fn within_a_tenth(cases: &[Case<'_>]) {
    for &(hidden, sampler, d, chains) in cases {
        let model = format!(r#""likelihood": "softmax", "predictor": "mlp", "hidden": {hidden:?}"#);
        let Some((predicted, measured)) = bytes(&model, sampler, d, chains) else {
            println!("SKIPPED: no device that counts its allocations");
            return;
        };
        let ratio = measured as f64 / predicted as f64;
        assert!(
            (0.9..=1.1).contains(&ratio),
            "{hidden:?} {sampler}: {ratio}"
        );
    }
}

#[test]
fn a_run_takes_what_it_was_predicted_to() {
    within_a_tenth(&[
        (&[190, 10], r#""blocks": "unit""#, 99, 1),
        (&[16], FULL, 20, 16),
    ]);
}

/// Twenty thousand parameters in sixteen layers, four thousand in a full metric: the largest that fit a binding of 128 MiB.
#[test]
#[ignore = "long: cargo xtask long"]
fn the_largest_runs_take_what_they_were_predicted_to() {
    within_a_tenth(&[(&[35; 16], LAYER, 20, 1), (&[40], FULL, 96, 1)]);
}
