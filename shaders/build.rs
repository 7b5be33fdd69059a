//! Lists every file under wgsl/ as (path, text), so that a new kernel needs a new file and nothing else.

use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let root = Path::new(&folder).join("wgsl");
    println!("cargo::rerun-if-changed=wgsl");
    let mut files = Vec::new();
    collect(&root, &root, &mut files)?;
    files.sort();
    let rows: String = files
        .iter()
        .map(|(name, file)| format!("    ({name:?}, include_str!({file:?})),\n"))
        .collect();
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("files.rs"), format!("&[\n{rows}]\n"))
}

/// Adds the files of a folder and of those inside it, each with its path from `root`.
fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|e| e == "wgsl") {
            let name = path.strip_prefix(root).map_err(io::Error::other)?;
            files.push((name.display().to_string().replace('\\', "/"), path));
        }
    }
    Ok(())
}
