//! Whole runs through the library: memory, streams, traces, starts, thermometers.

use sngd::Family::{Bernoulli, Gaussian};
use sngd::{
    Data, Device, Draws, Ending, Error, Mala, Model, Prior, Sampler, Samples, Sgld, Sngd,
    TraceSink, Warmup, summarize_trace,
};
use sngd_core::config::{Init, Precision};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Two features and a response from a fixed sequence, without a random generator.
fn data(labels: bool) -> Data {
    let row = |i: usize| {
        (
            ((i * 37) % 101) as f64 / 50.0 - 1.0,
            ((i * 53) % 97) as f64 / 10.0,
        )
    };
    let noise = |i: usize| ((i * 71) % 89) as f64 / 89.0;
    let x: Vec<f64> = (0..120).flat_map(|i| [row(i).0, row(i).1]).collect();
    let y = (0..120).map(|i| {
        let eta = row(i).0 + 0.2 * (row(i).1 - 5.0);
        if labels {
            f64::from(u8::from(noise(i) < 1.0 / (1.0 + (-eta).exp())))
        } else {
            eta + 2.0 * noise(i)
        }
    });
    Data::new(x, ["a", "b"], y.collect())
}

fn logistic() -> sngd::Builder {
    Sampler::builder(Model::linear(Bernoulli), &data(true))
        .prior(Prior::Normal(0.0, 2.5))
        .method(Sngd::default().step_size(0.2).batch_size(90))
        .chains(4)
        .device(Device::Cpu)
}

/// Damping is no part of the target. On a Gaussian posterior T̂ is 1 for any damping, here under the exact method.
#[test]
fn a_thermometer_does_not_see_the_damping() {
    for damping in [0.0, 0.3] {
        let run = Sampler::builder(Model::linear(Gaussian).scale(0.6), &data(false))
            .prior(Prior::Normal(0.0, 2.5))
            .method(Mala::default().step_size(0.5).damping(damping))
            .chains(32)
            .device(Device::Cpu)
            .build()
            .unwrap();
        let summary = run.sample(Warmup(100), Draws(400)).unwrap().summary();
        for t in [&summary.thermometers.covariance, &summary.thermometers.cost] {
            assert_eq!(t.reason, None);
            assert!(
                (t.value - 1.0).abs() < 5.0 * t.mcse + 0.01,
                "damping {damping}: {t:?}"
            );
        }
    }
}

/// ln p = η − y·eᵑ with a W that is twice the true one.
#[derive(Debug)]
struct Exponential;

impl sngd::LikelihoodBody for Exponential {
    fn log_lik(&self, eta: &[f64], obs: sngd::Observed<f64>) -> f64 {
        eta[0] - obs.y * eta[0].exp()
    }
    fn score(&self, eta: &[f64], obs: sngd::Observed<f64>, score: &mut [f64]) {
        score[0] = 1.0 - obs.y * eta[0].exp();
    }
    fn fisher(&self, _: &[f64], _: f64, w: &mut [f64]) {
        w[0] = 2.0;
    }
}

/// The law of minibatch noise assumes natural gradients; a W other than E[s sᵀ] is reported before a run.
#[test]
fn a_plan_tells_what_holds() {
    let law = |run: sngd::Builder| sngd::check(run.build().unwrap().prepared()).law_temperature;
    assert!(law(logistic()).is_some());
    assert_eq!(law(logistic().method(Sgld::default())), None);
    let own = sngd::Custom {
        name: "exponential".into(),
        linear_outputs: 1,
        auxiliary: None,
        body: Arc::new(Exponential),
        wgsl: None,
    };
    let waits = Data::new(vec![0.1, 0.9, 0.4, 0.7], ["x"], vec![1.2, 0.3, 0.8, 0.5]);
    let run = Sampler::builder(Model::custom(own), &waits)
        .prior(Prior::Normal(0.0, 1.0))
        .prior_intercept(Prior::Normal(0.0, 1.0))
        .method(Mala::default())
        .device(Device::Cpu);
    let notes = sngd::check(run.build().unwrap().prepared()).notes;
    assert!(notes.len() == 1 && notes[0].contains("fisher"), "{notes:?}");
}

