//! The directory of a trace: every file appears whole or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zarrs::group::Group;
use zarrs::storage::{
    Bytes, OffsetBytesIterator, StorageError, StoreKey, StorePrefix, WritableStorageTraits,
};

use crate::store_error::StoreError;

/// A Zarr store that writes beside the target and renames, so a reader never meets half a file. It does not wait for
/// the disk: a killed process loses nothing it has published, a power cut may lose the last seconds.
#[derive(Debug)]
pub(crate) struct TraceDir {
    root: PathBuf,
}

/// A file written beside its target, not yet visible.
#[derive(Debug)]
pub(crate) struct Staged {
    from: PathBuf,
    to: PathBuf,
}

impl TraceDir {
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    pub fn stage(&self, key: &str, content: &[u8]) -> std::io::Result<Staged> {
        let to = self.root.join(key.trim_start_matches('/'));
        let name = to
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        let from = to.with_file_name(format!(".{name}.new"));
        if let Err(error) = fs::write(&from, content) {
            if error.kind() != ErrorKind::NotFound {
                return Err(error);
            }
            if let Some(parent) = from.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(&from, content)?;
        }
        Ok(Staged { from, to })
    }
}

impl Staged {
    pub fn publish(self) -> std::io::Result<()> {
        fs::rename(self.from, self.to)
    }
}

impl WritableStorageTraits for TraceDir {
    fn set(&self, key: &StoreKey, value: Bytes) -> Result<(), StorageError> {
        Ok(self.stage(key.as_str(), &value)?.publish()?)
    }

    fn set_partial_many(&self, _: &StoreKey, _: OffsetBytesIterator) -> Result<(), StorageError> {
        Err(StorageError::Unsupported(
            "a trace writes whole chunks".into(),
        ))
    }

    fn erase(&self, key: &StoreKey) -> Result<(), StorageError> {
        match fs::remove_file(self.root.join(key.as_str())) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    fn erase_prefix(&self, _: &StorePrefix) -> Result<(), StorageError> {
        Err(StorageError::Unsupported("a trace erases no groups".into()))
    }

    fn supports_set_partial(&self) -> bool {
        false
    }
}

/// Makes room for a new trace: nothing there, or with `force` an old trace of ours, which is removed.
pub(crate) fn make_room(path: &Path, force: bool) -> Result<(), StoreError> {
    let Ok(found) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    let shown = path.display().to_string();
    if !force {
        return Err(StoreError::Exists { path: shown });
    }
    if !found.is_dir() {
        return Err(StoreError::NotOurs {
            path: shown,
            found: "something that is not a directory",
        });
    }
    if !path.join("zarr.json").is_file() {
        let empty = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_none());
        return if empty {
            Ok(())
        } else {
            Err(StoreError::NotOurs {
                path: shown,
                found: "a directory without zarr.json",
            })
        };
    }
    if !is_ours(path) {
        return Err(StoreError::NotOurs {
            path: shown,
            found: "a Zarr directory of another program",
        });
    }
    remove(path).map_err(|error| StoreError::Io {
        path: shown,
        action: "removed",
        detail: error.to_string(),
    })
}

fn is_ours(path: &Path) -> bool {
    let store = zarrs::filesystem::FilesystemStore::new(path);
    let group = store
        .ok()
        .and_then(|store| Group::open(std::sync::Arc::new(store), "/").ok());
    group.is_some_and(|group| {
        group
            .attributes()
            .get("inference_library")
            .is_some_and(|library| library == LIBRARY)
    })
}

/// The name that marks a trace as ours.
pub(crate) const LIBRARY: &str = "sngd";

/// The root's metadata goes last, so that a removal that was cut short can be forced again.
fn remove(path: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != "zarr.json" {
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir_all(path)
}
