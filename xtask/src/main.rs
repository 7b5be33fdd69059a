//! The tasks of CI and of developers: `cargo xtask help`.
//!
//! One file per idea: `args` reads the command line, `setup` prepares the machine for the
//! tests, `tests` runs them, `ci` runs the checks before them, `steps` records the results.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command-line tool that reports to a person"
)]

mod args;
mod ci;
mod gpu_pack;
mod os;
mod probe;
mod process;
mod python;
mod references;
mod runner;
mod setup;
mod steps;
mod swiftshader;
mod tally;
mod tests;
mod vulkan;

use args::Task;
use process::cargo;
use python::{Environment, Unready};
use std::process::ExitCode;

const HELP: &str = "\
cargo xtask TASK

  test [--long] [--cpu-only] [-- FILTER]
                  setup, then all tests on one Vulkan driver, and on each other one those that show that it makes the same steps
  setup           finds Vulkan drivers; on Debian and Ubuntu installs lavapipe and fetches SwiftShader
  ci              rustfmt, clippy, typos, cargo-deny, then test
  long            the long statistical suites alone
  references ...  makes the reference posteriors again (sngd-tests, binary `references`)
  cases           run files as newcomers write them, beside what is right of them: makes docs/cases.md
  bench ...       the side-by-side runs: `sngd bench ...`
  gpu-pack [--short] [FOLDER]
                  makes target/gpu-pack, or FOLDER, and an archive beside it: everything that a machine with a GPU and neither
                  Rust nor network needs for a report on it (docs/gpu.md)
  peers           installs what they run beside into target/peers: NumPyro, BlackJAX, scikit-learn, statsmodels
  help            this page

  --long          the long statistical suites as well
  --cpu-only      no Vulkan device: only what runs on the CPU engine
  --short         the pack without benches, tried on this machine from a folder outside the checkout

  VK_DRIVER_FILES=/path/icd.json cargo xtask test     tests on that driver as well
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let outcome = match args::parse(&arguments) {
        Err(message) => {
            eprintln!("xtask: {message}");
            return ExitCode::from(2);
        }
        Ok(Task::Help) => {
            print!("{HELP}");
            Ok(())
        }
        Ok(Task::RunTest(selection, command)) => return runner::run(selection, &command),
        Ok(Task::Probe) => probe::print_devices(),
        Ok(Task::Setup) => setup::drivers(false).map(|_| ()),
        Ok(Task::Peers) => peers(),
        Ok(Task::Test(options)) => tests::run(&options),
        Ok(Task::Ci(options)) => ci::run(&options),
        Ok(Task::Long) => tests::run_long(),
        Ok(Task::GpuPack(options)) => gpu_pack::run(&options),
        Ok(Task::References(rest)) => process::run(harness("references").arg("--").args(rest)),
        Ok(Task::Cases) => setup::drivers(false).and_then(|_| process::run(&mut harness("cases"))),
        Ok(Task::Bench(rest)) => process::run(
            cargo()
                .args(["run", "--release", "-p", "sngd-cli", "--", "bench"])
                .args(rest),
        ),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("xtask: {message}");
            ExitCode::FAILURE
        }
    }
}

/// The command that runs a program of the test harness.
fn harness(name: &str) -> std::process::Command {
    let mut command = cargo();
    command.args(["run", "--release", "-p", "sngd-tests", "--bin", name]);
    command
}

/// Makes the virtual environment of the peers if it is missing or its list has changed.
fn peers() -> Result<(), String> {
    match Environment::peers() {
        Ok(environment) => {
            println!("{}", environment.program("python").display());
            Ok(())
        }
        Err(Unready::Absent(reason) | Unready::Broken(reason)) => {
            Err(format!("the peers cannot be installed: {reason}"))
        }
    }
}
