//! `sngd summary`.

use crate::output;
use std::path::PathBuf;

/// Table of every parameter of a trace, and the thermometers.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trace, finished or still growing
    trace: PathBuf,
    /// As JSON; numbers that do not exist are null
    #[arg(long)]
    pub json: bool,
    /// Take the Monte Carlo error and the sampler's first-order bias off the means, by the gradients at the draws
    #[arg(long)]
    exact: bool,
}

/// Runs the command; returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    let mut report = sngd::summarize_trace(&args.trace)?;
    if args.exact {
        report.move_means()?;
    }
    if args.json {
        output::json(&report)?;
    } else {
        output::with_stdout(|out| report.write(out, usize::MAX))?;
    }
    Ok(output::verdict(&report))
}
