//! Tests of how a response is read: classes, counts and proportions, and the rows that are left out.

use super::Problem;
use crate::config::Config;
use crate::features::Features;
use crate::table::{Response, Table};

/// A table of one feature.
fn table(response: Response) -> Table {
    let mut table = Table::new(
        "t.csv",
        vec!["x".into()],
        Features::new(1, Vec::<f64>::new()),
        response,
    );
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
         if every row is a success, or to the level that none has, or choose another response"
    );
    let problem = build("positive = \"pass\"", "pass").unwrap();
    assert_eq!(problem.y, [1.0; 3]);
    assert_eq!(problem.classes, ["not pass", "pass"]);
    // A level that no row has can be the one that is 1.
    let problem = build("positive = \"fail\"", "pass").unwrap();
    assert_eq!(problem.y, [0.0; 3]);
    assert_eq!(problem.classes, ["pass", "fail"]);
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
    rows.notes = vec!["of the reader".into()];
    let said = message(&config("", "likelihood = \"poisson\""), rows.clone());
    assert!(said.contains("row 5, column 'y': found -1"), "{said}");
    rows.response = Response::Numbers(vec![1.0, 2.0, 3.0]);
    let halved = config("test_fraction = 0.34", "likelihood = \"gaussian\"");
    let problem = Problem::build(&halved, rows).unwrap();
    assert_eq!(problem.left_out, [0, 3]);
    assert_eq!(
        problem.notes,
        [
            "of the reader",
            "left out 2 of 5 rows, in which a cell is missing"
        ]
    );
    let held = problem.held_out.unwrap().rows;
    assert!(held.len() == 1 && [1, 2, 4].contains(&held[0]), "{held:?}");
}

/// Successes, and trials where there is a column.
fn successes(y: &[f64], trials: Option<&[f64]>) -> Table {
    let mut table = table(Response::Numbers(y.to_vec()));
    table.trials = trials.map(<[f64]>::to_vec);
    table
}

const COLUMN: &str = "likelihood = \"binomial\"\ntrials = \"n\"";

#[test]
fn trials_are_a_column_a_number_or_successes_and_failures() {
    let y = [3.0, 0.0, 10.0];
    let ten = "likelihood = \"binomial\"\ntrials = 10";
    let problem = Problem::build(&config("", ten), successes(&y, None)).unwrap();
    assert_eq!((problem.y, problem.trials), (y.to_vec(), vec![10.0; 3]));
    let said = message(&config("", ten), successes(&[3.0, 11.0], None));
    assert!(
        said.contains("row 2: found 11 successes of 10 trials"),
        "{said}"
    );

    let failures = "likelihood = \"binomial\"\nfailures = \"f\"";
    let problem =
        Problem::build(&config("", failures), successes(&y, Some(&[1.0, 2.0, 0.0]))).unwrap();
    assert_eq!(
        (problem.y, problem.trials),
        (y.to_vec(), vec![4.0, 2.0, 10.0])
    );
    let said = message(
        &config("", failures),
        successes(&y, Some(&[1.0, -2.0, 0.0])),
    );
    assert!(
        said.contains("row 2, column 'f': found -2, expected a count of failures"),
        "{said}"
    );

    let both = format!("{failures}\ntrials = \"n\"");
    let said = message(&config("", &both), successes(&y, Some(&y)));
    assert!(
        said.starts_with("model.failures: found \"f\" beside model.trials"),
        "{said}"
    );
    let none = config("", "likelihood = \"binomial\"");
    let said = message(&none, successes(&y, None));
    for remedy in [
        "trials = \"COLUMN\"",
        "trials = 10",
        "failures = \"COLUMN\"",
    ] {
        assert!(said.contains(remedy), "{said}");
    }
    let other = config("", "likelihood = \"poisson\"\nfailures = \"f\"");
    let said = message(&other, successes(&y, Some(&y)));
    assert!(
        said.starts_with("model.failures: ") && said.contains("only with binomial"),
        "{said}"
    );
}

#[test]
fn proportions_of_trials_are_successes() {
    let (counts, trials) = (
        [11.0, 0.0, 1.0, 2.0, 33_333.0],
        [28.0, 7.0, 3.0, 2.0, 100_000.0],
    );
    let exact: Vec<f64> = counts.iter().zip(&trials).map(|(y, t)| y / t).collect();
    let six: Vec<f64> = exact.iter().map(|p| (p * 1e6).round() / 1e6).collect();
    for shares in [&exact, &six] {
        let problem =
            Problem::build(&config("", COLUMN), successes(shares, Some(&trials))).unwrap();
        assert_eq!(problem.y, counts);
        assert_eq!(problem.trials, trials);
        assert_eq!(problem.notes.len(), 1);
    }
    // Two digits are too few, and six for a million trials.
    let said = message(
        &config("", COLUMN),
        successes(&[1.0, 0.39], Some(&[28.0, 28.0])),
    );
    assert!(
        said.starts_with("t.csv: row 2, column 'y': found a proportion of 0.39, which is 10.92 successes of 28 trials"),
        "{said}"
    );
    let far = successes(&[0.333333, 1.0], Some(&[1e6 + 1.0, 1.0]));
    assert!(message(&config("", COLUMN), far).contains("row 1, column 'y'"));
    // Whole numbers are counts, whatever they are; numbers beyond 1 are no proportions.
    let ones = successes(&[1.0, 0.0, 1.0], Some(&[5.0, 5.0, 5.0]));
    let problem = Problem::build(&config("", COLUMN), ones).unwrap();
    assert_eq!((problem.y, problem.notes.len()), (vec![1.0, 0.0, 1.0], 0));
    let said = message(
        &config("", COLUMN),
        successes(&[1.0, 2.5], Some(&[5.0, 5.0])),
    );
    assert!(said.contains("row 2, column 'y': found 2.5"), "{said}");
}

#[test]
fn rows_without_trials_are_left_out() {
    let y = [3.0, 0.0, 1.0, 0.0, 2.0];
    let mut rows = successes(&y, Some(&[4.0, 0.0, 2.0, 3.0, 5.0]));
    rows.left_out = vec![0];
    rows.weights = Some(vec![1.0, 2.0, 3.0, 4.0, 5.0]);
    let weighted = config("weights = \"w\"", COLUMN);
    let problem = Problem::build(&weighted, rows).unwrap();
    assert_eq!(problem.y, [3.0, 1.0, 0.0, 2.0]);
    assert_eq!(problem.trials, [4.0, 2.0, 3.0, 5.0]);
    assert_eq!(problem.weights, [1.0, 3.0, 4.0, 5.0]);
    assert_eq!(problem.x.len(), 4 * problem.x.columns());
    assert_eq!(problem.left_out, [0, 2]);
    assert_eq!(
        problem.notes,
        [
            "left out 1 of 6 rows, in which a cell is missing",
            "left out 1 of 5 rows, which have 0 trials and add nothing"
        ]
    );
    let said = message(
        &config("", COLUMN),
        successes(&[0.0, 1.0], Some(&[1.0, 0.0])),
    );
    assert!(
        said.contains("row 2: found 1 successes of 0 trials"),
        "{said}"
    );
    let said = message(
        &config("", COLUMN),
        successes(&[0.0, 0.0], Some(&[0.0, 0.0])),
    );
    assert!(
        said.contains("found 0 trials in each of the rows to fit"),
        "{said}"
    );
}
