//! The GPU engine's behaviour: repeatable bits, spans in flight, faults, refusals, self-test.

use crate::common::{self, gpus, second_driver, setup};
use sngd_core::config::Precision;
use sngd_core::engine::{Engine, EngineError, FaultKind, Span};
use sngd_core::plan::Plan;
use sngd_cpu::CpuEngine;
use sngd_gpu::{DeviceSelector, Gpu, GpuEngine, Tuning, adapters, dispatches, memory};

const SAMPLER: &str = r#""noise": "residual", "step_size": 0.3, "batch_size": 96"#;

fn span(first_step: u32, draws: u32, thin: u32) -> Span {
    Span {
        first_step,
        draws,
        thin,
        warmup: false,
    }
}

#[test]
fn the_same_bits_however_spans_are_cut() {
    let (problem, plan, init) = setup("bernoulli", "", SAMPLER, (300, 9, 7));
    for gpu in gpus() {
        let run = |spans: &[Span]| {
            let mut e = GpuEngine::new(gpu.clone(), &problem, &plan, &init).unwrap();
            assert!(e.depth() >= 2);
            spans.iter().for_each(|s| e.enqueue(*s).unwrap());
            let mut out = Vec::new();
            for s in spans {
                let block = e.collect().unwrap();
                assert_eq!(block.span, *s);
                out.extend(block.omega.iter().map(|w| w.to_bits()));
            }
            (out, e.state().unwrap())
        };
        let (one, end) = run(&[span(0, 60, 1)]);
        let (two, again) = run(&[span(0, 60, 1)]);
        let (cut, cut_end) = run(&[span(0, 7, 1), span(7, 50, 1), span(57, 3, 1)]);
        assert_eq!(one, two);
        assert_eq!(one, cut);
        assert_eq!(end, again);
        assert_eq!(end, cut_end);
        assert_eq!(end.step, 60);
        let (thinned, _) = run(&[span(0, 20, 3)]);
        let every_third: Vec<u64> = one
            .chunks(7 * plan.p)
            .step_by(3)
            .flatten()
            .copied()
            .collect();
        assert_eq!(thinned, every_third);
    }
}

/// An engine that is loaded afresh goes on from another's state with the same bits: for every kind of step where it is at the state.
#[test]
fn a_state_is_gone_on_with() {
    let kinds = [
        SAMPLER,
        r#""noise": "full", "step_size": 0.3, "batch_size": 96, "fisher_refresh": 4"#,
        r#""method": "mala", "step_size": 0.5"#,
        r#""method": "psgld", "step_size": 0.01, "batch_size": 96"#,
    ];
    for gpu in gpus() {
        for kind in kinds {
            let (problem, plan, init) = setup("bernoulli", "", kind, (300, 9, 7));
            let load = || GpuEngine::new(gpu.clone(), &problem, &plan, &init).unwrap();
            let run = |e: &mut GpuEngine, s: Span| {
                e.enqueue(s).unwrap();
                let block = e.collect().unwrap();
                let both = block.omega.iter().chain(&block.stats);
                both.map(|w| w.to_bits()).collect::<Vec<u64>>()
            };
            let mut whole = load();
            run(&mut whole, span(0, 24, 1));
            let state = whole.state().unwrap();
            let right = run(&mut whole, span(24, 20, 1));
            let mut fresh = load();
            fresh.restore(&state).unwrap();
            assert_eq!(run(&mut fresh, span(24, 20, 1)), right, "{kind}");
            assert_eq!(fresh.state().unwrap(), whole.state().unwrap(), "{kind}");
        }
    }
}

