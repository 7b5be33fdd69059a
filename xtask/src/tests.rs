//! Runs the tests: all of them on the first driver, those that use a device again on each other driver.

use crate::args::TestOptions;
use crate::process::{self, cargo, program, root, run_tests, target};
use crate::python::{Environment, Unready};
use crate::runner::{self, Selection};
use crate::setup;
use crate::steps::Steps;
use crate::tally::Tally;
use crate::vulkan::{self, Driver};
use std::process::Command;

/// Every test binary, as the build step builds it.
const EVERY_SUITE: [&str; 7] = [
    "test",
    "--release",
    "--workspace",
    "--lib",
    "--bins",
    "--tests",
    "--no-fail-fast",
];

/// Runs `cargo xtask test`.
pub fn run(options: &TestOptions) -> Result<(), String> {
    let mut steps = Steps::default();
    run_in(&mut steps, options)
}

/// Runs the test steps after those already in `steps`, then prints the summary of all.
pub fn run_in(steps: &mut Steps, options: &TestOptions) -> Result<(), String> {
    let mut tally = Tally::default();
    take_steps(steps, options, &mut tally);
    print!("\n{}{}", tally.slowest(), steps.summary());
    let verdict = steps.verdict();
    println!("{tally}");
    verdict
}

/// Runs `cargo xtask long`.
pub fn run_long() -> Result<(), String> {
    let drivers = setup::drivers(false)?;
    let mut tally = Tally::default();
    tally.under("long suites");
    let mut long = long_suites(on(&drivers, drivers.first(), false))?;
    let mut outcome = run_tests(&mut long, &mut tally);
    for driver in drivers.iter().skip(1) {
        tally.under(&driver.name);
        let mut whole = every_suite(on(&drivers, Some(driver), false), Selection::Devices)?;
        outcome = outcome.and(run_tests(whole.env("SNGD_TEST_LONG", "1"), &mut tally));
    }
    println!("\n{}{tally}", tally.slowest());
    outcome
}

fn take_steps(steps: &mut Steps, options: &TestOptions, tally: &mut Tally) {
    let Some(drivers) = steps.run("setup", || setup::drivers(options.cpu_only)) else {
        return; // no device, and --cpu-only was not given
    };
    let whole = options.filter.is_empty();
    let first = drivers.first();
    // the one build for all that follows: the same selection has the same features and is not built again
    let mut everything = cargo();
    everything.args(["build", "--release", "--workspace", "--bins", "--tests"]);
    let build = || process::run(&mut everything);
    if steps.run("build", build).is_none() {
        return;
    }
    if whole {
        check_trace(steps);
        let mut doc = on(&drivers, first, options.cpu_only);
        doc.args([
            "test",
            "--release",
            "--workspace",
            "--doc",
            "--no-fail-fast",
        ]);
        steps.run("doc tests", || run_tests(&mut doc, tally));
    }
    let name = first.map_or("tests".to_owned(), |driver| {
        format!("tests on {}", driver.name)
    });
    let filtered = |command: Command, selection| {
        let mut command = every_suite(command, selection)?;
        command.arg("--").args(&options.filter);
        Ok::<_, String>(command)
    };
    tally.under(first.map_or("no device", |driver| &driver.name));
    steps.run(&name, || {
        let mut all = filtered(on(&drivers, first, options.cpu_only), Selection::Everything)?;
        run_tests(&mut all, tally)
    });
    for driver in drivers.iter().skip(1) {
        let name = format!("GPU tests on {}", driver.name);
        tally.under(&driver.name);
        steps.run(&name, || {
            let mut gpu = filtered(on(&drivers, Some(driver), false), Selection::Again)?;
            run_tests(&mut gpu, tally)
        });
    }
    if options.long {
        tally.under("long suites");
        steps.run("long suites", || {
            let mut long = long_suites(on(&drivers, first, false))?;
            run_tests(&mut long, tally)
        });
    }
}

/// A cargo command that tests on one driver and has the list of all.
fn on(drivers: &[Driver], driver: Option<&Driver>, cpu_only: bool) -> Command {
    let mut command = cargo();
    command.env("SNGD_TEST_DRIVERS", vulkan::list(drivers));
    match driver {
        Some(driver) => {
            command.env("SNGD_TEST_DRIVER", &driver.name);
            command
                .env("VK_DRIVER_FILES", &driver.file)
                .env("VK_ICD_FILENAMES", &driver.file);
        }
        None if cpu_only => {
            let nothing = target().join("vulkan").join("none.json");
            command.env("SNGD_TEST_DRIVER", "none");
            command
                .env("VK_DRIVER_FILES", &nothing)
                .env("VK_ICD_FILENAMES", &nothing);
        }
        None => {
            command.env("SNGD_TEST_DRIVER", "native");
        }
    }
    command
}

/// The selected tests on a driver. On a further one a test takes one configuration in a few, all of them where `SNGD_TEST_LONG` is set.
fn every_suite(mut command: Command, selection: Selection) -> Result<Command, String> {
    command.arg("--config").arg(runner::config(selection)?);
    command.args(EVERY_SUITE);
    Ok(command)
}

/// The long suites, which are ignored otherwise.
fn long_suites(mut command: Command) -> Result<Command, String> {
    command
        .arg("--config")
        .arg(runner::config(Selection::Everything)?);
    command.args(["test", "--release", "--workspace", "--tests", "--"]);
    command.args(["--ignored", "--nocapture"]);
    Ok(command)
}

/// Samples an example, and reads the trace in Python as a user would.
fn check_trace(steps: &mut Steps) {
    const NAME: &str = "trace read by Python";
    let environment = match Environment::ready("python", "requirements.txt") {
        Ok(environment) => environment,
        Err(Unready::Absent(reason)) => return steps.skip(NAME, &reason),
        Err(Unready::Broken(reason)) => {
            steps.run(NAME, || Err::<(), _>(reason));
            return;
        }
    };
    steps.run(NAME, || {
        let binary = target()
            .join("release")
            .join("sngd")
            .with_extension(std::env::consts::EXE_EXTENSION);
        let trace = target().join("python-check.zarr");
        process::run(
            program(binary)
                .args([
                    "sample",
                    "examples/breast-cancer.toml",
                    "--force",
                    "--quiet",
                    "--set",
                    "output.log_likelihood=true",
                    "--out",
                ])
                .arg(&trace),
        )?;
        let script = root().join("crates/sngd-store/tests/python/read_trace.py");
        process::run(
            program(environment.program("python"))
                .arg(script)
                .arg(trace),
        )
    });
}
