//! Minibatch natural gradient descent on a Gaussian mean follows T = ρεN/(B(2−ε)) exactly, and residual noise at T = 1
//! gives the posterior for any ε and B.

use sngd_core::stat::Stat;
use sngd_core::table::Response;
use sngd_tests::compare::moments;
use sngd_tests::drive::{self, kinds};
use sngd_tests::small::{problem, table};

/// N responses with population sd exactly `sd`: then Σ_g = F and the law has no other factor.
fn data(n: usize, sd: f64) -> Vec<f64> {
    let raw: Vec<f64> = (0..n)
        .map(|i| ((i * 7919 % 1009) as f64 / 1009.0).powi(3))
        .collect();
    let mean = raw.iter().sum::<f64>() / n as f64;
    let var = raw.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / n as f64;
    raw.iter()
        .map(|v| 3.0 + (v - mean) / var.sqrt() * sd)
        .collect()
}

fn gaussian_mean(extra: &str) -> (sngd_core::config::Config, sngd_core::problem::Problem) {
    let y = data(200, 1.7);
    problem(
        &format!(
            "[model]\nlikelihood = \"gaussian\"\nscale = 1.7\n[prior]\nintercept = \"flat\"\n{extra}\n[run]\nchains = 64\nwarmup = 300\ndraws = 4000\n"
        ),
        table(&[], Response::Numbers(y)),
    )
}

/// Var of the intercept in units of the posterior's σ²/N, with its Monte Carlo error.
fn temperature(kind: drive::Kind, extra: &str) -> (f64, f64, f64) {
    let (config, problem) = gaussian_mean(extra);
    let d = drive::sample(kind, &config, &problem).expect("an engine");
    let (mean, sd, mean_se, sd_se) = moments(&d.chains_of(0));
    let unit = 1.7 * 1.7 / 200.0;
    assert!(
        ((mean - 3.0) / mean_se).abs() < 4.5,
        "mean {mean} ± {mean_se}"
    );
    (
        sd * sd / unit,
        2.0 * sd * sd_se / unit,
        d.stat(Stat::Temperature)[0],
    )
}

#[test]
fn ngd_follows_the_law_at_finite_step() {
    for kind in kinds() {
        for &(batches, epsilon, b) in drive::some(&[
            ("with_replacement", 0.05, 5.0),
            ("with_replacement", 0.5, 20.0),
            ("with_replacement", 1.0, 50.0),
            ("without_replacement", 0.3, 20.0),
            ("without_replacement", 0.8, 150.0),
        ]) {
            let rho = if batches == "with_replacement" {
                1.0
            } else {
                (200.0 - b) / 199.0
            };
            let law = rho * epsilon * 200.0 / (b * (2.0 - epsilon));
            let (t, se, reported) = temperature(
                kind,
                &format!(
                    "[sampler]\nmethod = \"ngd\"\nstep_size = {epsilon}\nbatch_size = {b}\nbatches = \"{batches}\""
                ),
            );
            assert!((reported - law).abs() < 1e-6 * law, "{reported} {law}");
            assert!(
                ((t - law) / se).abs() < 4.0,
                "{kind:?} {batches} ε = {epsilon}, B = {b}: measured {t} ± {se}, law {law}"
            );
        }
    }
}

/// Reshuffled epochs have a lower temperature than the law: the ablation must show it.
#[test]
fn epochs_break_the_law() {
    for kind in kinds() {
        let law = 0.3 * 200.0 / (20.0 * 1.7);
        let (t, se, _) = temperature(
            kind,
            "[sampler]\nmethod = \"ngd\"\nstep_size = 0.3\nbatch_size = 20\nbatches = \"epochs\"",
        );
        assert!(
            (law - t) / se > 10.0,
            "{kind:?}: measured {t} ± {se}, law {law}"
        );
    }
}

/// Every noise policy that promises the target reaches it, at any step size, also with damping; `full` has a higher temperature by the law.
#[test]
fn noise_budgets_are_exact_on_a_gaussian() {
    for kind in kinds() {
        for &(epsilon, noise, damping, expected) in drive::some(&[
            (0.3, "residual", 0.0, 1.0),
            (0.9, "residual", 0.0, 1.0),
            (0.3, "nominal", 0.0, 1.0),
            (0.5, "residual", 0.2, 1.0),
            (0.5, "nominal", 0.2, 1.0),
            (
                0.3,
                "full",
                0.0,
                1.0 + 0.3 * 100.0 / 199.0 * 200.0 / (100.0 * 1.7),
            ),
        ]) {
            let (t, se, _) = temperature(
                kind,
                &format!(
                    "[sampler]\nstep_size = {epsilon}\nbatch_size = 100\nbatches = \"without_replacement\"\nnoise = \"{noise}\"\ndamping = {damping}"
                ),
            );
            assert!(
                ((t - expected) / se).abs() < 4.0,
                "{kind:?} {noise} ε = {epsilon} damping {damping}: {t} ± {se}, expected {expected}"
            );
        }
    }
}

/// Euler's 2ε gives a temperature too high by 2/(2−ε): the reason for the other budget.
#[test]
fn euler_is_too_hot() {
    for kind in kinds() {
        let (t, se, _) = temperature(
            kind,
            "[sampler]\nstep_size = 0.5\nbatch_size = \"full\"\nintegrator = \"euler\"",
        );
        assert!(((t - 4.0 / 3.0) / se).abs() < 4.0, "{kind:?}: {t} ± {se}");
    }
}
