//! The claims of "Stochastic natural gradient descent draws posterior samples in function space" (arXiv 1806.09597) as
//! experiments: each one samples, draws a figure, writes its numbers, and says whether the claim held.
//!
//! An [`Experiment`] is a row of [`EXPERIMENTS`]: a name, a claim, and a function from [`Settings`] to [`Findings`].
//! [`run`] calls it and writes `NAME.svg`, `NAME.png` and `NAME.csv`. Every bound of a verdict is stated in Monte Carlo
//! standard errors over independent chains; what a step of finite length costs is measured, not allowed for.

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

/// What an experiment is told.
pub struct Settings<'a> {
    /// How long.
    pub length: Length,
    /// Key of every random stream, the synthetic data's included.
    pub seed: u64,
    /// The digits data; the repository's own copy when left out.
    pub digits: Option<PathBuf>,
    /// MNIST, pooled to 14 × 14 by `examples/mnist.py`; what needs it is left out without.
    pub mnist: Option<PathBuf>,
    /// Told what is being done, one line at a time.
    pub tell: &'a dyn Fn(&str),
}

impl Settings<'_> {
    /// One of three values by length.
    pub fn pick<T>(&self, smoke: T, short: T, full: T) -> T {
        match self.length {
            Length::Smoke => smoke,
            Length::Short => short,
            Length::Full => full,
        }
    }
}

/// What an experiment gives back.
#[derive(Debug, Clone)]
pub struct Findings {
    /// The picture.
    pub figure: Figure,
    /// Every number in it.
    pub table: Table,
    /// What it says of the claim.
    pub verdict: Verdict,
}

/// One claim and how to try it.
#[derive(Clone, Copy)]
pub struct Experiment {
    /// Its name on the command line and of its files.
    pub name: &'static str,
    /// What is claimed, in one line.
    pub claim: &'static str,
    /// Tries it.
    pub run: fn(&Settings<'_>) -> Result<Findings, Error>,
}

/// The experiment of that name.
///
/// # Errors
/// [`Error::Unknown`] with all names.
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

/// Runs an experiment and writes its three files into `out`. Old files are an error before any work unless `force`.
///
/// # Errors
/// [`Error::Exists`], what the experiment says, or [`Error::Write`].
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
