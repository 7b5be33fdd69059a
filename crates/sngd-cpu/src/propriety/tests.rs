//! Every kind of impropriety is found and named, proper posteriors pass, and separation is decided as by another library's linear programmes.

use super::{Cause, Priors, check};
use sngd_core::config::Config;
use sngd_core::features::Features;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};

/// Columns by name.
type Named<'a> = &'a [(&'a str, &'a [f64])];

fn config(rest: &str) -> Config {
    toml::from_str(&format!("[data]\npath = \"-\"\nresponse = \"y\"\n{rest}")).unwrap()
}

fn table(columns: Named<'_>, response: Response) -> Table {
    let n = columns.first().map_or(0, |c| c.1.len());
    let rows = (0..n).flat_map(|i| columns.iter().map(move |c| c.1[i]));
    Table::new(
        "t.csv",
        columns.iter().map(|c| c.0.to_string()).collect(),
        Features::new(columns.len(), rows.collect::<Vec<f64>>()),
        response,
    )
}

fn labels(y: &[u32], names: &[&str]) -> Response {
    Response::Labels {
        index: y.to_vec(),
        levels: names.iter().map(|n| n.to_string()).collect(),
    }
}

/// The sentence for a table under the run file's lines; empty where the posterior is not refused.
fn message(rest: &str, table: Table) -> String {
    let config = config(rest);
    let problem = Problem::build(&config, table).unwrap();
    check(&config, &problem)
        .err()
        .map_or(String::new(), |e| e.to_string())
}

/// Checks the parts of a sentence; and that the lines of `mend` in [prior] are in it and make the posterior proper.
fn refused(lines: &str, prior: &str, table: &Table, parts: &[&str], mend: &str) {
    let text = message(&format!("{lines}\n[prior]\n{prior}"), table.clone());
    for part in parts.iter().chain(&["improper"]) {
        assert!(text.contains(part), "expected '{part}' in: {text}");
    }
    for line in mend.lines() {
        assert!(
            text.contains(&format!("prior.{line}")),
            "expected '{line}' in: {text}"
        );
    }
    assert_eq!(
        text.matches("prior.").count(),
        mend.lines().count(),
        "{text}"
    );
    let key = |line: &str| {
        line.split('=')
            .next()
            .unwrap_or_default()
            .trim()
            .to_string()
    };
    let kept = prior
        .lines()
        .filter(|l| mend.lines().all(|m| key(m) != key(l)));
    let mended: Vec<&str> = kept.chain(mend.lines()).collect();
    assert_eq!(
        message(
            &format!("{lines}\n[prior]\n{}", mended.join("\n")),
            table.clone()
        ),
        ""
    );
}

const LOGIT: &str = "[model]\nlikelihood = \"bernoulli\"";
const FLAT: &str = "weights = \"flat\"";
/// Proper weights and a flat intercept.
const OPEN: &str = "weights = \"normal(0, 2.5)\"\nintercept = \"flat\"";
const INTERCEPT: &str = "intercept = \"normal(0, 2.5)\"";
/// Remedies.
const WEIGHTS: &str = "weights = \"default\"";
const OF_INTERCEPT: &str = "intercept = \"default\"";
const X: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
const Z: [f64; 8] = [3.0, -1.0, 2.0, 0.0, 1.0, -2.0, 5.0, 1.5];

/// The generator splitmix64, as in tests/data/separation/make.py.
struct SplitMix(u64);

impl SplitMix {
    fn below(&mut self, n: u64) -> i64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % n) as i64
    }
}

/// The data of one line of decisions.csv: features `[n,p]` and labels.
fn whole_numbers(seed: u64, n: usize, p: usize, grid: u64, flips: usize) -> Table {
    let mut random = SplitMix(seed);
    let rule: Vec<i64> = (0..=p).map(|_| random.below(7) - 3).collect();
    let (mut x, mut y) = (Vec::new(), Vec::new());
    for _ in 0..n {
        let row: Vec<i64> = (0..p)
            .map(|_| random.below(2 * grid + 1) - grid as i64)
            .collect();
        let score = rule[p] + row.iter().zip(&rule).map(|(v, r)| v * r).sum::<i64>();
        y.push(if score == 0 {
            random.below(2) as u32
        } else {
            u32::from(score > 0)
        });
        x.extend(row.into_iter().map(|v| v as f64));
    }
    for _ in 0..flips {
        let i = random.below(n as u64) as usize;
        y[i] = 1 - y[i];
    }
    x[..p].iter_mut().for_each(|v| *v += (grid + 1) as f64);
    Table::new(
        "t.csv",
        (0..p).map(|j| format!("x{j}")).collect(),
        Features::new(p, x),
        labels(&y, &["0", "1"]),
    )
}

