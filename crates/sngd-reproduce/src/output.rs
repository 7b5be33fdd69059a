//! The three files of an experiment.

use crate::Findings;
use crate::error::Error;
use std::path::{Path, PathBuf};

/// Paths of an experiment's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Files {
    /// The figure as vectors.
    pub svg: PathBuf,
    /// The figure as pixels.
    pub png: PathBuf,
    /// The numbers of the figure.
    pub csv: PathBuf,
}

impl Files {
    /// The paths `NAME.svg`, `NAME.png`, `NAME.csv` in a folder.
    pub fn in_folder(folder: &Path, name: &str) -> Files {
        let file = |extension: &str| folder.join(format!("{name}.{extension}"));
        Files {
            svg: file("svg"),
            png: file("png"),
            csv: file("csv"),
        }
    }

    /// All three paths.
    pub fn all(&self) -> [&Path; 3] {
        [&self.svg, &self.png, &self.csv]
    }

    /// An error that names the first file that exists, a broken link included.
    ///
    /// # Errors
    /// [`Error::Exists`] if there is such a file.
    pub fn refuse_old(&self) -> Result<(), Error> {
        match self
            .all()
            .iter()
            .find(|p| std::fs::symlink_metadata(p).is_ok())
        {
            Some(old) => Err(Error::Exists {
                path: old.display().to_string(),
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn write(&self, findings: &Findings) -> Result<(), Error> {
        if let Some(folder) = self.csv.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Error::Write {
                path: folder.display().to_string(),
                why: e.to_string(),
            })?;
        }
        findings.table.write(&self.csv)?;
        findings.figure.write_svg(&self.svg)?;
        findings.figure.write_png(&self.png)
    }
}
