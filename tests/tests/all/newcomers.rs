//! Run files as newcomers write them give the right posterior, or the right refusal, with nothing set.

use sngd::core::config::Device;
use sngd_tests::drive;
use sngd_tests::newcomers::{Outcome, Right, cases, fault, remedies, sample, sample_with};

/// On the CPU engine; `cargo xtask cases` runs them on a device too, and writes docs/cases.md.
#[test]
fn run_files_of_newcomers_give_what_is_right() {
    if drive::second_driver() {
        return;
    }
    let all = cases();
    assert!(all.len() > 30, "{} cases", all.len());
    let mut wrong = Vec::new();
    for (name, path, right) in &all {
        // The larger ones beside the references take a minute.
        if !path.starts_with(env!("CARGO_MANIFEST_DIR")) && !drive::long() {
            continue;
        }
        if let Some(fault) = fault(path, &sample(path, &Device::Cpu), right) {
            wrong.push(format!("{name}: {fault}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a refusal of these cases advises works: the sentence's own `key = "value"`, put into the run file.
#[test]
fn the_remedies_of_refusals_work() {
    if drive::second_driver() {
        return;
    }
    let mut tried = 0;
    for (name, path, right) in cases() {
        let Right::Refusal(_) = right else { continue };
        let Outcome::Refused(said) = sample(&path, &Device::Cpu) else {
            continue;
        };
        let sets = remedies(&said);
        if sets.is_empty() {
            continue;
        }
        tried += 1;
        match sample_with(&path, &Device::Cpu, &sets) {
            Outcome::Drawn(_) => {}
            other => panic!("{name}: {said}\nwith {sets:?}: {other:?}"),
        }
    }
    assert!(tried >= 5, "{tried}");
}

/// Raw prices as the response of a network: least squares predicts them within 25,000, their mean within 61,000.
#[test]
fn raw_prices_are_predicted_by_a_network() {
    if drive::second_driver() {
        return;
    }
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/cases/mlp_prices/raw.toml"
    );
    let Outcome::Drawn(report) = sample(std::path::Path::new(path), &Device::Cpu) else {
        panic!("no draws");
    };
    let scores = report.predictions.expect("held-out rows");
    assert!(
        scores.rmse.expect("a gaussian has means") < 32_000.0,
        "{scores:?}"
    );
    assert!(
        scores.coverage_90.expect("a gaussian has intervals") > 0.8,
        "{scores:?}"
    );
}
