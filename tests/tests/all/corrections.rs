//! Compares Γ + (κ/2)·M⁻¹∇ln|M|, as the engine's step applies it, with finite differences of a metric written out here in the
//! plainest form; and the random estimators with the closed form, within their Monte Carlo error.

use sngd_core::config::Config;
use sngd_core::differences::slopes;
use sngd_core::likelihood::packed;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::Response;
use sngd_tests::drive::{self, Draws, Kind};
use sngd_tests::small::{labels, logistic, problem, table};

/// The metric M(ω) = Σ JᵀWJ + N·damping·I + Λ by loops, full or diagonal, `[P][P]`.
fn metric(problem: &Problem, omega: &[f64], damping: f64, diagonal: bool) -> Vec<Vec<f64>> {
    let (p, d, k) = (
        problem.parameters(),
        problem.design_columns(),
        problem.transform.outputs,
    );
    let h = problem.likelihood.outputs();
    let mut m: Vec<Vec<f64>> = problem
        .prior_information()
        .chunks(p)
        .map(<[f64]>::to_vec)
        .collect();
    let design = problem.x.to_vec();
    for i in 0..problem.rows() {
        let x = &design[i * d..(i + 1) * d];
        let jacobian: Vec<Vec<f64>> = (0..h)
            .map(|a| {
                let mut j = vec![0.0; p];
                if a < k {
                    j[a * d..(a + 1) * d].copy_from_slice(x);
                } else {
                    j[k * d + a - k] = 1.0;
                }
                j
            })
            .collect();
        let eta: Vec<f64> = jacobian
            .iter()
            .map(|j| j.iter().zip(omega).map(|(a, b)| a * b).sum())
            .collect();
        let mut w = vec![0.0; h * (h + 1) / 2];
        problem
            .likelihood
            .fisher(&eta, problem.observed(i).trials, &mut w);
        for a in 0..h {
            for b in 0..h {
                for r in 0..p {
                    for c in 0..p {
                        m[r][c] += w[packed(a, b)] * jacobian[a][r] * jacobian[b][c];
                    }
                }
            }
        }
    }
    for (r, row) in m.iter_mut().enumerate() {
        row[r] += damping * problem.rows() as f64;
        if diagonal {
            for (c, v) in row.iter_mut().enumerate() {
                if c != r {
                    *v = 0.0;
                }
            }
        }
    }
    m
}

/// Inverse and ln|M| by Gauss–Jordan elimination.
fn invert(m: &[Vec<f64>]) -> (Vec<Vec<f64>>, f64) {
    let p = m.len();
    let mut a: Vec<Vec<f64>> = m.to_vec();
    let mut inv: Vec<Vec<f64>> = (0..p)
        .map(|i| (0..p).map(|j| f64::from(u8::from(i == j))).collect())
        .collect();
    let mut log_det = 0.0;
    for i in 0..p {
        log_det += a[i][i].ln();
        let f = 1.0 / a[i][i];
        for c in 0..p {
            a[i][c] *= f;
            inv[i][c] *= f;
        }
        for r in 0..p {
            if r != i {
                let g = a[r][i];
                for c in 0..p {
                    let (u, v) = (a[i][c], inv[i][c]);
                    a[r][c] -= g * u;
                    inv[r][c] -= g * v;
                }
            }
        }
    }
    (inv, log_det)
}

fn by_differences(problem: &Problem, plan: &Plan, omega: &[f64], diagonal: bool) -> Vec<f64> {
    let p = omega.len();
    let here = invert(&metric(problem, omega, plan.damping, diagonal)).0;
    let mut gamma = vec![0.0; p];
    let mut slope = vec![0.0; p];
    // The inverse of the metric, row by row, and then the logarithm of its volume, which is that without damping.
    let inverse_and_volume = |w: &[f64], out: &mut [f64]| {
        out[..p * p].copy_from_slice(
            &invert(&metric(problem, w, plan.damping, diagonal))
                .0
                .concat(),
        );
        out[p * p] = invert(&metric(problem, w, 0.0, diagonal)).1;
    };
    let mut room = vec![0.0; p + 2 * (p * p + 1)];
    slopes(
        inverse_and_volume,
        omega,
        |_| 1e-4,
        &mut room,
        |j, d| {
            for i in 0..p {
                gamma[i] += d[i * p + j];
            }
            slope[j] = d[p * p];
        },
    );
    (0..p)
        .map(|i| gamma[i] + 0.5 * plan.kappa * (0..p).map(|j| here[i][j] * slope[j]).sum::<f64>())
        .collect()
}

/// The correction that a step applies: the difference between two noiseless steps, with and without it, divided by ε. One per chain.
fn applied(
    kind: Kind,
    config: &Config,
    problem: &Problem,
    omega: &[f64],
    how: &str,
) -> Vec<Vec<f64>> {
    let after = |correction: &str| {
        let mut config = config.clone();
        config.sampler.correction =
            serde_json::from_value(serde_json::Value::String(correction.into())).unwrap();
        let plan = Plan::check(&config, problem).unwrap();
        let init = omega.repeat(plan.chains);
        let mut e = drive::engine(kind, problem, &plan, &init).unwrap().unwrap();
        let d = Draws::of(e.as_mut(), problem, &plan).unwrap();
        assert!(d.faults.is_empty(), "{:?}", d.faults);
        let p = omega.len();
        d.internal[plan.chains * p..]
            .chunks(p)
            .map(<[f64]>::to_vec)
            .collect::<Vec<_>>()
    };
    let epsilon = config
        .sampler
        .step_size
        .as_ref()
        .map_or(0.1, |s| s.initial());
    let (with, without) = (after(how), after("off"));
    with.iter()
        .zip(&without)
        .map(|(a, b)| a.iter().zip(b).map(|(x, y)| (x - y) / epsilon).collect())
        .collect()
}

