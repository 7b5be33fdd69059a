//! `sngd reproduce`.

use crate::output;
use serde::Serialize;
use sngd_reproduce::{EXPERIMENTS, Experiment, Files, Length, Settings, Verdict};
use std::path::PathBuf;
use std::time::Instant;

/// Try a claim of the paper: a figure, its numbers, a verdict.
#[derive(Debug, clap::Args)]
#[command(after_help = "Exit code 4: a verdict failed.")]
pub struct Args {
    /// The experiment, or all
    #[arg(required_unless_present = "list")]
    name: Option<String>,
    /// The experiments and their claims; runs nothing
    #[arg(long)]
    list: bool,
    /// Half a minute per experiment [default]
    #[arg(long, conflicts_with = "full")]
    short: bool,
    /// A few minutes per experiment, smaller Monte Carlo errors
    #[arg(long)]
    full: bool,
    /// Folder of NAME.svg, NAME.png and NAME.csv
    #[arg(long, value_name = "DIR", default_value = "reproduce")]
    out: PathBuf,
    /// Key of every random stream
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The digits data [default: examples/digits.npz of the repository]
    #[arg(long, value_name = "FILE")]
    digits: Option<PathBuf>,
    /// MNIST pooled to 14 x 14 by examples/mnist.py; ensemble-loss leaves it out without
    #[arg(long, value_name = "FILE")]
    mnist: Option<PathBuf>,
    /// Replace old files
    #[arg(long)]
    force: bool,
    /// No progress
    #[arg(long)]
    quiet: bool,
    /// Verdicts as JSON
    #[arg(long)]
    json: bool,
}

/// The JSON form of one experiment.
#[derive(Serialize)]
struct Done {
    name: &'static str,
    claim: &'static str,
    passed: bool,
    seconds: f64,
    files: [String; 3],
    verdict: Verdict,
}

/// Runs the command; returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let name = match (&args.name, args.list) {
        (Some(name), false) => name,
        _ => {
            list(args.json)?;
            return Ok(0);
        }
    };
    let chosen: Vec<&Experiment> = if name == "all" {
        EXPERIMENTS.iter().collect()
    } else {
        vec![sngd_reproduce::find(name)?]
    };
    if !args.force {
        for e in &chosen {
            Files::in_folder(&args.out, e.name).refuse_old()?;
        }
    }
    let quiet = args.quiet;
    let settings = Settings {
        length: if args.full {
            Length::Full
        } else {
            Length::Short
        },
        seed: args.seed,
        digits: args.digits.clone(),
        mnist: args.mnist.clone(),
        progress: &|line| {
            if !quiet {
                output::note(line);
            }
        },
    };
    let mut all = Vec::new();
    for e in chosen {
        let begun = Instant::now();
        let (files, verdict) = sngd_reproduce::run(e, &settings, &args.out, args.force)?;
        let done = Done {
            name: e.name,
            claim: e.claim,
            passed: verdict.passed(),
            seconds: begun.elapsed().as_secs_f64(),
            files: files.all().map(|p| p.display().to_string()),
            verdict,
        };
        if !args.json {
            print(&done)?;
        }
        all.push(done);
    }
    if args.json {
        output::json(&all)?;
    }
    Ok(if all.iter().all(|d| d.passed) { 0 } else { 4 })
}

fn print(done: &Done) -> anyhow::Result<()> {
    output::with_stdout(|out| {
        let word = if done.passed { "PASS" } else { "FAIL" };
        writeln!(out, "{}: {word}. {}", done.name, done.verdict.sentence)?;
        for check in &done.verdict.checks {
            writeln!(out, "  {check}")?;
        }
        writeln!(out, "  {} ({:.0} s)", done.files.join(" "), done.seconds)
    })
}

fn list(json: bool) -> anyhow::Result<()> {
    if json {
        let all: Vec<_> = EXPERIMENTS
            .iter()
            .map(|e| serde_json::json!({ "name": e.name, "claim": e.claim }))
            .collect();
        return output::json(&all);
    }
    output::with_stdout(|out| {
        for e in EXPERIMENTS {
            writeln!(out, "{:<18} {}", e.name, e.claim)?;
        }
        Ok(())
    })
}
