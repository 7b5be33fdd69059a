//! What a run needs to go on after its program ended: the state of chains, the sums that a run keeps, and what the run was started from. No device is in
//! it: another one goes on from the same positions, with other bits and the same law.
//!
//! A checkpoint is a file beside the trace, `t.zarr.checkpoint`; the one before it is kept as `t.zarr.checkpoint-old`. It is written beside its place,
//! brought to the disk, and renamed, so that a program killed at any moment leaves one that is whole.

use crate::error::Error;
use crate::gauges::Sums;
use crate::predict;
use crate::prepare::Prepared;
use serde::{Deserialize, Serialize};
use sngd_core::engine::{ChainState, EngineInfo};
use sngd_store::StoreError;
use std::ffi::OsString;
use std::fs::{self, File};
use std::hash::Hasher;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use twox_hash::XxHash3_64;

/// First bytes of a checkpoint; the number is that of the format.
const MAGIC: &[u8; 18] = b"sngd checkpoint 1\n";

/// What a checkpoint's name has after that of its trace: the last one, the one before it, and one that is being written.
const ENDINGS: [&str; 3] = [".checkpoint", ".checkpoint-old", ".checkpoint-new"];

/// A run at one of its steps.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    /// What does not change while the run goes on.
    pub header: Header,
    /// How far the run is.
    pub run: RunState,
    /// Sums over draws of predictions on held-out rows.
    pub(crate) predictions: Option<predict::Sums>,
}

/// What all checkpoints of one part of a run have in common.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// What the run was started from.
    pub origin: Origin,
    /// The attribute `created_at` of the trace that it belongs to.
    pub trace: String,
    /// Kind and number format of the engine, such as `CPU engine, f32`: one of another kind goes on with other bits.
    pub engine: String,
    /// The section `[run]` in force, as JSON: with numbers of chains, warm-up steps and steps per draw, which may have been chosen, and the length to which the run
    /// was extended.
    pub run_section: String,
}

/// The files and settings that a run was started from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// Version of sngd.
    pub version: String,
    /// The settings as JSON, those of the command line included.
    pub config: String,
    /// Path of the run file.
    pub run_file: PathBuf,
    /// The values that the command line put in place of the run file's own, as `section.key=value`.
    pub overrides: Vec<String>,
    /// Folder that the paths in the settings are relative to.
    pub base: PathBuf,
    /// Length and hash of the data file.
    pub data: Fingerprint,
}

/// Length and hash of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Length in bytes.
    pub bytes: u64,
    /// XXH3 of its bytes, 64 bits: it tells files apart that differ by accident.
    pub hash: u64,
}

/// How far a run is, and everything that it adds up on the way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct RunState {
    /// State of all chains.
    pub chains: ChainState,
    /// Steps per chain, warm-up included.
    pub steps: u64,
    /// Kept draws per chain.
    pub draws: u64,
    /// Stored warm-up draws per chain.
    pub warmup_draws: u64,
    /// Wall time of the steps so far, in seconds.
    pub seconds: f64,
    pub(crate) divergences: u64,
    pub(crate) fallbacks: u64,
    pub(crate) chain_steps: u64,
    pub(crate) next_look: u64,
    pub(crate) temperature: (f64, f64),
    /// Draws of each chain, and those far below its start.
    pub(crate) watch: Vec<(u64, u64)>,
    pub(crate) sums: Sums,
}

impl Fingerprint {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn of(path: &Path) -> io::Result<Fingerprint> {
        let mut file = File::open(path)?;
        let mut hasher = XxHash3_64::new();
        let mut buffer = vec![0; 1 << 20];
        let mut bytes = 0;
        loop {
            let n = file.read(&mut buffer)?;
            if n == 0 {
                break;
            }
            bytes += n as u64;
            hasher.write(&buffer[..n]);
        }
        Ok(Fingerprint {
            bytes,
            hash: hasher.finish(),
        })
    }
}

impl Header {
    /// The header of a run that starts, or goes on, with these settings on this engine.
    pub fn new(origin: Origin, trace: &str, prepared: &Prepared, engine: &EngineInfo) -> Header {
        let plan = &prepared.plan;
        let mut run = prepared.config.run.clone();
        (run.chains, run.warmup, run.thin) =
            (Some(plan.chains), Some(plan.warmup), Some(plan.thin));
        Header {
            origin,
            trace: trace.into(),
            engine: engine_name(engine),
            run_section: serde_json::to_string(&run).unwrap_or_default(),
        }
    }
}

