//! `cargo xtask gpu-pack`: a folder that measures the GPU of a machine without Rust, network or checkout (docs/gpu.md).

use crate::args::PackOptions;
use crate::process::{self, capture, cargo, program, root, target};
use crate::references;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Most bytes of the archive.
const MOST: u64 = 45_000_000;

/// What the pack takes from the build: (name in the pack, package folder, kind of target, name of the target).
const PROGRAMS: [(&str, &str, &str, &str); 6] = [
    ("sngd", "crates/sngd-cli", "bin", "sngd"),
    ("gpu-report", "tests", "bin", "gpu-report"),
    ("gpu-tests", "crates/sngd-gpu", "test", "all"),
    ("reference-tests", "tests", "test", "all"),
    ("kernels", "benches", "bench", "kernels"),
    ("stages", "benches", "bench", "stages"),
];

/// Files of the pack that are copied from the checkout as they are.
const FILES: [(&str, &str); 5] = [
    ("xtask/pack/run.sh", "run.sh"),
    ("xtask/pack/README.md", "README.md"),
    ("LICENSE-MIT", "LICENSE-MIT"),
    ("LICENSE-APACHE", "LICENSE-APACHE"),
    ("benches/peers/jax_sngd.py", "peers/jax_sngd.py"),
];

/// Folders in which a machine keeps its Vulkan loader.
const LIBRARIES: [&str; 5] = [
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/usr/lib64",
    "/usr/lib",
    "/usr/local/lib",
];

/// Runs `cargo xtask gpu-pack`.
pub fn run(options: &PackOptions) -> Result<(), String> {
    let mut targets = vec!["--bins", "--tests"];
    if !options.short {
        targets.push("--benches");
    }
    let folder = match &options.folder {
        Some(folder) => std::path::absolute(folder)
            .map_err(|e| format!("{} is no path: {e}", folder.display()))?,
        None => default_folder(),
    };
    make(&folder, &targets)?;
    if options.short {
        try_short(&folder)
    } else {
        Ok(())
    }
}

fn default_folder() -> PathBuf {
    target().join("gpu-pack")
}

/// Makes the folder afresh, and its archive beside it.
fn make(folder: &Path, targets: &[&str]) -> Result<(), String> {
    let built = built(targets)?;
    if folder.exists() {
        // only what is a pack, or nothing, is replaced
        let empty = std::fs::read_dir(folder).is_ok_and(|mut inside| inside.next().is_none());
        if !empty && !folder.join("bin/gpu-report").is_file() {
            return Err(format!(
                "{} is there and is no pack, expected a new folder or an old pack",
                folder.display()
            ));
        }
        std::fs::remove_dir_all(folder)
            .map_err(|e| format!("{} cannot be removed: {e}", folder.display()))?;
    }
    for (name, path) in &built {
        let to = folder.join("bin").join(name);
        copy(path, &to)?;
        // without symbols a third of the size; a machine without strip packs them too
        if let Err(reason) = capture(program("strip").arg(&to)) {
            eprintln!("!! {name} keeps its symbols: {reason}");
        }
    }
    for (from, to) in FILES {
        copy(&root().join(from), &folder.join(to))?;
    }
    references::pack(folder)?;
    loader(folder)?;
    let commit = capture(program("git").args(["describe", "--always", "--dirty", "--abbrev=12"]));
    let commit = commit.unwrap_or_else(|_| "unknown".into());
    write(&folder.join("COMMIT"), &commit)?;
    let archive = archive(folder)?;
    let bytes = size(&archive);
    println!(
        "{}: {:.1} MB; {}: {:.1} MB",
        folder.display(),
        size(folder) as f64 / 1e6,
        archive.display(),
        bytes as f64 / 1e6
    );
    if bytes > MOST {
        return Err(format!(
            "{} takes {:.1} MB, expected at most {} MB",
            archive.display(),
            bytes as f64 / 1e6,
            MOST / 1_000_000
        ));
    }
    Ok(())
}

/// The programs of the pack that these targets hold, after building what is not up to date: name in the pack and path.
fn built(targets: &[&str]) -> Result<Vec<(&'static str, PathBuf)>, String> {
    let build = || {
        let mut build = cargo();
        build
            .args(["build", "--release", "--workspace"])
            .args(targets);
        build
    };
    process::run(&mut build())?;
    let lines = capture(build().arg("--message-format=json"))?;
    let mut found = Vec::new();
    for (name, package, kind, of) in PROGRAMS {
        match lines.lines().find_map(|l| executable(l, package, kind, of)) {
            Some(path) => found.push((name, path)),
            None if kind == "bench" && !targets.contains(&"--benches") => {}
            None => {
                return Err(format!(
                    "cargo names no program for the {kind} '{of}' of {package}"
                ));
            }
        }
    }
    Ok(found)
}

