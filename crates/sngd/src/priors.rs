//! The priors in force, as lines of text.

use sngd_core::problem::{AT_MEANS, StatedPrior};
use std::io::{self, Write};

/// Writes one line per prior, at most `limit` of them.
pub(crate) fn write(out: &mut dyn Write, priors: &[StatedPrior], limit: usize) -> io::Result<()> {
    if priors.is_empty() {
        return Ok(());
    }
    let defaults = priors.iter().filter(|p| p.default).count();
    let source = match defaults {
        0 => "as given",
        n if n == priors.len() => "default, on the scale of the data",
        _ => "those with * are defaults, on the scale of the data",
    };
    writeln!(out, "priors ({source}):")?;
    let shown = &priors[..limit.min(priors.len())];
    let name = |p: &StatedPrior| match p.parameters.as_str() {
        AT_MEANS => "intercept at the means of the columns".to_string(),
        other => other.to_string(),
    };
    let width = shown
        .iter()
        .map(|p| name(p).chars().count())
        .max()
        .unwrap_or(0);
    let mixed = defaults > 0 && defaults < priors.len();
    for p in shown {
        let mark = match (mixed, p.default) {
            (true, true) => "* ",
            (true, false) => "  ",
            _ => "",
        };
        writeln!(out, "  {mark}{:width$}  {}", name(p), p.prior)?;
    }
    match priors.len() - shown.len() {
        0 => Ok(()),
        n => writeln!(out, "  ... and {n} more"),
    }
}
