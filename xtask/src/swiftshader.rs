//! SwiftShader's two files, taken out of Debian's Chromium package without installing it.

use crate::process::{program, run};
use crate::vulkan::swiftshader_folder;
use std::path::{Path, PathBuf};

const LIBRARY: &str = "libvk_swiftshader.so";
const DRIVER_FILE: &str = "vk_swiftshader_icd.json";

/// Downloads `chromium-common`, unpacks it beside the target folder, keeps two files, deletes the rest.
pub fn fetch() -> Result<(), String> {
    let folder = swiftshader_folder();
    let work = folder.with_file_name("chromium-common");
    let _ = std::fs::remove_dir_all(&work); // remains of an interrupted run
    let unpacked = work.join("unpacked");
    make_folder(&unpacked)?;
    make_folder(&folder)?;
    let fetched = fetch_into(&work, &unpacked, &folder);
    let _ = std::fs::remove_dir_all(&work);
    fetched
}

fn fetch_into(work: &Path, unpacked: &Path, folder: &Path) -> Result<(), String> {
    run(program("apt-get")
        .args([
            "-qq",
            "-o",
            "APT::Sandbox::User=root",
            "download",
            "chromium-common",
        ])
        .current_dir(work))?;
    let package = std::fs::read_dir(work)
        .map_err(|error| format!("{} cannot be read: {error}", work.display()))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|kind| kind == "deb"))
        .ok_or("apt-get download left no package")?;
    run(program("dpkg-deb").arg("-x").arg(&package).arg(unpacked))?;
    let find = |name: &str| {
        find_file(unpacked, name).ok_or(format!(
            "this chromium-common holds no {name} (on Ubuntu Chromium is a snap, its package a stub)"
        ))
    };
    copy(&find(LIBRARY)?, &folder.join(LIBRARY))?;
    let text = std::fs::read_to_string(find(DRIVER_FILE)?)
        .map_err(|error| format!("{DRIVER_FILE} cannot be read: {error}"))?;
    // last, because its existence says that both are there
    std::fs::write(folder.join(DRIVER_FILE), beside_library(&text))
        .map_err(|error| format!("{DRIVER_FILE} cannot be written: {error}"))
}

/// The loader looks for a plain file name in the system's folders, and for a path from the driver file's folder.
fn beside_library(text: &str) -> String {
    let Some(position) = text.find(LIBRARY) else {
        return text.to_owned();
    };
    let (before, after) = text.split_at(position);
    let start = before.rfind('"').map_or(0, |quote| quote + 1);
    format!("{}./{after}", &before[..start])
}

fn find_file(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in std::fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            if let Some(found) = find_file(&path, name) {
                return Some(found);
            }
        } else if entry.file_name() == name {
            return Some(path);
        }
    }
    None
}

fn make_folder(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder)
        .map_err(|error| format!("the folder {} cannot be made: {error}", folder.display()))
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    std::fs::copy(from, to)
        .map(|_| ())
        .map_err(|error| format!("{} cannot be written: {error}", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_sought_beside_the_driver_file() {
        let wanted =
            r#"{"ICD": {"library_path": "./libvk_swiftshader.so", "api_version": "1.0.5"}}"#;
        for path in [
            "./libvk_swiftshader.so",
            "libvk_swiftshader.so",
            "/usr/lib/chromium/libvk_swiftshader.so",
        ] {
            let text =
                format!(r#"{{"ICD": {{"library_path": "{path}", "api_version": "1.0.5"}}}}"#);
            assert_eq!(beside_library(&text), wanted);
        }
        assert_eq!(beside_library("{}"), "{}");
    }
}