#[test]
fn separation_is_decided_as_by_linear_programmes_of_another_library() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/data/separation/decisions.csv"
    );
    let text = std::fs::read_to_string(path).unwrap();
    let mut wrong = Vec::new();
    for line in text.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |i: usize| cells[i].parse::<u64>().unwrap();
        let table = whole_numbers(
            number(0),
            number(1) as usize,
            number(2) as usize,
            number(3),
            number(4) as usize,
        );
        let prior = match cells[6] {
            "all" => "",
            "no_intercept" => "intercept = \"normal(0, 5)\"\n",
            _ => "\"weights.x0\" = \"normal(0, 5)\"\n",
        };
        let config = config(&format!(
            "{LOGIT}\nlink = \"{}\"\n[prior]\n{FLAT}\n{prior}",
            cells[5]
        ));
        let problem = Problem::build(&config, table).unwrap();
        let found = match Priors::of(&config, &problem).cause(&problem) {
            None => "none",
            Some(Cause::Dependent { .. }) => "dependent",
            Some(Cause::Open(d)) if d.rows[2] == 0 => "complete",
            Some(Cause::Open(_)) => "quasi",
            Some(_) => "another",
        };
        if found != cells[7] {
            wrong.push(format!("{line}: {found}"));
        }
    }
    assert_eq!(text.lines().count(), 201);
    assert!(wrong.is_empty(), "{}\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn separated_classes_name_columns_and_signs() {
    for link in ["logit", "probit", "cloglog"] {
        let lines = format!("{LOGIT}\nlink = \"{link}\"\n[sampler]\ndamping = 0.01");
        let t = |y: &[u32]| table(&[("age", &X), ("dose", &Z)], labels(y, &["0", "1"]));
        // Age alone.
        let y = t(&[0, 0, 0, 0, 1, 1, 1, 1]);
        refused(
            &lines,
            FLAT,
            &y,
            &["larger `age` separates all 4 rows with y = 1 from the 4 rows with y = 0"],
            WEIGHTS,
        );
        // Age less dose: −2, 3, 1, 4, 4, 8, 2, 6.5. Neither alone separates.
        let y = t(&[0, 0, 0, 1, 1, 1, 0, 1]);
        refused(
            &lines,
            FLAT,
            &y,
            &["larger `age` with smaller `dose` separates all 4 rows with y = 1"],
            WEIGHTS,
        );
        // Neither, nor both.
        assert_eq!(
            message(
                &format!("{lines}\n[prior]\n{FLAT}"),
                t(&[0, 1, 0, 1, 0, 1, 1, 0])
            ),
            ""
        );
    }
}

#[test]
fn quasi_separation_counts_the_rows_on_the_border() {
    let dummy = [0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0];
    let t = table(
        &[("treated", &dummy), ("z", &Z)],
        labels(&[0, 1, 1, 1, 0, 1, 1, 1], &["no", "yes"]),
    );
    refused(
        LOGIT,
        FLAT,
        &t,
        &[
            "larger `treated` occurs with y = yes only, in 3 rows",
            "other 5",
        ],
        WEIGHTS,
    );
    let t = table(
        &[("x", &[1.0, 2.0, 3.0, 3.0, 4.0, 5.0])],
        labels(&[0, 0, 0, 1, 1, 1], &["0", "1"]),
    );
    refused(
        LOGIT,
        FLAT,
        &t,
        &[
            "larger `x` separates 2 rows with y = 1 from 2 rows with y = 0, while the other 2 lie on the border",
        ],
        WEIGHTS,
    );
}

