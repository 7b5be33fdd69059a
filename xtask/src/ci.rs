//! The checks before the tests in CI: format, lints, spelling, licences.

use crate::args::TestOptions;
use crate::process::{self, capture, cargo, program};
use crate::python::{Environment, Unready};
use crate::steps::Steps;
use crate::tests;
use std::path::PathBuf;

/// Runs every check, then the tests; one failure does not hide the next.
fn run_checks(steps: &mut Steps) {
    steps.run("rustfmt", || {
        process::run(cargo().args(["fmt", "--all", "--check"]))
    });
    // Uses the profile of the build that follows, so that build scripts and procedural macros are built once.
    steps.run("clippy", || {
        process::run(cargo().args([
            "clippy",
            "--release",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ]))
    });
    // tools: the installed ones, else those from PyPI
    let environment = Environment::ready("tools", "tools.txt");
    match tool("typos", &environment) {
        Err(reason) => steps.skip("typos", &reason),
        Ok(typos) => {
            steps.run("typos", || process::run(&mut program(typos)));
        }
    }
    match tool("cargo-deny", &environment) {
        Err(reason) => {
            steps.skip("licences", &reason);
            steps.skip("advisories", &reason);
        }
        Ok(deny) => {
            let checks = ["deny", "check", "bans", "licenses", "sources"];
            steps.run("licences", || process::run(program(&deny).args(checks)));
            advisories(steps, deny);
        }
    }
}

/// Runs `cargo xtask ci`.
pub fn run(options: &TestOptions) -> Result<(), String> {
    let mut steps = Steps::default();
    run_checks(&mut steps);
    tests::run_in(&mut steps, options)
}

/// Checks the advisory database, which needs the network: without it the step is skipped with a message.
fn advisories(steps: &mut Steps, deny: PathBuf) {
    const DATABASE: &str = "https://github.com/RustSec/advisory-db";
    if capture(program("git").args(["ls-remote", "--exit-code", DATABASE, "HEAD"])).is_err() {
        return steps.skip(
            "advisories",
            &format!("their database {DATABASE} is out of reach"),
        );
    }
    steps.run("advisories", || {
        process::run(program(deny).args(["deny", "check", "advisories"]))
    });
}

fn tool(name: &str, environment: &Result<Environment, Unready>) -> Result<PathBuf, String> {
    if capture(program(name).arg("--version")).is_ok() {
        return Ok(name.into());
    }
    match environment {
        Ok(environment) => Ok(environment.program(name)),
        Err(Unready::Absent(reason) | Unready::Broken(reason)) => {
            Err(format!("not installed, nor to be had from PyPI: {reason}"))
        }
    }
}
