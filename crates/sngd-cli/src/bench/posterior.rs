//! `sngd bench --posterior`: wall time until a posterior is right, for `sngd` and for programs that people use today.

use super::contender::{self, Contender, End, SNGD, Turn};
use super::problem::{self, Files, Problem};
use super::report::{self, Line};
use super::score::Reference;
use super::{plot, python};
use crate::output;
use std::path::PathBuf;

/// The options that are its own.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Time until a posterior is right instead of steps: process start to every mean within 0.1 sd and every sd within 5 % of the reference
    #[arg(long, conflicts_with_all = ["workload", "engine", "seconds", "stages"])]
    pub posterior: bool,
    /// Posteriors: gc_german, a9a, digits_softmax, logistic_5k, logistic_1m, poisson_1m [default: all that can be had]
    #[arg(value_name = "NAME", requires = "posterior")]
    pub names: Vec<String>,
    /// One peer instead of all; may be given often
    #[arg(long, value_name = "NAME", requires = "posterior")]
    pub peer: Vec<String>,
    /// Folder of data, references and traces; what is there is used again
    #[arg(
        long,
        value_name = "DIR",
        default_value = "bench",
        requires = "posterior"
    )]
    pub dir: PathBuf,
    /// Turns of each contender, one after the other
    #[arg(long, value_name = "N", default_value_t = 3, requires = "posterior", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub repeat: u32,
    /// Most seconds of a peer's turn; its error is then extrapolated, and it has no further turn
    #[arg(long, value_name = "SECONDS", default_value_t = 600.0, requires = "posterior", value_parser = seconds)]
    pub budget: f64,
    /// Time per step over the number of rows, or with --posterior errors over wall time, as SVG
    #[arg(long, value_name = "FILE.svg")]
    pub figure: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(s) if (1.0..=1e6).contains(&s) => Ok(s),
        _ => Err("expected seconds from 1 to 1000000".into()),
    }
}

/// Runs the command; returns the exit code.
pub fn run(args: &Args, peers: bool, device: Option<&str>, json: bool) -> anyhow::Result<u8> {
    let problems = problem::chosen(&args.names)?;
    let contenders = contender::chosen(peers, &args.peer)?;
    if contenders.len() > 1 {
        python::find("problem.py")?;
    }
    std::fs::create_dir_all(&args.dir).map_err(|e| {
        anyhow::anyhow!(
            "--dir: {} cannot be made ({e}); choose another folder",
            args.dir.display()
        )
    })?;
    let machine = report::machine();
    let mut lines = Vec::new();
    for p in problems {
        let (files, reference) = match ready(p, args) {
            Ok(ready) => ready,
            // A problem that was asked for by name must be available.
            Err(e) if !args.names.is_empty() => return Err(e),
            Err(e) => {
                output::note(&format!("left out: {e}"));
                continue;
            }
        };
        lines.extend(problem_lines(
            p,
            &contenders,
            &files,
            &reference,
            (args, device),
        )?);
    }
    if lines.is_empty() {
        anyhow::bail!("--posterior: no posterior could be had; the notes above say why");
    }
    report::compare(&mut lines);
    if let Some(path) = &args.figure {
        plot::figure(&lines).write_svg(path)?;
    }
    if json {
        output::json(&serde_json::json!({
            "machine": machine,
            "mean_bound_sd": super::score::MEAN_BOUND,
            "sd_bound_percent": super::score::SD_BOUND,
            "lines": lines,
        }))?;
    } else {
        output::with_stdout(|out| write!(out, "{}", report::table(&lines, &machine)))?;
    }
    Ok(0)
}

/// The files of a problem, and the reference to judge by; makes what is missing.
fn ready(p: &Problem, args: &Args) -> anyhow::Result<(Files, Reference)> {
    let files = p.prepare(&args.dir)?;
    if !files.reference.is_file() {
        output::note(&format!("{}: making the reference", p.name));
        contender::make_reference(&files).map_err(|e| anyhow::anyhow!("{}: {e}", p.name))?;
    }
    let reference = problem::reference(&files.reference)?;
    Ok((files, reference))
}

/// Runs all turns on one problem; the contenders take turns in order. `device` is that of `sngd`.
fn problem_lines(
    p: &Problem,
    contenders: &[Contender],
    files: &Files,
    reference: &Reference,
    (args, device): (&Args, Option<&str>),
) -> anyhow::Result<Vec<Line>> {
    let mut turns: Vec<(Contender, Vec<Turn>)> = contenders
        .iter()
        .filter(|c| c.takes(p))
        .map(|c| (*c, Vec::new()))
        .collect();
    for round in 0..args.repeat {
        for (c, taken) in &mut turns {
            if taken.last().is_some_and(|t| done(c, t)) {
                continue;
            }
            output::note(&format!("{}: {}, turn {}", p.name, c.name, round + 1));
            taken.push(c.turn(files, reference, args.budget, device)?);
        }
    }
    Ok(turns
        .iter()
        .map(|(c, taken)| Line::of(p.name, c.name, taken))
        .collect())
}

/// Whether another turn is useless: a peer that failed, or whose time is extrapolated, would do the same again.
fn done(c: &Contender, last: &Turn) -> bool {
    match last.end {
        End::Met(_) | End::Short(_, None) => false,
        End::Short(_, Some(_)) => *c != SNGD,
        End::Failed(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        bench: crate::bench::Args,
    }

    fn read(text: &str) -> Result<crate::bench::Args, String> {
        Line::try_parse_from(std::iter::once("bench").chain(text.split_whitespace()))
            .map(|l| l.bench)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn options_are_read() {
        let a = read("--posterior gc_german a9a --peers --peer statsmodels --dir d --json --repeat 5 --budget 30 --figure f.svg").unwrap();
        assert!(a.peers && a.json && a.posterior.posterior);
        let p = a.posterior;
        assert_eq!(p.names, ["gc_german", "a9a"]);
        assert_eq!((p.repeat, p.budget), (5, 30.0));
        assert_eq!(p.peer, ["statsmodels"]);
        assert_eq!(p.figure, Some("f.svg".into()));
        assert_eq!(p.dir, PathBuf::from("d"));
        let p = read("--posterior").unwrap().posterior;
        assert_eq!((p.repeat, p.budget, p.names.len()), (3, 600.0, 0));
        assert!(!read("--workload W1").unwrap().posterior.posterior);
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        for wrong in [
            "gc_german",
            "--budget 30",
            "--posterior --workload W1",
            "--posterior --repeat 0",
            "--posterior --budget 0",
            "--posterior --budget nan",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
