//! Default priors against rstanarm's rules worked out by hand, and the density of an intercept's prior at the means of the columns.

use super::{AT_MEANS, Problem, StatedPrior};
use crate::config::Config;
use crate::features::Features;
use crate::prior::{Prior, ScalePrior};
use crate::table::{Response, Table};

const X: [f64; 5] = [1.0, 2.0, 3.0, 4.0, 10.0];
const Z: [f64; 5] = [-100.0, 300.0, 0.0, 100.0, 200.0];

fn table(response: Response) -> Table {
    Table::new(
        "t.csv",
        vec!["x".into(), "z".into()],
        Features::new(2, (0..5).flat_map(|i| [X[i], Z[i]]).collect::<Vec<f64>>()),
        response,
    )
}

fn numbers() -> Response {
    Response::Numbers(vec![10.0, 30.0, 20.0, 50.0, 40.0])
}

fn labels(y: [u32; 5]) -> Response {
    Response::Labels {
        index: y.to_vec(),
        levels: vec!["0".into(), "1".into()],
    }
}

fn build(rest: &str, table: Table) -> Problem {
    let text = format!("[data]\npath = \"-\"\nresponse = \"y\"\n{rest}");
    let config: Config = toml::from_str(&text).unwrap();
    Problem::build(&config, table).unwrap()
}

/// Sample sds (divisor N − 1): of the response 15.811, of x 3.536, of z 158.1.
#[test]
fn a_gaussian_has_priors_on_the_scale_of_its_data() {
    let p = build("[model]\nlikelihood = \"gaussian\"\n", table(numbers()));
    let expected = [
        Prior::Normal(30.0, 39.53),
        Prior::Normal(0.0, 11.18),
        Prior::Normal(0.0, 0.25),
    ];
    assert_eq!(p.priors, expected);
    assert_eq!(p.scale_prior, Some(ScalePrior::Exponential(0.063_25)));
    assert!(p.intercept_at_means);
    let line = |parameters: &str, prior: &str| StatedPrior {
        parameters: parameters.into(),
        prior: prior.into(),
        default: true,
    };
    let stated = [
        line(AT_MEANS, "normal(30, 39.53)"),
        line("weights[x]", "normal(0, 11.18)"),
        line("weights[z]", "normal(0, 0.25)"),
        line("scale", "exponential(0.06325)"),
    ];
    assert_eq!(p.stated_priors, stated);
}

/// A row that counts twice is two rows, and `prior = "default"` and `weights = "default"` say what their absence says.
#[test]
fn defaults_are_those_of_the_long_table_and_may_be_asked_for() {
    let model = "[model]\nlikelihood = \"gaussian\"\n";
    let mut counted = table(numbers());
    counted.weights = Some(vec![2.0, 1.0, 1.0, 0.0, 3.0]);
    let rows = [0, 0, 1, 2, 4, 4, 4];
    let y = [10.0, 30.0, 20.0, 50.0, 40.0];
    let mut long = table(Response::Numbers(rows.iter().map(|&i| y[i]).collect()));
    let flat = rows.iter().flat_map(|&i| [X[i], Z[i]]);
    long.features = Features::new(2, flat.collect::<Vec<f64>>());
    let a = build(&format!("weights = \"w\"\n{model}"), counted);
    let b = build(model, long);
    assert_eq!(a.stated_priors, b.stated_priors);
    for asked in [
        "[prior]\nweights = \"default\"\nscale = \"default\"\nintercept = \"default\"\n",
        "[prior]\n\"weights.x\" = \"default\"\nintercept_at_means = \"default\"\n",
    ] {
        let c = build(&format!("{model}{asked}"), table(numbers()));
        assert_eq!(
            c.stated_priors,
            build(model, table(numbers())).stated_priors
        );
    }
    let text = format!("prior = \"default\"\n[data]\npath = \"-\"\nresponse = \"y\"\n{model}");
    let config: Config = toml::from_str(&text).unwrap();
    let d = Problem::build(&config, table(numbers())).unwrap();
    assert_eq!(d.stated_priors.len(), 4);
}