/// The path of the program in a line of cargo's JSON, if the line is about that target.
fn executable(line: &str, package: &str, kind: &str, name: &str) -> Option<PathBuf> {
    let manifest = format!("{package}/Cargo.toml\"");
    // a program built with its unit tests is a test
    let tests = line.contains("\"test\":true},\"features\"");
    let ours = line.contains(&manifest)
        && line.contains(&format!("\"kind\":[\"{kind}\"]"))
        && line.contains(&format!("\"name\":\"{name}\""))
        && (kind != "bin" || !tests);
    let (_, rest) = line.split_once("\"executable\":\"").filter(|_| ours)?;
    Some(rest.split('"').next()?.into())
}

/// Copies this machine's Vulkan loader, where it has one, with its licence.
fn loader(folder: &Path) -> Result<(), String> {
    const NAME: &str = "libvulkan.so.1";
    let found = LIBRARIES
        .iter()
        .map(|l| Path::new(l).join(NAME))
        .find(|p| p.is_file());
    let Some(library) = found else {
        println!("no Vulkan loader on this machine: the pack needs one where it runs");
        return Ok(());
    };
    copy(&library, &folder.join("lib").join(NAME))?;
    let licence = Path::new("/usr/share/doc/libvulkan1/copyright");
    if licence.is_file() {
        copy(licence, &folder.join("lib").join("libvulkan.copyright"))?;
    }
    Ok(())
}

/// Packs the folder into one file beside it: with zstd where it is installed, else with gzip.
fn archive(folder: &Path) -> Result<PathBuf, String> {
    let name = folder.file_name().unwrap_or("gpu-pack".as_ref());
    let (way, ending) = match capture(program("zstd").arg("--version")) {
        // long matches: the programs share most of their code
        Ok(_) => ("zstd -T0 -9 --long=27", "tar.zst"),
        Err(_) => ("gzip -6", "tar.gz"),
    };
    let mut file = name.to_owned();
    file.push(format!(".{ending}"));
    let file = folder.with_file_name(file);
    process::run(
        program("tar")
            .args(["--use-compress-program", way, "-C"])
            .arg(folder.parent().unwrap_or(folder))
            .arg("-cf")
            .arg(&file)
            .arg(name),
    )?;
    Ok(file)
}

/// Runs the short form of a copy of the pack outside the checkout, with neither Rust nor the references' variables in the
/// environment, and looks whether each step has its row and passed.
fn try_short(folder: &Path) -> Result<(), String> {
    let away = std::env::temp_dir().join(format!("sngd-gpu-pack-{}", std::process::id()));
    let _ = std::fs::remove_dir_all(&away); // remains of an interrupted run
    copy_folder(folder, &away.join("pack"))?;
    let out = away.join("out");
    let mut command = Command::new(away.join("pack").join("run.sh"));
    command.arg(&out).arg("--short").current_dir(&away);
    command.env_clear().env("PATH", without_rust());
    for kept in [
        "HOME",
        "LD_LIBRARY_PATH",
        "VK_DRIVER_FILES",
        "VK_ICD_FILENAMES",
    ] {
        if let Some(value) = std::env::var_os(kept) {
            command.env(kept, value);
        }
    }
    let ran = process::run(&mut command);
    let report = std::fs::read_to_string(out.join("report.json")).unwrap_or_default();
    let text = std::fs::read_to_string(out.join("report.md")).unwrap_or_default();
    let _ = std::fs::remove_dir_all(&away);
    println!("{text}");
    ran?;
    judge(&report)
}

/// Whether a short report has a row of each group, and each row passed, or was left out for a reference that the pack has not.
fn judge(report: &str) -> Result<(), String> {
    let rows = report.matches("\"group\": ").count();
    let passed = report.matches("\"state\": \"passed\"").count();
    let left_out = report.matches("\"state\": \"left out\"").count();
    let excused = report
        .matches("the pack was made where no reference")
        .count();
    for group in ["devices", "suite", "workload", "stages", "posterior"] {
        if !report.contains(&format!("\"group\": \"{group}\"")) {
            return Err(format!("report.json has no row of the group {group}"));
        }
    }
    if passed + left_out != rows || left_out > excused {
        return Err(format!(
            "report.json has {rows} rows, of which {passed} passed and {left_out} were left out, {excused} of these for want of a reference"
        ));
    }
    Ok(())
}