#[test]
fn a_stream_gives_the_draws_of_a_blocking_run() {
    let run = logistic().build().unwrap();
    let whole = run.sample(Warmup(20), Draws(70)).unwrap();
    let mut stream = run.stream(Warmup(20), Draws(70)).unwrap();
    let (mut values, mut next) = (Vec::new(), 0);
    while let Some(block) = pollster::block_on(stream.next()) {
        let block = block.unwrap();
        assert_eq!(block.first_draw, next);
        next += block.len;
        values.extend(block.values);
    }
    assert_eq!(next, 70);
    assert_eq!(stream.outcome().unwrap().ending, Ending::Complete);
    assert_eq!(values, whole.values);
}

#[test]
fn a_trace_and_memory_have_one_summary() {
    let mut builder = logistic().precision(Precision::F64);
    builder.config().run.superchains = 2;
    builder.config().run.save_warmup = true;
    let prepared = builder
        .build()
        .unwrap()
        .prepared()
        .with_lengths(33, 60)
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.zarr");
    let run = Sampler::from_prepared(prepared).open().unwrap();
    let mut memory = Samples::new(run.prepared());
    let mut trace = TraceSink::create(&path, run.prepared(), run.engine(), false).unwrap();
    run.run(&mut [&mut memory, &mut trace], &Arc::default(), &mut |_| {})
        .unwrap();
    let (a, b) = (memory.summary(), summarize_trace(&path).unwrap());
    assert_eq!(
        serde_json::to_string(&a).unwrap(),
        serde_json::to_string(&b).unwrap()
    );
    assert_eq!(
        a.rows.iter().map(|r| r.name.as_str()).collect::<Vec<_>>(),
        ["intercept", "weights[a]", "weights[b]"]
    );
    assert!(
        a.rows
            .iter()
            .all(|r| r.nested_rhat.is_some_and(f64::is_finite))
    );
    let reader = sngd_store::TraceReader::open(&path).unwrap();
    assert_eq!(reader.draws(sngd_store::Phase::Warmup), 33);
    assert_eq!(reader.attribute("status"), Some("complete"));
}

#[test]
fn chains_of_a_superchain_start_together_and_every_start_is_finite() {
    for init in [Init::Map, Init::Prior, Init::Zero] {
        let mut builder = logistic();
        builder.config().run.init = Some(init);
        builder.config().run.superchains = 2;
        let run = builder.build().unwrap();
        let start = sngd::positions(run.prepared());
        assert!(start.iter().all(|w| w.is_finite()));
        assert_eq!(start[..3], start[3..6]);
        assert_eq!(start[6..9], start[9..]);
        assert!(init == Init::Zero || start[..3] != start[6..9]);
    }
}

#[test]
fn a_run_that_is_stopped_ends_with_whole_draws() {
    let run = logistic().build().unwrap().open().unwrap();
    let mut samples = Samples::new(run.prepared());
    let stop = Arc::new(AtomicBool::new(true));
    let outcome = run.run(&mut [&mut samples], &stop, &mut |_| {}).unwrap();
    assert_eq!(outcome.ending, Ending::Interrupted);
    assert_eq!(samples.values.len(), samples.draws * 4 * 3);
}

#[test]
fn what_cannot_run_is_refused_when_it_is_built() {
    let check = |b: sngd::Builder, part: &str| match b.build() {
        Err(e @ Error::Check(_)) => assert!(e.to_string().contains(part), "{e}"),
        other => panic!("{part}: {other:?}"),
    };
    let mut odd = logistic();
    odd.config().run.superchains = 3;
    check(odd, "run.superchains");
    check(
        logistic()
            .precision(Precision::F64)
            .device(Device::parse("gpu")),
        "run.precision",
    );
    check(logistic().prior(Prior::Normal(0.0, -1.0)), "prior.weights");
    let short = Data::new(vec![1.0, 2.0, 3.0], ["a", "b"], vec![0.0, 1.0]);
    check(
        Sampler::builder(Model::linear(Bernoulli), &short),
        "feature values",
    );
    let e = logistic()
        .build()
        .unwrap()
        .sample(Warmup(1), Draws(0))
        .unwrap_err();
    assert!(e.to_string().contains("run.draws"));
}
