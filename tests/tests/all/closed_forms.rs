//! Closed-form distributions under Jeffreys' volume (κ = 1), in several parameterisations of the same model, and the signs of a
//! wrong measure: κ = 0 and missing corrections must differ.

use sngd_core::table::{Response, Table};
use sngd_tests::compare::{assert_moments, moments};
use sngd_tests::drive::{self, Kind, kinds};
use sngd_tests::small::{labels, problem, table};
use statrs::function::gamma::digamma;

/// A run of an intercept-only model: `sngd` at a small step, or exact `mala`.
fn run(kind: Kind, model: &str, data: Table, sampler: &str) -> drive::Draws {
    let (config, problem) = problem(
        &format!(
            "[model]\n{model}\n[prior]\nintercept = \"flat\"\n{}[sampler]\n{sampler}\n[run]\nchains = 64\nwarmup = 400\ndraws = 2500\ninit_scale = 1.0\n",
            if model.contains("gaussian") {
                "scale = \"flat\"\n"
            } else {
                ""
            }
        ),
        data,
    );
    let d = drive::sample(kind, &config, &problem).expect("an engine");
    assert!(d.faults.is_empty(), "{:?}", d.faults);
    d
}

const MALA: &str = "method = \"mala\"\ntarget = \"jeffreys\"\nstep_size = 0.6";
/// Full-batch SNGD: its bias is of order ε²; `bias` bounds it in the assertions.
/// The damping bounds the metric where the Fisher information vanishes; it changes neither the target nor exactness on a Gaussian.
const SNGD: &str = "target = \"jeffreys\"\nstep_size = 0.1\nbatch_size = \"full\"\ndamping = 0.01";

fn mapped(d: &drive::Draws, i: usize, f: impl Fn(f64) -> f64) -> Vec<Vec<f64>> {
    d.chains_of(i)
        .iter()
        .map(|c| c.iter().map(|&x| f(x)).collect())
        .collect()
}

fn bernoulli(k: u32, n: u32) -> Table {
    table(
        &[],
        labels(&(0..n).map(|i| u32::from(i < k)).collect::<Vec<_>>(), 2),
    )
}

fn inverse_link(link: &str) -> fn(f64) -> f64 {
    match link {
        "logit" => |x| 1.0 / (1.0 + (-x).exp()),
        "probit" => |x| 0.5 * statrs::function::erf::erfc(-x / std::f64::consts::SQRT_2),
        _ => |x| -(-x.exp()).exp_m1(),
    }
}

#[test]
fn bernoulli_is_beta_in_every_link() {
    let (k, n): (f64, f64) = (7.0, 30.0);
    let (a, b) = (k + 0.5, n - k + 0.5);
    let (mean, sd) = (
        a / (a + b),
        (a * b / ((a + b) * (a + b) * (a + b + 1.0))).sqrt(),
    );
    for kind in kinds() {
        for link in drive::some(&["logit", "probit", "cloglog"]) {
            for (sampler, bias) in [(MALA, 0.0), (SNGD, 0.02)] {
                let d = run(
                    kind,
                    &format!("likelihood = \"bernoulli\"\nlink = \"{link}\""),
                    bernoulli(7, 30),
                    sampler,
                );
                let p = mapped(&d, 0, inverse_link(link));
                assert_moments(&format!("{kind:?} {link} {sampler}"), &p, mean, sd, bias);
            }
        }
    }
}

/// The same model under κ = 0 (a flat density in the link's coordinate) must give different distributions of p, and so must
/// a run without corrections.
#[test]
fn other_measures_differ_between_parameterisations() {
    let law = |link: &str, sampler: &str| {
        let d = run(
            Kind::Cpu32,
            &format!("likelihood = \"bernoulli\"\nlink = \"{link}\""),
            bernoulli(14, 18),
            sampler,
        );
        moments(&mapped(&d, 0, inverse_link(link)))
    };
    let apart = |a: (f64, f64, f64, f64), b: (f64, f64, f64, f64)| {
        (a.0 - b.0).abs() / (a.2 * a.2 + b.2 * b.2).sqrt()
    };
    let posterior = "target = \"posterior\"\nstep_size = 0.1\nbatch_size = \"full\"";
    let uncorrected =
        "target = \"jeffreys\"\nstep_size = 0.1\nbatch_size = \"full\"\ncorrection = \"off\"";
    let (a, b) = (law("logit", SNGD), law("cloglog", SNGD));
    // The remaining difference between them is the bias of the step, 2% of an sd at this ε.
    assert!(
        (a.0 - b.0).abs() < 4.5 * (a.2 * a.2 + b.2 * b.2).sqrt() + 0.04 * a.1,
        "{a:?} {b:?}"
    );
    let flat = apart(law("logit", posterior), law("cloglog", posterior));
    assert!(flat > 8.0, "{flat}");
    let uncorrected = apart(law("logit", uncorrected), law("cloglog", uncorrected));
    assert!(uncorrected > 8.0, "{uncorrected}");
}

