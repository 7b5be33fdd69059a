//! Shortened experiments: verdicts pass, files are written, and old files are refused.

use sngd_reproduce::{Error, Length, Settings, Verdict, find, run};
use std::path::Path;

fn tried(name: &str, out: &Path) -> Verdict {
    let settings = Settings {
        length: Length::Smoke,
        seed: 1,
        digits: None,
        mnist: None,
        progress: &|_| {},
    };
    let experiment = find(name).unwrap();
    let (files, verdict) = run(experiment, &settings, out, false).unwrap();
    let svg = std::fs::read_to_string(&files.svg).unwrap();
    assert!(svg.starts_with("<svg") && svg.contains("</text>"));
    let png = std::fs::read(&files.png).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let csv = std::fs::read_to_string(&files.csv).unwrap();
    assert!(csv.lines().count() > 2, "{csv}");
    // A second run is refused before any work.
    let begun = std::time::Instant::now();
    let refused = run(experiment, &settings, out, false).unwrap_err();
    assert!(matches!(refused, Error::Exists { .. }), "{refused}");
    assert_eq!(refused.exit_code(), 2);
    assert!(begun.elapsed().as_secs_f64() < 1.0);
    assert!(!verdict.sentence.is_empty());
    verdict
}

#[test]
fn the_temperature_law_holds_for_a_gaussian_mean() {
    let out = tempfile::tempdir().unwrap();
    let verdict = tried("temperature-law", out.path());
    assert!(verdict.passed(), "{verdict:#?}");
}

#[test]
fn the_volume_makes_the_law_of_p_the_same_in_every_link() {
    let out = tempfile::tempdir().unwrap();
    let verdict = tried("invariance", out.path());
    assert!(verdict.passed(), "{verdict:#?}");
}

#[test]
fn closed_forms_are_recovered() {
    let out = tempfile::tempdir().unwrap();
    let verdict = tried("jeffreys", out.path());
    assert!(verdict.passed(), "{verdict:#?}");
}

#[test]
fn the_digits_are_found_and_scored() {
    let out = tempfile::tempdir().unwrap();
    let verdict = tried("ensemble-loss", out.path());
    assert!(
        verdict
            .checks
            .iter()
            .all(|c| c.mcse > 0.0 || c.measured == 0.0)
    );
}

#[test]
fn an_unknown_name_names_the_known_ones() {
    let error = find("temperature").err().unwrap();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("temperature-law"), "{error}");
}
