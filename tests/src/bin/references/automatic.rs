//! Samples every reference posterior from its data, model and prior alone.

use sngd_core::config::{RunConfig, SamplerConfig};
use sngd_core::stat::Stat;
use sngd_tests::drive::{self, Kind};
use sngd_tests::{cases, compare};
use std::time::Instant;

/// Prints the table; Jeffreys' posteriors are skipped, because they need a `target`.
pub fn table(kind: Kind, names: &[String]) {
    println!(
        "| posterior | N | P | kernel | ε | B | chains × draws (thin) | worst mean (sd) | worst sd (%) | worst z | accept | not made | mode and settings (s) | sampling (s) |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for name in names {
        let Some(case) = cases::load(name).filter(|c| !c.info.jeffreys) else {
            continue;
        };
        let mut config = case.config.clone();
        config.sampler = SamplerConfig::default();
        config.run = RunConfig::default();
        let lap = Instant::now();
        let settled = match drive::settled(&config, &case.problem) {
            Ok(settled) => settled,
            Err(e) => {
                println!("| {name} | refused: {e} |");
                continue;
            }
        };
        let before = lap.elapsed().as_secs_f64();
        let plan = &settled.plan;
        let lap = Instant::now();
        let Some(d) = drive::sample_settled(kind, &config, plan, &case.problem) else {
            continue;
        };
        let sampling = lap.elapsed().as_secs_f64();
        let (n, p) = (plan.n, plan.p);
        if let Some(f) = d.faults.first() {
            println!("| {name} | {n} | {p} | fault: {f:?} |");
            continue;
        }
        eprintln!("{name}: {}", settled.reasons);
        let c = compare::against(&case, &d);
        let accept = d.stat(Stat::AcceptanceRate);
        println!(
            "| {name} | {n} | {p} | {} | {} | {} | {} × {} ({}) | {:.3} | {:.1} | {:.1} | {:.2} | {} | {before:.2} | {sampling:.2} |",
            if plan.metropolis {
                "exact MALA"
            } else if plan.full_batch {
                "all rows"
            } else {
                "control variates"
            },
            plan.step_size.initial(),
            if plan.full_batch {
                "N".to_string()
            } else {
                plan.batch.to_string()
            },
            plan.chains,
            plan.draws,
            plan.thin,
            c.worst_mean(),
            100.0 * c.worst_sd(),
            c.worst_z(),
            accept.iter().sum::<f64>() / accept.len() as f64,
            d.fallbacks,
        );
    }
}
