//! `references [--engine cpu|cpu64|gpu] [NAME ...]`: samples the reference posteriors with automatic settings. `--tuned` uses the
//! paper's method, metric at the state, with the step, batch and damping that were found for each by hand:
//! `references --tuned [--draws N] [--chains C] [--methods sngd,euler,mala] [--verbose] [NAME ...]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line")]

use sngd_core::config::{BatchSize, FullName, Integrator, Method, StepSize};
use sngd_core::stat::Stat;
use sngd_tests::drive::Kind;
use sngd_tests::{cases, compare, drive};
use std::time::Instant;

mod automatic;

fn main() {
    let mut kind = Kind::Cpu32;
    let (mut draws, mut chains) = (3000, 32);
    let mut tuned = false;
    let mut epsilon = None;
    let mut damping = None;
    let mut batch = None;
    let mut methods: Vec<String> = vec!["sngd".into(), "euler".into(), "mala".into()];
    let mut names = Vec::new();
    let mut verbose = false;
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut value = || args.next().unwrap_or_default();
        match a.as_str() {
            "--engine" => {
                kind = match value().as_str() {
                    "cpu64" => Kind::Cpu64,
                    "gpu" => Kind::Gpu,
                    _ => Kind::Cpu32,
                }
            }
            "--draws" => draws = value().parse().unwrap_or(draws),
            "--chains" => chains = value().parse().unwrap_or(chains),
            "--step-size" => epsilon = value().parse::<f64>().ok(),
            "--damping" => damping = value().parse::<f64>().ok(),
            "--verbose" => verbose = true,
            "--tuned" => tuned = true,
            "--batch" => batch = value().parse::<usize>().ok(),
            "--methods" => methods = value().split(',').map(String::from).collect(),
            _ => names.push(a),
        }
    }
    if names.is_empty() {
        names = cases::CASES.iter().map(|c| c.name.to_string()).collect();
    }
    if let Some(stranger) = names
        .iter()
        .find(|n| !cases::CASES.iter().any(|c| c.name == n.as_str()))
    {
        let known: Vec<&str> = cases::CASES.iter().map(|c| c.name).collect();
        eprintln!(
            "references: found '{stranger}', expected a posterior among {}; correct the name",
            known.join(", ")
        );
        std::process::exit(2);
    }
    if !tuned {
        automatic::table(kind, &names);
        return;
    }
    println!(
        "| posterior | N | P | method | ε | B | damping | worst mean (sd) | worst sd (%) | worst z | accept | fallbacks | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in names {
        let Some(case) = cases::load(&name) else {
            continue;
        };
        for method in &methods {
            let mut config = case.config.clone();
            // The two large posteriors get shorter chains: one of their steps costs a thousand steps of the others.
            let large = case.problem.rows() * case.problem.parameters() > 500_000;
            config.run.chains = Some(chains);
            config.run.draws = if large { draws.min(1000) } else { draws };
            config.run.warmup = Some(200);
            config.run.init_scale = Some(1.0);
            match method.as_str() {
                "mala" => {
                    config.sampler.method = Some(Method::Mala);
                    config.sampler.batch_size = Some(BatchSize::Named(FullName::Full));
                    let p = case.problem.parameters();
                    let e = 2.0 / (p as f64).sqrt();
                    config.sampler.step_size = Some(StepSize::Constant(e.min(0.7)));
                }
                "euler" => config.sampler.integrator = Some(Integrator::Euler),
                _ => {}
            }
            if let Some(e) = epsilon {
                config.sampler.step_size = Some(StepSize::Constant(e));
            }
            if let Some(b) = batch {
                config.sampler.batch_size = Some(BatchSize::Rows(b));
            }
            if let Some(d) = damping {
                config.sampler.damping = Some(d);
            }
            let start = Instant::now();
            let Some(d) = drive::sample_as_asked(kind, &config, &case.problem) else {
                continue;
            };
            let seconds = start.elapsed().as_secs_f64();
            let e = config
                .sampler
                .step_size
                .as_ref()
                .map_or(0.1, StepSize::initial);
            let b = match config.sampler.batch_size {
                Some(BatchSize::Rows(b)) => b.to_string(),
                _ => "N".into(),
            };
            let damp = config.sampler.damping.unwrap_or(0.0);
            let (n, p) = (case.problem.rows(), case.problem.parameters());
            if let Some(f) = d.faults.first() {
                println!(
                    "| {name} | {n} | {p} | {method} | {e:.2} | {b} | {damp} | fault: {f:?} | | | | | |"
                );
                continue;
            }
            let c = compare::against(&case, &d);
            if verbose {
                for (r, row) in c.rows.iter().enumerate() {
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
            let accept = d.stat(Stat::AcceptanceRate);
            println!(
                "| {name} | {n} | {p} | {method} | {e:.2} | {b} | {damp} | {:.3} | {:.1} | {:.1} | {:.2} | {} | {seconds:.1} |",
                c.worst_mean(),
                100.0 * c.worst_sd(),
                c.worst_z(),
                accept.iter().sum::<f64>() / accept.len() as f64,
                d.fallbacks,
            );
        }
    }
}