#[test]
fn poisson_is_gamma() {
    let y = [3.0, 1.0, 0.0, 2.0, 4.0, 1.0, 2.0, 0.0];
    let (shape, rate) = (y.iter().sum::<f64>() + 0.5, y.len() as f64);
    for kind in kinds() {
        for (sampler, bias) in [(MALA, 0.0), (SNGD, 0.02)] {
            let d = run(
                kind,
                "likelihood = \"poisson\"",
                table(&[], Response::Numbers(y.to_vec())),
                sampler,
            );
            let lambda = mapped(&d, 0, f64::exp);
            assert_moments(
                &format!("{kind:?} poisson {sampler}"),
                &lambda,
                shape / rate,
                shape.sqrt() / rate,
                bias,
            );
        }
    }
}

#[test]
fn softmax_is_dirichlet() {
    let counts = [5u32, 9, 3];
    let index: Vec<u32> = counts
        .iter()
        .enumerate()
        .flat_map(|(c, &m)| vec![c as u32; m as usize])
        .collect();
    let total = 17.0 + 1.5;
    for kind in kinds() {
        for (sampler, bias) in [(MALA, 0.0), (SNGD, 0.025)] {
            let d = run(
                kind,
                "likelihood = \"softmax\"\nbaseline = \"first\"",
                table(&[], labels(&index, 3)),
                sampler,
            );
            let (one, two) = (d.chains_of(0), d.chains_of(1));
            for class in 0..3 {
                let p: Vec<Vec<f64>> = one
                    .iter()
                    .zip(&two)
                    .map(|(a, b)| {
                        a.iter()
                            .zip(b)
                            .map(|(a, b)| {
                                let e = [1.0, a.exp(), b.exp()];
                                e[class] / (e[0] + e[1] + e[2])
                            })
                            .collect()
                    })
                    .collect();
                let a = f64::from(counts[class]) + 0.5;
                let sd = (a * (total - a) / (total * total * (total + 1.0))).sqrt();
                assert_moments(
                    &format!("{kind:?} class {class} {sampler}"),
                    &p,
                    a / total,
                    sd,
                    bias,
                );
            }
        }
    }
}

/// Mean and scale unknown: μ is Student-t and n·s²/σ² is χ², both with n degrees of freedom.
#[test]
fn normal_with_unknown_scale_has_n_degrees_of_freedom() {
    let y: Vec<f64> = (0..24)
        .map(|i| 10.0 + 3.0 * ((i * 29 % 24) as f64 / 24.0 - 0.3))
        .collect();
    let n = y.len() as f64;
    let mean = y.iter().sum::<f64>() / n;
    let ss: f64 = y.iter().map(|v| (v - mean) * (v - mean)).sum();
    // ln σ² = ln SS − ln χ²_n; its mean and variance are ψ(n/2) and ψ₁(n/2).
    let log_sigma = 0.5 * (ss.ln() - digamma(n / 2.0) - 2f64.ln());
    let trigamma = |x: f64| {
        (0..200_000)
            .map(|k| 1.0 / (x + f64::from(k)).powi(2))
            .sum::<f64>()
    };
    for kind in kinds() {
        for (sampler, bias) in [(MALA, 0.0), (SNGD, 0.03)] {
            let d = run(
                kind,
                "likelihood = \"gaussian\"",
                table(&[], Response::Numbers(y.clone())),
                sampler,
            );
            let sd = (ss / n / (n - 2.0)).sqrt();
            assert_moments(
                &format!("{kind:?} mean {sampler}"),
                &d.chains_of(0),
                mean,
                sd,
                bias,
            );
            let ls = mapped(&d, 1, f64::ln);
            let sd = 0.5 * trigamma(n / 2.0).sqrt();
            assert_moments(
                &format!("{kind:?} log σ {sampler}"),
                &ls,
                log_sigma,
                sd,
                bias,
            );
        }
    }
}

/// A metric kept for several steps keeps its corrections with it: fading with the chain's memory under κ = 0 (a flat density of
/// log λ), whole under κ = 1, whose volume's gradient lags by a bias of order mε. Without them the distribution differs.
#[test]
fn kept_corrections_sample_the_law() {
    let y = [3.0, 1.0, 0.0, 2.0, 4.0, 1.0, 2.0, 0.0];
    let rate = y.len() as f64;
    let law = |kind, sampler: &str| {
        let sampler = format!("{sampler}\nstep_size = 0.1\nbatch_size = \"full\"");
        let table = table(&[], Response::Numbers(y.to_vec()));
        let d = run(kind, "likelihood = \"poisson\"", table, &sampler);
        mapped(&d, 0, f64::exp)
    };
    for kind in kinds() {
        for (sampler, extra) in [
            ("target = \"posterior\"\nfisher_refresh = 10", 0.0),
            ("target = \"jeffreys\"\nfisher_refresh = 2", 0.5),
        ] {
            let shape = y.iter().sum::<f64>() + extra;
            let (mean, sd) = (shape / rate, shape.sqrt() / rate);
            let name = format!("{kind:?} {sampler}");
            assert_moments(&name, &law(kind, sampler), mean, sd, 0.02);
            // The GPU's runs are short; the CPU's show that the test would detect missing corrections.
            if kind != Kind::Gpu {
                let uncorrected = moments(&law(kind, &format!("{sampler}\ncorrection = \"off\"")));
                assert!(
                    (uncorrected.0 - mean).abs() > 8.0 * uncorrected.2,
                    "{name}: {uncorrected:?}"
                );
            }
        }
    }
}
