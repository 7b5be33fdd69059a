//! Virtual environments under the target folder, made once, and again when their list changes.

use crate::process::{capture, in_ci, program, root, run, target};
use std::path::{Path, PathBuf};

/// The folder of a ready environment's programs.
pub struct Environment {
    programs: PathBuf,
}

/// Why an environment is not ready.
pub enum Unready {
    /// This machine has no Python or no network: a step that needs them is skipped with a message.
    Absent(String),
    /// CI has both, so there it is a failure.
    Broken(String),
}

impl Environment {
    /// Makes `target/NAME` with the packages pinned in `xtask/python/LIST`.
    pub fn ready(name: &str, list: &str) -> Result<Self, Unready> {
        Self::of(name, root().join("xtask").join("python").join(list))
    }

    /// Makes `target/peers` with the packages pinned in `benches/peers/requirements.txt`.
    pub fn peers() -> Result<Self, Unready> {
        let list = root().join("benches").join("peers");
        Self::of("peers", list.join("requirements.txt"))
    }

    fn of(name: &str, wanted_file: PathBuf) -> Result<Self, Unready> {
        let wanted = std::fs::read_to_string(&wanted_file).map_err(|error| {
            Unready::Broken(format!("{} cannot be read: {error}", wanted_file.display()))
        })?;
        let folder = target().join(name);
        let stamp = folder.join("installed.txt");
        let programs = folder.join(if cfg!(windows) { "Scripts" } else { "bin" });
        let environment = Self { programs };
        let works = || capture(program(environment.program("python")).arg("--version")).is_ok();
        if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) && works() {
            return Ok(environment);
        }
        let python = if cfg!(windows) { "python" } else { "python3" };
        if let Err(reason) = capture(program(python).args(["-c", "import venv, ensurepip"])) {
            return Err(Unready::Absent(format!("no Python 3 with venv: {reason}")));
        }
        make(&environment, python, &folder, &wanted_file).map_err(|reason| {
            if in_ci() {
                Unready::Broken(reason)
            } else {
                Unready::Absent(reason)
            }
        })?;
        std::fs::write(&stamp, &wanted).map_err(|error| {
            Unready::Broken(format!("{} cannot be written: {error}", stamp.display()))
        })?;
        Ok(environment)
    }

    /// The path of one of its programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.programs
            .join(name)
            .with_extension(std::env::consts::EXE_EXTENSION)
    }
}

fn make(
    environment: &Environment,
    python: &str,
    folder: &Path,
    wanted: &Path,
) -> Result<(), String> {
    run(program(python).args(["-m", "venv", "--clear"]).arg(folder))?;
    run(program(environment.program("python"))
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(wanted))
}
