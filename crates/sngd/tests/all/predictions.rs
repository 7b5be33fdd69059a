//! Scores on held-out rows, compared with sums written out in the test.
#![allow(clippy::print_stdout, reason = "a skipped suite must be heard")]

use sngd::{
    Activation, Data, Device, Draws, Error, Family, LinkName, Model, Predictions, Prior, RunSink,
    Sampler, Sngd, Warmup,
};
use sngd_core::normals::fill_normals;
use sngd_core::philox::Stream;
use statrs::function::erf::erf;
use std::sync::Arc;

fn features(n: usize) -> Vec<f64> {
    (0..n * 2)
        .map(|i| ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0)
        .collect()
}

/// The ensemble's log score, accuracy and Brier score, computed from the draws themselves; rows have offsets.
#[test]
fn bernoulli_scores_are_those_of_the_averaged_probabilities() {
    let n = 120;
    let x = features(n);
    let mut z = vec![0.0; n];
    fill_normals(&mut z, 3, Stream::Init, 0, 0);
    let y: Vec<f64> = (0..n)
        .map(|i| f64::from(u8::from(x[2 * i] + 0.5 * x[2 * i + 1] + z[i] > 0.2)))
        .collect();
    let offset: Vec<f64> = (0..n).map(|i| f64::from(i as u32 % 5) / 5.0).collect();
    let data = Data::new(x, ["a", "b"], y).offset(offset);
    let mut builder = Sampler::builder(
        Model::linear(Family::Bernoulli).link(LinkName::Probit),
        &data,
    )
    .prior(Prior::Normal(0.0, 2.5))
    .method(Sngd::default().step_size(0.3).batch_size(60))
    .chains(3)
    .device(Device::Cpu);
    builder.config().data.test_fraction = 0.25;
    let run = builder.build().unwrap();
    let samples = run.sample(Warmup(20), Draws(40)).unwrap();
    let scores = samples.predictions().unwrap();
    assert_eq!((scores.rows, scores.draws), (30, 120));

    let held = run.prepared().problem.held_out.clone().unwrap();
    let column = |name: &str| samples.parameter(name).unwrap();
    let (c, a, b) = (
        column("intercept"),
        column("weights[a]"),
        column("weights[b]"),
    );
    let phi = |z: f64| 0.5 * (1.0 + erf(z / 2f64.sqrt()));
    let (mut log_score, mut hits, mut brier) = (0.0, 0.0, 0.0);
    for (i, (row, y)) in held.x.to_vec().chunks(3).zip(&held.y).enumerate() {
        let offset = held.rows[i] as f64 % 5.0 / 5.0;
        let p: f64 = (0..c.len())
            .map(|s| phi(c[s] + a[s] * row[1] + b[s] * row[2] + offset))
            .sum::<f64>()
            / c.len() as f64;
        let own = if *y == 1.0 { p } else { 1.0 - p };
        log_score += own.ln() / 30.0;
        hits += f64::from(u8::from((p > 0.5) == (*y == 1.0))) / 30.0;
        brier += 2.0 * (1.0 - own).powi(2) / 30.0;
    }
    assert!((scores.log_score - log_score).abs() < 1e-9);
    assert!((scores.accuracy.unwrap() - hits).abs() < 1e-12);
    assert!((scores.brier.unwrap() - brier).abs() < 1e-9);
    // Jensen: averaging densities is never worse than averaging their logs.
    assert!(scores.log_score >= scores.single_log_score);
    assert!(scores.best_log_score >= scores.single_log_score);
    assert!(scores.calibration_error.unwrap() <= 1.0);
    assert_eq!(samples.summary().predictions, Some(scores));
}

