//! `sngd reproduce` without its experiments: names, old files, exit codes.

use crate::common::{Scene, csv, run};

#[test]
fn the_list_needs_no_name() {
    let s = Scene::new(&csv(10), "");
    let out = run(&s, &["reproduce", "--list"]);
    assert!(out.status.success());
    let text = String::from_utf8_lossy(&out.stdout);
    for name in ["temperature-law", "invariance", "jeffreys", "laplace"] {
        assert!(text.contains(name), "{text}");
    }
}

#[test]
fn unusable_arguments_are_two() {
    let s = Scene::new(&csv(10), "");
    for (args, expected) in [
        (&["reproduce", "everything"][..], "expected one of"),
        (&["reproduce"][..], "NAME"),
        (
            &["reproduce", "jeffreys", "--short", "--full"][..],
            "--full",
        ),
        (
            &[
                "reproduce",
                "ensemble-loss",
                "--quiet",
                "--digits",
                "none.npz",
            ][..],
            "none.npz does not exist",
        ),
    ] {
        let out = run(&s, args);
        let said = String::from_utf8_lossy(&out.stderr);
        assert_eq!(out.status.code(), Some(2), "{args:?}: {said}");
        assert!(said.contains(expected), "{args:?}: {said}");
    }
}

#[test]
fn old_files_are_refused_before_any_work() {
    let s = Scene::new(&csv(10), "");
    std::fs::create_dir(s.path("there")).unwrap();
    std::fs::write(s.path("there/jeffreys.csv"), "mine").unwrap();
    let out = run(&s, &["reproduce", "jeffreys", "--out", "there"]);
    let said = String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(
        said.contains("jeffreys.csv exists") && said.contains("--force"),
        "{said}"
    );
    assert_eq!(
        std::fs::read_to_string(s.path("there/jeffreys.csv")).unwrap(),
        "mine"
    );
}
