//! `sngd bench`: the arguments; the harness is still to come.

use clap::ValueEnum;

/// Time this machine, side by side with peers where they are installed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which engines
    #[arg(long, value_enum, default_value_t = Engines::All)]
    pub engine: Engines,
    /// Workloads, e.g. W1; may be given often [default: all]
    #[arg(long, value_name = "W1..W8")]
    pub workload: Vec<String>,
    /// Seconds for each
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Run the peers that are installed too
    #[arg(long)]
    pub peers: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Which engines to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engines {
    /// The CPU engine.
    Cpu,
    /// The GPU engine.
    Gpu,
    /// Both.
    All,
}

/// Runs it; the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    anyhow::bail!("bench: the harness is not part of this build (asked for {args:?})")
}
