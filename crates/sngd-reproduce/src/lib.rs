//! The claims of "Stochastic natural gradient descent draws posterior samples in function space" (arXiv 1806.09597) as
//! experiments: each one samples, draws a figure, writes its numbers, and says whether the claim is true.
//!
//! An [`Experiment`] is a row of [`EXPERIMENTS`]: a name, a claim, and a function from [`Settings`] to [`Findings`].
//! [`run`] calls it and writes `NAME.svg`, `NAME.png` and `NAME.csv`. Every bound of a verdict is stated in Monte Carlo
//! standard errors over independent chains. The error of a finite step size is measured, with no allowance for it.

mod data;
mod error;
mod experiments;
mod figure;
mod models;
mod output;
mod sample;
mod stat;
mod table;
mod verdict;

pub use error::Error;
pub use experiments::EXPERIMENTS;
pub use figure::{Axis, Corner, Figure, Layer, Mark, Panel};
pub use output::Files;
pub use stat::Estimate;
pub use table::Table;
pub use verdict::{Bound, Check, Verdict};

use std::path::{Path, PathBuf};

/// How long an experiment may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// For tests: seconds. The same checks with wider Monte Carlo errors.
    Smoke,
    /// Half a minute on two cores.
    Short,
    /// A few minutes.
    Full,
}

/// The input of an experiment.
pub struct Settings<'a> {
    /// How long it may take.
    pub length: Length,
    /// Seed: the key of every random stream, the synthetic data's included.
    pub seed: u64,
    /// Path of the digits data; `None` for the repository's copy.
    pub digits: Option<PathBuf>,
    /// Path of MNIST, pooled to 14 × 14 by `examples/mnist.py`; if `None`, what needs it is skipped.
    pub mnist: Option<PathBuf>,
    /// Receives what is being done, one line at a time.
    pub progress: &'a dyn Fn(&str),
}

impl Settings<'_> {
    /// One of three values, chosen by `length`.
    pub fn pick<T>(&self, smoke: T, short: T, full: T) -> T {
        match self.length {
            Length::Smoke => smoke,
            Length::Short => short,
            Length::Full => full,
        }
    }
}

/// The result of an experiment.
#[derive(Debug, Clone)]
pub struct Findings {
    /// The figure.
    pub figure: Figure,
    /// Every number in it.
    pub table: Table,
    /// What the experiment says of the claim.
    pub verdict: Verdict,
}

/// One claim and the experiment that tests it.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// Name on the command line and of the files.
    pub name: &'static str,
    /// What is claimed, in one line.
    pub claim: &'static str,
    /// Runs the experiment.
    pub run: fn(&Settings<'_>) -> Result<Findings, Error>,
}

/// The experiment of that name.
///
/// # Errors
/// [`Error::Unknown`] with all names, if there is none.
pub fn find(name: &str) -> Result<&'static Experiment, Error> {
    EXPERIMENTS
        .iter()
        .find(|e| e.name == name)
        .ok_or_else(|| Error::Unknown {
            found: name.into(),
            known: EXPERIMENTS
                .iter()
                .map(|e| e.name)
                .collect::<Vec<_>>()
                .join(", "),
        })
}

/// Runs an experiment and writes its three files into `out`. Old files are an error before any work, unless `force` is set.
///
/// # Errors
/// [`Error::Exists`], errors of the experiment, or [`Error::Write`].
pub fn run(
    experiment: &Experiment,
    settings: &Settings<'_>,
    out: &Path,
    force: bool,
) -> Result<(Files, Verdict), Error> {
    let files = Files::in_folder(out, experiment.name);
    if !force {
        files.refuse_old()?;
    }
    let findings = (experiment.run)(settings)?;
    files.write(&findings)?;
    Ok((files, findings.verdict))
}