/// More draws than the device stores at once, so that a span needs several copies.
#[test]
fn long_spans_come_back_whole() {
    let (problem, plan, init) = setup(
        "bernoulli",
        "",
        r#""noise": "full", "batch_size": 16, "fisher_rows": "batch", "damping": 0.1"#,
        (60, 2, 3),
    );
    for gpu in gpus() {
        let mut e = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
        e.enqueue(span(0, 2500, 1)).unwrap();
        let block = e.collect().unwrap();
        assert_eq!(block.omega.len(), 2500 * 3 * plan.p);
        let mut oracle = CpuEngine::new(Precision::F64, &problem, &plan, &init, Some(1)).unwrap();
        oracle.enqueue(span(0, 2500, 1)).unwrap();
        let truth = oracle.collect().unwrap();
        // The chains forget earlier rounding errors: at the end they still agree.
        let worst = block
            .omega
            .iter()
            .zip(&truth.omega)
            .fold(0.0f64, |w, (a, b)| w.max((a - b).abs()));
        assert!(worst < 1e-3, "{worst}");
    }
}

#[test]
fn a_diverging_chain_is_frozen_and_told() {
    let (problem, plan, mut init) = setup(
        "poisson",
        "",
        r#""method": "sgld", "step_size": 1.0"#,
        (100, 2, 3),
    );
    init[plan.p] = 60.0;
    for gpu in gpus() {
        let mut e = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
        e.enqueue(span(0, 5, 1)).unwrap();
        let block = e.collect().unwrap();
        assert!(
            block
                .faults
                .iter()
                .any(|f| f.chain == 1 && f.step == 0 && f.kind == FaultKind::Diverged),
            "{:?}",
            block.faults
        );
        assert!(block.omega.iter().all(|w| w.is_finite()));
        assert_eq!(block.stats[9 + 5], 1.0);
        assert!(block.stats[9].is_nan());
    }
}

