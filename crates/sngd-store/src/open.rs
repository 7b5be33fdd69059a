//! Opening a data file.

use crate::data_error::DataError;
use std::fs::File;
use std::path::Path;

/// Opens a data file; a missing file and an unreadable file give different errors.
pub(crate) fn open(path: &Path) -> Result<File, DataError> {
    let file = File::open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => DataError::NotFound {
            path: path.display().to_string(),
        },
        _ => DataError::Unreadable {
            path: path.display().to_string(),
            detail: error.to_string(),
        },
    })?;
    match file.metadata() {
        Ok(metadata) if metadata.is_dir() => Err(DataError::Unreadable {
            path: path.display().to_string(),
            detail: "it is a directory".into(),
        }),
        _ => Ok(file),
    }
}
