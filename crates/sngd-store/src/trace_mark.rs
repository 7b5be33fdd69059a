//! The mark at the root of a trace: it says that sngd wrote the folder, and names every array in it.
//!
//! `--force` may replace only what the mark names; everything else in the folder belongs to somebody else.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Value of the attribute `inference_library` of every group.
pub(crate) const LIBRARY: &str = "sngd";

/// The attribute that contains the mark as JSON. Only the root has it, so that a group never counts as a trace.
pub(crate) const ATTRIBUTE: &str = "sngd_trace";

/// Name of the file with the metadata of a group or an array.
const METADATA: &str = "zarr.json";

/// Names of the arrays of each group, coordinates included.
pub(crate) type Groups = BTreeMap<String, BTreeSet<String>>;

/// The names of all groups and arrays of a trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Mark(Groups);

impl Mark {
    pub fn new(groups: Groups) -> Self {
        Self(groups)
    }

    /// Adds more groups of the same trace.
    pub fn extend(&mut self, groups: Groups) {
        self.0.extend(groups);
    }

    /// The mark as the value of its attribute.
    pub fn text(&self) -> String {
        serde_json::to_string(&self.0).unwrap_or_default()
    }

    /// Reads the mark of a folder; `None` if the folder is not the root of a trace written by sngd. Links are not followed.
    pub fn read(folder: &Path) -> Option<Self> {
        let file = folder.join(METADATA);
        if !fs::symlink_metadata(&file).is_ok_and(|found| found.is_file()) {
            return None;
        }
        let root: Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        let attributes = &root["attributes"];
        let ours = root["node_type"] == "group" && attributes["inference_library"] == LIBRARY;
        let groups = serde_json::from_str(attributes[ATTRIBUTE].as_str()?).ok()?;
        ours.then_some(Self(groups))
    }

    /// The first entry, by name, that is not part of a trace with this mark. Links are never part of a trace.
    pub fn first_foreign(&self, root: &Path) -> io::Result<Option<PathBuf>> {
        self.first_foreign_in(root, Place::Root)
    }

    fn first_foreign_in(&self, folder: &Path, place: Place<'_>) -> io::Result<Option<PathBuf>> {
        for (path, kind) in entries(folder)? {
            let inner = match self.part(place, path.file_name(), kind) {
                None => return Ok(Some(path)),
                Some(Part::File) => continue,
                Some(Part::Folder(inner)) => inner,
            };
            if let Some(found) = self.first_foreign_in(&path, inner)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Removes the files of a trace with this mark and the folders that are empty then; the root's metadata and the root
    /// come last. An entry that is not part of the trace stays, with the folders around it.
    ///
    /// # Errors
    /// The system's error for the first file that cannot be removed, or for a folder that is not empty.
    pub fn remove(&self, root: &Path) -> io::Result<()> {
        self.remove_in(root, Place::Root)?;
        for name in [format!(".{METADATA}.new"), METADATA.into()] {
            match fs::remove_file(root.join(name)) {
                Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        fs::remove_dir(root)
    }

    fn remove_in(&self, folder: &Path, place: Place<'_>) -> io::Result<()> {
        for (path, kind) in entries(folder)? {
            match self.part(place, path.file_name(), kind) {
                Some(Part::Folder(inner)) => {
                    self.remove_in(&path, inner)?;
                    fs::remove_dir(&path)?;
                }
                Some(Part::File) if !matches!(place, Place::Root) => fs::remove_file(&path)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The part of the trace that an entry is; `None` if it is not part of the trace.
    fn part(&self, place: Place<'_>, name: Option<&OsStr>, kind: FileType) -> Option<Part<'_>> {
        let name = name?.to_str()?;
        let number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
        if kind.is_file() {
            // A killed run may have left a file `.NAME.new` that it was about to publish.
            let staged = name.strip_prefix('.').and_then(|n| n.strip_suffix(".new"));
            let name = staged.unwrap_or(name);
            let known = match place {
                Place::Root | Place::Group(_) => name == METADATA,
                // The only chunk of a scalar is a file.
                Place::Array => name == METADATA || name == "c",
                Place::Chunks => number(name),
            };
            return known.then_some(Part::File);
        }
        if !kind.is_dir() {
            return None;
        }
        match place {
            Place::Root => self
                .0
                .get_key_value(name)
                .map(|(group, _)| Place::Group(group)),
            Place::Group(group) => self.0.get(group)?.contains(name).then_some(Place::Array),
            Place::Array => (name == "c").then_some(Place::Chunks),
            Place::Chunks => number(name).then_some(Place::Chunks),
        }
        .map(Part::Folder)
    }
}

/// A kind of folder in a trace.
#[derive(Debug, Clone, Copy)]
enum Place<'a> {
    Root,
    /// A group, with its name.
    Group(&'a str),
    Array,
    /// Folder `c` of an array, or a folder below it: one for each axis.
    Chunks,
}

/// An entry that belongs to a trace.
enum Part<'a> {
    File,
    Folder(Place<'a>),
}

/// Entries of a folder sorted by name, each with its kind; a link counts as a link, not as its target.
fn entries(folder: &Path) -> io::Result<Vec<(PathBuf, FileType)>> {
    let mut found = fs::read_dir(folder)?
        .map(|entry| entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))))
        .collect::<io::Result<Vec<_>>>()?;
    found.sort_by(|a, b| a.0.cmp(&b.0));
    Ok(found)
}