#[test]
fn a_singular_metric_names_chain_and_pivot() {
    // An underflowing weight gives a zero diagonal under flat priors.
    for d in [2, 95] {
        let mut config = common::config("poisson", "", r#""noise": "full", "batch_size": 50"#, 3);
        config.prior.0.clear();
        config.prior.0.insert("weights".into(), "flat".into());
        config.prior.0.insert("intercept".into(), "flat".into());
        let (problem, plan, mut init) = common::setup_config(&config, "poisson", 200, d);
        init[plan.p] = -120.0;
        for gpu in gpus() {
            let mut e = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
            e.enqueue(span(0, 2, 1)).unwrap();
            let block = e.collect().unwrap();
            let fault = block.faults.iter().find(|f| f.chain == 1).unwrap();
            assert_eq!(fault.step, 0);
            assert!(
                matches!(fault.kind, FaultKind::MetricNotPositive { .. }),
                "{fault:?}"
            );
            assert!(
                block.faults.iter().all(|f| f.chain == 1),
                "{:?}",
                block.faults
            );
        }
    }
}

/// Blocks are factored separately. The chain's status has the first that failed, the largest jitter, and any fallback.
#[test]
fn blocks_tell_their_chain() {
    for d in [3, 100] {
        let sampler = r#""step_size": 0.3, "batch_size": 96, "noise": "full", "correction": "off", "blocks": "unit""#;
        let mut config = common::config("softmax", r#", "baseline": "first""#, sampler, 3);
        config.prior.0.insert("weights".into(), "flat".into());
        config.prior.0.insert("intercept".into(), "flat".into());
        let (problem, plan, mut init) = common::setup_config(&config, "softmax", 300, d);
        let order = plan.blocks.largest();
        // Chain 1 gives the last class probability 0, chain 2 both classes with parameters: those blocks are 0.
        init[plan.p + order] = -1e4;
        init[2 * plan.p] = -1e4;
        init[2 * plan.p + order] = -1e4;
        for gpu in gpus() {
            let mut engine = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
            engine.enqueue(span(0, 2, 1)).unwrap();
            let block = engine.collect().unwrap();
            let told: Vec<_> = block.faults.iter().map(|f| (f.chain, f.kind)).collect();
            let failed = |pivot| FaultKind::MetricNotPositive { pivot };
            assert_eq!(told, [(1, failed(order as u32)), (2, failed(0))], "{d}");
        }
        let cold = sampler.replace("\"full\"", "\"residual\", \"temperature\": 1e-3");
        let config = common::config("softmax", r#", "baseline": "first""#, &cold, 3);
        let (problem, plan, init) = common::setup_config(&config, "softmax", 300, d);
        for gpu in gpus() {
            let mut engine = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
            engine.enqueue(span(0, 2, 1)).unwrap();
            assert_eq!(engine.collect().unwrap().fallbacks, 6, "{d}");
        }
    }
}

#[test]
fn what_does_not_fit_is_told_with_what_does() {
    let Some(gpu) = gpus().pop() else { return };
    let (problem, plan, init) = setup("bernoulli", "", SAMPLER, (300, 9, 7));
    let refused =
        |plan: &Plan, init: &[f64]| match GpuEngine::new(gpu.clone(), &problem, plan, init) {
            Err(EngineError::DoesNotFit(text)) => text,
            other => panic!("{other:?}"),
        };
    let many = Plan {
        chains: 70_000,
        ..plan.clone()
    };
    let text = refused(&many, &vec![0.0; 70_000 * plan.p]);
    assert!(text.contains("the most chains that fit are"), "{text}");
    let long = Plan {
        n: 1 << 30,
        ..plan.clone()
    };
    let text = refused(&long, &init);
    assert!(
        text.contains("\"x\"") && text.contains("rows of data that fit are"),
        "{text}"
    );
    let sizes = memory(&plan, &problem);
    let of = |name: &str| sizes.iter().find(|(n, _)| n == name).map(|(_, b)| *b);
    assert_eq!(of("omega"), Some(4 * 7 * 10));
    assert_eq!(of("fisher"), Some(4 * 7 * 100));
}

/// The expected numbers are counted by hand from what a step needs. No device is used.
#[test]
fn dispatches_are_known_without_a_device() {
    let count = |sampler: &str, d: usize| {
        let (_, plan, _) = setup("bernoulli", "", sampler, (300, d, 600));
        let all = dispatches(&plan, Tuning::Hardware);
        let of = move |name: &str| all.iter().find(|(n, _)| n == name).map(|(_, c)| *c);
        move |name: &str| of(name).unwrap_or(0.0)
    };
    let small = r#""noise": "full", "fisher_rows": "batch", "batch_size": 64"#;
    // One pass for everything, and a reduction of its partial sums.
    let few = count(small, 7);
    assert_eq!(
        ["small_pass", "small_lever", "rows", "fisher"].map(few),
        [1.0, 1.0, 0.0, 0.0]
    );
    // The batch's rows and those of all data; one factor of M and one of Q.
    let residual = count(r#""noise": "residual", "batch_size": 64"#, 20);
    assert_eq!(
        ["rows", "fisher", "cholesky", "leverage", "update"].map(residual),
        [2.0, 2.0, 2.0, 1.0, 1.0]
    );
    // A metric that is kept for four steps counts as a quarter per step.
    let kept = count(
        r#""noise": "full", "batch_size": 64, "fisher_refresh": 4"#,
        20,
    );
    assert_eq!(
        ["rows", "fisher", "cholesky", "update"].map(kept),
        [1.25, 0.25, 0.25, 1.0]
    );
    // 100 parameters are four panels: scale and prepare, a diagonal per panel, below and update with W, finish, retry.
    let panels = count(
        r#""noise": "full", "batch_size": 64, "fisher_rows": "batch""#,
        99,
    );
    assert_eq!(
        ["panels", "cholesky_retry", "cholesky"].map(panels),
        [2.0 + 4.0 + 4.0 + 3.0 + 1.0, 1.0, 0.0]
    );
    // MALA's first evaluation belongs to no step; each step evaluates once.
    let mala = count(r#""method": "mala""#, 20);
    assert_eq!(
        ["rows", "cholesky", "propose", "accept"].map(mala),
        [1.0, 1.0, 1.0, 1.0]
    );
}

/// Timing gives the stages the same names as counting without a device, and does not move the chains.
#[test]
fn stages_are_timed_under_the_names_that_are_counted() {
    let (problem, plan, init) = setup("bernoulli", "", SAMPLER, (300, 9, 7));
    for gpu in gpus() {
        let told: Vec<String> = dispatches(&plan, gpu.tuning)
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        let mut e = GpuEngine::new(gpu, &problem, &plan, &init).unwrap();
        let before = e.state().unwrap();
        let timed = e.time_stages(2).unwrap();
        let names: Vec<String> = timed.iter().map(|(name, _)| name.clone()).collect();
        assert_eq!(names, told);
        assert!(timed.iter().all(|(_, ms)| *ms > 0.0), "{timed:?}");
        assert!(e.time_stage("update", 2).unwrap() > 0.0);
        assert!(e.time_stage("accept", 2).is_err());
        assert_eq!(e.state().unwrap(), before);
    }
}

#[test]
fn adapters_have_names_and_a_wrong_name_is_told() {
    let found = adapters();
    assert!(
        found
            .iter()
            .all(|a| !a.name.is_empty() && a.storage_buffers >= 8)
    );
    let e = Gpu::open(&DeviceSelector::parse("no such card")).unwrap_err();
    assert!(
        matches!(&e, EngineError::NoDevice(m) if m.contains("no such card")),
        "{e}"
    );
}

#[test]
fn the_self_test_passes() {
    for gpu in gpus() {
        for check in gpu.self_test().unwrap() {
            println!("{check:?}");
            assert!(check.passed(), "{check:?}");
        }
    }
}

/// The rate of matrix products for the bench. `product_rate` checks its product, so a kernel that omits a tile fails.
#[test]
fn the_rate_of_a_product_is_a_rate() {
    if second_driver() {
        return; // seconds long there, and the same kernel
    }
    for gpu in gpus() {
        let rate = gpu.product_rate(0.2).expect("a right product");
        assert!(rate.is_finite() && rate > 0.0, "{rate}");
    }
}

/// With a metric at the state sums are split into as many parts as the chains leave threads for, so that a chain's draws depend on
/// its company by rounding and by no more.
#[test]
fn a_chain_is_the_same_alone_and_among_others_but_for_rounding() {
    const CHAINS: usize = 24;
    const FEW: usize = 2;
    let regimes = [
        (
            "bernoulli",
            4,
            r#""noise": "full", "step_size": 0.3, "batch_size": "full""#,
        ),
        ("bernoulli", 9, SAMPLER),
        (
            "bernoulli",
            100,
            r#""noise": "full", "step_size": 0.3, "batch_size": 200"#,
        ),
        (
            "softmax",
            5,
            r#""noise": "full", "step_size": 0.3, "batch_size": 96"#,
        ),
        (
            "bernoulli",
            9,
            r#""method": "mala", "step_size": 0.3, "batch_size": "full""#,
        ),
    ];
    for (i, (family, d, sampler)) in regimes.into_iter().enumerate() {
        let (problem, plan, init) = setup(family, "", sampler, (300, d, CHAINS));
        // Each form of the kernels takes every other one.
        for gpu in gpus().into_iter().skip(i % 2).take(1) {
            let draws = |chains: usize| {
                let plan = Plan {
                    chains,
                    ..plan.clone()
                };
                let init = &init[..chains * plan.p];
                let mut e = GpuEngine::new(gpu.clone(), &problem, &plan, init).unwrap();
                e.enqueue(span(0, 8, 1)).unwrap();
                e.collect().unwrap().omega
            };
            let (few, all) = (draws(FEW), draws(CHAINS));
            for (i, draw) in few.chunks(plan.p).enumerate() {
                let at = (i / FEW * CHAINS + i % FEW) * plan.p;
                for (a, b) in draw.iter().zip(&all[at..]) {
                    assert!(
                        (a - b).abs() < 2e-4 * (1.0 + b.abs()),
                        "{family}, D = {d}, {sampler}, {:?}, draw {i}: {a} and {b}",
                        gpu.tuning
                    );
                }
            }
        }
    }
}
