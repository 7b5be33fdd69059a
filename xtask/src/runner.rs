//! Runs the test binaries of only some crates, without building anything twice.
//!
//! `cargo test -p sngd-gpu -p sngd-tests` would unify features over two crates instead of the workspace, and build
//! most dependencies a second time. So cargo runs the whole workspace again, finds everything built, and
//! passes each test binary to this runner, which knows the binary's crate by CARGO_PKG_NAME.

use std::process::{Command, ExitCode};

/// The crates whose tests open a device.
const GPU_CRATES: [&str; 2] = ["sngd-gpu", "sngd-tests"];

/// The `--config` value that puts this runner in place.
pub fn config() -> Result<String, String> {
    let me =
        std::env::current_exe().map_err(|error| format!("xtask cannot find itself: {error}"))?;
    Ok(format!(
        "target.'cfg(all())'.runner = [{:?}, \"run-if-gpu\"]",
        me.display().to_string()
    ))
}

/// Runs the test binary, or does nothing where its crate opens no device.
pub fn run_if_gpu(command: &[String]) -> ExitCode {
    if !opens_a_device(&std::env::var("CARGO_PKG_NAME").unwrap_or_default()) {
        return ExitCode::SUCCESS;
    }
    let Some((binary, arguments)) = command.split_first() else {
        eprintln!("xtask: run-if-gpu was given no test binary");
        return ExitCode::FAILURE;
    };
    match Command::new(binary).args(arguments).status() {
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
        let config = config().unwrap();
        assert!(config.starts_with("target.'cfg(all())'.runner = [\"/") || cfg!(windows));
        assert!(config.ends_with("\"run-if-gpu\"]"), "{config}");
    }
}
