//! Compares draws with reference posteriors from other programs. `cargo xtask references` makes the full table.
//!
//! Unadjusted runs (residual noise, minibatches) must lie within 0.1 sd of each mean and 5% of each sd; `mala` within
//! four Monte Carlo errors of both.

use sngd_core::batch::Batches;
use sngd_core::config::{BatchSize, Config, FullName, Method, StepSize};
use sngd_tests::drive::kinds;
use sngd_tests::{cases, compare, drive};

struct Run {
    name: &'static str,
    /// Share of the rows in a batch.
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

/// The short list, shipped with the tests, with settings that work for each posterior at ε = 0.3.
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
    config.run.chains = Some(32);
    config.run.warmup = Some(100);
    config.run.draws = 2000;
    config.run.init_scale = Some(1.0);
}

#[test]
fn residual_noise_reaches_the_references() {
    for kind in kinds() {
        for run in drive::some(SHORT) {
            let Some(case) = cases::load(run.name) else {
                continue;
            };
            let mut config = case.config.clone();
            settings(&mut config);
            let b = (run.share * case.problem.rows() as f64).ceil() as usize;
            config.sampler.batch_size = Some(BatchSize::Rows(b));
            config.sampler.batches = Batches::WithoutReplacement;
            config.sampler.step_size = Some(StepSize::Constant(run.epsilon));
            config.sampler.damping = Some(run.damping);
            let Some(d) = drive::sample(kind, &config, &case.problem) else {
                continue;
            };
            assert!(d.faults.is_empty(), "{kind:?} {}: {:?}", run.name, d.faults);
            for (r, row) in compare::against(&case, &d).rows.iter().enumerate() {
                // The runs are short: their Monte Carlo error is added to the promised bound.
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
        for run in drive::some(SHORT) {
            let Some(case) = cases::load(run.name) else {
                continue;
            };
            let mut config = case.config.clone();
            settings(&mut config);
            config.sampler.method = Some(Method::Mala);
            config.sampler.batch_size = Some(BatchSize::Named(FullName::Full));
            config.sampler.step_size = Some(StepSize::Constant(run.mala_step));
            let Some(d) = drive::sample(kind, &config, &case.problem) else {
                continue;
            };
            assert!(d.faults.is_empty(), "{kind:?} {}: {:?}", run.name, d.faults);
            let c = compare::against(&case, &d);
            assert!(c.worst_z() < 4.0, "{kind:?} {}: {:?}", run.name, c.rows);
        }
    }
}

/// Separated data under Jeffreys' prior: in the tail |M| falls below what f32 can resolve, and a chain that took rounding for
/// a determinant would never come back.
#[test]
fn mala_stays_where_the_determinant_is_known() {
    for kind in kinds() {
        let Some(case) = cases::load("jeffreys_sex2") else {
            continue;
        };
        let mut config = case.config.clone();
        settings(&mut config);
        config.run.draws = 20_000;
        config.sampler.method = Some(Method::Mala);
        config.sampler.batch_size = Some(BatchSize::Named(FullName::Full));
        config.sampler.step_size = Some(StepSize::Constant(0.7));
        config.sampler.damping = Some(0.0);
        let Some(d) = drive::sample(kind, &config, &case.problem) else {
            continue;
        };
        assert!(d.faults.is_empty(), "{kind:?}: {:?}", d.faults);
        for row in compare::against(&case, &d).rows {
            assert!(
                row.mean_error.abs() < 0.02 + 4.0 * row.mean_mcse && row.mean_mcse < 0.1,
                "{kind:?}: {row:?}"
            );
            assert!(
                row.sd_error.abs() < 0.03 + 4.0 * row.sd_mcse && row.sd_mcse < 0.1,
                "{kind:?}: {row:?}"
            );
        }
    }
}

/// Spector & Mazzeo's data under a probit link: the mode is statsmodels' maximum likelihood, and SNGD with the general
/// (random finite difference) correction agrees with exact MALA.
#[test]
fn probit_by_the_general_correction() {
    let folder = sngd_tests::refs::folder("mle/spector_probit").expect("shipped with the tests");
    let model = |prior: &str| {
        let (table, _) = sngd_tests::refs::design(&folder.join("design.csv"), true);
        sngd_tests::small::problem(
            &format!(
                "[model]\nlikelihood = \"bernoulli\"\nlink = \"probit\"\n[prior]\nweights = \"{prior}\"\nintercept = \"flat\"\n"
            ),
            table,
        )
    };
    let (config, problem) = model("flat");
    let plan = sngd_core::plan::Plan::check(&config, &problem).unwrap();
    let mode = sngd_cpu::map::find(&problem, &plan).unwrap();
    let text = std::fs::read_to_string(folder.join("mle.json")).unwrap();
    let truth: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut theta = vec![0.0; 4];
    problem.transform.natural(&mode.omega, &mut theta);
    for (i, t) in theta.iter().enumerate() {
        let want = truth["mle"][i].as_f64().unwrap();
        assert!((t - want).abs() < 1e-5 * want.abs(), "{t} {want}");
    }

    let (config, problem) = model("normal(0, 1)");
    for kind in kinds() {
        let run = |sampler: &str| {
            let mut c = config.clone();
            settings(&mut c);
            c.sampler = toml::from_str(sampler).unwrap();
            let d = drive::sample(kind, &c, &problem).unwrap();
            assert!(d.faults.is_empty(), "{kind:?} {sampler}: {:?}", d.faults);
            d
        };
        let exact = run("method = \"mala\"\nstep_size = 0.6\n");
        let ours = run(
            "step_size = 0.2\nbatch_size = 24\nbatches = \"without_replacement\"\ndamping = 0.01\ncorrection = \"finite_difference\"\n",
        );
        for i in 0..4 {
            let (m, s, m_se, s_se) = compare::moments(&ours.chains_of(i));
            let (em, es, em_se, es_se) = compare::moments(&exact.chains_of(i));
            let mean = (m - em).abs() / es;
            let sd = (s / es - 1.0).abs();
            assert!(
                mean < 0.1 + 4.0 * m_se.hypot(em_se) / es,
                "{kind:?} mean[{i}] off by {mean} sd"
            );
            assert!(
                sd < 0.05 + 4.0 * s_se.hypot(es_se) / es,
                "{kind:?} sd[{i}] off by {sd}"
            );
        }
    }
}
