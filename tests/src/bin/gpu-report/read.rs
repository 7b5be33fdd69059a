//! Finds verdict and figures in what a step printed.

use crate::plan::Group;
use crate::process::Ended;
use crate::report::Row;
use serde_json::Value;

/// What a step found.
#[derive(Debug)]
pub struct Found {
    /// Whether the step is as it should be.
    pub passed: bool,
    /// The outcome in a few words.
    pub detail: String,
    /// The numbers, as the program printed them.
    pub figures: Value,
}

/// Reads the output of a step that ended by itself.
pub fn of(group: Group, ended: &Ended) -> Found {
    let found = match group {
        Group::Devices => devices(ended),
        Group::Suite => return suite(ended),
        Group::Posterior => posterior(ended),
        Group::Workload => workload(ended),
        Group::Stages => stages(ended),
        Group::Jax => jax(ended),
    };
    found.unwrap_or_else(|| Found {
        passed: false,
        detail: failure(ended),
        figures: Value::Null,
    })
}

/// The adapter that the other steps use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Adapter {
    /// The first that is no software driver, else the first, by its name.
    Named(String),
    /// Whichever the programs choose: the step that lists them failed or hung, and the others may still work.
    Unknown,
    /// None answers.
    Absent,
}

/// Reads the adapter from the row of the devices.
pub fn adapter(rows: &[Row]) -> Adapter {
    let listed = rows.iter().find(|r| r.group == Group::Devices);
    let Some(all) = listed.filter(|r| r.figures.is_array()) else {
        return Adapter::Unknown;
    };
    let gpus = gpus(&all.figures);
    let real = gpus.iter().find(|d| d["software"] == false);
    match real.or(gpus.first()).and_then(|d| d["name"].as_str()) {
        Some(name) => Adapter::Named(name.to_owned()),
        None => Adapter::Absent,
    }
}

/// The entries of `sngd devices --json` that are adapters.
pub fn gpus(devices: &Value) -> Vec<&Value> {
    let all = devices.as_array().map_or(&[][..], Vec::as_slice);
    all.iter().filter(|d| d["kind"] == "gpu").collect()
}

/// The last line on stderr, else how the program ended.
fn failure(ended: &Ended) -> String {
    let last = ended.stderr.lines().rev().find(|l| !l.trim().is_empty());
    match last {
        Some(line) => format!("{}: {}", ended.status, line.trim()),
        None => ended.status.clone(),
    }
}

/// Output that is one JSON value.
fn json(ended: &Ended) -> Option<Value> {
    serde_json::from_str(&ended.stdout).ok()
}

/// The table that `sngd bench` prints, if it has lines.
fn lines(ended: &Ended) -> Option<(Value, Vec<Value>)> {
    let all = json(ended).filter(|_| ended.success)?;
    let lines = all["lines"].as_array().filter(|l| !l.is_empty())?.clone();
    Some((all, lines))
}

fn devices(ended: &Ended) -> Option<Found> {
    let figures = json(ended)?;
    let gpus = gpus(&figures);
    let names: Vec<&str> = gpus.iter().filter_map(|d| d["name"].as_str()).collect();
    let detail = match names.is_empty() {
        true => "no adapter answers".into(),
        false if ended.success => format!("{}: self-tests passed", names.join(", ")),
        false => format!("{}: a self-test failed", names.join(", ")),
    };
    Some(Found {
        passed: ended.success && !names.is_empty(),
        detail,
        figures,
    })
}

