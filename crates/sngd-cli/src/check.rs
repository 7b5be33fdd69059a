//! `sngd check`.

use crate::output;
use crate::run_file;
use sngd::{check, prepare};

/// Show the plan of a run file; runs nothing.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: run_file::Args,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Runs the command; returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let file = args.file.read()?;
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
