//! `sngd check`.

use crate::output;
use sngd::{RunFile, check, prepare};
use std::path::PathBuf;

/// Show the plan of a run file; runs nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The run file
    run: PathBuf,
    /// Override a value of the run file, e.g. sampler.step_size=0.05; may be given often
    #[arg(long = "set", value_name = "KEY=VALUE")]
    overrides: Vec<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command; returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let file = RunFile::read(&args.run, &args.overrides)?;
    // Nothing is run here, so an old trace that `sngd sample --force` would replace is no error.
    file.check_output(&file.output(), true)?;
    let cost = check(&prepare(file.config, &file.base)?);
    if args.json {
        output::json(&cost)?;
    } else {
        output::with_stdout(|out| cost.write(out))?;
    }
    Ok(0)
}
