//! `yacht [--engine cpu|cpu64|gpu] [--chains C] [--warmup W] [--draws N] [SAMPLER ...]`: samples the network reference; prints a row for
//! each `[sampler]`, given as TOML in one line, such as 'step_size = 0.1; batch_size = 123'.
#![allow(clippy::print_stdout, reason = "a command line")]

use sngd_core::plan::Plan;
use sngd_core::stat::Stat;
use sngd_tests::drive::{self, Draws, Kind};
use sngd_tests::yacht;
use std::time::Instant;

fn main() {
    let (mut kind, mut chains, mut warmup, mut draws, mut thin) = (Kind::Cpu32, 32, 1000, 2000, 1);
    let mut samplers = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(a) = args.next() {
        let mut number =
            |n: &mut usize| *n = args.next().and_then(|v| v.parse().ok()).unwrap_or(*n);
        match a.as_str() {
            "--chains" => number(&mut chains),
            "--warmup" => number(&mut warmup),
            "--draws" => number(&mut draws),
            "--thin" => number(&mut thin),
            "--engine" => {
                kind = match args.next().as_deref() {
                    Some("gpu") => Kind::Gpu,
                    Some("cpu64") => Kind::Cpu64,
                    _ => Kind::Cpu32,
                }
            }
            _ => samplers.push(a),
        }
    }
    let Some(case) = yacht::load() else { return };
    println!(
        "| sampler | worst f mean (sd) | worst f sd (%) | log posterior mean (sd), sd (%) | ‖θ‖² mean (sd), sd (%) | accept | fallbacks | seconds |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for text in samplers {
        let mut config = case.config.clone();
        config.sampler = toml::from_str(&text.replace(';', "\n")).expect("a [sampler]");
        (config.run.chains, config.run.warmup, config.run.draws) =
            (Some(chains), Some(warmup), draws);
        config.run.thin = Some(thin);
        let plan = Plan::check(&config, &case.problem).expect("a plan");
        let starts = case.starts(chains, 1);
        let start = Instant::now();
        let mut engine = drive::engine(kind, &case.problem, &plan, &starts)
            .expect("an engine")
            .expect("a device");
        let d = Draws::of(engine.as_mut(), &case.problem, &plan).expect("a run");
        let seconds = start.elapsed().as_secs_f64();
        if let Some(f) = d.faults.first() {
            println!(
                "| {text} | fault: {f:?} ({} of {chains}) | | | | | | {seconds:.0} |",
                d.faults.len()
            );
            continue;
        }
        let x = case.distance(&d);
        let accept = d.stat(Stat::AcceptanceRate);
        println!(
            "| {text} | {:.3} ± {:.3} | {:.1} ± {:.1} | {:+.2}, {:+.1} | {:+.2}, {:+.1} | {:.2} | {} | {seconds:.0} |",
            x.mean,
            x.mean_mcse,
            100.0 * x.sd,
            100.0 * x.sd_mcse,
            x.log_posterior.0,
            100.0 * x.log_posterior.1,
            x.norm.0,
            100.0 * x.norm.1,
            accept.iter().sum::<f64>() / accept.len() as f64,
            d.fallbacks
        );
    }
}
