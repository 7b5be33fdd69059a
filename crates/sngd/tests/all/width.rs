//! Features in f32 and in f64: the same posterior, and of large data one copy in memory.

use sngd::Family::{Bernoulli, Gaussian, Softmax};
use sngd::{Baseline, Data, Device, Draws, Family, Model, Prepared, Prior, Sampler, Warmup, check};

const ROWS: usize = 900;

/// Three features around the centres, all exact in f32, and a response that fits the family.
fn table(family: Family, centres: [f64; 3]) -> (Vec<f64>, Vec<f64>) {
    let part = |i: usize, j: usize| ((i * [37, 53, 71][j]) % [21, 97, 89][j]) as f64;
    let noise = |i: usize| ((i * 61) % 83) as f64 / 83.0;
    let x = (0..ROWS)
        .flat_map(|i| (0..3).map(move |j| part(i, j) - 10.0 + centres[j]))
        .collect();
    let y = (0..ROWS)
        .map(|i| {
            let eta = 0.1 * (part(i, 0) - 10.0) - 0.02 * (part(i, 1) - 48.0);
            match family {
                Gaussian => eta + noise(i),
                Softmax => (3.0 * noise(i) + (0.4 * eta).clamp(-0.9, 0.9))
                    .clamp(0.0, 2.9)
                    .floor(),
                _ => f64::from(u8::from(noise(i) < 1.0 / (1.0 + (-eta).exp()))),
            }
        })
        .collect();
    (x, y)
}

/// The run in both widths: f64, then f32.
fn both(family: Family, centres: [f64; 3]) -> [Sampler; 2] {
    let (x, y) = table(family, centres);
    let names = ["year", "a", "b"];
    let model = match family {
        Softmax => Model::linear(family).baseline(Baseline::First),
        _ => Model::linear(family),
    };
    let narrow: Vec<f32> = x.iter().map(|v| *v as f32).collect();
    assert!(x.iter().zip(&narrow).all(|(x, n)| *x == f64::from(*n)));
    [Data::new(x, names, y.clone()), Data::new(narrow, names, y)].map(|data| {
        Sampler::builder(model.clone(), &data)
            .prior(Prior::Normal(0.0, 2.5))
            .device(Device::Cpu)
            .build()
            .unwrap()
    })
}

fn mode(run: &Prepared) -> (&[f64], &[f64]) {
    let mode = run.mode.as_deref().unwrap();
    (&mode.omega, &mode.metric)
}

/// Mode and metric agree to the rounding of f32, also where the features' centre is large beside their spread: they are centred in f64
/// before they are rounded. Draws then have the same means and sds.
#[test]
fn f32_has_the_posterior_of_f64() {
    for family in [Bernoulli, Gaussian, Softmax] {
        for centres in [[0.0; 3], [2000.0, -300.0, 0.0], [16_777_000.0, 8e6, 1e5]] {
            let [wide, narrow] = both(family, centres);
            let (a, b) = (wide.prepared(), narrow.prepared());
            let ((at, metric), (own, own_metric)) = (mode(a), mode(b));
            let p = at.len();
            for j in 0..p {
                let sd = metric[j * (p + 1)].sqrt().recip();
                let off = (at[j] - own[j]).abs() / sd;
                assert!(
                    off < 2e-5,
                    "{family:?} {centres:?}: mode {j} is off by {off} sds"
                );
                let ratio = own_metric[j * (p + 1)] / metric[j * (p + 1)];
                assert!(
                    (ratio - 1.0).abs() < 1e-6,
                    "{family:?} {centres:?}: {ratio}"
                );
            }
            let drawn = [&wide, &narrow].map(|run| {
                let samples = run.sample(Warmup(50), Draws(200)).unwrap();
                let of = |name: &String| {
                    let draws = samples.parameter(name).unwrap();
                    let n = draws.len() as f64;
                    let mean = draws.iter().sum::<f64>() / n;
                    let spread = draws.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
                    (mean, (spread / n).sqrt())
                };
                a.problem
                    .parameter_names()
                    .iter()
                    .map(of)
                    .collect::<Vec<_>>()
            });
            for ((m, s), (mean, sd)) in drawn[0].iter().zip(&drawn[1]) {
                assert!(
                    (m - mean).abs() < 1e-3 * s,
                    "{family:?} {centres:?}: {m} {mean}"
                );
                assert!(
                    (sd / s - 1.0).abs() < 1e-3,
                    "{family:?} {centres:?}: {s} {sd}"
                );
            }
        }
    }
}

/// With f32 features, problem and expansion read the same numbers, whitened or not, and `check` counts them once. Rows read back from the
/// whitened design are those of the problem to a rounding of f32.
#[test]
fn narrow_features_are_in_memory_once() {
    for family in [Bernoulli, Gaussian, Softmax] {
        let [wide, narrow] = both(family, [2000.0, -300.0, 0.0]);
        let (a, b) = (wide.prepared(), narrow.prepared());
        let shares = |run: &Prepared| {
            let expansion = run.plan.expansion.as_ref().unwrap();
            assert_eq!(expansion.whitened, family != Softmax);
            run.problem.x.shares(&expansion.x)
        };
        assert_eq!((shares(a), shares(b)), (false, true), "{family:?}");
        let saved = check(a).cpu_bytes - check(b).cpu_bytes;
        let columns = b.plan.expansion.as_ref().unwrap().columns;
        assert_eq!(saved, (8 * ROWS * 4) as u64, "{family:?} {columns}");
        let (x, own) = (a.problem.x.to_vec(), b.problem.x.to_vec());
        assert_eq!(x.len(), own.len());
        for (x, own) in x.iter().zip(&own) {
            assert!(
                (x - own).abs() < 1e-6 * (1.0 + x.abs()),
                "{family:?}: {x} {own}"
            );
        }
    }
}