/// Kind and number format of an engine, without what may differ between two parts of a run, such as the number of threads.
pub fn engine_name(engine: &EngineInfo) -> String {
    match engine.kind {
        "cpu" => {
            let parts = engine.device.split(", ").take(2);
            parts.collect::<Vec<_>>().join(", ")
        }
        _ => format!("{} ({})", engine.device, engine.driver),
    }
}

/// Path of the checkpoint of a trace.
pub fn path(trace: &Path) -> PathBuf {
    beside(trace, ".checkpoint")
}

fn beside(trace: &Path, ending: &str) -> PathBuf {
    // `t.zarr/` names the same trace as `t.zarr`.
    let trace: PathBuf = trace.components().collect();
    let mut name = trace.file_name().map(OsString::from).unwrap_or_default();
    name.push(ending);
    trace.with_file_name(name)
}

impl Checkpoint {
    /// Writes the checkpoint of a trace; the one before it is kept.
    ///
    /// # Errors
    /// [`Error::Store`] if the file system refuses; the checkpoint before it is then still there.
    pub fn write(&self, trace: &Path) -> Result<(), Error> {
        let to = path(trace);
        let failed = |e: io::Error| {
            Error::Store(StoreError::Io {
                path: to.display().to_string(),
                action: "written",
                detail: e.to_string(),
            })
        };
        let body =
            postcard::to_stdvec(self).map_err(|e| failed(io::Error::other(e.to_string())))?;
        let new = beside(trace, ".checkpoint-new");
        let write = || -> io::Result<()> {
            let mut file = File::create(&new)?;
            file.write_all(MAGIC)?;
            file.write_all(&XxHash3_64::oneshot(&body).to_le_bytes())?;
            file.write_all(&body)?;
            file.sync_all()?;
            if fs::symlink_metadata(&to).is_ok() {
                fs::rename(&to, beside(trace, ".checkpoint-old"))?;
            }
            fs::rename(&new, &to)?;
            sync_folder(&to)
        };
        write().map_err(|e| {
            // Half a file would only take up room.
            let _ = fs::remove_file(&new);
            failed(e)
        })
    }

    /// Reads the last checkpoint of a trace that is whole.
    ///
    /// # Errors
    /// [`Error::Input`] if there is none.
    pub fn read(trace: &Path) -> Result<Checkpoint, Error> {
        let mut why = Vec::new();
        for file in [path(trace), beside(trace, ".checkpoint-old")] {
            match read(&file) {
                Ok(found) => return Ok(found),
                Err(e) => why.push(format!("{}: {e}", file.display())),
            }
        }
        Err(Error::Input(format!(
            "{}: found no checkpoint that can be read ({}), expected one beside the trace; start the run again with `sngd sample`",
            trace.display(),
            why.join("; ")
        )))
    }

    /// Removes the checkpoints of a trace.
    pub fn remove(trace: &Path) {
        for ending in ENDINGS {
            // A file may be missing; one that cannot be removed names its own trace, so that no other trace goes on from it.
            let _ = fs::remove_file(beside(trace, ending));
        }
    }

    /// Moves the checkpoints of a trace that has another name now.
    pub fn rename(from: &Path, to: &Path) {
        for ending in ENDINGS {
            // As above.
            let _ = fs::rename(beside(from, ending), beside(to, ending));
        }
    }
}

fn read(file: &Path) -> io::Result<Checkpoint> {
    let bad = |text: &str| io::Error::new(io::ErrorKind::InvalidData, text.to_string());
    let bytes = fs::read(file)?;
    let rest = bytes
        .strip_prefix(MAGIC)
        .ok_or_else(|| bad("no checkpoint of this version of sngd"))?;
    let (hash, body) = rest.split_at_checked(8).ok_or_else(|| bad("cut short"))?;
    if XxHash3_64::oneshot(body).to_le_bytes() != *hash {
        return Err(bad(
            "damaged: its bytes do not have the hash that was written",
        ));
    }
    postcard::from_bytes(body).map_err(|e| bad(&e.to_string()))
}

/// Brings the entries of a file's folder to the disk.
fn sync_folder(file: &Path) -> io::Result<()> {
    if cfg!(unix) {
        let folder = match file.parent() {
            Some(p) if !p.as_os_str().is_empty() => p,
            _ => Path::new("."),
        };
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}
