//! Runs the test binaries that cargo passes to it: with the time of each test, and if asked only those that a further driver runs.
//!
//! The times are an unstable option of Rust's test harness, which a stable toolchain allows where RUSTC_BOOTSTRAP is set. Here it is
//! set for the test binary alone, since cargo would build crates anew that look at it.
//!
//! Some crates: `cargo test -p sngd-gpu -p sngd-tests` would unify features over two crates instead of the workspace, and build
//! most dependencies a second time. So cargo runs the whole workspace again, finds everything built, and
//! passes each test binary to this runner, which knows the binary's crate by CARGO_PKG_NAME.

use crate::tally::PACKAGE;
use std::process::{Command, ExitCode};

/// Which tests to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// All of every crate.
    Everything,
    /// All of the crates that open a device.
    Devices,
    /// Of the crates that open a device, those that show on a further driver that it makes the same steps: [`AGAIN`].
    Again,
}

impl Selection {
    /// How the runner's command line names them.
    const NAMES: [(&'static str, Selection); 3] = [
        ("run-test", Selection::Everything),
        ("run-device-test", Selection::Devices),
        ("run-test-again", Selection::Again),
    ];

    /// The selection of that name.
    pub fn named(name: &str) -> Option<Selection> {
        let mut names = Self::NAMES.iter();
        names.find(|(n, _)| *n == name).map(|(_, s)| *s)
    }

    fn name(self) -> &'static str {
        let mut names = Self::NAMES.iter();
        names.find(|(_, s)| *s == self).map_or("", |(n, _)| n)
    }

    /// The filters on the names of a crate's tests: `None` runs nothing, an empty list everything.
    fn of(self, package: &str) -> Option<&'static [&'static str]> {
        let again = AGAIN.iter().find(|(name, _)| *name == package);
        match self {
            Selection::Everything => Some(&[]),
            Selection::Devices => again.map(|_| &[][..]),
            Selection::Again => again.map(|(_, tests)| *tests),
        }
    }
}

/// The crates that open a device, and which of their tests run again on a further driver (empty: all). The GPU crate's run every kernel in
/// every regime against the CPU engine; of the posteriors, whose runs are long, there is one for each way to make a step. `cargo xtask long` runs all.
const AGAIN: [(&str, &[&str]); 2] = [
    ("sngd-gpu", &[]),
    (
        "sngd-tests",
        &[
            "automatic::few_rows_give_the_posterior_of_all",
            "automatic::the_device_agrees",
            "laws::ngd_follows_the_law_at_finite_step",
            "limits::the_same_seed_gives_the_same_bits_and_another_does_not",
            "networks::blocked_metrics_keep_the_posterior",
            "posteriors::mala_is_exact",
            "posteriors::residual_noise_reaches_the_references",
        ],
    ),
];

/// The `--config` value that puts this runner in place.
pub fn config(selection: Selection) -> Result<String, String> {
    let me =
        std::env::current_exe().map_err(|error| format!("xtask cannot find itself: {error}"))?;
    Ok(format!(
        "target.'cfg(all())'.runner = [{:?}, {:?}]",
        me.display().to_string(),
        selection.name()
    ))
}

/// Runs those of the test binary's tests that are selected. Filters of the person's own replace those of the selection.
pub fn run(selection: Selection, command: &[String]) -> ExitCode {
    let package = std::env::var("CARGO_PKG_NAME").unwrap_or_default();
    let Some((binary, arguments)) = command.split_first() else {
        eprintln!("xtask: the runner was given no test binary");
        return ExitCode::FAILURE;
    };
    let Some(tests) = selection.of(&package) else {
        return ExitCode::SUCCESS;
    };
    println!("{PACKAGE}{package}");
    let mut test = Command::new(binary);
    test.args(["-Zunstable-options", "--report-time"])
        .args(arguments)
        .env("RUSTC_BOOTSTRAP", "1");
    if arguments.is_empty() {
        test.args(tests);
    }
    match test.status() {
        Ok(status) => ExitCode::from(status.code().map_or(101, |code| code as u8)),
        Err(error) => {
            eprintln!("xtask: {binary} could not be started: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_crates_that_open_a_device_run_again() {
        for selection in [Selection::Devices, Selection::Again] {
            assert_eq!(selection.of("sngd-gpu"), Some(&[][..]));
            assert_eq!(selection.of("sngd-core"), None);
        }
        assert_eq!(Selection::Devices.of("sngd-tests"), Some(&[][..]));
        assert!(!Selection::Again.of("sngd-tests").unwrap().is_empty());
        assert_eq!(Selection::Everything.of("sngd-core"), Some(&[][..]));
    }

    /// Every test that runs again is one of the suites in `tests/tests/all`: a name that is none would select nothing.
    #[test]
    fn what_runs_again_exists() {
        for (package, tests) in AGAIN {
            for test in tests {
                let (module, name) = test.split_once("::").unwrap();
                let file = crate::process::root().join(format!("tests/tests/all/{module}.rs"));
                let text = std::fs::read_to_string(&file).unwrap();
                assert!(text.contains(&format!("fn {name}()")), "{package}: {test}");
            }
        }
    }

    #[test]
    fn the_runner_is_this_program() {
        let config = config(Selection::Again).unwrap();
        assert!(config.starts_with("target.'cfg(all())'.runner = [\"/") || cfg!(windows));
        assert!(config.ends_with("\"run-test-again\"]"), "{config}");
        assert_eq!(Selection::named("run-test-again"), Some(Selection::Again));
    }
}
