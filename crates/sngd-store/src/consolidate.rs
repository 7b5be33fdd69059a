//! Consolidated metadata: those of every group and array, once more in the root's file, so that a reader opens a trace with one request.
//! Zarr v3 has no text for it yet; the form is that of zarr-python 3 (`zarr.consolidate_metadata`), which xarray and ArviZ look for first.

use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Name of a group's or array's metadata file.
const FILE: &str = "zarr.json";

/// The root's metadata of the trace in `folder`, with those of all its groups and arrays.
pub(crate) fn root_with_all(folder: &Path) -> io::Result<Vec<u8>> {
    let mut nodes = BTreeMap::new();
    collect(folder, "", &mut nodes)?;
    let mut root: Map<String, Value> = serde_json::from_slice(&fs::read(folder.join(FILE))?)?;
    let all = json!({ "kind": "inline", "must_understand": false, "metadata": nodes });
    root.insert("consolidated_metadata".into(), all);
    Ok(serde_json::to_vec_pretty(&root)?)
}

/// Adds the metadata of every group and array below `folder`, by path.
fn collect(folder: &Path, path: &str, nodes: &mut BTreeMap<String, Value>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        // Chunks of arrays are in folders too, without metadata of their own.
        let file = entry.path().join(FILE);
        if !entry.file_type()?.is_dir() || !file.is_file() {
            continue;
        }
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match path {
            "" => name,
            parent => format!("{parent}/{name}"),
        };
        nodes.insert(path.clone(), serde_json::from_slice(&fs::read(&file)?)?);
        collect(&entry.path(), &path, nodes)?;
    }
    Ok(())
}
