//! Samples every reference posterior by the paper's method, with the step, batch and damping that were found for it by hand.

use crate::Asked;
use sngd_core::config::{BatchSize, Config, FullName, Integrator, Method, StepSize};
use sngd_core::stat::Stat;
use sngd_tests::cases::{self, Case};
use sngd_tests::compare::{self, Comparison};
use sngd_tests::drive;
use std::time::Instant;

/// Prints the table: one row for each posterior and method.
pub fn table(asked: &Asked) {
    println!(
        "| posterior | N | P | method | ε | B | damping | worst mean (sd) | worst sd (%) | worst z | accept | fallbacks | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in &asked.names {
        let Some(case) = cases::load(name) else {
            continue;
        };
        for method in &asked.methods {
            row(asked, &case, name, method);
        }
    }
}

/// The case's own run file, with what the command line and the method change of it.
fn configured(asked: &Asked, case: &Case, method: &str) -> Config {
    let (n, p) = (case.problem.rows(), case.problem.parameters());
    let mut config = case.config.clone();
    // The two large posteriors get shorter chains: one of their steps costs a thousand steps of the others.
    let large = n * p > 500_000;
    config.run.chains = Some(asked.chains);
    config.run.draws = if large {
        asked.draws.min(1000)
    } else {
        asked.draws
    };
    config.run.warmup = Some(200);
    config.run.init_scale = Some(1.0);
    match method {
        "mala" => {
            config.sampler.method = Some(Method::Mala);
            config.sampler.batch_size = Some(BatchSize::Named(FullName::Full));
            let e = 2.0 / (p as f64).sqrt();
            config.sampler.step_size = Some(StepSize::Constant(e.min(0.7)));
        }
        "euler" => config.sampler.integrator = Some(Integrator::Euler),
        _ => {}
    }
    if let Some(e) = asked.step_size {
        config.sampler.step_size = Some(StepSize::Constant(e));
    }
    if let Some(b) = asked.batch {
        config.sampler.batch_size = Some(BatchSize::Rows(b));
    }
    if let Some(d) = asked.damping {
        config.sampler.damping = Some(d);
    }
    config
}

/// Samples one posterior by one method and prints its row; nothing where the engine is not available.
fn row(asked: &Asked, case: &Case, name: &str, method: &str) {
    let config = configured(asked, case, method);
    let start = Instant::now();
    let Some(d) = drive::sample_as_asked(asked.kind, &config, &case.problem) else {
        return;
    };
    let seconds = start.elapsed().as_secs_f64();
    let sampler = &config.sampler;
    let e = (sampler.step_size.as_ref()).map_or(0.1, StepSize::initial);
    let b = match sampler.batch_size {
        Some(BatchSize::Rows(b)) => b.to_string(),
        _ => "N".into(),
    };
    let damping = sampler.damping.unwrap_or(0.0);
    let (n, p) = (case.problem.rows(), case.problem.parameters());
    let settings = format!("{name} | {n} | {p} | {method} | {e:.2} | {b} | {damping}");
    if let Some(f) = d.faults.first() {
        println!("| {settings} | fault: {f:?} | | | | | |");
        return;
    }
    let c = compare::against(case, &d);
    if asked.verbose {
        each_parameter(case, name, method, &c);
    }
    let accept = d.stat(Stat::AcceptanceRate);
    println!(
        "| {settings} | {:.3} | {:.1} | {:.1} | {:.2} | {} | {seconds:.1} |",
        c.worst_mean(),
        100.0 * c.worst_sd(),
        c.worst_z(),
        accept.iter().sum::<f64>() / accept.len() as f64,
        d.fallbacks,
    );
}

/// Prints the error of each parameter's mean and sd.
fn each_parameter(case: &Case, name: &str, method: &str, comparison: &Comparison) {
    for (r, row) in comparison.rows.iter().enumerate() {
        eprintln!(
            "{name} {method} {}: mean {:+.3} ± {:.3} sd, sd {:+.1} ± {:.1} %",
            case.reference.names.get(r).map_or("", String::as_str),
            row.mean_error,
            row.mean_mcse,
            100.0 * row.sd_error,
            100.0 * row.sd_mcse
        );
    }
}
