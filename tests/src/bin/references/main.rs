//! `references [--engine cpu|cpu64|gpu] [NAME ...]`: samples the reference posteriors with automatic settings. `--tuned` uses the
//! paper's method, metric at the state, with the step, batch and damping that were found for each by hand:
//! `references --tuned [--draws N] [--chains C] [--methods sngd,euler,mala] [--verbose] [NAME ...]`.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line")]

use sngd_tests::cases;
use sngd_tests::drive::Kind;

mod automatic;
mod tuned;

fn main() {
    let asked = Asked::read(std::env::args().skip(1));
    let known: Vec<&str> = cases::CASES.iter().map(|c| c.name).collect();
    if let Some(stranger) = asked.names.iter().find(|n| !known.contains(&n.as_str())) {
        eprintln!(
            "references: found '{stranger}', expected a posterior among {}; correct the name",
            known.join(", ")
        );
        std::process::exit(2);
    }
    if asked.tuned {
        tuned::table(&asked);
    } else {
        automatic::table(asked.kind, &asked.names);
    }
}

/// What the command line asks for.
struct Asked {
    kind: Kind,
    /// Posteriors to sample; all of them where none is named.
    names: Vec<String>,
    tuned: bool,
    /// The rest is for `--tuned` alone. `None`: the number that was found by hand.
    draws: usize,
    chains: usize,
    methods: Vec<String>,
    step_size: Option<f64>,
    batch: Option<usize>,
    damping: Option<f64>,
    verbose: bool,
}

impl Asked {
    fn read(mut args: impl Iterator<Item = String>) -> Asked {
        let mut asked = Asked {
            kind: Kind::Cpu32,
            names: Vec::new(),
            tuned: false,
            draws: 3000,
            chains: 32,
            methods: ["sngd", "euler", "mala"].map(String::from).to_vec(),
            step_size: None,
            batch: None,
            damping: None,
            verbose: false,
        };
        while let Some(a) = args.next() {
            let mut value = || args.next().unwrap_or_default();
            match a.as_str() {
                "--engine" => {
                    asked.kind = match value().as_str() {
                        "cpu64" => Kind::Cpu64,
                        "gpu" => Kind::Gpu,
                        _ => Kind::Cpu32,
                    }
                }
                "--draws" => asked.draws = value().parse().unwrap_or(asked.draws),
                "--chains" => asked.chains = value().parse().unwrap_or(asked.chains),
                "--step-size" => asked.step_size = value().parse().ok(),
                "--damping" => asked.damping = value().parse().ok(),
                "--verbose" => asked.verbose = true,
                "--tuned" => asked.tuned = true,
                "--batch" => asked.batch = value().parse().ok(),
                "--methods" => asked.methods = value().split(',').map(String::from).collect(),
                _ => asked.names.push(a),
            }
        }
        if asked.names.is_empty() {
            asked.names = cases::CASES.iter().map(|c| c.name.to_string()).collect();
        }
        asked
    }
}