fn suite(ended: &Ended) -> Found {
    let result = ended
        .stdout
        .lines()
        .find_map(|l| l.strip_prefix("test result: "));
    let failed: Vec<&str> = ended
        .stdout
        .lines()
        .filter_map(|l| l.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .collect();
    let count = |what: &str| -> u64 {
        let part = result.and_then(|r| {
            r.split(['.', ';'])
                .find_map(|p| p.trim().strip_suffix(what))
        });
        part.and_then(|n| n.trim().parse().ok()).unwrap_or(0)
    };
    let passed = count(" passed");
    let detail = match (result, failed.is_empty()) {
        (None, _) => failure(ended),
        (Some(_), true) => format!("{passed} tests passed"),
        (Some(_), false) => format!("{passed} tests passed, failed: {}", failed.join(", ")),
    };
    Found {
        // a filter that fits no test proves nothing
        passed: ended.success && passed > 0,
        detail,
        figures: serde_json::json!({ "passed": passed, "failed": failed }),
    }
}

fn posterior(ended: &Ended) -> Option<Found> {
    let (_, lines) = lines(ended)?;
    let line = lines.into_iter().next()?;
    let met = line["met"] == true;
    let seconds = line["seconds"][0].as_f64();
    let detail = match (line["failure"].as_str(), seconds) {
        (Some(why), _) => why.to_owned(),
        (None, Some(seconds)) => {
            let errors = &line["errors"];
            format!(
                "{} in {seconds:.1} s: worst mean off by {:.3} sd, worst sd by {:.1}%",
                if met {
                    "within the bound"
                } else {
                    "not within the bound"
                },
                errors["mean"].as_f64().unwrap_or(f64::NAN),
                errors["sd"].as_f64().unwrap_or(f64::NAN)
            )
        }
        (None, None) => failure(ended),
    };
    Some(Found {
        passed: met,
        detail,
        figures: line,
    })
}

fn workload(ended: &Ended) -> Option<Found> {
    let (figures, lines) = lines(ended)?;
    let rate = |l: &Value| l["chain_steps_per_second"].as_f64().unwrap_or(0.0);
    let rates: Vec<String> = lines
        .iter()
        .map(|l| format!("{} {:.0}", l["engine"].as_str().unwrap_or("?"), rate(l)))
        .collect();
    Some(Found {
        passed: lines.iter().all(|l| rate(l) > 0.0),
        detail: format!("chain-steps/s: {}", rates.join(", ")),
        figures,
    })
}

fn stages(ended: &Ended) -> Option<Found> {
    let (figures, lines) = lines(ended)?;
    let all: f64 = lines.iter().filter_map(|l| l["ms"].as_f64()).sum();
    let clock = match lines[0]["timestamps"] == true {
        true => "timestamp queries",
        false => "the CPU's clock",
    };
    Some(Found {
        passed: all > 0.0,
        detail: format!("{} stages, {all:.3} ms together, by {clock}", lines.len()),
        figures,
    })
}

/// The script's last line of JSON; a run whose weights are no longer finite measured nothing.
fn jax(ended: &Ended) -> Option<Found> {
    let text = ended.stdout.lines().rev().find(|l| l.starts_with('{'))?;
    let figures: Value = serde_json::from_str(text).ok()?;
    let rate = figures["best_block"].as_f64()?;
    Some(Found {
        passed: ended.success && figures["finite"] == true,
        detail: format!(
            "chain-steps/s: {rate:.0}, JAX {} on {}",
            figures["jax"].as_str().unwrap_or("?"),
            figures["device"].as_str().unwrap_or("?")
        ),
        figures,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::State;

    fn said(stdout: &str, success: bool) -> Ended {
        Ended {
            success,
            status: format!("exit status: {}", i32::from(!success)),
            stdout: stdout.into(),
            stderr: "a warning\nsngd: it broke\n".into(),
            ..Ended::default()
        }
    }

    #[test]
    fn the_first_real_adapter_is_used() {
        let listed = r#"[{"kind":"cpu","name":"CPU engine"},
            {"kind":"gpu","name":"llvmpipe","software":true},{"kind":"gpu","name":"a card","software":false}]"#;
        let found = of(Group::Devices, &said(listed, true));
        assert!(
            found.passed && found.detail.starts_with("llvmpipe, a card"),
            "{found:?}"
        );
        let row = |figures: &Value| Row {
            name: "devices".into(),
            group: Group::Devices,
            state: State::Passed,
            seconds: 1.0,
            detail: String::new(),
            figures: figures.clone(),
        };
        let named = |name: &str| Adapter::Named(name.into());
        assert_eq!(adapter(&[row(&found.figures)]), named("a card"));
        let only = serde_json::json!([found.figures[1]]);
        assert_eq!(adapter(&[row(&only)]), named("llvmpipe"));
        let none = serde_json::json!([found.figures[0]]);
        assert_eq!(adapter(&[row(&none)]), Adapter::Absent);
        assert_eq!(adapter(&[row(&Value::Null)]), Adapter::Unknown);
        // a self-test that failed, and no adapter
        assert!(!of(Group::Devices, &said(listed, false)).passed);
        let none = of(
            Group::Devices,
            &said(r#"[{"kind":"cpu","name":"CPU engine"}]"#, true),
        );
        assert!(
            !none.passed && none.detail == "no adapter answers",
            "{none:?}"
        );
    }

    #[test]
    fn suites_tell_counts_and_failures_and_an_empty_one_fails() {
        let good = "test a ... ok\n\ntest result: ok. 11 passed; 0 failed; 1 ignored; 0 measured; 40 filtered out; finished in 2.0s\n";
        let found = of(Group::Suite, &said(good, true));
        assert!(
            found.passed && found.detail == "11 tests passed",
            "{found:?}"
        );
        let bad = "test parity::mala ... FAILED\ntest parity::sizes ... ok\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n";
        let found = of(Group::Suite, &said(bad, false));
        assert!(
            !found.passed && found.detail.ends_with("failed: parity::mala"),
            "{found:?}"
        );
        let none = "test result: ok. 0 passed; 0 failed; 0 ignored; 0 measured; 52 filtered out\n";
        assert!(!of(Group::Suite, &said(none, true)).passed);
        let died = of(Group::Suite, &said("test a ... ", false));
        assert!(!died.passed && died.detail.contains("it broke"), "{died:?}");
    }

    #[test]
    fn a_posterior_is_judged_by_its_bound() {
        let line = r#"{"lines":[{"met":true,"seconds":[1.25],"errors":{"mean":0.02,"sd":1.5},"failure":null}]}"#;
        let found = of(Group::Posterior, &said(line, true));
        assert!(
            found.passed && found.detail.contains("0.020 sd, worst sd by 1.5%"),
            "{found:?}"
        );
        assert!(
            !of(
                Group::Posterior,
                &said(&line.replace("true", "false"), true)
            )
            .passed
        );
        let failed = r#"{"lines":[{"met":false,"seconds":[],"failure":"no device"}]}"#;
        assert_eq!(
            of(Group::Posterior, &said(failed, true)).detail,
            "no device"
        );
        // words, where JSON was expected
        let found = of(Group::Posterior, &said("", false));
        assert_eq!(found.detail, "exit status: 1: sngd: it broke");
    }

    #[test]
    fn rates_and_stages_must_be_numbers_above_zero() {
        let line = r#"{"lines":[{"engine":"a card","chain_steps_per_second":1500.4}]}"#;
        let found = of(Group::Workload, &said(line, true));
        assert!(
            found.passed && found.detail.ends_with("a card 1500"),
            "{found:?}"
        );
        assert!(!of(Group::Workload, &said(r#"{"lines":[]}"#, true)).passed);
        assert!(
            !of(
                Group::Workload,
                &said(r#"{"lines":[{"engine":"a card"}]}"#, true)
            )
            .passed
        );
        let line = r#"{"lines":[{"ms":0.5,"timestamps":true},{"ms":0.25,"timestamps":true}]}"#;
        let found = of(Group::Stages, &said(line, true));
        assert!(
            found.passed && found.detail.contains("0.750 ms together, by timestamp"),
            "{found:?}"
        );
    }

    #[test]
    fn jax_that_diverged_measured_nothing() {
        let line = r#"{"best_block":10.0,"finite":true,"jax":"0.10","device":"gpu"}"#;
        assert!(of(Group::Jax, &said(line, true)).passed);
        assert!(!of(Group::Jax, &said(&line.replace("true", "false"), true)).passed);
    }
}
