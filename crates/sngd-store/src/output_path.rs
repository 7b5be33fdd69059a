//! Checks whether a trace may go to a path, before anything is computed or changed.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::store_error::StoreError;
use crate::trace_mark::Mark;

/// What is at a path that a trace may use.
#[derive(Debug)]
pub(crate) enum Room {
    /// Nothing is there.
    Free,
    /// An empty folder is there.
    Empty,
    /// A trace written by sngd is there, and nothing else.
    Old,
}

/// Checks that a new trace may go to `path`; changes nothing.
///
/// A trace may go where nothing is, into an empty folder and, with `force`, in the place of an old trace that contains
/// only what sngd wrote. It never goes to a folder with one of `inputs`, the files that the run reads,
/// each with its name in messages such as `run file`; nor to a link; nor into another trace.
///
/// # Errors
/// [`StoreError::NotAFolder`], [`StoreError::NotOurs`] or [`StoreError::Exists`] for what is wrong with the path,
/// [`StoreError::Io`] if the file system cannot be read.
pub fn check_output(path: &Path, inputs: &[(&str, &Path)], force: bool) -> Result<(), StoreError> {
    if !path.as_os_str().is_empty()
        && let Ok(folder) = fs::canonicalize(path)
        && let Some((what, file)) = inputs.iter().find(|(_, file)| holds(&folder, file))
    {
        return Err(StoreError::NotAFolder {
            path: shown(path),
            found: format!("the {what} {} in it", file.display()),
        });
    }
    room(path, force).map(|_| ())
}

/// Tests that a trace can be written to `path` now: makes a folder beside it and removes it again, and checks whether
/// another run writes there. Call [`check_output`] first.
///
/// # Errors
/// [`StoreError::Io`] if the file system refuses, [`StoreError::Busy`] if another run writes there.
pub fn try_output(path: &Path) -> Result<(), StoreError> {
    let path = &plain(path);
    let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
    // An empty folder is filled; beside an old trace there must be room to set it aside.
    let mut beside = if empty { path } else { parent(path) };
    while fs::symlink_metadata(beside).is_err_and(|e| e.kind() == ErrorKind::NotFound)
        && beside != Path::new(".")
    {
        beside = parent(beside);
    }
    let attempt = beside.join(format!(".sngd-{}.try", std::process::id()));
    fs::create_dir(&attempt)
        .or_else(|e| match e.kind() {
            // The folder of a killed program that had the same process number.
            ErrorKind::AlreadyExists => Ok(()),
            _ => Err(e),
        })
        .and_then(|()| fs::remove_dir(&attempt))
        .map_err(|e| io("written", path, &e))?;
    lock(path).map(|_| ())
}

/// Traces beside `path` that runs set aside when they were to replace it, and that no run has removed or put back: the
/// program was killed, or the new trace never became complete.
pub fn set_aside_before(path: &Path) -> Vec<PathBuf> {
    let path = plain(path);
    let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
        return Vec::new();
    };
    let aside = |found: &Path| {
        let found = found.file_name().and_then(|found| found.to_str());
        let rest = found.and_then(|found| found.strip_prefix(name)?.strip_prefix(".old"));
        rest.is_some_and(|rest| {
            let number = rest.strip_prefix('-').unwrap_or("1");
            (rest.is_empty() || rest.starts_with('-')) && number.parse::<u32>().is_ok()
        })
    };
    let mut found: Vec<PathBuf> = fs::read_dir(parent(&path))
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(path.with_file_name(entry.ok()?.file_name())))
        .filter(|entry| aside(entry) && Mark::read(entry).is_some())
        .collect();
    found.sort();
    found
}

/// What is at a path; an error if a new trace may not use it.
pub(crate) fn room(path: &Path, force: bool) -> Result<Room, StoreError> {
    let refuse = |found: String| StoreError::NotOurs {
        path: shown(path),
        found,
    };
    let not_a_folder = |found: String| StoreError::NotAFolder {
        path: shown(path),
        found,
    };
    if path.as_os_str().is_empty() {
        return Err(not_a_folder("an empty path".into()));
    }
    let path = &plain(path);
    if path.file_name().is_none() {
        return Err(not_a_folder("a path that ends without a name".into()));
    }
    if let Some(outer) = trace_around(path) {
        let outer = outer.display();
        return Err(not_a_folder(format!("a path inside the trace {outer}")));
    }
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Room::Free),
        Err(error) => return Err(io("written", path, &error)),
    };
    if found.is_symlink() {
        return Err(refuse("a symbolic link, which is not followed".into()));
    }
    if !found.is_dir() {
        return Err(refuse("something that is not a folder".into()));
    }
    let mut names = fs::read_dir(path)
        .and_then(|entries| {
            let names = entries.map(|entry| Ok(entry?.file_name()));
            names.collect::<std::io::Result<Vec<_>>>()
        })
        .map_err(|e| io("read", path, &e))?;
    names.sort();
    let Some(first) = names.first() else {
        return Ok(Room::Empty);
    };
    let Some(mark) = Mark::read(path) else {
        return Err(refuse(format!(
            "a folder that is not a trace of sngd and holds `{}`",
            first.display()
        )));
    };
    let foreign = mark.first_foreign(path).map_err(|e| io("read", path, &e))?;
    if let Some(entry) = foreign {
        let entry = entry.strip_prefix(path).unwrap_or(&entry).display();
        return Err(refuse(format!(
            "a trace that holds `{entry}`, which sngd did not write"
        )));
    }
    if !force {
        return Err(StoreError::Exists { path: shown(path) });
    }
    Ok(Room::Old)
}

/// Locks the folder of a trace for this program until the lock is dropped; `None` where folders cannot be locked.
///
/// # Errors
/// [`StoreError::Busy`] if another run holds the lock.
pub(crate) fn lock(folder: &Path) -> Result<Option<File>, StoreError> {
    // Windows opens no folders, and network file systems may have no locks: runs then go without a lock.
    let Ok(file) = File::open(folder) else {
        return Ok(None);
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Err(StoreError::Busy {
            path: shown(folder),
        }),
        Err(TryLockError::Error(_)) => Ok(None),
    }
}

/// The path without a slash or `.` at its end, which would make the system follow a link.
pub(crate) fn plain(path: &Path) -> PathBuf {
    path.components().collect()
}

/// The folder that a path is in; `.` if the path has no folder.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

pub(crate) fn io(action: &'static str, path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Io {
        path: shown(path),
        action,
        detail: error.to_string(),
    }
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() {
        return "\"\"".into();
    }
    path.display().to_string()
}

/// Whether a file, or the link that names it, is in the folder or is the folder itself. The folder's path has no links.
fn holds(folder: &Path, file: &Path) -> bool {
    let named =
        fs::canonicalize(parent(file)).map(|p| p.join(file.file_name().unwrap_or_default()));
    let places = [fs::canonicalize(file), named];
    places
        .iter()
        .flatten()
        .any(|place| place.starts_with(folder))
}

/// The trace that a path would be inside of, if any.
fn trace_around(path: &Path) -> Option<PathBuf> {
    let mut outer = parent(path);
    let folder = loop {
        match fs::canonicalize(outer) {
            Ok(folder) => break folder,
            Err(_) if outer == Path::new(".") => return None,
            Err(_) => outer = parent(outer),
        }
    };
    let found = folder
        .ancestors()
        .find(|folder| Mark::read(folder).is_some());
    found.map(Path::to_path_buf)
}