/// PATH without the folders that hold cargo or rustc.
fn without_rust() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let without = |folder: &PathBuf| ["cargo", "rustc"].iter().all(|p| !folder.join(p).exists());
    let kept: Vec<PathBuf> = std::env::split_paths(&path).filter(without).collect();
    std::env::join_paths(kept).unwrap_or(path)
}

/// Copies a file, and makes its folder.
pub fn copy(from: &Path, to: &Path) -> Result<(), String> {
    if let Some(folder) = to.parent() {
        std::fs::create_dir_all(folder)
            .map_err(|e| format!("the folder {} cannot be made: {e}", folder.display()))?;
    }
    std::fs::copy(from, to).map(|_| ()).map_err(|e| {
        format!(
            "{} cannot be copied to {}: {e}",
            from.display(),
            to.display()
        )
    })?;
    writable(to)
}

/// Copies a folder with all that is in it.
pub fn copy_folder(from: &Path, to: &Path) -> Result<(), String> {
    let entries =
        std::fs::read_dir(from).map_err(|e| format!("{} cannot be read: {e}", from.display()))?;
    for entry in entries.flatten() {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy_folder(&from, &to)?;
        } else {
            copy(&from, &to)?;
        }
    }
    Ok(())
}

/// References may lie in a read-only folder; a pack of read-only files could not be made again.
fn writable(file: &Path) -> Result<(), String> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let failed = |e: std::io::Error| format!("{} cannot be made writable: {e}", file.display());
        let mode = file.metadata().map_err(failed)?.permissions().mode();
        std::fs::set_permissions(file, PermissionsExt::from_mode(mode | 0o200)).map_err(failed)?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|e| format!("{} cannot be written: {e}", path.display()))
}

/// Bytes of a file, or of all files in a folder.
fn size(path: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(path) else {
        return path.metadata().map_or(0, |m| m.len());
    };
    entries.flatten().map(|entry| size(&entry.path())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_found_in_cargos_lines() {
        let line = |kind: &str, test: bool, file: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/w/crates/sngd-gpu/Cargo.toml","target":{{"kind":["{kind}"],"name":"all"}},"profile":{{"opt_level":"3","test":{test}}},"features":[],"executable":"{file}","fresh":true}}"#
            )
        };
        let of = |line: &str, kind: &str| executable(line, "crates/sngd-gpu", kind, "all");
        let test = line("test", true, "/w/target/release/deps/all-12");
        assert_eq!(
            of(&test, "test"),
            Some("/w/target/release/deps/all-12".into())
        );
        assert_eq!(of(&test, "bin"), None);
        assert_eq!(executable(&test, "crates/sngd", "test", "all"), None);
        assert_eq!(of(&line("bin", true, "/w/deps/sngd-34"), "bin"), None);
        assert_eq!(
            of(&line("bin", false, "/w/sngd"), "bin"),
            Some("/w/sngd".into())
        );
        assert_eq!(
            of(
                &test.replace("\"/w/target/release/deps/all-12\"", "null"),
                "test"
            ),
            None
        );
    }

    #[test]
    fn a_report_with_a_row_that_failed_or_is_missing_is_refused() {
        let row =
            |group: &str, state: &str| format!("\"group\": \"{group}\", \"state\": \"{state}\"\n");
        let mut good: String = ["devices", "suite", "workload", "stages"]
            .iter()
            .map(|group| row(group, "passed"))
            .collect();
        assert!(judge(&good).unwrap_err().contains("posterior"));
        let without = good.clone() + &row("posterior", "left out");
        assert!(judge(&without).is_err());
        assert_eq!(
            judge(&(without + "the pack was made where no reference glm/x was found")),
            Ok(())
        );
        good += &row("posterior", "passed");
        assert_eq!(judge(&good), Ok(()));
        assert!(judge(&good.replacen("passed", "failed", 1)).is_err());
        assert!(judge(&good.replacen("passed", "over its limit", 1)).is_err());
        assert!(judge("").is_err());
    }

    #[test]
    fn a_path_without_rust_has_no_cargo() {
        let path = without_rust();
        assert!(std::env::split_paths(&path).all(|folder| !folder.join("cargo").exists()));
    }
}