/// The default priors are proper.
#[test]
fn proper_priors_make_their_directions_proper() {
    let t = table(
        &[("age", &X)],
        labels(&[0, 0, 0, 0, 1, 1, 1, 1], &["0", "1"]),
    );
    assert_eq!(message(LOGIT, t.clone()), "");
    // Larger age with a flat slope and a proper intercept: through the origin it separates nothing.
    let lines = format!("{LOGIT}\n[prior]\n{FLAT}\n{INTERCEPT}");
    assert_eq!(message(&lines, t), "");
    let below: Vec<f64> = X.iter().map(|x| x - 4.5).collect();
    let t = table(
        &[("age", &below)],
        labels(&[0, 0, 0, 0, 1, 1, 1, 1], &["0", "1"]),
    );
    refused(
        LOGIT,
        &format!("{FLAT}\n{INTERCEPT}"),
        &t,
        &["larger `age`"],
        WEIGHTS,
    );
    // The key of a column's own prior is named, and not another.
    let t = table(
        &[("age", &X), ("dose", &Z)],
        labels(&[0, 0, 0, 0, 1, 1, 1, 1], &["0", "1"]),
    );
    refused(
        LOGIT,
        "\"weights.age\" = \"flat\"",
        &t,
        &["larger `age`"],
        "\"weights.age\" = \"default\"",
    );
}

/// ∫ p(b)·b db is infinite for a Cauchy slope beside a flat intercept where larger x separates; not where rows share the border.
#[test]
fn a_cauchy_slope_does_not_end_a_direction_beside_a_flat_intercept() {
    let t = |y: &[u32]| table(&[("age", &X), ("dose", &Z)], labels(y, &["0", "1"]));
    let prior = "weights = \"cauchy(0, 2.5)\"\nintercept = \"flat\"";
    let separated = [0, 0, 0, 0, 1, 1, 1, 1];
    refused(
        LOGIT,
        prior,
        &t(&separated),
        &["larger `age`", "cauchy(0, 2.5) of `age`"],
        OF_INTERCEPT,
    );
    assert_eq!(
        message(
            &format!("{LOGIT}\n[prior]\nweights = \"student_t(3, 0, 2.5)\"\nintercept = \"flat\""),
            t(&separated)
        ),
        ""
    );
    let border = table(
        &[("x", &[1.0, 2.0, 3.0, 3.0, 4.0, 5.0])],
        labels(&[0, 0, 0, 1, 1, 1], &["0", "1"]),
    );
    assert_eq!(message(&format!("{LOGIT}\n[prior]\n{prior}"), border), "");
    // Separated by both columns, and by neither alone: two Cauchy tails.
    assert_eq!(
        message(
            &format!("{LOGIT}\n[prior]\n{prior}"),
            t(&[0, 0, 0, 1, 1, 1, 0, 1])
        ),
        ""
    );
}

#[test]
fn one_class_is_the_intercepts() {
    let mut t = table(&[("x", &X)], labels(&[0, 1, 1, 1, 1, 1, 1, 1], &["0", "1"]));
    t.weights = Some(vec![0.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]);
    let lines = format!("weights = \"w\"\n{LOGIT}");
    refused(
        &lines,
        OPEN,
        &t,
        &["all 7 rows have y = 1,", "as the intercept grows"],
        OF_INTERCEPT,
    );
    // Of flat weights too, x > 0 in every row: one proper prior is not enough.
    refused(
        &lines,
        FLAT,
        &t,
        &["all 7 rows have y = 1,"],
        &format!("{WEIGHTS}\n{OF_INTERCEPT}"),
    );
}

#[test]
fn successes_of_trials_have_the_same_ends() {
    let lines = "[model]\nlikelihood = \"binomial\"\ntrials = \"n\"";
    let t = |y: [f64; 6]| {
        let mut t = table(&[("x", &X[..6])], Response::Numbers(y.to_vec()));
        t.trials = Some(vec![4.0; 6]);
        t
    };
    refused(
        lines,
        OPEN,
        &t([4.0; 6]),
        &["all 6 rows have successes only,"],
        OF_INTERCEPT,
    );
    refused(
        lines,
        OPEN,
        &t([0.0; 6]),
        &["all 6 rows have no success,"],
        OF_INTERCEPT,
    );
    refused(
        lines,
        FLAT,
        &t([4.0, 4.0, 4.0, 0.0, 0.0, 0.0]),
        &["smaller `x` separates all 3 rows with successes only"],
        WEIGHTS,
    );
    let border = t([4.0, 4.0, 4.0, 1.0, 0.0, 0.0]);
    refused(
        lines,
        FLAT,
        &border,
        &["smaller `x` separates 3 rows", "the other 1"],
        WEIGHTS,
    );
    assert_eq!(
        message(
            &format!("{lines}\n[prior]\n{FLAT}"),
            t([4.0, 4.0, 3.0, 1.0, 0.0, 0.0])
        ),
        ""
    );
}

