//! report.json for programs and report.md for people.

use crate::machine::Machine;
use crate::plan::{Group, Pack};
use crate::read;
use serde_json::{Value, json};
use std::path::Path;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Passed,
    /// It ended, and something is wrong.
    Failed,
    /// It was ended at its time limit, or not begun because the whole report's was over.
    OverLimit,
    /// Something that it needs is not here.
    LeftOut,
}

impl State {
    /// Its word in both files.
    pub fn word(self) -> &'static str {
        match self {
            State::Passed => "passed",
            State::Failed => "FAILED",
            State::OverLimit => "OVER ITS LIMIT",
            State::LeftOut => "left out",
        }
    }
}

/// One step's outcome.
#[derive(Debug, Clone)]
pub struct Row {
    /// Name of the step.
    pub name: String,
    /// What the step is about.
    pub group: Group,
    /// How it ended.
    pub state: State,
    /// Wall time.
    pub seconds: f64,
    /// The outcome in a few words.
    pub detail: String,
    /// The numbers, as the step's program printed them.
    pub figures: Value,
}

/// All that is known so far.
pub struct Report {
    /// Commit that the pack was made of.
    commit: String,
    short: bool,
    facts: Vec<(&'static str, String)>,
    /// Name of the adapter that the steps use.
    pub device: Option<String>,
    /// Wall time so far.
    pub seconds: f64,
    /// Rows in the order of the steps.
    pub rows: Vec<Row>,
}

impl Report {
    /// A report without rows.
    pub fn new(pack: &Pack, machine: &Machine, short: bool) -> Report {
        let commit = std::fs::read_to_string(pack.path("COMMIT")).unwrap_or_default();
        Report {
            commit: commit.trim().to_owned(),
            short,
            facts: machine.facts.clone(),
            device: None,
            seconds: 0.0,
            rows: Vec::new(),
        }
    }

    /// Whether no step failed or was over its limit.
    pub fn passed(&self) -> bool {
        let good = |r: &Row| matches!(r.state, State::Passed | State::LeftOut);
        self.rows.iter().all(good)
    }

    /// Writes both files.
    pub fn write(&self, out: &Path) -> Result<(), String> {
        for (name, text) in [("report.json", self.json()), ("report.md", self.markdown())] {
            let path = out.join(name);
            std::fs::write(&path, text)
                .map_err(|e| format!("{} cannot be written: {e}", path.display()))?;
        }
        Ok(())
    }

    fn json(&self) -> String {
        let rows: Vec<Value> = self
            .rows
            .iter()
            .map(|r| {
                json!({
                    "name": r.name,
                    "group": r.group.name(),
                    "state": r.state.word().to_lowercase(),
                    "seconds": r.seconds,
                    "detail": r.detail,
                    "figures": r.figures,
                })
            })
            .collect();
        let facts: serde_json::Map<String, Value> = self
            .facts
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let all = json!({
            "format": 1,
            "version": env!("CARGO_PKG_VERSION"),
            "commit": self.commit,
            "short": self.short,
            "device": self.device,
            "machine": facts,
            "seconds": self.seconds,
            "passed": self.passed(),
            "rows": rows,
        });
        format!("{all:#}\n")
    }

    fn markdown(&self) -> String {
        let device = self.device.as_deref().unwrap_or("no adapter");
        let mut out = format!(
            "# sngd {} on {device}\n\ncommit {}, {:.0} s{}\n\n",
            env!("CARGO_PKG_VERSION"),
            self.commit,
            self.seconds,
            if self.short { ", short form" } else { "" }
        );
        let facts = self.facts.iter().map(|(n, v)| vec![(*n).into(), v.clone()]);
        out += &table("Machine", &["", ""], facts.collect());
        for gpu in self.of(Group::Devices).flat_map(|r| read::gpus(&r.figures)) {
            let name = gpu["name"].as_str().unwrap_or("Adapter");
            out += &table(name, &["", ""], properties(gpu));
        }
        let step = |r: &Row| {
            let seconds = format!("{:.1}", r.seconds);
            vec![
                r.name.clone(),
                r.state.word().into(),
                seconds,
                r.detail.clone(),
            ]
        };
        let steps = self.rows.iter().map(step).collect();
        out += &table("Steps", &["step", "", "s", ""], steps);
        out += &self.workloads();
        out += &self.stages();
        out
    }

