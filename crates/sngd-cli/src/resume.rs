//! `sngd resume`.

use crate::interrupt::Interrupt;
use crate::output;
use crate::sample::{self, Started};
use anyhow::Context;
use sngd::checkpoint::{Checkpoint, Fingerprint, Origin, path as checkpoint_path};
use sngd::core::config::Config;
use sngd::{Device, Error, RunFile, Sampler, TraceSink};
use std::path::PathBuf;

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
    /// auto, cpu, gpu, software, or part of an adapter's name [default: as the run was started]
    #[arg(long)]
    device: Option<String>,
    /// No progress and no table
    #[arg(long)]
    quiet: bool,
    /// The outcome and the summary as JSON
    #[arg(long)]
    pub json: bool,
    /// Threads of the CPU engine [default: all cores]
    #[arg(long)]
    threads: Option<usize>,
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
    let origin = &found.origin;
    let started: Config = serde_json::from_str(&origin.config)
        .with_context(|| format!("{}: its settings", checkpoint_path(trace).display()))?;
    let mut config = unchanged(origin, &started)?;
    same_data(origin, &started)?;
    if started.output.log_likelihood {
        return Err(Error::Input("output.log_likelihood: found true in a run that is to be resumed, expected false; start the run again with `sngd sample`".into()).into());
    }
    if let Some(draws) = args.draws {
        if draws < started.run.draws {
            return Err(Error::Input(format!(
                "--draws: found {draws} for a run of {}, expected as many or more",
                started.run.draws
            ))
            .into());
        }
        config.run.draws = draws;
    }
    if let Some(ess) = args.until_ess {
        config.run.until.get_or_insert_default().ess = Some(ess);
    }
    if let Some(device) = &args.device {
        config.run.device = Device::parse(device);
    } else {
        config.run.device = started.run.device.clone();
    }
    config.run.threads = args.threads.or(started.run.threads);
    let [chains, warmup, thin] = found.lengths;
    (config.run.chains, config.run.warmup, config.run.thin) =
        (Some(chains), Some(warmup), Some(thin));
    let interrupt = Interrupt::listen()?;
    let run = Sampler::from_config(config, &origin.base)?.open()?;
    let engine = run.engine().clone();
    let same_engine = found.engine == sngd::checkpoint::engine_name(&engine);
    if !args.quiet {
        let (draws, steps) = (found.run.as_ref()).map_or((0, 0), |r| (r.draws, r.steps));
        output::error(&format!(
            "resuming after {draws} draws per chain, {steps} steps"
        ));
        if !same_engine {
            output::error(&format!(
                "note: the run began on {}, and goes on on {}: the same law, not the same bits",
                found.engine,
                sngd::checkpoint::engine_name(&engine)
            ));
        }
    }
    let sink = TraceSink::resume(trace, run.prepared(), &engine, &found)?;
    let run = match found.run {
        Some(state) => run.resume(state)?,
        None => run,
    };
    sample::finish(
        Started {
            run,
            trace: sink,
            out: trace.clone(),
            quiet: args.quiet,
            json: args.json,
        },
        &interrupt,
    )
}

/// The settings of the run file as it is now, if they are those that the run was started with but for its length; if there is no file any more, those.
fn unchanged(origin: &Origin, started: &Config) -> anyhow::Result<Config> {
    if !origin.run_file.is_file() {
        let mut config = started.clone();
        RunFile::load_likelihood(&mut config, &origin.base)?;
        return Ok(config);
    }
    let now = RunFile::read(&origin.run_file, &origin.overrides)?.config;
    let text = |c: &Config| serde_json::to_value(c).unwrap_or_default();
    let (old, new) = (text(started), text(&now));
    let sections = ["data", "model", "prior", "sampler", "run", "output"];
    let free = ["draws", "until", "threads", "device", "checkpoint_seconds"];
    let empty = serde_json::Map::new();
    for section in sections {
        let keys = |v: &serde_json::Value| v[section].as_object().unwrap_or(&empty).clone();
        let (old, new) = (keys(&old), keys(&new));
        let all = old
            .keys()
            .chain(new.keys().filter(|k| !old.contains_key(*k)));
        for key in all.filter(|k| section != "run" || !free.contains(&k.as_str())) {
            if old.get(key) != new.get(key) {
                let shown =
                    |v: Option<&serde_json::Value>| v.map_or("unset".into(), |v| v.to_string());
                return Err(Error::Input(format!(
                    "{}: found {section}.{key} = {}, expected {} as when the run was started; restore it, or start a new run with `sngd sample`",
                    origin.run_file.display(),
                    shown(new.get(key)),
                    shown(old.get(key))
                ))
                .into());
            }
        }
    }
    if old["seed"] != new["seed"] {
        return Err(Error::Input(format!(
            "{}: found seed = {}, expected {} as when the run was started; restore it, or start a new run with `sngd sample`",
            origin.run_file.display(),
            new["seed"],
            old["seed"]
        ))
        .into());
    }
    Ok(now)
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
