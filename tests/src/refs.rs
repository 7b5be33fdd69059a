//! Finds and reads reference posteriors: those in the folder `SNGD_REFS`, the small ones shipped in `tests/data`, or those in a
//! folder beside the checkout. Only here are paths of the machine that built the tests; without it `SNGD_REFS` has all.

use sngd_core::features::Features;
use sngd_core::table::{Response, Table};
use std::path::{Path, PathBuf};

/// Posterior mean and sd of each parameter, with the reference's parameter names.
#[derive(Debug, Clone)]
pub struct Reference {
    /// Parameter names in the reference's order, `[P]`.
    pub names: Vec<String>,
    /// Posterior means, `[P]`.
    pub mean: Vec<f64>,
    /// Posterior sds, `[P]`.
    pub sd: Vec<f64>,
    /// Standard errors of the means, `[P]`, if the reference is a simulation.
    pub mean_error: Vec<f64>,
}

impl Reference {
    /// Removes the parameters for whose index `gone` is true.
    pub fn leave_out(&mut self, gone: impl Fn(usize) -> bool) {
        fn keep<T>(v: &mut Vec<T>, gone: &impl Fn(usize) -> bool) {
            let mut i = 0;
            v.retain(|_| {
                i += 1;
                !gone(i - 1)
            });
        }
        keep(&mut self.names, &gone);
        keep(&mut self.mean, &gone);
        keep(&mut self.sd, &gone);
        keep(&mut self.mean_error, &gone);
    }
}

/// A folder of the references, for example `glm/gc_pima`: from the environment, shipped, or beside the checkout.
pub fn folder(name: &str) -> Option<PathBuf> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let shipped = here.join("data").join(name);
    let named = std::env::var_os("SNGD_REFS").map(|d| PathBuf::from(d).join(name));
    let beside = here.join("../../shared/refs").join(name);
    [named, Some(shipped), Some(beside)]
        .into_iter()
        .flatten()
        .find(|p| p.is_dir())
}

/// Folder of a data set, from the environment or beside the checkout.
pub fn dataset(name: &str) -> Option<PathBuf> {
    let named = std::env::var_os("SNGD_DATASETS").map(|d| PathBuf::from(d).join(name));
    let beside = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared/datasets")
        .join(name);
    [named, Some(beside)]
        .into_iter()
        .flatten()
        .find(|p| p.is_dir())
}

/// Prints that a reference is missing; a test then returns without a result.
pub fn skip(name: &str) {
    eprintln!(
        "SKIPPED: reference '{name}' is neither in tests/data nor under SNGD_REFS; set SNGD_REFS to run it"
    );
}

/// Reads `reference_exact*.json` or `reference_hmc.json`.
pub fn reference(path: &Path) -> Reference {
    let text = std::fs::read_to_string(path).expect("a reference file reads");
    let json: serde_json::Value = serde_json::from_str(&text).expect("a reference is JSON");
    let numbers = |key: &str| -> Vec<f64> {
        json[key]
            .as_array()
            .map(|a| a.iter().filter_map(serde_json::Value::as_f64).collect())
            .unwrap_or_default()
    };
    let names = json["names"]
        .as_array()
        .map(|a| {
            a.iter()
                .filter_map(|s| s.as_str().map(String::from))
                .collect()
        })
        .unwrap_or_default();
    let mut mean_error = numbers("mcse");
    if mean_error.is_empty() {
        mean_error = numbers("se_mean");
    }
    Reference {
        names,
        mean: numbers("mean"),
        sd: numbers("sd"),
        mean_error,
    }
}

/// A numeric `design.csv` as a table: `y` (and `trials`) and the columns of X but the constant `1`, whose place in the
/// parameter order is returned.
pub fn design(path: &Path, labels: bool) -> (Table, Option<usize>) {
    let text = std::fs::read_to_string(path).expect("a design reads");
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().expect("a header").split(',').collect();
    let rows: Vec<Vec<f64>> = lines
        .filter(|l| !l.is_empty())
        .map(|l| l.split(',').map(|c| c.parse().expect("a number")).collect())
        .collect();
    let first = if header.get(1) == Some(&"trials") {
        2
    } else {
        1
    };
    let constant = (first..header.len()).find(|&j| rows.iter().all(|r| r[j] == 1.0));
    let kept: Vec<usize> = (first..header.len())
        .filter(|&j| Some(j) != constant)
        .collect();
    let y: Vec<f64> = rows.iter().map(|r| r[0]).collect();
    let response = if labels {
        let top = y.iter().copied().fold(0.0, f64::max) as u32;
        Response::Labels {
            index: y.iter().map(|&v| v as u32).collect(),
            levels: (0..=top).map(|l| l.to_string()).collect(),
        }
    } else {
        Response::Numbers(y)
    };
    let table = Table {
        trials: (first == 2).then(|| rows.iter().map(|r| r[1]).collect()),
        ..Table::new(
            path.display().to_string(),
            kept.iter().map(|&j| header[j].to_string()).collect(),
            Features::new(
                kept.len(),
                rows.iter()
                    .flat_map(|r| kept.iter().map(|&j| r[j]))
                    .collect::<Vec<_>>(),
            ),
            response,
        )
    };
    (table, constant.map(|c| c - first))
}