/// Gaussian errors of known size: the intervals cover their stated share, and the log score is near that of the truth.
#[test]
fn gaussian_intervals_cover() {
    let n = 1000;
    let x = features(n);
    let mut noise = vec![0.0; n];
    fill_normals(&mut noise, 7, Stream::Init, 0, 0);
    let y: Vec<f64> = (0..n)
        .map(|i| 3.0 + 2.0 * x[2 * i] - x[2 * i + 1] + 0.5 * noise[i])
        .collect();
    let data = Data::new(x, ["a", "b"], y);
    for model in [
        Model::linear(Family::Gaussian),
        Model::linear(Family::Gaussian).scale(0.5),
        Model::mlp(Family::Gaussian, [4], Activation::Tanh),
    ] {
        let mut builder = Sampler::builder(model.clone(), &data)
            .prior(Prior::Normal(0.0, 5.0))
            .method(Sngd::default().step_size(0.1).batch_size(400))
            .chains(4)
            .device(Device::Cpu);
        builder.config().data.test_fraction = 0.4;
        builder.config().sampler.damping = Some(0.05);
        let run = builder.build().unwrap();
        let samples = run.sample(Warmup(300), Draws(100)).unwrap();
        let scores = samples.predictions().unwrap();
        if let Some(intercept) = samples.parameter("intercept") {
            let column = |name: &str| samples.parameter(name).unwrap();
            let (a, b) = (column("weights[a]"), column("weights[b]"));
            let sigma = samples.parameter("scale").unwrap_or(vec![0.5; a.len()]);
            let held = run.prepared().problem.held_out.clone().unwrap();
            let (mut inside, mut squares, draws) = (0.0, 0.0, a.len() as f64);
            for (row, y) in held.x.to_vec().chunks(3).zip(&held.y) {
                let mean = |s: usize| intercept[s] + a[s] * row[1] + b[s] * row[2];
                let below = |s: usize| 0.5 * (1.0 + erf((y - mean(s)) / sigma[s] / 2f64.sqrt()));
                let share = (0..a.len()).map(below).sum::<f64>() / draws;
                inside += f64::from(u8::from((0.05..=0.95).contains(&share))) / 400.0;
                squares += (y - (0..a.len()).map(mean).sum::<f64>() / draws).powi(2) / 400.0;
            }
            assert!((scores.coverage_90.unwrap() - inside).abs() < 1e-9);
            assert!((scores.rmse.unwrap() - squares.sqrt()).abs() < 1e-9);
        }
        // A share of 400 rows has a standard error of 1.5%.
        let cover = scores.coverage_90.unwrap();
        assert!((cover - 0.9).abs() < 0.06, "{cover} {model:?}");
        let truth = -0.5 * (std::f64::consts::TAU.ln() + 1.0) - 0.5f64.ln();
        assert!(
            (scores.log_score - truth).abs() < 0.05 + 4.0 * scores.log_score_se,
            "{} {truth} {model:?}",
            scores.log_score
        );
        assert!(
            (scores.rmse.unwrap() - 0.5).abs() < 0.07,
            "{:?}",
            scores.rmse
        );
    }
}

/// The sums of a device give the scores that the CPU side makes of the same draws, in the user's units.
#[test]
fn a_device_scores_as_the_host_does() {
    let n = 200;
    let x = features(n);
    let mut noise = vec![0.0; n];
    fill_normals(&mut noise, 7, Stream::Init, 0, 0);
    let eta = |i: usize| 2.0 * x[2 * i] - x[2 * i + 1] + 0.5 * noise[i];
    let cases: [(Model, Vec<f64>); 5] = [
        (
            Model::linear(Family::Gaussian),
            (0..n).map(|i| 300.0 + 40.0 * eta(i)).collect(),
        ),
        (
            Model::mlp(Family::Gaussian, [4], Activation::Gelu).scale(0.5),
            (0..n).map(eta).collect(),
        ),
        (
            Model::linear(Family::Poisson),
            (0..n).map(|i| eta(i).exp().round()).collect(),
        ),
        (
            Model::linear(Family::Bernoulli),
            (0..n).map(|i| f64::from(u8::from(eta(i) > 0.3))).collect(),
        ),
        (
            Model::mlp(Family::Softmax, [3], Activation::Relu),
            (0..n)
                .map(|i| (eta(i) + 1.5).clamp(0.0, 2.9).floor())
                .collect(),
        ),
    ];
    let plain = cases.clone().map(|(model, y)| (model, y, false));
    // Every case but the one of several outputs once more with offsets and weights.
    let [more @ .., _] = cases.map(|(model, y)| (model, y, true));
    for (model, y, columns) in plain.into_iter().chain(more) {
        let mut data = Data::new(x.clone(), ["a", "b"], y);
        if columns {
            let of = |f: fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
            data = data
                .offset(of(|i| (i % 7) as f64 / 7.0))
                .weights(of(|i| (i % 3) as f64));
        }
        let mut builder = Sampler::builder(model.clone(), &data)
            .prior(Prior::Normal(0.0, 5.0))
            .method(Sngd::default().step_size(0.1).batch_size(100))
            .chains(4)
            .device(Device::parse("software"));
        let config = builder.config();
        (config.run.warmup, config.run.draws) = (Some(50), 40);
        config.data.test_fraction = 0.3;
        config.sampler.damping = Some(0.05);
        let run = match builder.build().map(Sampler::open) {
            Ok(Ok(run)) => run,
            Err(e) | Ok(Err(e)) => {
                let promised = std::env::var("SNGD_TEST_DRIVER").unwrap_or_default();
                assert!(
                    ["", "none", "native"].contains(&promised.as_str()),
                    "SNGD_TEST_DRIVER = {promised}, but {e}"
                );
                println!("SKIPPED, NO SOFTWARE VULKAN DEVICE: {e}");
                return;
            }
        };
        let mut sink = Both {
            device: Predictions::new(run.prepared()).unwrap(),
            cpu: Predictions::new(run.prepared()).unwrap(),
        };
        run.run(&mut [&mut sink], &Arc::default(), &mut |_| {})
            .unwrap();
        let scores = |p: &Predictions| serde_json::to_value(p.scores().unwrap()).unwrap();
        let (device, cpu) = (scores(&sink.device), scores(&sink.cpu));
        for (name, truth) in cpu.as_object().unwrap() {
            let near = match (truth.as_f64(), device[name].as_f64()) {
                (Some(a), Some(b)) => (a - b).abs() <= 1e-4 * (1.0 + a.abs()),
                (a, b) => a == b,
            };
            let found = &device[name];
            assert!(
                near,
                "{name}: {truth} {found} {model:?}, columns: {columns}"
            );
        }
    }
}

