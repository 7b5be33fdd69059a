//! Tests of how a response is read: classes, counts and proportions, and the rows that are left out.

use super::Problem;
use crate::config::Config;
use crate::features::Features;
use crate::table::{Response, Table};

/// A table of one feature.
fn table(response: Response) -> Table {
    let mut table = Table {
        source: "t.csv".into(),
        feature_names: vec!["x".into()],
        features: Features::new(1, Vec::<f64>::new()),
        response,
        trials: None,
        offset: None,
        weights: None,
        left_out: vec![],
    };
    let x: Vec<f64> = (0..table.rows()).map(|i| (i * 37 % 11) as f64).collect();
    table.features = Features::new(1, x);
    table
}

/// Labels in rows, with the levels in this order.
fn labels(index: &[u32], levels: &[&str]) -> Table {
    table(Response::Labels {
        index: index.to_vec(),
        levels: levels.iter().map(|l| l.to_string()).collect(),
    })
}

/// A run file with these lines under [data] and under [model]; proper priors.
fn config(data: &str, model: &str) -> Config {
    toml::from_str(&format!(
        "[data]\npath = \"t.csv\"\nresponse = \"y\"\n{data}\n[model]\n{model}\n[prior]\nintercept = \"normal(0, 2)\"\nweights = \"normal(0, 2)\"\n"
    ))
    .unwrap()
}

fn message(config: &Config, table: Table) -> String {
    Problem::build(config, table).unwrap_err().to_string()
}

const BERNOULLI: &str = "likelihood = \"bernoulli\"";
const SOFTMAX: &str = "likelihood = \"softmax\"";

#[test]
fn positive_chooses_the_level_that_is_one() {
    let rows = labels(&[0, 1, 1, 0], &["fail", "pass"]);
    let problem = Problem::build(&config("", BERNOULLI), rows.clone()).unwrap();
    assert_eq!(problem.y, [0.0, 1.0, 1.0, 0.0]);
    assert_eq!(problem.classes, ["fail", "pass"]);
    assert_eq!(
        problem.notes,
        ["response 'y': pass is 1, fail is 0; data.positive = \"fail\" turns it round"]
    );
    // The remedy of the note.
    let turned = config("positive = \"fail\"", BERNOULLI);
    let problem = Problem::build(&turned, rows.clone()).unwrap();
    assert_eq!(problem.y, [1.0, 0.0, 0.0, 1.0]);
    assert_eq!(problem.classes, ["pass", "fail"]);
    assert_eq!(problem.notes, ["response 'y': fail is 1, pass is 0"]);
    assert_eq!(
        message(&config("positive = \"pas\"", BERNOULLI), rows.clone()),
        "data.positive: found \"pas\", which is no level of column 'y', expected \"fail\" or \"pass\"; correct the key"
    );
    assert_eq!(
        message(&config("positive = \"fail\"", SOFTMAX), rows),
        "data.positive: found a value beside likelihood = \"softmax\", expected it only with bernoulli; remove the key"
    );
}

#[test]
fn plain_levels_need_no_note() {
    for levels in [["0", "1"], ["false", "true"], ["FALSE", "TRUE"]] {
        let problem = Problem::build(&config("", BERNOULLI), labels(&[0, 1, 1], &levels)).unwrap();
        assert!(problem.notes.is_empty(), "{:?}", problem.notes);
    }
    let turned = config("positive = false", BERNOULLI);
    let problem = Problem::build(&turned, labels(&[0, 1, 1], &["False", "True"])).unwrap();
    assert_eq!(problem.y, [1.0, 0.0, 0.0]);
    assert_eq!(problem.notes, ["response 'y': False is 1, True is 0"]);
    let two = Problem::build(&config("", BERNOULLI), labels(&[0, 1, 1], &["1", "2"])).unwrap();
    assert_eq!(two.notes.len(), 1);
}

#[test]
fn one_class_is_accepted_where_its_meaning_is_plain() {
    let build = |data: &str, level: &str| {
        Problem::build(&config(data, BERNOULLI), labels(&[0, 0, 0], &[level]))
    };
    for (level, y, classes) in [
        ("1", 1.0, ["0", "1"]),
        ("0", 0.0, ["0", "1"]),
        ("True", 1.0, ["False", "True"]),
        ("false", 0.0, ["false", "true"]),
    ] {
        let problem = build("", level).unwrap();
        assert_eq!((problem.y, problem.notes.len()), (vec![y; 3], 0));
        assert_eq!(problem.classes, classes);
    }
    assert_eq!(build("positive = 0", "1").unwrap().y, [0.0; 3]);
    let told = build("", "pass").unwrap_err().to_string();
    assert_eq!(
        told,
        "t.csv: column 'y': found the one level \"pass\" in every row, expected two for bernoulli; set data.positive = \"pass\" \
         if every row is a success, or choose another response"
    );
    let problem = build("positive = \"pass\"", "pass").unwrap();
    assert_eq!(problem.y, [1.0; 3]);
    assert_eq!(problem.classes, ["not pass", "pass"]);
    assert!(build("positive = \"fail\"", "pass").is_err());
}

#[test]
fn a_real_valued_response_is_no_set_of_classes() {
    for model in [BERNOULLI, SOFTMAX] {
        let rows = labels(&[0, 1, 2, 1], &["-0.5", "1", "2"]);
        let said = message(&config("", model), rows);
        assert!(said.contains("not whole, such as -0.5"), "{said}");
        assert!(said.contains("likelihood = \"gaussian\""), "{said}");
        assert!(!said.contains(". "), "one sentence: {said}");
    }
    let many = |levels: u32, rows: u32| {
        let names: Vec<String> = (0..levels).map(|l| (100 * l).to_string()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let index: Vec<u32> = (0..rows).map(|i| i % levels).collect();
        Problem::build(&config("", SOFTMAX), labels(&index, &names))
    };
    let said = many(51, 509).unwrap_err().to_string();
    assert!(said.contains("51 different numbers in 509 rows"), "{said}");
    assert_eq!(many(51, 510).unwrap().classes.len(), 51);
    assert_eq!(many(50, 60).unwrap().classes.len(), 50);
    // Words may be as many as they like: the remedy.
    let names: Vec<String> = (0..60).map(|l| format!("c{l}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let index: Vec<u32> = (0..60).collect();
    assert!(Problem::build(&config("", SOFTMAX), labels(&index, &names)).is_ok());
    let said = message(&config("", BERNOULLI), labels(&[0, 1, 2], &["a", "b", "c"]));
    assert!(
        said.contains("found 3 levels (a, b, c), expected two"),
        "{said}"
    );
}

#[test]
fn a_row_is_named_by_its_number_in_the_file() {
    let mut rows = table(Response::Numbers(vec![1.0, 2.0, -1.0]));
    rows.left_out = vec![0, 3];
    let said = message(&config("", "likelihood = \"poisson\""), rows.clone());
    assert!(said.contains("row 5, column 'y': found -1"), "{said}");
    rows.response = Response::Numbers(vec![1.0, 2.0, 3.0]);
    let halved = config("test_fraction = 0.34", "likelihood = \"gaussian\"");
    let problem = Problem::build(&halved, rows).unwrap();
    assert_eq!(problem.left_out, [0, 3]);
    assert_eq!(
        problem.notes,
        ["2 of 5 rows are left out, since a cell in them is missing"]
    );
    let held = problem.held_out.unwrap().rows;
    assert!(held.len() == 1 && [1, 2, 4].contains(&held[0]), "{held:?}");
}
