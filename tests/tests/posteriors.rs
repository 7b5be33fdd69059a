//! Draws against reference posteriors that we did not write. `cargo xtask references` makes the full table.
//!
//! Unadjusted runs (residual noise, minibatches) must lie within 0.1 sd of each mean and 5% of each sd; `mala` within
//! four Monte Carlo errors of both.

use sngd_core::batch::Batches;
use sngd_core::config::{BatchSize, Config, FullName, Method, StepSize};
use sngd_tests::drive::kinds;
use sngd_tests::{cases, compare, drive};

struct Run {
    name: &'static str,
    /// Share of the rows a batch takes.
    share: f64,
    epsilon: f64,
    damping: f64,
    mala_step: f64,
}

const fn run(name: &'static str, share: f64, damping: f64, mala_step: f64) -> Run {
    Run {
        name,
        share,
        epsilon: 0.3,
        damping,
        mala_step,
    }
}

/// The short list, shipped with the tests, and what each posterior allows at ε = 0.3.
const SHORT: &[Run] = &[
    run("GLM_Poisson", 0.5, 0.0, 0.7),
    run("GLM_Binomial", 0.5, 0.0, 0.7),
    run("nes_logit", 0.25, 0.0, 0.7),
    run("dogs", 0.5, 0.0, 0.7),
    run("softmax_iris", 0.5, 0.0, 0.6),
    run("kidiq_momhsiq", 0.5, 0.0, 0.7),
    run("kilpisjarvi", 0.75, 0.0, 0.7),
    run("mesquite", 0.9, 0.0, 0.7),
];

fn settings(config: &mut Config) {
    config.run.chains = 32;
    config.run.warmup = 100;
    config.run.draws = 2000;
    config.run.init_scale = 1.0;
}

#[test]
fn residual_noise_reaches_the_references() {
    for kind in kinds() {
        for run in SHORT {
            let Some(case) = cases::load(run.name) else {
                continue;
            };
            let mut config = case.config.clone();
            settings(&mut config);
            let b = (run.share * case.problem.rows() as f64).ceil() as usize;
            config.sampler.batch_size = Some(BatchSize::Rows(b));
            config.sampler.batches = Batches::WithoutReplacement;
            config.sampler.step_size = StepSize::Constant(run.epsilon);
            config.sampler.damping = run.damping;
            let Some(d) = drive::sample(kind, &config, &case.problem) else {
                continue;
            };
            assert!(d.faults.is_empty(), "{kind:?} {}: {:?}", run.name, d.faults);
            for (r, row) in compare::against(&case, &d).rows.iter().enumerate() {
                // Short runs: their Monte Carlo error comes on top of the promise.
                assert!(
                    row.mean_error.abs() < 0.1 + 4.0 * row.mean_mcse,
                    "{kind:?} {} mean[{r}] off by {:.3} ± {:.3} sd",
                    run.name,
                    row.mean_error,
                    row.mean_mcse
                );
                assert!(
                    row.sd_error.abs() < 0.05 + 4.0 * row.sd_mcse,
                    "{kind:?} {} sd[{r}] off by {:.3} ± {:.3}",
                    run.name,
                    row.sd_error,
                    row.sd_mcse
                );
            }
        }
    }
}

#[test]
fn mala_is_exact() {
    for kind in kinds() {
        for run in SHORT {
            let Some(case) = cases::load(run.name) else {
                continue;
            };
            let mut config = case.config.clone();
            settings(&mut config);
            config.sampler.method = Method::Mala;
            config.sampler.batch_size = Some(BatchSize::Named(FullName::Full));
            config.sampler.step_size = StepSize::Constant(run.mala_step);
            let Some(d) = drive::sample(kind, &config, &case.problem) else {
                continue;
            };
            assert!(d.faults.is_empty(), "{kind:?} {}: {:?}", run.name, d.faults);
            let c = compare::against(&case, &d);
            assert!(c.worst_z() < 4.0, "{kind:?} {}: {:?}", run.name, c.rows);
        }
    }
}