    fn of(&self, group: Group) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |r| r.group == group)
    }

    fn workloads(&self) -> String {
        let mut rows = Vec::new();
        for row in self.of(Group::Workload) {
            let lines = lines(&row.figures);
            for l in lines {
                rows.push(vec![
                    text(&l["workload"]),
                    text(&l["engine"]),
                    number(&l["chain_steps_per_second"], 0),
                    number(&l["dispatches"], 3),
                    number(&l["gflops"], 1),
                    percent(&l["gemm_share"]),
                    number(&l["gbytes"], 1),
                ]);
            }
            rows.extend(lines.first().and_then(|l| self.beside(l)));
        }
        let heads = [
            "",
            "engine",
            "chain-steps/s",
            "dispatches a step",
            "GFLOP/s",
            "of GEMM",
            "GB/s",
        ];
        table("Steps per second", &heads, rows)
    }

    /// JAX's line of a workload; its operations and bytes per step are those of our line.
    fn beside(&self, ours: &Value) -> Option<Vec<String>> {
        let name = ours["workload"].as_str()?;
        let peer = self
            .of(Group::Jax)
            .find(|r| r.figures["workload"] == name)?;
        let rate = peer.figures["best_block"].as_f64()?;
        let share = rate / ours["chain_steps_per_second"].as_f64()?;
        let scaled = |key: &str| ours[key].as_f64().map(|v| json!(v * share));
        Some(vec![
            name.into(),
            format!("JAX, {}", text(&peer.figures["device"])),
            number(&peer.figures["best_block"], 0),
            String::new(),
            number(&scaled("gflops")?, 1),
            String::new(),
            number(&scaled("gbytes")?, 1),
        ])
    }

    fn stages(&self) -> String {
        let mut rows = Vec::new();
        for l in self.of(Group::Stages).flat_map(|r| lines(&r.figures)) {
            rows.push(vec![
                text(&l["workload"]),
                text(&l["stage"]),
                number(&l["dispatches"], 3),
                number(&l["ms"], 4),
                percent(&l["share"]),
            ]);
        }
        table(
            "Stages of a step",
            &["", "stage", "dispatches", "ms", "share"],
            rows,
        )
    }
}

fn lines(figures: &Value) -> &[Value] {
    figures["lines"].as_array().map_or(&[], Vec::as_slice)
}

/// Everything that `sngd devices --json` says of an adapter, a part's own parts included.
fn properties(value: &Value) -> Vec<Vec<String>> {
    let mut rows = Vec::new();
    for (name, value) in value.as_object().into_iter().flatten() {
        let name = name.replace('_', " ");
        match value {
            Value::Object(_) => rows.extend(properties(value).into_iter().map(|mut row| {
                row[0] = format!("{name}: {}", row[0]);
                row
            })),
            Value::Array(all) => {
                let parts: Vec<String> = all.iter().map(text).collect();
                rows.push(vec![name, parts.join(", ")]);
            }
            other => rows.push(vec![name, text(other)]),
        }
    }
    rows
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

/// A number with at most so many digits after the point; nothing for what is none.
fn number(value: &Value, digits: usize) -> String {
    match value.as_f64() {
        Some(v) if v.fract() == 0.0 => format!("{v:.0}"),
        Some(v) => format!("{v:.digits$}"),
        None => String::new(),
    }
}

fn percent(value: &Value) -> String {
    value
        .as_f64()
        .map_or_else(String::new, |v| format!("{:.0}%", 100.0 * v))
}

/// A heading and a table in Markdown; nothing without rows.
fn table(title: &str, heads: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let line = |cells: Vec<String>| {
        let cells: Vec<String> = cells
            .iter()
            .map(|c| c.replace('|', "\\|").replace('\n', " "))
            .collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let mut out = format!("## {title}\n\n");
    out += &line(heads.iter().map(|&h| h.to_owned()).collect());
    out += &format!("|{}\n", "---|".repeat(heads.len()));
    for row in rows {
        out += &line(row);
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        let row = |name: &str, group, state, figures| Row {
            name: name.into(),
            group,
            state,
            seconds: 1.0,
            detail: "a | b".into(),
            figures,
        };
        let adapter = json!([{"kind": "gpu", "name": "a card", "software": false, "subgroup": [32, 32],
            "self_test": {"steps": {"passed": true, "detail": "fine"}}}]);
        let ours = json!({"lines": [{"workload": "W1", "engine": "a card", "chain_steps_per_second": 1000.0,
            "dispatches": 7.0, "gflops": 8.0, "gbytes": 2.0, "gemm_share": 0.5}]});
        let theirs = json!({"workload": "W1", "best_block": 250.0, "device": "gpu"});
        let stages = json!({"lines": [{"workload": "W1", "stage": "rows", "dispatches": 1.0, "ms": 0.0125, "share": 1.0}]});
        Report {
            commit: "abc".into(),
            short: false,
            facts: vec![("CPU", "a CPU".into())],
            device: Some("a card".into()),
            seconds: 5.0,
            rows: vec![
                row("devices", Group::Devices, State::Passed, adapter),
                row("workload W1", Group::Workload, State::Passed, ours),
                row("stages W1", Group::Stages, State::Passed, stages),
                row("JAX W1", Group::Jax, State::Passed, theirs),
                row("JAX W2", Group::Jax, State::LeftOut, Value::Null),
            ],
        }
    }

    #[test]
    fn tables_hold_what_the_steps_found() {
        let text = report().markdown();
        for part in [
            "# sngd ",
            "| CPU | a CPU |",
            "| subgroup | 32, 32 |",
            "| self test: steps: detail | fine |",
            "| devices | passed | 1.0 | a \\| b |",
            "| W1 | a card | 1000 | 7 | 8 | 50% | 2 |",
            "| W1 | JAX, gpu | 250 |  | 2 |  | 0.5 |",
            "| W1 | rows | 1 | 0.0125 | 100% |",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }

    #[test]
    fn one_row_that_failed_or_hung_fails_the_report() {
        assert!(report().passed());
        for state in [State::Failed, State::OverLimit] {
            let mut report = report();
            report.rows[2].state = state;
            assert!(!report.passed());
            let json: Value = serde_json::from_str(&report.json()).unwrap();
            assert_eq!(json["passed"], false);
            assert_eq!(json["rows"][2]["state"], state.word().to_lowercase());
        }
    }
}
