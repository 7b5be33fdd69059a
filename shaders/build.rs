//! Lists every file under wgsl/ as (path, text), so that a new kernel needs a new file and nothing else.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let folder = env::var("CARGO_MANIFEST_DIR").map_err(io::Error::other)?;
    let root = Path::new(&folder).join("wgsl");
    println!("cargo::rerun-if-changed=wgsl");
    let mut files = Vec::new();
    for stage in fs::read_dir(&root)? {
        let stage = stage?.path();
        if !stage.is_dir() {
            continue;
        }
        for file in fs::read_dir(stage)? {
            let file = file?.path();
            if file.extension().is_some_and(|e| e == "wgsl") {
                let name = file.strip_prefix(&root).map_err(io::Error::other)?;
                files.push((name.display().to_string().replace('\\', "/"), file));
            }
        }
    }
    files.sort();
    let rows: String = files
        .iter()
        .map(|(name, file)| format!("    ({name:?}, include_str!({file:?})),\n"))
        .collect();
    let out = env::var("OUT_DIR").map_err(io::Error::other)?;
    fs::write(Path::new(&out).join("files.rs"), format!("&[\n{rows}]\n"))
}
