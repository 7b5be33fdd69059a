//! `sngd bench --stages`: milliseconds of each stage of a step on a device.

use crate::output;
use serde::Serialize;
use sngd::bench::{self, Stages};
use sngd_core::workload::Workload;

/// One row of the table.
#[derive(Debug, Serialize)]
struct Line {
    workload: &'static str,
    device: String,
    /// Whether the device's own clock measured it.
    timestamps: bool,
    stage: String,
    dispatches: f64,
    ms: f64,
    /// Part of the time of all stages.
    share: f64,
}

/// Times the stages of these workloads; returns the exit code.
pub fn run(
    workloads: &[&'static Workload],
    seconds: f64,
    device: Option<&str>,
    json: bool,
) -> anyhow::Result<u8> {
    let mut lines = Vec::new();
    for w in workloads {
        lines.extend(of(w.name, bench::stages(w, seconds, device)?));
    }
    if json {
        output::json(&serde_json::json!({ "lines": lines }))?;
    } else {
        output::with_stdout(|out| write!(out, "{}", table(&lines)))?;
    }
    Ok(0)
}

fn of(workload: &'static str, timed: Stages) -> Vec<Line> {
    let all: f64 = timed.stages.iter().map(|s| s.ms).sum();
    let line = |s: bench::Stage| Line {
        workload,
        device: timed.device.clone(),
        timestamps: timed.timestamps,
        stage: s.name,
        dispatches: s.dispatches,
        ms: s.ms,
        share: s.ms / all,
    };
    timed.stages.into_iter().map(line).collect()
}

/// Formats a number of dispatches: whole numbers plainly, parts of a dispatch with three digits.
pub fn count(n: f64) -> String {
    if n.fract() == 0.0 {
        format!("{n:.0}")
    } else {
        format!("{n:.3}")
    }
}

fn table(lines: &[Line]) -> String {
    let clock = match lines.first() {
        Some(l) if l.timestamps => "its own clock (timestamp queries)",
        _ => "the CPU's clock, submission included",
    };
    let device = lines.first().map_or("no device", |l| l.device.as_str());
    let mut out = format!(
        "{device}, by {clock}\n{:<8} {:<22} {:>10} {:>10} {:>7}\n",
        "", "stage", "dispatches", "ms a step", "share"
    );
    for l in lines {
        out += &format!(
            "{:<8} {:<22} {:>10} {:>10.4} {:>6.0}%\n",
            l.workload,
            l.stage,
            count(l.dispatches),
            l.ms,
            100.0 * l.share
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_add_up_and_parts_of_dispatches_are_named() {
        let stage = |name: &str, dispatches, ms| bench::Stage {
            name: name.into(),
            dispatches,
            ms,
        };
        let timed = Stages {
            device: "a card".into(),
            timestamps: true,
            stages: vec![stage("rows", 1.0, 0.25), stage("fisher", 0.05, 0.75)],
        };
        let lines = of("mnist", timed);
        assert_eq!((lines[0].share, lines[1].share), (0.25, 0.75));
        let text = table(&lines);
        assert!(text.starts_with("a card, by its own clock"), "{text}");
        assert!(text.contains("0.050") && text.contains("75%"), "{text}");
    }
}