/// Models of every shape: canonical and not, two outputs, an auxiliary parameter.
fn models() -> Vec<(&'static str, Config, Problem)> {
    let mut out = Vec::new();
    let y: Vec<f64> = (0..60)
        .map(|i| ((i * 37 % 11) as f64 - 4.0) * 0.8)
        .collect();
    let x: Vec<f64> = (0..60)
        .map(|i| ((i * 17 % 60) as f64 / 60.0).powi(2) * 4.0)
        .collect();
    let counts: Vec<f64> = (0..60).map(|i| (i * 7 % 5) as f64).collect();
    let classes: Vec<u32> = (0..60).map(|i| (i * 7 % 3) as u32).collect();
    let prior = "[prior]\nweights = \"normal(0, 2)\"\nintercept = \"normal(0, 3)\"\n";
    let sampler = "[sampler]\nbatch_size = \"full\"\nnoise = \"none\"\nstep_size = 0.5\n[run]\nchains = 1\nwarmup = 0\ndraws = 2\n";
    let mut add = |name: &'static str, model: &str, t| {
        let text = format!("[model]\n{model}\n{prior}{sampler}");
        let (c, p) = problem(&text, t);
        out.push((name, c, p));
    };
    add("logit", "likelihood = \"bernoulli\"", logistic(60, 3));
    add(
        "probit",
        "likelihood = \"bernoulli\"\nlink = \"probit\"",
        logistic(60, 3),
    );
    add(
        "cloglog",
        "likelihood = \"bernoulli\"\nlink = \"cloglog\"",
        logistic(60, 3),
    );
    add(
        "poisson",
        "likelihood = \"poisson\"",
        table(&[("x", &x)], Response::Numbers(counts)),
    );
    add(
        "gaussian",
        "likelihood = \"gaussian\"",
        table(&[("x", &x)], Response::Numbers(y)),
    );
    let t = || table(&[("x", &x)], labels(&classes, 3));
    add("softmax", "likelihood = \"softmax\"", t());
    add(
        "softmax baseline",
        "likelihood = \"softmax\"\nbaseline = \"first\"",
        t(),
    );
    out
}

fn start(p: usize) -> Vec<f64> {
    (0..p).map(|i| 0.4 * (1.3 * i as f64 + 0.5).sin()).collect()
}

#[test]
fn closed_forms_match_finite_differences_for_every_likelihood() {
    for (name, config, problem) in models() {
        for target in ["posterior", "jeffreys"] {
            for damping in [0.0, 0.05] {
                for blocks in ["full", "diagonal"] {
                    let mut c = config.clone();
                    c.sampler.target = serde_json::from_value(target.into()).unwrap();
                    c.sampler.blocks = serde_json::from_value(blocks.into()).unwrap();
                    c.sampler.damping = Some(damping);
                    let plan = Plan::check(&c, &problem).unwrap();
                    let omega = start(plan.p);
                    let got = &applied(Kind::Cpu64, &c, &problem, &omega, "closed_form")[0];
                    let expected = by_differences(&problem, &plan, &omega, blocks == "diagonal");
                    let size = expected.iter().fold(1e-6, |m: f64, e| m.max(e.abs()));
                    for (g, e) in got.iter().zip(&expected) {
                        assert!(
                            (g - e).abs() < 1e-5 * size,
                            "{name} {target} damping {damping} {blocks}: {got:?} {expected:?}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn random_estimators_average_to_the_closed_form() {
    let chains = 3000;
    for (name, config, problem) in models() {
        for (target, damping) in [("posterior", 0.0), ("jeffreys", 0.0), ("jeffreys", 0.05)] {
            for how in ["probe", "finite_difference"] {
                let mut c = config.clone();
                c.sampler.target = serde_json::from_value(target.into()).unwrap();
                c.sampler.damping = Some(damping);
                let omega = start(problem.parameters());
                let truth = applied(Kind::Cpu64, &c, &problem, &omega, "closed_form")[0].clone();
                c.run.chains = Some(chains);
                let all = applied(Kind::Cpu64, &c, &problem, &omega, how);
                for (i, t) in truth.iter().enumerate() {
                    let n = chains as f64;
                    let mean = all.iter().map(|a| a[i]).sum::<f64>() / n;
                    let var = all.iter().map(|a| (a[i] - mean).powi(2)).sum::<f64>() / (n - 1.0);
                    let se = (var / n).sqrt();
                    // Finite differences have a bias of order δ², 1e-4 here.
                    let bias = 2e-4 * truth.iter().fold(0.0, |m: f64, e| m.max(e.abs()));
                    assert!(
                        (mean - t).abs() <= 4.5 * se + bias,
                        "{name} {target} {how} [{i}]: {mean} ± {se}, closed form {t}"
                    );
                }
            }
        }
    }
}
