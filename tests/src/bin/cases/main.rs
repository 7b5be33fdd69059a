//! `cargo xtask cases`: run files as newcomers write them, on both engines, beside what is right. Writes docs/cases.md.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program whose output is text"
)]

use sngd::core::config::Device;
use sngd_tests::newcomers::{Outcome, Right, cases, errors, fault, sample};
use std::fmt::Write;
use std::process::ExitCode;

const HEAD: &str = "# Run files as newcomers write them

`cargo xtask cases` makes this table. Each case is a small table of data and a run file of a few lines, most without priors and all but a few without settings, of a kind
on which a program of this sort is apt to fall short; tests/data/cases has most of them. What is right was found without `sngd`: by NUTS in double precision (NumPyro) or by
quadrature, under the priors that `sngd` prints ([priors.md](priors.md)), or it is a refusal. Errors are the largest over the parameters, of means in posterior sds and of sds as a
share; a case is right where they are at most 0.1 and 5% and the run says *converged* (or has the few draws that its run file asks for).

";

fn main() -> ExitCode {
    let cases = cases();
    let mut table = String::from(HEAD);
    table += "| case | right | CPU engine | lavapipe |\n|---|---|---|---|\n";
    let (mut wrong, mut count) = ([0, 0], 0);
    for (name, path, right) in &cases {
        count += 1;
        let what = match right {
            Right::Posterior(values) => format!("{} parameters", values.len()),
            Right::Refusal(words) => format!("refused: {}", words.join(", ")),
        };
        let mut cells = Vec::new();
        for (i, device) in ["cpu", "software"].iter().enumerate() {
            let outcome = sample(path, &Device::parse(device));
            let fault = fault(path, &outcome, right);
            wrong[i] += usize::from(fault.is_some());
            cells.push(match (&outcome, right, fault) {
                (_, _, Some(fault)) => format!("**wrong**: {}", shown(&fault, path)),
                (Outcome::Drawn(report), Right::Posterior(values), None) => {
                    let (mean, sd) = errors(report, values);
                    format!("{mean:.3} sd, {:.1}%", 100.0 * sd)
                }
                _ => "refused".to_string(),
            });
            println!("{name} on {device}: {}", cells[i]);
        }
        let _ = writeln!(table, "| {name} | {what} | {} | {} |", cells[0], cells[1]);
    }
    let _ = writeln!(
        table,
        "\n{count} cases; right in {} on the CPU engine and in {} on lavapipe.",
        count - wrong[0],
        count - wrong[1]
    );
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/cases.md");
    match std::fs::write(path, table) {
        Ok(()) if wrong == [0, 0] => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(e) => {
            eprintln!("{path}: {e}");
            ExitCode::FAILURE
        }
    }
}

/// A fault as a cell of the table: without the folder of the case, which is this machine's.
fn shown(fault: &str, path: &std::path::Path) -> String {
    let folder = path.parent().map(|f| format!("{}/", f.display()));
    let text = folder.map_or(fault.to_string(), |f| fault.replace(&f, ""));
    text.replace('|', "/")
}
