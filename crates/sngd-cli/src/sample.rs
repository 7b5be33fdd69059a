//! `sngd sample`.

use crate::interrupt::Interrupt;
use crate::output;
use crate::progress::Shown;
use crate::run_file;
use serde::Serialize;
use sngd::core::config::RunConfig;
use sngd::{Device, Ending, Error, Outcome, Report, Sampler, TraceSink};
use sngd_store::OldTrace;
use std::path::{Path, PathBuf};

/// Rows of the table printed after a run; `sngd summary` shows all.
const ROWS: usize = 40;

/// Sample what a run file describes into a trace.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    file: run_file::Args,
    /// Where the trace goes [default: output.path, else the run file's name with .zarr]
    #[arg(short, long, value_name = "PATH", alias = "output")]
    out: Option<PathBuf>,
    /// Replace an old trace; it is set aside until the new one is complete
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub how: How,
}

/// Where a run computes and what it prints, for every command that runs one.
#[derive(Debug, Clone, clap::Args)]
pub struct How {
    /// auto, cpu, gpu, software, or part of an adapter's name
    #[arg(long)]
    device: Option<String>,
    /// No progress and no table
    #[arg(long)]
    pub quiet: bool,
    /// The outcome and the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Threads of the CPU engine [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
}

impl How {
    /// Puts device and threads in place of those of the run file.
    ///
    /// # Errors
    /// [`Error::Input`] for 0 threads.
    pub fn set(&self, run: &mut RunConfig) -> Result<(), Error> {
        if let Some(device) = &self.device {
            run.device = Device::parse(device);
        }
        if self.threads == Some(0) {
            return Err(Error::Input(
                "--threads: found 0, expected 1 or more".into(),
            ));
        }
        run.threads = self.threads.or(run.threads);
        Ok(())
    }
}

/// The JSON form of a finished run.
#[derive(Serialize)]
struct Done<'a> {
    trace: String,
    engine: &'a str,
    device: &'a str,
    driver: &'a str,
    outcome: Outcome,
    summary: Report,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let mut file = args.file.read()?;
    args.how.set(&mut file.config.run)?;
    let out = args.out.clone().unwrap_or_else(|| file.output());
    file.check_output(&out, args.force)?;
    sngd_store::try_output(&out).map_err(Error::from)?;
    report_set_aside(&out, args.how.quiet);
    let interrupt = Interrupt::listen()?;
    // Row terms are not gone on with.
    let keeps = file.config.run.checkpoint_seconds > 0.0 && !file.config.output.log_likelihood;
    let origin = keeps
        .then(|| file.origin(&args.file.overrides))
        .transpose()?;
    let run = Sampler::from_config(file.config, &file.base)?.open()?;
    warn(&run, args.how.quiet);
    let engine = run.engine().clone();
    let mut trace = TraceSink::create(&out, run.prepared(), &engine, args.force)?;
    if let Some(origin) = origin {
        trace = trace.with_checkpoints(&out, origin, run.prepared(), &engine);
    }
    finish(
        Started {
            run,
            trace,
            out,
            how: args.how,
        },
        &interrupt,
    )
}

/// A run whose engine and trace are open.
pub struct Started {
    pub run: sngd::OpenRun,
    pub trace: TraceSink,
    pub out: PathBuf,
    pub how: How,
}

/// Runs to the end and prints the summary; returns the exit code.
pub fn finish(started: Started, interrupt: &Interrupt) -> anyhow::Result<u8> {
    let Started {
        run,
        mut trace,
        out,
        how: How { quiet, json, .. },
    } = started;
    let engine = run.engine().clone();
    let mut shown = Shown::new(quiet);
    interrupt.running();
    let outcome = run
        .run(&mut [&mut trace], &interrupt.stop, &mut |e| shown.show(e))
        .map_err(|e| kept(e, &trace, &out))?;
    if outcome.ending == Ending::Interrupted {
        output::error(&format!(
            "interrupted after {} draws per chain{}; `sngd resume {}` goes on",
            outcome.draws,
            whereabouts("; the trace holds them in", &trace, &out),
            out.display()
        ));
        return Ok(interrupt.code());
    }
    if let OldTrace::Left { path, why } = trace.old_trace() {
        output::error(&format!(
            "note: the old trace is left in {}: {why}",
            path.display()
        ));
    }
    // The run is over: from here on Ctrl-C ends the program.
    interrupt.idle();
    let report = sngd::summarize_trace(&out)?;
    let code = output::verdict(&report);
    if json {
        output::json(&Done {
            trace: out.display().to_string(),
            engine: engine.kind,
            device: &engine.device,
            driver: &engine.driver,
            outcome,
            summary: report,
        })?;
    } else if !quiet {
        output::with_stdout(|w| {
            writeln!(w, "trace: {}", out.display())?;
            if report.rows.len() > ROWS {
                writeln!(w, "all parameters: sngd summary {}", out.display())?;
            }
            // The verdict is the last line, where it is seen.
            report.write(w, ROWS)
        })?;
    } else if !report.verdict.converged {
        // A script that asked for no table still needs the reason for its exit code.
        output::error(&report.verdict.sentence);
    }
    Ok(code)
}

/// Prints what the user should know before the run.
fn warn(run: &sngd::OpenRun, quiet: bool) {
    let prepared = run.prepared();
    if quiet {
        return;
    }
    if let Some((_, text)) = prepared
        .plan
        .ledger()
        .into_iter()
        .find(|(k, _)| k == "metric_bias")
    {
        output::error(&format!("warning: {text}; raise sampler.fisher_rows"));
    }
    if let Some(reasons) = &prepared.reasons {
        output::error(&format!("settings: {reasons}"));
    }
    for note in &prepared.notes {
        output::error(&format!("note: {note}"));
    }
    if let Some(h) = &prepared.problem.held_out {
        output::error(&format!("{} rows are held out of the fit", h.y.len()));
    }
}

/// Reports old traces beside the output that earlier runs could neither replace nor put back.
fn report_set_aside(out: &Path, quiet: bool) {
    if quiet {
        return;
    }
    for old in sngd_store::set_aside_before(out) {
        output::error(&format!(
            "note: {} is a trace that an earlier run set aside and did not replace; rename it to keep it, or remove it",
            old.display()
        ));
    }
}

/// The error of a failed run, with the places of its draws and of the trace that it was to replace.
fn kept(e: Error, trace: &TraceSink, out: &Path) -> anyhow::Error {
    let sentence = whereabouts("; the draws before that are in", trace, out);
    if sentence.is_empty() {
        return e.into();
    }
    let sentence = format!("{e}{sentence}");
    anyhow::Error::new(e).context(sentence)
}

/// The places of the draws and the old trace after an incomplete run: the end of a sentence.
fn whereabouts(draws: &str, trace: &TraceSink, out: &Path) -> String {
    let mut text = String::new();
    if trace.shows_draws() {
        text += &format!("{draws} {}", out.display());
    }
    match trace.old_trace() {
        OldTrace::SetAside(old) => text += &format!("; the old trace is in {}", old.display()),
        OldTrace::PutBack => text += &format!("; the old trace is back in {}", out.display()),
        OldTrace::None | OldTrace::Removed | OldTrace::Left { .. } => {}
    }
    text
}
