//! Scores on held-out rows, against sums written out in the test.

use sngd::{
    Activation, Data, Device, Draws, Family, LinkName, Model, Prior, Sampler, Sngd, Warmup,
};
use sngd_core::philox::{Stream, fill_normals};
use statrs::function::erf::erf;

fn features(n: usize) -> Vec<f64> {
    (0..n * 2)
        .map(|i| ((i * 7919 + 13) % 1009) as f64 / 504.5 - 1.0)
        .collect()
}

/// The ensemble's log score, accuracy and Brier score from the draws themselves.
#[test]
fn bernoulli_scores_are_those_of_the_averaged_probabilities() {
    let n = 120;
    let x = features(n);
    let mut z = vec![0.0; n];
    fill_normals(&mut z, 3, Stream::Init, 0, 0);
    let y: Vec<f64> = (0..n)
        .map(|i| f64::from(u8::from(x[2 * i] + 0.5 * x[2 * i + 1] + z[i] > 0.2)))
        .collect();
    let data = Data::new(x, ["a", "b"], y);
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
    for (row, y) in held.x.chunks(3).zip(&held.y) {
        let p: f64 = (0..c.len())
            .map(|s| phi(c[s] + a[s] * row[1] + b[s] * row[2]))
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

/// Gaussian errors of a known size: the intervals hold what they say, the log score is near that of the truth.
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
        builder.config().sampler.damping = 0.05;
        let run = builder.build().unwrap();
        let samples = run.sample(Warmup(300), Draws(100)).unwrap();
        let scores = samples.predictions().unwrap();
        if let Some(intercept) = samples.parameter("intercept") {
            let column = |name: &str| samples.parameter(name).unwrap();
            let (a, b) = (column("weights[a]"), column("weights[b]"));
            let sigma = samples.parameter("scale").unwrap_or(vec![0.5; a.len()]);
            let held = run.prepared().problem.held_out.clone().unwrap();
            let (mut inside, mut squares, draws) = (0.0, 0.0, a.len() as f64);
            for (row, y) in held.x.chunks(3).zip(&held.y) {
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
