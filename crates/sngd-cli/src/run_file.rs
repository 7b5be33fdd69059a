//! The arguments that name a run file, for every command that reads one.

use sngd::{Error, RunFile};
use std::path::PathBuf;

/// A run file and the values that replace some of its own.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run file
    run: PathBuf,
    /// Override a value of the run file, e.g. sampler.step_size=0.05; may be given often
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

impl Args {
    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::Input`] if it cannot be read, or a key or value is not one of a run file.
    pub fn read(&self) -> Result<RunFile, Error> {
        RunFile::read(&self.run, &self.overrides)
    }
}