/// Scores the same draws twice.
struct Both {
    device: Predictions,
    cpu: Predictions,
}

impl RunSink for Both {
    fn block(&mut self, block: &sngd_core::trace::DrawBlock) -> Result<(), Error> {
        assert!(block.warmup || block.predicted.is_some());
        self.device.block(block)?;
        let mut without = block.clone();
        without.predicted = None;
        self.cpu.block(&without)
    }

    fn finish(&mut self, _: &sngd::Outcome, _: Option<&str>) -> Result<(), Error> {
        Ok(())
    }
}

/// A network under its default prior is fitted to the standardised response: in other units of response and features its weights are the
/// same, and scale, predictions and scores are in the response's own units.
#[test]
fn a_networks_predictions_do_not_depend_on_units() {
    let n = 80;
    let x = features(n);
    let mut noise = vec![0.0; n];
    fill_normals(&mut noise, 5, Stream::Init, 0, 0);
    let y: Vec<f64> = (0..n)
        .map(|i| (2.0 * x[2 * i]).sin() - x[2 * i + 1] + 0.2 * noise[i])
        .collect();
    let run = |unit: f64, origin: f64, prior: Option<Prior>| {
        let x: Vec<f64> = x.iter().map(|v| unit * v + origin).collect();
        let y = y.iter().map(|v| unit * v + origin).collect();
        let data = Data::new(x, ["a", "b"], y);
        let model = Model::mlp(Family::Gaussian, [4], Activation::Tanh);
        let mut builder = Sampler::builder(model, &data)
            .method(Sngd::default().step_size(0.1).batch_size(40))
            .chains(2)
            .precision(sngd::Precision::F64)
            .device(Device::Cpu);
        if let Some(prior) = prior {
            builder = builder.prior(prior);
        }
        builder.config().data.test_fraction = 0.25;
        builder.config().sampler.damping = Some(0.1);
        let samples = builder.build().unwrap();
        samples.sample(Warmup(30), Draws(10)).unwrap()
    };
    let (one, other) = (run(1.0, 0.0, None), run(1e5, 3e5, None));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-6 * (1.0 + b.abs());
    let p = one.names.len();
    assert!(
        one.names.iter().any(|name| name == "scale"),
        "{:?}",
        one.names
    );
    for (at, (a, b)) in one.values.iter().zip(&other.values).enumerate() {
        let name = &one.names[at % p];
        let unit = if name == "scale" { 1e5 } else { 1.0 };
        assert!(near(unit * a, *b), "{name}: {a} and {b}");
    }
    let (a, b) = (one.predictions().unwrap(), other.predictions().unwrap());
    assert!(near(a.rmse.unwrap(), b.rmse.unwrap() / 1e5), "{a:?} {b:?}");
    assert!(near(a.log_score, b.log_score + 1e5f64.ln()), "{a:?} {b:?}");
    assert!(
        near(a.coverage_90.unwrap(), b.coverage_90.unwrap()),
        "{a:?} {b:?}"
    );
    // The response has a spread of its own where the prior is the user's.
    let given = run(1e5, 3e5, Some(Prior::Normal(0.0, 1.0)))
        .predictions()
        .unwrap();
    assert!(
        given.rmse.unwrap() > 2.0 * b.rmse.unwrap(),
        "{given:?} {b:?}"
    );
}
