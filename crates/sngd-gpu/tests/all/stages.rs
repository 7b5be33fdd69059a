//! Each stage of a step on the device, compared with the same formula in f64. The formula starts from what the stage read
//! on the device, so that errors of earlier stages do not count, and every bound is rounding and nothing else.
#![allow(
    clippy::print_stdout,
    reason = "how near the bounds are is worth reading"
)]

mod matrices;
mod oracle;
mod step;

use crate::common::{self, gpus, setup_config};
use oracle::{Design, narrow};
use sngd_core::batch::BatchRows;
use sngd_core::config::{Noise, NoiseRows};
use sngd_core::engine::{Engine, Span};
use sngd_core::philox::Stream;
use sngd_core::plan::{CorrectionPlan, MetricRows, Plan};
use sngd_core::problem::Problem;
use sngd_gpu::{Gpu, GpuEngine, Tuning};
use step::{Held, Step};

fn run(held: &mut Held, gpu: &Gpu, problem: &Problem, plan: &Plan, init: &[f64]) {
    let mut engine = GpuEngine::new(gpu.clone(), problem, plan, init).unwrap();
    engine
        .enqueue(Span {
            first_step: 0,
            draws: 1,
            thin: 1,
            warmup: false,
        })
        .unwrap();
    let block = engine.collect().unwrap();
    assert!(block.faults.is_empty(), "{:?}", block.faults);
    let coincide = plan.rows().metric.is_none();
    let mut step = Step {
        problem,
        plan,
        design: Design::new(problem),
        engine,
        block,
        omega: init.iter().map(|&w| narrow(w)).collect(),
        small: coincide && plan.h == 1 && plan.p <= 12 && plan.noise != Noise::Residual,
        chain: 0,
        held,
    };
    for chain in 0..plan.chains {
        step.chain = chain;
        let mut rows = vec![0; plan.batch];
        BatchRows::new(plan.batches, plan.n, plan.batch, plan.seed, chain as u32, 0)
            .fill(&mut rows);
        let batch = step.pass("batch", &rows);
        let metric = match plan.metric_rows {
            MetricRows::Batch => None,
            MetricRows::Full => Some(step.pass("metric", &(0..plan.n as u32).collect::<Vec<_>>())),
            MetricRows::Sample(_) => panic!("no sampled metric here"),
        };
        step.gradient(
            "gradient",
            "batch_sum",
            &batch,
            &batch.score,
            &batch.score_error,
        );
        step.cost(&batch, metric.as_ref());
        let own = metric.as_ref().unwrap_or(&batch);
        step.metric(own);
        let linv = step.factor("fisher", "linv");
        let volume = if plan.split_volume() {
            step.factor("volume", "linv_volume")
        } else {
            linv.clone()
        };
        if plan.correction == CorrectionPlan::ClosedForm {
            step.correction(own, &linv, &volume);
        }
        step.normals("z", Stream::Noise, plan.p);
        if plan.noise == Noise::Residual {
            let by_batch = plan.noise_rows == NoiseRows::Batch;
            step.residual(
                if by_batch { &batch } else { own },
                !by_batch && metric.is_some(),
            );
        }
        step.update(&linv, own.z.len());
    }
}

/// Both forms of the kernels.
const BOTH: [Tuning; 2] = [Tuning::Hardware, Tuning::Software];

/// Runs a model of `p` parameters on some forms of the kernels. With p = 1 it is a column without an intercept.
fn case(held: &mut Held, family: &str, sampler: &str, (p, c): (usize, usize), forms: &[Tuning]) {
    let outputs = if family == "softmax" { 3 } else { 1 };
    let columns = (p - usize::from(family == "gaussian")) / outputs;
    // Odd, as is the batch, so that the last tile of rows is never full.
    let n = 251 + 2 * p;
    let batch = (3 * n / 5) | 1;
    let sampler = format!(r#"{sampler}, "step_size": 0.1, "batch_size": {batch}"#);
    let mut config = common::config(family, "", &sampler, c);
    if columns == 1 {
        config.data.intercept = false;
        config.prior.0.remove("intercept");
    }
    let features = columns - usize::from(columns > 1);
    let (problem, plan, init) = setup_config(&config, family, n, features);
    assert_eq!(plan.p, p);
    for gpu in gpus().iter().filter(|g| forms.contains(&g.tuning)) {
        held.place = format!("{family}, P = {p}, C = {c}, {:?}, {sampler}", gpu.tuning);
        run(held, gpu, &problem, &plan, &init);
    }
}

const BATCH: &str = r#""noise": "full", "fisher_rows": "batch""#;
const RESIDUAL: &str = r#""noise": "residual""#;
const JEFFREYS: &str = r#""target": "jeffreys""#;
const DAMPED: &str = r#""damping": 0.01"#;

/// Every edge of tiles, triangles and panels, one chain and five, noise from the batch's metric and residual noise.
/// A software driver takes seconds to compile kernels that differ only in P and C, so its form runs with five chains alone.
#[test]
fn every_stage_at_every_seam() {
    let mut held = Held::default();
    for (i, p) in [1, 2, 7, 8, 9, 31, 33, 64, 65, 129, 300]
        .into_iter()
        .enumerate()
    {
        let batch = format!("{BATCH}, {}", if p % 2 == 0 { DAMPED } else { JEFFREYS });
        let residual = format!("{RESIDUAL}, {JEFFREYS}");
        let (one, five) = if i % 2 == 0 {
            (batch, residual)
        } else {
            (residual, batch)
        };
        case(&mut held, "bernoulli", &one, (p, 1), &BOTH[..1]);
        case(&mut held, "bernoulli", &five, (p, 5), &BOTH);
    }
    held.close();
}

/// Several outputs, or an auxiliary one: blocks of the metric, leverages by pairs, the inverse.
#[test]
fn every_stage_with_several_outputs() {
    let mut held = Held::default();
    for (family, p) in [("softmax", 9), ("softmax", 129), ("gaussian", 33)] {
        case(
            &mut held,
            family,
            &format!("{BATCH}, {JEFFREYS}"),
            (p, 5),
            &BOTH,
        );
    }
    case(&mut held, "softmax", RESIDUAL, (30, 1), &BOTH);
    case(&mut held, "gaussian", RESIDUAL, (7, 1), &BOTH);
    held.close();
}

/// The empirical metric, a residual measured on the batch, and a volume that is not the metric.
#[test]
fn other_matrices() {
    let mut held = Held::default();
    let empirical = format!(r#"{BATCH}, "fisher": "empirical", "correction": "off""#);
    let by_batch = format!(r#"{RESIDUAL}, "noise_rows": "batch""#);
    let split = format!("{RESIDUAL}, {JEFFREYS}, {DAMPED}");
    for (sampler, p) in [(empirical, 33), (by_batch, 33), (split, 65)] {
        case(&mut held, "bernoulli", &sampler, (p, 2), &BOTH);
    }
    held.close();
}
