//! Runs the test binaries that cargo passes to it: with the time of each test, and if asked those of only some crates.
//!
//! The times are an unstable option of Rust's test harness, which a stable toolchain allows where RUSTC_BOOTSTRAP is set. Here it is
//! set for the test binary alone, since cargo would build crates anew that look at it.
//!
//! Some crates: `cargo test -p sngd-gpu -p sngd-tests` would unify features over two crates instead of the workspace, and build
//! most dependencies a second time. So cargo runs the whole workspace again, finds everything built, and
//! passes each test binary to this runner, which knows the binary's crate by CARGO_PKG_NAME.

use crate::tally::PACKAGE;
use std::process::{Command, ExitCode};

/// The crates whose tests open a device.
const GPU_CRATES: [&str; 2] = ["sngd-gpu", "sngd-tests"];

/// The `--config` value that puts this runner in place.
pub fn config(gpu_only: bool) -> Result<String, String> {
    let me =
        std::env::current_exe().map_err(|error| format!("xtask cannot find itself: {error}"))?;
    Ok(format!(
        "target.'cfg(all())'.runner = [{:?}, {:?}]",
        me.display().to_string(),
        if gpu_only { "run-gpu-test" } else { "run-test" }
    ))
}

/// Runs the test binary, or does nothing where only GPU crates are wanted and it is none of theirs.
pub fn run(gpu_only: bool, command: &[String]) -> ExitCode {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    if gpu_only && !opens_a_device(&package) {
        return ExitCode::SUCCESS;
    }
    let Some((binary, arguments)) = command.split_first() else {
        eprintln!("xtask: the runner was given no test binary");
        return ExitCode::FAILURE;
    };
    println!("{PACKAGE}{package}");
    let mut test = Command::new(binary);
    test.args(["-Zunstable-options", "--report-time"])
        .args(arguments)
        .env("RUSTC_BOOTSTRAP", "1");
    match test.status() {
        Ok(status) => ExitCode::from(status.code().map_or(101, |code| code as u8)),
        Err(error) => {
            eprintln!("xtask: {binary} could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}

fn opens_a_device(package: &str) -> bool {
    GPU_CRATES.contains(&package)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_gpu_crates_run_again() {
        assert!(opens_a_device("sngd-gpu") && opens_a_device("sngd-tests"));
        assert!(!opens_a_device("sngd-core") && !opens_a_device(""));
    }

    #[test]
    fn the_runner_is_this_program() {
        let config = config(true).unwrap();
        assert!(config.starts_with("target.'cfg(all())'.runner = [\"/") || cfg!(windows));
        assert!(config.ends_with("\"run-gpu-test\"]"), "{config}");
    }
}
