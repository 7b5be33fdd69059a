//! The Vulkan drivers of this machine: files that name a library, found in the folders where the loader looks.

use crate::process::{capture, program, target};
use std::path::{Path, PathBuf};

/// A driver, with the name that the tests use for it.
#[derive(Clone, Debug, PartialEq)]
pub struct Driver {
    pub name: String,
    pub file: PathBuf,
}

/// Folder of SwiftShader's two files.
pub fn swiftshader_folder() -> PathBuf {
    target().join("vulkan").join("swiftshader")
}

/// The drivers that offer a device: software drivers, those of a real GPU, and those that VK_DRIVER_FILES names.
pub fn answering() -> Vec<Driver> {
    let mut found: Vec<Driver> = Vec::new();
    for driver in order(named_files(), standard_files()) {
        if found.iter().all(|other| other.name != driver.name) && devices(&driver).is_ok() {
            found.push(driver);
        }
    }
    found
}

/// The driver files that the environment names.
fn named_files() -> Vec<PathBuf> {
    ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"]
        .iter()
        .filter_map(std::env::var_os)
        .flat_map(|list| std::env::split_paths(&list).collect::<Vec<_>>())
        .filter_map(|file| file.canonicalize().ok())
        .collect()
}

/// The driver files in the loader's folders and in ours.
fn standard_files() -> Vec<PathBuf> {
    let loader = [
        "/usr/share/vulkan/icd.d",
        "/etc/vulkan/icd.d",
        "/usr/local/share/vulkan/icd.d",
    ];
    let mut files = Vec::new();
    for folder in loader
        .iter()
        .map(PathBuf::from)
        .chain([swiftshader_folder()])
    {
        let Ok(entries) = std::fs::read_dir(folder) else {
            continue;
        };
        let mut inside: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|file| file.extension().is_some_and(|kind| kind == "json"))
            .collect();
        inside.sort();
        files.extend(inside);
    }
    files
}

/// Sorts drivers: lavapipe, SwiftShader, then the rest. Named files come before found ones of the same name.
fn order(named: Vec<PathBuf>, standard: Vec<PathBuf>) -> Vec<Driver> {
    let mut drivers: Vec<Driver> = named
        .into_iter()
        .chain(standard)
        .map(|file| Driver {
            name: name_of(&file),
            file,
        })
        .collect();
    drivers.sort_by_key(|driver| match driver.name.as_str() {
        "lavapipe" => 0,
        "swiftshader" => 1,
        _ => 2,
    });
    drivers
}

/// `lvp_icd.x86_64.json` is lavapipe, `vk_swiftshader_icd.json` SwiftShader, `nvidia_icd.json` nvidia.
fn name_of(file: &Path) -> String {
    let stem = file
        .file_name()
        .map(|name| name.to_string_lossy().to_lowercase())
        .unwrap_or_default();
    if stem.starts_with("lvp_icd") {
        "lavapipe".into()
    } else if stem.contains("swiftshader") {
        "swiftshader".into()
    } else {
        stem.split(['.', '_']).next().unwrap_or_default().to_owned()
    }
}

/// The list for the test harness: `lavapipe=/a.json;swiftshader=/b.json`.
pub fn list(drivers: &[Driver]) -> String {
    let pairs: Vec<String> = drivers
        .iter()
        .map(|driver| format!("{}={}", driver.name, driver.file.display()))
        .collect();
    pairs.join(";")
}

/// Asks a driver for its devices in a separate process, because the loader reads the environment only once.
pub fn devices(driver: &Driver) -> Result<Vec<String>, String> {
    let me =
        std::env::current_exe().map_err(|error| format!("xtask cannot find itself: {error}"))?;
    let mut probe = program(me);
    probe.arg("probe");
    for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
        probe.env(variable, &driver.file);
    }
    let names: Vec<String> = capture(&mut probe)?.lines().map(str::to_owned).collect();
    if names.is_empty() {
        return Err(format!("{} offers no device", driver.file.display()));
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(names: &[&str]) -> Vec<PathBuf> {
        names.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn drivers_are_named_ordered_and_listed() {
        let standard = paths(&[
            "/usr/share/vulkan/icd.d/intel_icd.x86_64.json",
            "/usr/share/vulkan/icd.d/lvp_icd.x86_64.json",
            "/w/target/vulkan/swiftshader/vk_swiftshader_icd.json",
        ]);
        assert_eq!(
            list(&order(Vec::new(), standard)),
            "lavapipe=/usr/share/vulkan/icd.d/lvp_icd.x86_64.json;\
             swiftshader=/w/target/vulkan/swiftshader/vk_swiftshader_icd.json;\
             intel=/usr/share/vulkan/icd.d/intel_icd.x86_64.json"
        );
        assert_eq!(list(&[]), "");
    }

    #[test]
    fn a_driver_that_was_named_comes_before_the_standard_file() {
        let named = paths(&["/opt/nvidia_icd.json", "/opt/mesa/lvp_icd.json"]);
        let standard = paths(&["/usr/share/vulkan/icd.d/lvp_icd.x86_64.json"]);
        assert_eq!(
            list(&order(named, standard)),
            "lavapipe=/opt/mesa/lvp_icd.json;\
             lavapipe=/usr/share/vulkan/icd.d/lvp_icd.x86_64.json;\
             nvidia=/opt/nvidia_icd.json"
        );
    }
}
