//! `sngd resume`.

use crate::interrupt::Interrupt;
use crate::output;
use crate::sample::{self, How, Started};
use anyhow::Context;
use serde_json::Value;
use sngd::checkpoint::{Checkpoint, Fingerprint, Origin, engine_name, path as checkpoint_path};
use sngd::core::config::{Config, RunConfig};
use sngd::{Error, RunFile, Sampler, TraceSink};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Keys that may change while a run is interrupted.
const FREE: [&str; 5] = [
    "run.draws",
    "run.until",
    "run.threads",
    "run.device",
    "run.checkpoint_seconds",
];

/// Go on with a run that was interrupted, from the last checkpoint of its trace
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The trace
    trace: PathBuf,
    /// Draws per chain in all, to extend a run
    #[arg(long)]
    draws: Option<usize>,
    /// Effective draws at which a run with an end of its own ends, to extend it
    #[arg(long, value_name = "ESS")]
    until_ess: Option<f64>,
    #[command(flatten)]
    pub how: How,
}

/// Runs the command; returns the exit code.
pub fn run(args: Args) -> anyhow::Result<u8> {
    let trace = &args.trace;
    if !trace.join("zarr.json").is_file() {
        return Err(Error::Input(format!(
            "{}: found no trace, expected one that `sngd sample` began",
            trace.display()
        ))
        .into());
    }
    let found = Checkpoint::read(trace)?;
    let origin = &found.header.origin;
    let started: Config = serde_json::from_str(&origin.config)
        .with_context(|| format!("{}: its settings", checkpoint_path(trace).display()))?;
    let mut config = unchanged(origin, &started)?;
    same_data(origin, &started)?;
    let in_force: RunConfig = serde_json::from_str(&found.header.run_section)
        .with_context(|| format!("{}: its settings", checkpoint_path(trace).display()))?;
    config.run = lengths(&args, &found, &started.run, &config.run, in_force)?;
    args.how.set(&mut config.run)?;
    let interrupt = Interrupt::listen()?;
    let run = Sampler::from_config(config, &origin.base)?.open()?;
    let engine = run.engine().clone();
    if !args.how.quiet {
        output::error(&format!(
            "resuming after {} draws per chain, {} steps",
            found.run.draws, found.run.steps
        ));
        let now = engine_name(&engine);
        if found.header.engine != now {
            output::error(&format!(
                "note: the run began on {}, and goes on on {now}: the same law, not the same bits",
                found.header.engine
            ));
        }
    }
    let sink = TraceSink::resume(trace, run.prepared(), &engine, &found)?;
    sample::finish(
        Started {
            run: run.resume(found.run)?,
            trace: sink,
            out: trace.clone(),
            how: args.how,
        },
        &interrupt,
    )
}

/// The section `[run]` to go on with: the one in force at the checkpoint, but for a length that the run file or the command line has changed since.
fn lengths(
    args: &Args,
    found: &Checkpoint,
    started: &RunConfig,
    now: &RunConfig,
    mut run: RunConfig,
) -> Result<RunConfig, Error> {
    if now.draws != started.draws {
        run.draws = now.draws;
    }
    if now.until != started.until {
        run.until = now.until;
    }
    run.checkpoint_seconds = now.checkpoint_seconds;
    if let Some(ess) = args.until_ess {
        run.until.get_or_insert_default().ess = Some(ess);
    }
    if let Some(draws) = args.draws {
        if run.until.is_some() {
            return Err(Error::Input(
                "--draws: found it for a run with run.until, expected --until-ess, or another run.until.max_draws in the run file".into(),
            ));
        }
        run.draws = draws;
    }
    if (run.most_draws() as u64) < found.run.draws {
        return Err(Error::Input(format!(
            "--draws: found {} for a trace of {}, expected as many or more",
            run.most_draws(),
            found.run.draws
        )));
    }
    Ok(run)
}

/// The settings of the run file as it is now, if they are those that the run was started with but for its length; if there is no file any more, those.
fn unchanged(origin: &Origin, started: &Config) -> anyhow::Result<Config> {
    if !origin.run_file.is_file() {
        let mut config = started.clone();
        RunFile::load_likelihood(&mut config, &origin.base)?;
        return Ok(config);
    }
    let now = RunFile::read(&origin.run_file, &origin.overrides)?.config;
    // Both as they are read from text.
    let text = serde_json::to_string(&now)?;
    let read = |text: &str| serde_json::from_str::<BTreeMap<String, Value>>(text);
    let (old, new) = (flat(read(&origin.config)?), flat(read(&text)?));
    let all = old
        .keys()
        .chain(new.keys().filter(|k| !old.contains_key(*k)));
    for key in all.filter(|k| !FREE.contains(&k.as_str())) {
        if old.get(key) != new.get(key) {
            let shown = |v: Option<&Value>| v.map_or("unset".into(), Value::to_string);
            return Err(Error::Input(format!(
                "{}: found {key} = {}, expected {} as when the run was started; restore it, or start a new run with `sngd sample`",
                origin.run_file.display(),
                shown(new.get(key)),
                shown(old.get(key))
            ))
            .into());
        }
    }
    Ok(now)
}

/// Settings by their full names, such as `sampler.step_size`.
fn flat(config: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let named = |(section, value): (String, Value)| match value {
        Value::Object(keys) => {
            let keys = keys.into_iter().map(|(k, v)| (format!("{section}.{k}"), v));
            keys.collect::<Vec<_>>()
        }
        other => vec![(section, other)],
    };
    config.into_iter().flat_map(named).collect()
}

/// Refuses a data file that is not the one that the run was started with.
fn same_data(origin: &Origin, config: &Config) -> anyhow::Result<()> {
    let path = origin.base.join(&config.data.path);
    let now = Fingerprint::of(&path).map_err(|e| {
        Error::Input(format!(
            "{}: found no file that can be read ({e}), expected the data that the run was started with; restore it",
            path.display()
        ))
    })?;
    if now != origin.data {
        let why = match now.bytes == origin.data.bytes {
            true => "other contents of the same length".to_string(),
            false => format!("{} bytes", now.bytes),
        };
        return Err(Error::Input(format!(
            "{}: found {why}, expected the {} bytes that the run was started with; restore the file, or start a new run with `sngd sample`",
            path.display(),
            origin.data.bytes
        ))
        .into());
    }
    Ok(())
}
