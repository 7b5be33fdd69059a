//! Kinds of kernels that have passed the self-test on an adapter, remembered in a file of the user's cache folder, so that a run
//! tests what it uses once: again only with another driver or other kernels.

use crate::error::Error;
use crate::self_test::parts;
use sngd_core::engine::EngineError;
use sngd_core::plan::Plan;
use sngd_gpu::Gpu;
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

/// Lines of the file, and those that this process added to it or would have.
static PASSED: Mutex<Option<HashSet<String>>> = Mutex::new(None);

/// Tests the kinds of kernels that a plan uses and that have not passed on this adapter yet.
///
/// # Errors
/// [`EngineError::NoDevice`] if one fails, with its name.
pub(crate) fn check(gpu: &Gpu, plan: &Plan) -> Result<(), Error> {
    for part in parts::parts_of(plan) {
        if passed().get_or_insert_with(read).contains(&line(gpu, part)) {
            continue;
        }
        let result = parts::part_on(gpu, part);
        if !result.passed {
            return Err(EngineError::NoDevice(format!(
                "the adapter \"{}\" ({}) fails the self-test, {part}: {}; install another driver, or set run.device = \"cpu\"",
                gpu.info.name, gpu.info.driver, result.detail
            ))
            .into());
        }
        remember(gpu, std::iter::once(part));
    }
    Ok(())
}

/// Notes parts that passed. A folder that cannot be written means that another process tests again.
pub(crate) fn remember<'a>(gpu: &Gpu, parts: impl Iterator<Item = &'a str>) {
    let mut passed = passed();
    let known = passed.get_or_insert_with(read);
    let new: Vec<String> = parts
        .map(|part| line(gpu, part))
        .filter(|line| known.insert(line.clone()))
        .collect();
    let Some(path) = file().filter(|_| !new.is_empty()) else {
        return;
    };
    if let Some(folder) = path.parent() {
        let _ = std::fs::create_dir_all(folder);
    }
    let open = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    if let Ok(mut file) = open {
        let _ = file.write_all((new.join("\n") + "\n").as_bytes());
    }
}

fn passed() -> std::sync::MutexGuard<'static, Option<HashSet<String>>> {
    PASSED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Adapter, graphics API, driver, the version of sngd with a hash of its kernels, and the part.
fn line(gpu: &Gpu, part: &str) -> String {
    let mut hash = DefaultHasher::new();
    sngd_shaders::files().hash(&mut hash);
    let line = format!(
        "{} | {} | {} | sngd {} {:016x} | {part}",
        gpu.info.name,
        gpu.info.backend,
        gpu.info.driver,
        env!("CARGO_PKG_VERSION"),
        hash.finish()
    );
    line.replace(['\n', '\r'], " ")
}

/// The file, if the system says where such files go.
fn file() -> Option<PathBuf> {
    let folder = |name: &str| {
        let path = PathBuf::from(std::env::var_os(name)?);
        path.is_absolute().then_some(path)
    };
    let cache = if cfg!(windows) {
        folder("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        folder("HOME").map(|home| home.join("Library/Caches"))
    } else {
        folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")))
    };
    Some(cache?.join("sngd").join("self-tests.txt"))
}

/// The lines of the file; none if it cannot be read.
fn read() -> HashSet<String> {
    let text = file().and_then(|path| std::fs::read_to_string(path).ok());
    text.unwrap_or_default()
        .lines()
        .map(str::to_string)
        .collect()
}
