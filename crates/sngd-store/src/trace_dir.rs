//! The directory of a trace: every file appears completely or not at all.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use zarrs::storage::{
    Bytes, OffsetBytesIterator, StorageError, StoreKey, StorePrefix, WritableStorageTraits,
};

/// A Zarr store that writes each file beside its target and then renames it, so that a reader never sees half a file. It does not
/// wait for the disk: a killed process loses nothing that it has published, a power cut may lose the last seconds.
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
