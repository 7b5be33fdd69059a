//! Starts programs, and names them in messages.

use crate::tally::Tally;
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Path of the workspace's root.
pub fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_path_buf()
}

/// Path of the target directory, which contains everything that is downloaded or built.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// A program to be started in the workspace's root.
pub fn program(name: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(name);
    command.current_dir(root());
    command
}

/// The cargo that runs this program.
pub fn cargo() -> Command {
    program(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a program to its end with its output on the terminal; an exit status other than 0 is an error.
pub fn run(command: &mut Command) -> Result<(), String> {
    announce(command);
    let status = command
        .status()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", line(command)))
    }
}

/// Runs a program to its end without output and returns stdout; its stderr is part of the error.
pub fn capture(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| cannot_start(command, &error))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said
        .trim()
        .lines()
        .last()
        .unwrap_or("nothing on stderr")
        .to_owned();
    Err(format!(
        "`{}` ended with {}: {said}",
        line(command),
        output.status
    ))
}

/// Runs `cargo test`, passes on its output, and adds up its result lines.
pub fn run_tests(command: &mut Command, tally: &mut Tally) -> Result<(), String> {
    announce(command);
    if std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| cannot_start(command, &error))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut bytes = Vec::new();
        while reader.read_until(b'\n', &mut bytes).unwrap_or(0) > 0 {
            tally.read(&String::from_utf8_lossy(&bytes));
            // a closed terminal is no reason to stop the tests
            let _ = std::io::stdout().write_all(&bytes);
            bytes.clear();
        }
    }
    let status = child
        .wait()
        .map_err(|error| cannot_start(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("`{}` ended with {status}", line(command)))
    }
}

/// Whether this runs in CI rather than for a person.
pub fn in_ci() -> bool {
    std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false")
}

fn announce(command: &Command) {
    println!("$ {}", line(command));
    let _ = std::io::stdout().flush();
}

/// The command as one would type it, with the variables set for it.
fn line(command: &Command) -> String {
    let mut words: Vec<String> = command
        .get_envs()
        .filter_map(|(name, value)| {
            let value = value?.to_string_lossy();
            (name != "CARGO_TERM_COLOR").then(|| format!("{}='{value}'", name.to_string_lossy()))
        })
        .collect();
    let name = Path::new(command.get_program());
    let shown = name.strip_prefix(root()).unwrap_or(name);
    let cargo = name.file_stem().is_some_and(|stem| stem == "cargo");
    words.push(if cargo {
        "cargo".into()
    } else {
        shown.display().to_string()
    });
    words.extend(
        command
            .get_args()
            .map(|argument| argument.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

fn cannot_start(command: &Command, error: &std::io::Error) -> String {
    format!(
        "`{}` could not be started: {error}",
        command.get_program().to_string_lossy()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_typed() {
        let mut command = cargo();
        command
            .args(["test", "-p", "sngd-gpu"])
            .env("SNGD_TEST_DRIVER", "lavapipe");
        assert_eq!(
            line(&command),
            "SNGD_TEST_DRIVER='lavapipe' cargo test -p sngd-gpu"
        );
    }

    #[test]
    fn a_missing_program_is_an_error_with_its_name() {
        let error = run(&mut program("no-such-program-here")).unwrap_err();
        assert!(
            error.contains("`no-such-program-here` could not be started"),
            "{error}"
        );
    }
}
