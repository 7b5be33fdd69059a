//! The command line of sngd: clap and printing, no mathematics.

mod bench;
mod check;
mod devices;
mod interrupt;
mod output;
mod progress;
mod reproduce;
mod resume;
mod run_file;
mod sample;
mod summary;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Bayesian posterior sampling on the GPU with stochastic natural gradients.
#[derive(Debug, Parser)]
#[command(name = "sngd", version, after_help = EXIT_CODES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXIT_CODES: &str = "Exit codes: 0 done (and converged), 2 unusable input, 3 no usable device, 4 the run failed (numbers, or a device that is late), \
5 the store failed, 6 the draws are complete but not to be trusted (the last line says why), 130 interrupted (143 by SIGTERM).";

/// Exit code of a run, or of a summary, whose draws are not to be trusted.
const NOT_CONVERGED: u8 = 6;

#[derive(Debug, Subcommand)]
enum Command {
    /// Sample what a run file describes into a trace
    Sample(sample::Args),
    /// Go on with a run that was interrupted, from its last checkpoint
    Resume(resume::Args),
    /// Show the plan of a run file: sizes, work, memory, the target; runs nothing
    Check(check::Args),
    /// Table of every parameter of a trace, and the thermometers
    Summary(summary::Args),
    /// Adapters and the CPU engine, each with a self-test
    Devices(devices::Args),
    /// Time this machine, side by side with peers where they are installed
    Bench(bench::Args),
    /// Try the paper's claims: a figure, its numbers and a verdict each
    Reproduce(reproduce::Args),
}

fn main() -> ExitCode {
    quiet_device_layer();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) if matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            let _ = e.print();
            return ExitCode::SUCCESS;
        }
        // A newcomer who types the name alone is shown what there is.
        Err(e) if e.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            let _ = e.print();
            return ExitCode::from(2);
        }
        Err(e) => {
            output::error(&usage(&e));
            return ExitCode::from(2);
        }
    };
    let json = cli.command.json();
    let done = match cli.command {
        Command::Sample(args) => sample::run(args),
        Command::Resume(args) => resume::run(args),
        Command::Check(args) => check::run(&args),
        Command::Summary(args) => summary::run(&args),
        Command::Devices(args) => devices::run(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Reproduce(args) => reproduce::run(&args),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(e) => {
            output::error(&e.to_string());
            let code = exit_code(&e);
            if json {
                let error =
                    serde_json::json!({ "error": { "message": e.to_string(), "exit_code": code } });
                // Standard error has the sentence in any case.
                let _ = output::json(&error);
            }
            ExitCode::from(code)
        }
    }
}

impl Command {
    /// Whether standard output is to be JSON.
    fn json(&self) -> bool {
        match self {
            Command::Sample(args) => args.how.json,
            Command::Resume(args) => args.how.json,
            Command::Check(args) => args.json,
            Command::Summary(args) => args.json,
            Command::Devices(args) => args.json,
            Command::Bench(_) | Command::Reproduce(_) => false,
        }
    }
}

/// The exit code of an error, by its kind.
fn exit_code(e: &anyhow::Error) -> u8 {
    if let Some(e) = e.downcast_ref::<sngd_reproduce::Error>() {
        return e.exit_code();
    }
    let code = e
        .downcast_ref::<sngd::Error>()
        .map_or(2, sngd::Error::exit_code);
    u8::try_from(code).unwrap_or(2)
}

/// Stops a complaint on stderr: on a machine without a screen, Mesa's device-select layer asks Wayland for the screen's GPU.
fn quiet_device_layer() {
    if std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: the first statement of main; no other thread exists that could read the environment.
        #[allow(unsafe_code, reason = "set before any thread starts")]
        unsafe {
            std::env::set_var("NODEVICE_SELECT", "1");
        }
    }
}

/// Clap's message in one sentence.
fn usage(e: &clap::Error) -> String {
    let text = e.render().to_string();
    let lines: Vec<&str> = text
        .lines()
        .take_while(|l| !l.starts_with("Usage:") && !l.starts_with("For more"))
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let said = lines.join(" ");
    format!(
        "{}; see sngd --help",
        said.strip_prefix("error: ").unwrap_or(&said)
    )
}
