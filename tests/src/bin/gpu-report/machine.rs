//! What this machine is, and the environment that the steps need on it: where the pack's data lie, and a way to Vulkan
//! where the machine itself has a GPU's driver and no loader, or no file that names the driver to the loader.

use crate::plan::Pack;
use std::path::{Path, PathBuf};
use std::process::Command;

/// This machine.
pub struct Machine {
    /// Names and values for the report.
    pub facts: Vec<(&'static str, String)>,
    /// Variables of every step.
    pub environment: Vec<(&'static str, String)>,
}

const LOADER: &str = "libvulkan.so.1";

/// NVIDIA's driver as the loader may load it: that with X first, then that without.
const NVIDIA: [&str; 2] = ["libGLX_nvidia.so.0", "libEGL_nvidia.so.0"];

/// Where the loader looks for files that name drivers.
const DRIVER_FOLDERS: [&str; 3] = [
    "/usr/share/vulkan/icd.d",
    "/etc/vulkan/icd.d",
    "/usr/local/share/vulkan/icd.d",
];

impl Machine {
    /// Looks at this machine. What the environment already says of drivers and loaders stays.
    pub fn here(pack: &Pack, out: &Path) -> Machine {
        let mut machine = Machine {
            facts: Vec::new(),
            environment: vec![
                ("SNGD_REFS", pack.path("refs").display().to_string()),
                ("SNGD_DATASETS", pack.path("datasets").display().to_string()),
            ],
        };
        if std::env::var_os("SNGD_TEST_DRIVER").is_none() {
            // A device is promised: tests that find none fail rather than skip.
            machine
                .environment
                .push(("SNGD_TEST_DRIVER", "native".into()));
        }
        machine.describe();
        if cfg!(target_os = "linux") {
            machine.find_loader(pack);
            machine.find_drivers(out);
        }
        machine
    }

    fn fact(&mut self, name: &'static str, value: impl Into<String>) {
        self.facts.push((name, value.into()));
    }

    fn describe(&mut self) {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let after = |text: &str, key: &str| {
            let line = text.lines().find_map(|l| l.strip_prefix(key));
            line.map(|l| l.trim_matches([' ', '\t', ':', '=', '"']).to_owned())
        };
        let system = after(&read("/etc/os-release"), "PRETTY_NAME");
        self.fact(
            "system",
            format!(
                "{}, {} {}, kernel {}",
                system.unwrap_or_else(|| "unnamed".into()),
                std::env::consts::OS,
                std::env::consts::ARCH,
                read("/proc/sys/kernel/osrelease").trim()
            ),
        );
        let cpu = after(&read("/proc/cpuinfo"), "model name");
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let memory = after(&read("/proc/meminfo"), "MemTotal");
        self.fact(
            "CPU",
            format!(
                "{}, {threads} threads, memory {}",
                cpu.unwrap_or_else(|| "unnamed".into()),
                memory.unwrap_or_else(|| "unknown".into())
            ),
        );
        let asked = [
            "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit",
            "--format=csv,noheader",
        ];
        let said = capture("nvidia-smi", &asked);
        self.fact("nvidia-smi", said.unwrap_or_else(|| "none".into()));
    }

    /// Keeps the machine's loader, and offers the pack's where there is none.
    fn find_loader(&mut self, pack: &Pack) {
        let ours = pack.path("lib");
        let text = match library(LOADER) {
            Some(path) => format!("the machine's, {}", path.display()),
            None if ours.join(LOADER).is_file() => {
                let mut folders = vec![ours];
                let named = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
                folders.extend(std::env::split_paths(&named));
                if let Ok(joined) = std::env::join_paths(folders) {
                    let joined = joined.to_string_lossy().into_owned();
                    self.environment.push(("LD_LIBRARY_PATH", joined));
                }
                "the pack's".into()
            }
            None => "none, on this machine or in the pack".into(),
        };
        self.fact("Vulkan loader", text);
    }

    /// Keeps the machine's driver files, and writes one for NVIDIA's driver where it is installed without.
    fn find_drivers(&mut self, out: &Path) {
        for variable in ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] {
            if let Ok(named) = std::env::var(variable) {
                return self.fact("Vulkan drivers", format!("{variable}={named}"));
            }
        }
        let mut files = driver_files();
        let named = files.iter().any(|f| f.to_string_lossy().contains("nvidia"));
        if let Some(driver) = NVIDIA.iter().copied().find(|name| library(name).is_some())
            && !named
        {
            let file = out.join("work").join("nvidia_icd.json");
            if std::fs::write(&file, driver_file(driver)).is_ok() {
                files.insert(0, file);
                if let Ok(list) = std::env::join_paths(&files) {
                    let list = list.to_string_lossy().into_owned();
                    self.environment.push(("VK_DRIVER_FILES", list.clone()));
                    // the name of the same variable for older loaders
                    self.environment.push(("VK_ICD_FILENAMES", list));
                }
            }
        }
        let names: Vec<String> = files.iter().map(|f| f.display().to_string()).collect();
        let text = match names.is_empty() {
            true => "none".into(),
            false => names.join(", "),
        };
        self.fact("Vulkan drivers", text);
    }
}

/// The content of a file that names a driver to the loader.
fn driver_file(library: &str) -> String {
    let text = serde_json::json!({
        "file_format_version": "1.0.0",
        "ICD": { "library_path": library, "api_version": "1.3.0" },
    });
    text.to_string()
}

fn driver_files() -> Vec<PathBuf> {
    let inside = |folder: &&str| std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = DRIVER_FOLDERS
        .iter()
        .flat_map(inside)
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|kind| kind == "json"))
        .collect();
    files.sort();
    files
}

/// The file of a shared library, as the dynamic linker would find it.
fn library(name: &str) -> Option<PathBuf> {
    let named = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let found = std::env::split_paths(&named)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    found.or_else(|| {
        ["ldconfig", "/sbin/ldconfig", "/usr/sbin/ldconfig"]
            .iter()
            .find_map(|program| in_cache(&capture(program, &["-p"])?, name))
    })
}

/// The path of a library in the list that `ldconfig -p` prints.
fn in_cache(list: &str, name: &str) -> Option<PathBuf> {
    list.lines().find_map(|line| {
        let (library, path) = line.split_once("=>")?;
        let ours = std::env::consts::ARCH.replace('_', "-");
        let fits = library.split_whitespace().next() == Some(name)
            && (library.contains(&ours) || !library.contains("x86-64"));
        fits.then(|| PathBuf::from(path.trim()))
    })
}

fn capture(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_is_found_in_the_linkers_list() {
        let list = "12 libs found in cache\n\
            \tlibvulkan.so.1 (libc6) => /lib/i386-linux-gnu/libvulkan.so.1\n\
            \tlibvulkan.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libvulkan.so.1\n";
        if cfg!(target_arch = "x86_64") {
            let found = in_cache(
                &list.replace("\tlibvulkan.so.1 (libc6) =>", "\tother ="),
                LOADER,
            );
            assert_eq!(found, Some("/lib/x86_64-linux-gnu/libvulkan.so.1".into()));
        }
        assert_eq!(in_cache(list, "libGLX_nvidia.so.0"), None);
    }

    #[test]
    fn a_driver_file_names_its_library() {
        let json: serde_json::Value = serde_json::from_str(&driver_file(NVIDIA[0])).unwrap();
        assert_eq!(json["ICD"]["library_path"], NVIDIA[0]);
    }
}