#[test]
fn other_responses_have_sd_1_and_the_link_of_their_mean() {
    let at = |rest: &str, t: Table| {
        let p = build(rest, t);
        (p.priors[0], p.priors[1])
    };
    let slope = Prior::parse("normal(0, 0.7071)").unwrap();
    // Three of five: ln(3.5/2.5).
    let logit = "[model]\nlikelihood = \"bernoulli\"\n";
    let of = labels([1, 0, 1, 1, 0]);
    assert_eq!(at(logit, table(of)), (Prior::Normal(0.336, 2.5), slope));
    let mut t = table(Response::Numbers(vec![0.0, 2.0, 4.0, 1.0, 3.0]));
    t.offset = Some(vec![1.0; 5]);
    // ln(10.5/5) − 1.
    let poisson = "offset = \"o\"\n[model]\nlikelihood = \"poisson\"\n";
    assert_eq!(at(poisson, t), (Prior::Normal(-0.258, 2.5), slope));
    let softmax = "[model]\nlikelihood = \"softmax\"\n";
    let of = labels([1, 0, 1, 1, 0]);
    assert_eq!(at(softmax, table(of)), (Prior::Normal(0.0, 2.5), slope));
}

#[test]
fn flat_weights_bring_a_flat_intercept_unless_one_is_asked_for() {
    let flat = "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"flat\"\n";
    let p = build(flat, table(labels([1, 0, 1, 1, 0])));
    assert_eq!((p.priors[0], p.intercept_at_means), (Prior::Flat, false));
    let asked = format!("{flat}intercept = \"default\"\n");
    let p = build(&asked, table(labels([1, 0, 1, 1, 0])));
    assert!(p.intercept_at_means && p.priors[0] != Prior::Flat);
    let both = "[data]\npath = \"-\"\nresponse = \"y\"\n[model]\nlikelihood = \"gaussian\"\n[prior]\nintercept = \"flat\"\nintercept_at_means = \"normal(0, 1)\"\n";
    let config: Config = toml::from_str(both).unwrap();
    let refused = Problem::build(&config, table(numbers())).unwrap_err();
    assert!(
        refused.to_string().contains("remove the other"),
        "{refused}"
    );
}

/// ln prior of (intercept, weights, log scale) on the user's scale, written out; its gradient by differences.
#[test]
fn the_prior_at_the_means_is_the_density_that_is_stated() {
    let rest = "[model]\nlikelihood = \"gaussian\"\n[prior]\nintercept_at_means = \"normal(7, 3)\"\nweights = \"student_t(4, 0.5, 2)\"\nscale = \"exponential(0.1)\"\n";
    for standardize in [false, true] {
        let p = build(
            &format!("standardize = {standardize}\n{rest}"),
            table(numbers()),
        );
        let means = match standardize {
            true => [0.0, 0.0],
            false => [4.0, 100.0],
        };
        let at = |omega: &[f64]| {
            let mut theta = vec![0.0; 4];
            p.transform.natural(omega, &mut theta);
            let centre = theta[0] + means[0] * theta[1] + means[1] * theta[2];
            let sigma = theta[3].exp();
            let density = |q: Prior, x: f64| q.cost::<f64>(x).0 + q.log_norm();
            density(Prior::Normal(7.0, 3.0), centre)
                + density(Prior::StudentT(4.0, 0.5, 2.0), theta[1])
                + density(Prior::StudentT(4.0, 0.5, 2.0), theta[2])
                + 0.1 * sigma
        };
        let omega = [0.4, -0.3, 0.8, 0.2];
        let (mut theta, mut gradient) = (vec![0.0; 4], vec![0.0; 4]);
        let cost = p.prior_cost(&omega, false, &mut theta, &mut gradient);
        assert!((cost - at(&omega)).abs() < 1e-9 * cost.abs(), "{cost}");
        for j in 0..4 {
            let moved = |v: f64| {
                let mut o = omega;
                o[j] = v;
                at(&o)
            };
            let slope = crate::differences::slope(moved, omega[j], 1e-5);
            assert!(
                (slope - gradient[j]).abs() < 1e-6 * (1.0 + slope.abs()),
                "{j}"
            );
        }
    }
}
