//! Prepares the machine for the GPU tests.

use crate::os::{OsRelease, Privilege};
use crate::process::{program, run};
use crate::swiftshader;
use crate::vulkan::{self, Driver};
use std::process::Command;

const BY_HAND: &str = "install a Vulkan loader and driver: on Debian or Ubuntu `apt-get install libvulkan1 \
    mesa-vulkan-drivers`, on Fedora `dnf install vulkan-loader mesa-vulkan-drivers`, on Arch `pacman -S \
    vulkan-icd-loader vulkan-swrast`; or run the CPU tests alone with --cpu-only";

/// The drivers that answer, after installing missing ones where that is possible.
/// Empty under `--cpu-only` and on systems with their own API (Metal, DX12).
pub fn drivers(cpu_only: bool) -> Result<Vec<Driver>, String> {
    if cpu_only {
        println!("--cpu-only: no Vulkan driver is looked for");
        return Ok(Vec::new());
    }
    if !cfg!(target_os = "linux") {
        println!(
            "{}: the tests use the system's own graphics API",
            std::env::consts::OS
        );
        return Ok(Vec::new());
    }
    let mut found = vulkan::answering();
    let missing = |found: &[Driver], name: &str| found.iter().all(|driver| driver.name != name);
    let (lavapipe, swift) = (missing(&found, "lavapipe"), missing(&found, "swiftshader"));
    if lavapipe || swift {
        install(lavapipe, swift);
        found = vulkan::answering();
    }
    for driver in &found {
        let names = vulkan::devices(driver)?.join(", ");
        println!("{}: {names} ({})", driver.name, driver.file.display());
    }
    for name in ["lavapipe", "swiftshader"] {
        if missing(&found, name) {
            eprintln!(
                "!! NO {}: the GPU tests go on without it",
                name.to_uppercase()
            );
        }
    }
    if found.is_empty() {
        return Err(format!(
            "no Vulkan driver answers on this machine; {BY_HAND}"
        ));
    }
    Ok(found)
}

/// Installs with apt-get what it can; each failure is printed, and the caller looks again.
fn install(lavapipe: bool, swift: bool) {
    let system = OsRelease::here();
    if !system.is_debian_like() {
        eprintln!(
            "!! {} is not Debian or Ubuntu: nothing is installed",
            or_unknown(&system.name)
        );
        return;
    }
    let privilege = Privilege::here();
    if privilege == Privilege::None {
        if lavapipe {
            eprintln!("!! neither root nor passwordless sudo: lavapipe is not installed");
        }
    } else if let Err(reason) = run(as_root(privilege).args(["apt-get", "-qq", "update"])) {
        eprintln!("!! {reason}; going on with the package lists that are there");
    }
    if lavapipe && privilege != Privilege::None {
        let packages = ["mesa-vulkan-drivers", "libvulkan1"];
        let mut apt = as_root(privilege);
        apt.args(["apt-get", "-qq", "-y", "-o", "DPkg::Lock::Timeout=120"]);
        apt.args(["--no-install-recommends", "install"])
            .args(packages);
        if let Err(reason) = run(&mut apt) {
            eprintln!("!! lavapipe is not installed: {reason}");
        }
    }
    if swift && let Err(reason) = swiftshader::fetch() {
        let why = if system.is_ubuntu_like() {
            " (on Ubuntu Chromium is a snap and its package holds no SwiftShader)"
        } else {
            ""
        };
        eprintln!("!! SwiftShader is not fetched: {reason}{why}");
    }
}

/// `env ...` as root, set so that no package asks a question.
fn as_root(privilege: Privilege) -> Command {
    let mut command = match privilege {
        Privilege::Sudo => {
            let mut sudo = program("sudo");
            sudo.args(["-n", "env"]);
            sudo
        }
        Privilege::Root | Privilege::None => program("env"),
    };
    command.arg("DEBIAN_FRONTEND=noninteractive");
    command
}

fn or_unknown(name: &str) -> &str {
    if name.is_empty() { "this system" } else { name }
}
