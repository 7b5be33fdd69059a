//! `gpu-report OUT [--short]`: runs what a GPU pack holds on this machine's GPU and writes OUT/report.md and OUT/report.json
//! (docs/gpu.md). It needs nothing but its pack: no Rust, no network, no checkout.
//!
//! `plan` lists the steps, `process` runs one of them under its time limit, `read` finds the figures in what it printed, `machine`
//! describes the machine and finds a Vulkan loader, `report` writes the two files, after each step, so that a machine
//! that dies leaves what was measured before.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that reports to a person"
)]

mod machine;
mod plan;
mod process;
mod read;
mod report;

use machine::Machine;
use plan::{Pack, Step};
use read::Adapter;
use report::{Report, Row, State};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// Time for all steps.
const WHOLE: Duration = Duration::from_secs(480);

const USAGE: &str = "usage: run.sh OUT [--short]
  OUT      folder for report.md, report.json and the steps' logs; made if it is missing
  --short  a minute or less: few steps, each for a moment";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let short = arguments.iter().any(|a| a == "--short");
    let others: Vec<&String> = arguments.iter().filter(|a| *a != "--short").collect();
    let [out] = others[..] else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    if out.starts_with('-') {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    }
    match run(PathBuf::from(out), short) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(message) => {
            eprintln!("gpu-report: {message}");
            ExitCode::from(2)
        }
    }
}

/// Runs all steps; returns whether each that could run passed.
fn run(out: PathBuf, short: bool) -> Result<bool, String> {
    let pack = Pack::around_this_program()?;
    for folder in [out.join("logs"), out.join("work")] {
        std::fs::create_dir_all(&folder)
            .map_err(|e| format!("{} cannot be made: {e}", folder.display()))?;
    }
    // steps run in OUT/work, so that paths must be whole
    let out = std::fs::canonicalize(&out)
        .map_err(|e| format!("{} cannot be found: {e}", out.display()))?;
    let machine = Machine::here(&pack, &out);
    let mut report = Report::new(&pack, &machine, short);
    let begun = Instant::now();
    let first = plan::devices(&pack);
    take(&mut report, &first, &machine, &out, begun)?;
    let adapter = read::adapter(&report.rows);
    if let Adapter::Named(name) = &adapter {
        report.device = Some(name.clone());
    }
    for step in plan::steps(&pack, &adapter, short) {
        take(&mut report, &step, &machine, &out, begun)?;
    }
    println!(
        "{} and report.json are written",
        out.join("report.md").display()
    );
    Ok(report.passed())
}

/// Runs one step in what is left of the whole time, adds its row and writes the report.
fn take(
    report: &mut Report,
    step: &Step,
    machine: &Machine,
    out: &std::path::Path,
    begun: Instant,
) -> Result<(), String> {
    let row = row(step, machine, out, WHOLE.saturating_sub(begun.elapsed()));
    println!("{}: {}, {}", row.name, row.state.word(), row.detail);
    report.rows.push(row);
    report.seconds = begun.elapsed().as_secs_f64();
    report.write(out)
}

fn row(step: &Step, machine: &Machine, out: &std::path::Path, left: Duration) -> Row {
    let row = |state, seconds, detail: String| Row {
        name: step.name.clone(),
        group: step.group,
        state,
        seconds,
        detail,
        figures: serde_json::Value::Null,
    };
    if let Some(reason) = &step.left_out {
        return row(State::LeftOut, 0.0, reason.clone());
    }
    if left.is_zero() {
        let over = format!(
            "not begun: the {} s of the whole report were over",
            WHOLE.as_secs()
        );
        return row(State::OverLimit, 0.0, over);
    }
    let limit = step.limit.min(left);
    let mut command = step.command();
    command
        .current_dir(out.join("work"))
        .envs(machine.environment.iter().cloned());
    let log = out.join("logs").join(format!("{}.txt", step.file_name()));
    let ended = process::run(&mut command, limit, &log);
    let seconds = ended.seconds;
    if ended.over_limit {
        let detail = format!("ended after its {:.0} s", limit.as_secs_f64());
        return row(State::OverLimit, seconds, detail);
    }
    let found = read::of(step.group, &ended);
    let state = if found.passed {
        State::Passed
    } else {
        State::Failed
    };
    Row {
        figures: found.figures,
        ..row(state, seconds, found.detail)
    }
}
