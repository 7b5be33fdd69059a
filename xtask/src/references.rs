//! The reference posteriors that go into a GPU pack: those of the tests, and three larger ones where they are found.

use crate::gpu_pack::{copy, copy_folder};
use crate::process::root;
use std::path::{Path, PathBuf};

/// A larger reference: its folder, and the data set that it is about where that lies apart, each with the files that a run
/// and its judgement read.
struct Larger {
    folder: &'static str,
    files: &'static [&'static str],
    dataset: &'static str,
    data: &'static [&'static str],
}

const LARGER: [Larger; 3] = [
    Larger {
        folder: "glm/gc_german",
        files: &["README.md", "design.csv", "reference_exact.json"],
        dataset: "",
        data: &[],
    },
    Larger {
        folder: "glm/a9a_logistic",
        files: &["README.md", "reference_hmc.json"],
        dataset: "a9a",
        data: &[
            "README.md",
            "X_train_u8_32561x123.bin.gz",
            "y_train_i8.bin.gz",
        ],
    },
    Larger {
        folder: "glm/digits_softmax",
        files: &["README.md", "reference_hmc.json"],
        dataset: "digits",
        data: &["README.md", "X_u8.npy", "y_u8.npy"],
    },
];

/// Copies references and data sets into a pack. A reference that is not here is said to be missing, and the report leaves it out.
pub fn pack(folder: &Path) -> Result<(), String> {
    copy_folder(&root().join("tests/data"), &folder.join("refs"))?;
    let (refs, datasets) = folders();
    for larger in &LARGER {
        let (from, data) = (refs.join(larger.folder), datasets.join(larger.dataset));
        if !has(&from, larger.files) || !has(&data, larger.data) {
            println!(
                "{} or its data are not under {} and {}: the pack goes without",
                larger.folder,
                refs.display(),
                datasets.display()
            );
            continue;
        }
        for file in larger.files {
            copy(
                &from.join(file),
                &folder.join("refs").join(larger.folder).join(file),
            )?;
        }
        for file in larger.data {
            let to = folder.join("datasets").join(larger.dataset);
            copy(&data.join(file), &to.join(file))?;
        }
    }
    Ok(())
}

/// Where the tests look for references and data sets: SNGD_REFS and SNGD_DATASETS, else beside the checkout.
fn folders() -> (PathBuf, PathBuf) {
    let shared = root().join("..").join("shared");
    let named = |variable| std::env::var_os(variable).map(PathBuf::from);
    let refs = named("SNGD_REFS").unwrap_or_else(|| shared.join("refs"));
    let beside = refs.join("..").join("datasets");
    (refs, named("SNGD_DATASETS").unwrap_or(beside))
}

fn has(folder: &Path, files: &[&str]) -> bool {
    files.iter().all(|file| folder.join(file).is_file())
}
