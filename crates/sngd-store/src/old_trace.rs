//! The folder of a new trace, and the old trace that it replaces: set aside first, removed when the new one is complete.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::output_path::{Room, io, lock, parent, plain, room};
use crate::store_error::StoreError;
use crate::trace_mark::Mark;

/// Number of names tried for an old trace before the folder counts as unusable.
const NAMES: usize = 10_000;

/// What happened to the old trace that a new one replaces.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OldTrace {
    /// There was no old trace.
    None,
    /// It is complete at this path, beside the new one.
    SetAside(PathBuf),
    /// The new trace is complete, and the old one is removed.
    Removed,
    /// Nothing was drawn, and the old trace is back at its first path.
    PutBack,
    /// The new trace is complete, but the old one could not be removed, or only in part.
    Left {
        /// Where the old trace is.
        path: PathBuf,
        /// Why it could not be removed.
        why: String,
    },
}

/// The folder that a new trace uses.
#[derive(Debug)]
pub(crate) struct Taken {
    path: PathBuf,
    /// Whether the folder was made here; then it is removed if the trace cannot be begun.
    made: bool,
    old: OldTrace,
    /// Keeps other runs out while this value exists.
    _lock: Option<File>,
}

impl Taken {
    /// Makes the folder of a new trace, or takes an empty one. With `force` an old trace there is renamed first: `t.zarr`
    /// becomes `t.zarr.old` or, if that is taken, `t.zarr.old-2` and so on.
    pub fn new(path: &Path, force: bool) -> Result<Self, StoreError> {
        let found = room(path, force)?;
        let path = plain(path);
        let failed = |error: &std::io::Error| match error.kind() {
            // Another program made the folder first.
            ErrorKind::AlreadyExists => StoreError::Exists {
                path: path.display().to_string(),
            },
            _ => io("written", &path, error),
        };
        let mut old = OldTrace::None;
        match found {
            Room::Empty => {}
            Room::Free => fs::create_dir_all(parent(&path))
                .map_err(|e| io("written", &path, &e))
                .and_then(|()| fs::create_dir(&path).map_err(|e| failed(&e)))?,
            Room::Old => {
                let _replaced = lock(&path)?;
                let aside = set_aside(&path)?;
                if let Err(error) = fs::create_dir(&path) {
                    // A folder that another program made in the meantime belongs to that program, even while it is empty.
                    let back = error.kind() != ErrorKind::AlreadyExists
                        && fs::rename(&aside, &path).is_ok();
                    return Err(if back {
                        failed(&error)
                    } else {
                        overtaken(&path, &aside)
                    });
                }
                old = OldTrace::SetAside(aside);
            }
        }
        let lock = lock(&path);
        let empty = fs::read_dir(&path).is_ok_and(|mut entries| entries.next().is_none());
        match (lock, &old) {
            (Ok(lock), _) if empty => Ok(Self {
                made: !matches!(found, Room::Empty),
                path,
                old,
                _lock: lock,
            }),
            (_, OldTrace::SetAside(aside)) => Err(overtaken(&path, aside)),
            (lock, _) => Err(lock.err().unwrap_or(StoreError::Exists {
                path: path.display().to_string(),
            })),
        }
    }

    /// Takes the folder of a trace that is to be gone on with.
    pub fn again(path: &Path) -> Result<Self, StoreError> {
        let path = plain(path);
        let lock = lock(&path)?;
        Ok(Self {
            path,
            made: false,
            old: OldTrace::None,
            _lock: lock,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn old(&self) -> &OldTrace {
        &self.old
    }

    /// Removes the old trace, now that the new one is complete.
    pub fn remove_old(&mut self) {
        if let OldTrace::SetAside(aside) = &self.old {
            self.old = match remove(aside) {
                Ok(()) => OldTrace::Removed,
                Err(why) => OldTrace::Left {
                    path: aside.clone(),
                    why,
                },
            };
        }
    }

    /// Removes the new trace, which is empty, and puts the old one back. If something prevents that, the old one stays
    /// aside.
    pub fn put_back_old(&mut self, mark: &Mark) {
        if let OldTrace::SetAside(aside) = &self.old {
            // If the new folder cannot be emptied, the old trace cannot go back, and the next line fails.
            let _ = mark.remove(&self.path);
            if fs::rename(aside, &self.path).is_ok() {
                self.old = OldTrace::PutBack;
            }
        }
    }

    /// Restores everything, since the trace could not be begun.
    pub fn undo(&mut self, mark: &Mark) {
        match &self.old {
            OldTrace::SetAside(_) => self.put_back_old(mark),
            _ => {
                // The error that led here already reports what cannot be removed.
                let _ = mark.remove(&self.path);
                if !self.made {
                    let _ = fs::create_dir(&self.path);
                }
            }
        }
    }
}

/// The error if another program took the place of an old trace that was just set aside.
fn overtaken(path: &Path, aside: &Path) -> StoreError {
    StoreError::Io {
        path: path.display().to_string(),
        action: "written",
        detail: format!(
            "another program took its place, the old trace is now {}",
            aside.display()
        ),
    }
}

/// Renames an old trace within its folder; returns its new path.
fn set_aside(path: &Path) -> Result<PathBuf, StoreError> {
    for number in 1..=NAMES {
        let mut name = path.file_name().map(OsString::from).unwrap_or_default();
        name.push(".old");
        if number > 1 {
            name.push(format!("-{number}"));
        }
        let aside = path.with_file_name(name);
        // A link that leads nowhere also uses the name.
        if fs::symlink_metadata(&aside).is_ok() {
            continue;
        }
        match fs::rename(path, &aside) {
            Ok(()) => return Ok(aside),
            // Somebody took the name in the meantime: a folder never replaces a file or a folder that is not empty.
            Err(_) if fs::symlink_metadata(&aside).is_ok() => {}
            Err(error) => return Err(io("set aside", path, &error)),
        }
    }
    Err(StoreError::Io {
        path: path.display().to_string(),
        action: "set aside",
        detail: format!("{NAMES} old traces are beside it"),
    })
}

/// Removes an old trace if it still contains nothing but files of the trace; the error says why it cannot.
fn remove(aside: &Path) -> Result<(), String> {
    let found = fs::symlink_metadata(aside).map_err(|e| e.to_string())?;
    let mark = Mark::read(aside).filter(|_| found.is_dir());
    let mark = mark.ok_or("it is not a trace of sngd any more")?;
    match mark.first_foreign(aside).map_err(|e| e.to_string())? {
        Some(entry) => Err(format!(
            "it holds `{}`, which sngd did not write",
            entry.strip_prefix(aside).unwrap_or(&entry).display()
        )),
        None => mark.remove(aside).map_err(|e| e.to_string()),
    }
}
