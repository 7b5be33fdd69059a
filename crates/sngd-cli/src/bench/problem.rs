//! The posteriors that `sngd bench --posterior` times: model, prior, and the files in the bench's folder.

use super::data;
use super::likelihood::Likelihood;
use super::score::Reference;
use std::path::{Path, PathBuf};

/// Where data and reference come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A folder of the references, by name.
    Refs(&'static str),
    /// Generated, with so many rows and features; the reference comes from `laplace_reference.py`.
    Made(usize, usize),
}

/// One posterior. Every weight and every intercept has prior normal(0, `prior_sd`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Problem {
    /// Name on the command line and of the files.
    pub name: &'static str,
    /// Likelihood of the model.
    pub likelihood: Likelihood,
    /// Standard deviation of the prior of every weight and intercept.
    pub prior_sd: f64,
    /// Where data and reference come from.
    pub origin: Origin,
}

const fn problem(
    name: &'static str,
    likelihood: Likelihood,
    prior_sd: f64,
    origin: Origin,
) -> Problem {
    Problem {
        name,
        likelihood,
        prior_sd,
        origin,
    }
}

/// All problems, small ones first.
pub const PROBLEMS: [Problem; 6] = [
    problem(
        "gc_german",
        Likelihood::Bernoulli,
        10.0,
        Origin::Refs("glm/gc_german"),
    ),
    problem(
        "a9a",
        Likelihood::Bernoulli,
        1.0,
        Origin::Refs("glm/a9a_logistic"),
    ),
    problem(
        "digits_softmax",
        Likelihood::Softmax,
        1.0,
        Origin::Refs("glm/digits_softmax"),
    ),
    problem(
        "logistic_5k",
        Likelihood::Bernoulli,
        1.0,
        Origin::Made(5000, 20),
    ),
    problem(
        "logistic_1m",
        Likelihood::Bernoulli,
        1.0,
        Origin::Made(1_000_000, 50),
    ),
    problem(
        "poisson_1m",
        Likelihood::Poisson,
        1.0,
        Origin::Made(1_000_000, 20),
    ),
];

/// The problems with these names, or all if no names are given.
pub fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Problem>> {
    if names.is_empty() {
        return Ok(PROBLEMS.iter().collect());
    }
    let known = || PROBLEMS.map(|p| p.name).join(", ");
    names
        .iter()
        .map(|n| {
            PROBLEMS
                .iter()
                .find(|p| p.name.eq_ignore_ascii_case(n))
                .ok_or_else(|| {
                    anyhow::anyhow!("--posterior: found {n}, expected one of {}", known())
                })
        })
        .collect()
}

/// The files of one problem in the bench's folder.
#[derive(Debug, Clone)]
pub struct Files {
    /// `x [N,D]`, `y [N]` and perhaps `exposure [N]`.
    pub data: PathBuf,
    /// The run file of `sngd sample`.
    pub run: PathBuf,
    /// Description of the problem for the peers, as JSON.
    pub peer: PathBuf,
    /// Reference moments to compare with.
    pub reference: PathBuf,
    /// The trace of `sngd sample`.
    pub trace: PathBuf,
}

impl Files {
    /// The files of the problem `name` in the folder `dir`.
    pub fn of(name: &str, dir: &Path) -> Files {
        let file = |end: &str| dir.join(format!("{name}{end}"));
        Files {
            data: file(".npz"),
            run: file(".toml"),
            peer: file(".json"),
            reference: file("-reference.json"),
            trace: file(".zarr"),
        }
    }
}

impl Problem {
    /// Text of the run file: data, model and prior, nothing else.
    pub fn run_file(&self) -> String {
        let exposure = match self.likelihood {
            Likelihood::Poisson => "exposure = \"exposure\"\n",
            Likelihood::Bernoulli | Likelihood::Softmax => "",
        };
        format!(
            "[data]\npath = \"{0}.npz\"\nresponse = \"y\"\n{exposure}\n[model]\nlikelihood = \"{1}\"\n\n[prior]\nweights = \"normal(0, {2})\"\nintercept = \"normal(0, {2})\"\n",
            self.name,
            self.likelihood.name(),
            self.prior_sd
        )
    }

    /// Writes the missing files: data once, run file and the peers' description each time.
    pub fn prepare(&self, dir: &Path) -> anyhow::Result<Files> {
        let files = Files::of(self.name, dir);
        let made = matches!(self.origin, Origin::Made(..));
        if !files.data.is_file() || !made && !files.reference.is_file() {
            let (arrays, reference) = match self.origin {
                Origin::Made(n, d) => (data::made(self.likelihood, n, d), None),
                Origin::Refs(folder) => {
                    let (arrays, reference) = data::from_refs(self.name, folder)?;
                    (arrays, Some(reference))
                }
            };
            arrays.write(&files.data)?;
            if let Some(reference) = reference {
                write(&files.reference, &serde_json::to_string(&reference)?)?;
            }
        }
        write(&files.run, &self.run_file())?;
        let words = serde_json::json!({
            "name": self.name,
            "data": files.data.file_name().map(|f| f.to_string_lossy()),
            "likelihood": self.likelihood.name(),
            "prior_sd": self.prior_sd,
        });
        write(&files.peer, &words.to_string())?;
        Ok(files)
    }
}

/// Reads a reference from its file.
pub fn reference(path: &Path) -> anyhow::Result<Reference> {
    let text = std::fs::read_to_string(path)
        .map_err(|e| anyhow::anyhow!("{}: the reference cannot be read ({e})", path.display()))?;
    let reference: Reference = serde_json::from_str(&text).map_err(|e| {
        anyhow::anyhow!(
            "{}: found no reference ({e}), expected names, mean and sd; remove the file, and it is made again",
            path.display()
        )
    })?;
    let p = reference.names.len();
    if p == 0 || reference.mean.len() != p || reference.sd.len() != p {
        anyhow::bail!(
            "{}: found {p} names, {} means and {} sds, expected as many of each; remove the file, and it is made again",
            path.display(),
            reference.mean.len(),
            reference.sd.len()
        );
    }
    Ok(reference)
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).map_err(|e| {
        anyhow::anyhow!(
            "{} cannot be written ({e}); choose another folder with --dir",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_name_is_told_with_those_that_are_known() {
        assert_eq!(chosen(&[]).unwrap().len(), PROBLEMS.len());
        assert_eq!(chosen(&["A9A".into()]).unwrap()[0].name, "a9a");
        let e = chosen(&["a9b".into()]).unwrap_err().to_string();
        assert!(e.contains("a9b") && e.contains("gc_german, a9a"), "{e}");
    }

    #[test]
    fn run_files_hold_data_model_and_prior_alone() {
        for p in PROBLEMS {
            let table: toml_sections::Sections = toml_sections::of(&p.run_file());
            assert_eq!(table, ["data", "model", "prior"], "{}", p.name);
        }
        let counts = PROBLEMS.iter().find(|p| p.name == "poisson_1m").unwrap();
        assert!(counts.run_file().contains("exposure = \"exposure\""));
    }

    mod toml_sections {
        pub type Sections = Vec<String>;
        pub fn of(text: &str) -> Sections {
            text.lines()
                .filter_map(|l| l.strip_prefix('[')?.strip_suffix(']'))
                .map(str::to_string)
                .collect()
        }
    }
}