#[test]
fn counts_of_zero_leave_the_intercept_open() {
    let lines = "[model]\nlikelihood = \"poisson\"";
    let t = |y: [f64; 8]| table(&[("x", &X), ("z", &Z)], Response::Numbers(y.to_vec()));
    refused(
        lines,
        OPEN,
        &t([0.0; 8]),
        &["all 8 rows have a count of 0,", "as the intercept falls"],
        OF_INTERCEPT,
    );
    assert_eq!(
        message(
            &format!("{lines}\n[prior]\n{FLAT}"),
            t([1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 3.0, 0.0])
        ),
        ""
    );
    // Where treated there are counts of 0 only: that slope may fall, and no other mean moves.
    let dummy = [1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let t = table(
        &[("treated", &dummy)],
        Response::Numbers(vec![0.0, 0.0, 0.0, 2.0, 1.0, 0.0, 3.0, 1.0]),
    );
    refused(
        lines,
        FLAT,
        &t,
        &["larger `treated` occurs with counts of 0 only, in 2 rows, while the other 6"],
        WEIGHTS,
    );
}

#[test]
fn classes_of_softmax_are_named() {
    let lines = "[model]\nlikelihood = \"softmax\"\nbaseline = \"first\"";
    let names = ["ape", "bee", "cat"];
    let t = |y: &[u32]| table(&[("x", &X), ("z", &Z)], labels(y, &names));
    refused(
        lines,
        FLAT,
        &t(&[0, 1, 0, 1, 1, 2, 2, 2]),
        &["larger `x` separates all 3 rows with y = cat from the 5 rows with y other than cat"],
        WEIGHTS,
    );
    refused(
        lines,
        FLAT,
        &t(&[0, 0, 0, 1, 2, 1, 2, 1]),
        &["smaller `x` separates all 3 rows with y = ape"],
        WEIGHTS,
    );
    let mixed = t(&[0, 1, 2, 0, 1, 2, 0, 1]);
    let overlap = table(
        &[("x", &[1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0])],
        labels(&[0, 1, 2, 1, 2, 0, 2, 0, 1], &names),
    );
    assert_eq!(message(&format!("{lines}\n[prior]\n{FLAT}"), overlap), "");
    // A class without a row that counts.
    let mut empty = mixed;
    empty.weights = Some(vec![1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    refused(
        &format!("weights = \"w\"\n{lines}"),
        OPEN,
        &empty,
        &["all 6 rows have y other than cat,"],
        OF_INTERCEPT,
    );
}

#[test]
fn dependent_columns_are_named_with_their_relation() {
    let [a, b, c] = [
        [1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0, 1.0],
    ];
    let y = labels(&[0, 1, 0, 1, 1, 0, 1, 0], &["0", "1"]);
    let t = table(&[("x", &Z), ("ga", &a), ("gb", &b), ("gc", &c)], y.clone());
    refused(
        LOGIT,
        FLAT,
        &t,
        &["(`gc` = 1 − `ga` − `gb`)", "leave `gc` out"],
        WEIGHTS,
    );
    // Without the intercept they are no trap.
    let free = format!("intercept = false\n{LOGIT}\n[prior]\n{FLAT}");
    assert!(!message(&free, t.clone()).contains("determine"));
    // A proper prior of one of them is enough.
    assert!(
        !message(
            &format!("{LOGIT}\n[prior]\n{FLAT}\n\"weights.ga\" = \"normal(0, 1)\""),
            t
        )
        .contains("determine")
    );
    // Twins in other units, each rounded to the decimals of a file.
    let cm = [
        169.93, 180.46, 177.42, 177.24, 186.19, 157.94, 163.73, 156.79,
    ];
    let inch = cm.map(|v: f64| (v / 2.54 * 1e6).round() / 1e6);
    let counts = Response::Numbers(vec![1.0, 0.0, 2.0, 3.0, 1.0, 0.0, 2.0, 1.0]);
    let poisson = "[model]\nlikelihood = \"poisson\"";
    let t = table(&[("cm", &cm), ("inch", &inch)], counts.clone());
    refused(
        poisson,
        FLAT,
        &t,
        &["(`inch` = 0.393701 × `cm`)", "leave `inch` out"],
        WEIGHTS,
    );
    // Nearly alike is not alike.
    let near =
        std::array::from_fn::<f64, 8, _>(|i| cm[i] + [0.5, -0.2, 0.3, 0.1, -0.6, 0.4, 0.0, 0.2][i]);
    assert_eq!(
        message(
            &format!("{poisson}\n[prior]\n{FLAT}"),
            table(&[("cm", &cm), ("near", &near)], counts)
        ),
        ""
    );
    // Jeffreys' volume is 0 everywhere.
    let jeffreys = format!("{LOGIT}\n[sampler]\ntarget = \"jeffreys\"");
    refused(
        &jeffreys,
        FLAT,
        &table(&[("x", &X), ("twice", &X.map(|x| 2.0 * x))], y),
        &["`twice` = 2 × `x`"],
        WEIGHTS,
    );
}

/// A proper intercept at the means of the columns takes what is constant: a flat coefficient is decided by the centred column.
#[test]
fn an_intercept_at_the_means_sees_centred_columns() {
    let at_means = "intercept_at_means = \"normal(0, 2.5)\"";
    let t = |y: &[u32]| table(&[("age", &X)], labels(y, &["0", "1"]));
    // The classes part at the mean, 4.5.
    refused(
        LOGIT,
        &format!("{FLAT}\n{at_means}"),
        &t(&[0, 0, 0, 0, 1, 1, 1, 1]),
        &["larger `age` separates all 4 rows"],
        WEIGHTS,
    );
    // They part elsewhere, and the intercept must follow.
    let lines = format!("{LOGIT}\n[prior]\n{FLAT}\n{at_means}");
    assert_eq!(message(&lines, t(&[0, 0, 0, 0, 0, 0, 1, 1])), "");
    let half = X.map(|x| 10.0 - 0.5 * x);
    let t = table(
        &[("age", &X), ("left", &half)],
        labels(&[0, 1, 0, 1, 0, 1, 1, 0], &["0", "1"]),
    );
    refused(
        LOGIT,
        &format!("{FLAT}\n{at_means}"),
        &t,
        &["(`left` = 10 − 0.5 × `age`)"],
        WEIGHTS,
    );
}

/// A constant column says nothing beside an intercept.
#[test]
fn a_constant_column_needs_a_proper_prior() {
    let t = table(
        &[("x", &X), ("k", &[3.0; 8])],
        labels(&[0, 1, 0, 1, 0, 1, 1, 0], &["0", "1"]),
    );
    assert_eq!(message(LOGIT, t.clone()), "");
    refused(LOGIT, FLAT, &t, &["(`k` = 3)", "leave `k` out"], WEIGHTS);
}

#[test]
fn separated_classes_have_a_jeffreys_posterior() {
    let t = table(
        &[("age", &X)],
        labels(&[0, 0, 0, 0, 1, 1, 1, 1], &["0", "1"]),
    );
    assert_eq!(
        message(
            &format!("{LOGIT}\n[sampler]\ntarget = \"jeffreys\"\n[prior]\n{FLAT}"),
            t
        ),
        ""
    );
}

#[test]
fn fewer_rows_than_coefficients_are_counted() {
    let t = table(
        &[("a", &X[..3]), ("b", &Z[..3]), ("c", &Z[3..6])],
        labels(&[0, 1, 1], &["0", "1"]),
    );
    refused(
        LOGIT,
        FLAT,
        &t,
        &["3 rows for 4 coefficients", "at least 4 rows"],
        WEIGHTS,
    );
}

const GAUSS: &str = "[model]\nlikelihood = \"gaussian\"\nscale = \"unknown\"";

#[test]
fn a_response_that_is_fitted_exactly_lets_the_scale_fall() {
    let exact = X.map(|x| 32.0 + 1.8 * x);
    let t = |y: &[f64; 8]| table(&[("c", &X)], Response::Numbers(y.to_vec()));
    for weights in [FLAT, OPEN] {
        refused(
            GAUSS,
            weights,
            &t(&exact),
            &["'y' is fitted without error by `c`", "near 0"],
            "scale = \"inv_gamma(2, 1)\"",
        );
    }
    let rounded = exact.map(|y: f64| y.round());
    assert_eq!(
        message(&format!("{GAUSS}\n[prior]\n{FLAT}"), t(&rounded)),
        ""
    );
    assert_eq!(
        message(
            &format!("[model]\nlikelihood = \"gaussian\"\nscale = 1.0\n[prior]\n{FLAT}"),
            t(&exact)
        ),
        ""
    );
}

/// σ^(R−W) with as many rows as columns can bend to is no more than the prior itself: proper, though the joint density has no mode.
#[test]
fn many_columns_that_fit_few_rows_are_proper() {
    let columns: Vec<Vec<f64>> = (0..12)
        .map(|j| {
            (0..8)
                .map(|i| ((i * 7 + j * 13 + i * i * j) % 11) as f64)
                .collect()
        })
        .collect();
    let names: Vec<String> = (0..12).map(|j| format!("g{j}")).collect();
    let named: Vec<(&str, &[f64])> = names
        .iter()
        .zip(&columns)
        .map(|(n, c)| (n.as_str(), c.as_slice()))
        .collect();
    let wide = |y: &[f64]| table(&named, Response::Numbers(y.to_vec()));
    assert_eq!(
        message(
            &format!("{GAUSS}\n[prior]\nweights = \"normal(0, 0.3)\""),
            wide(&Z)
        ),
        ""
    );
    // As many rows as flat coefficients, with a proper scale.
    let square = table(
        &[("a", &X[..3]), ("b", &Z[..3])],
        Response::Numbers(vec![1.0, 4.0, 2.0]),
    );
    assert_eq!(
        message(&format!("{GAUSS}\n[prior]\n{FLAT}"), square.clone()),
        ""
    );
    // Each of those rows counted twice.
    let mut twice = square.clone();
    twice.weights = Some(vec![2.0; 3]);
    refused(
        &format!("weights = \"w\"\n{GAUSS}"),
        FLAT,
        &twice,
        &["without error"],
        "scale = \"inv_gamma(2, 1)\"",
    );
    // And with a flat scale.
    refused(
        GAUSS,
        &format!("{FLAT}\nscale = \"flat\""),
        &square,
        &["3 rows for 3 coefficients", "prior flat of scale"],
        "scale = \"inv_gamma(2, 1)\"",
    );
}

/// A first look at some of the rows serves where classes overlap; where they do not, all rows are looked at.
#[test]
fn many_rows_are_decided_alike() {
    let n = 40_000;
    let at = |i: usize, j: usize| ((i * (7919 + 2 * j) + j * 104_729) % 10_007) as f64 / 10_007.0;
    let columns: Vec<Vec<f64>> = (0..5).map(|j| (0..n).map(|i| at(i, j)).collect()).collect();
    let names = ["a", "b", "c", "d", "e"];
    let named: Vec<(&str, &[f64])> = names
        .iter()
        .zip(&columns)
        .map(|(n, c)| (*n, c.as_slice()))
        .collect();
    let run = |y: &[u32]| {
        message(
            &format!("{LOGIT}\n[prior]\n{FLAT}"),
            table(&named, labels(y, &["0", "1"])),
        )
    };
    let mut y: Vec<u32> = (0..n)
        .map(|i| u32::from(columns[1][i] - columns[3][i] > 0.1))
        .collect();
    let text = run(&y);
    assert!(
        text.contains("larger `b` with smaller `d` separates all"),
        "{text}"
    );
    // One row on the wrong side, which the first look need not see, ends it.
    let last = (0..n)
        .filter(|i| y[*i] == 0)
        .min_by(|a, b| columns[1][*a].total_cmp(&columns[1][*b]))
        .unwrap();
    y[last] = 1;
    assert_eq!(run(&y), "");
}
