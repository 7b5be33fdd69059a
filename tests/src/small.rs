//! Small problems for tests: a table from columns, a run file from text.

use sngd_core::config::Config;
use sngd_core::features::Features;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};

/// A table with named feature columns and a numeric response.
pub fn table(features: &[(&str, &[f64])], response: Response) -> Table {
    let n = match &response {
        Response::Numbers(v) => v.len(),
        Response::Labels { index, .. } => index.len(),
    };
    Table::new(
        "test",
        features
            .iter()
            .map(|(name, _)| (*name).to_string())
            .collect(),
        Features::new(
            features.len(),
            (0..n)
                .flat_map(|i| features.iter().map(move |(_, v)| v[i]))
                .collect::<Vec<_>>(),
        ),
        response,
    )
}

/// Labels 0, 1, ... as a response.
pub fn labels(index: &[u32], levels: usize) -> Response {
    Response::Labels {
        index: index.to_vec(),
        levels: (0..levels).map(|l| l.to_string()).collect(),
    }
}

/// A config from the text of a run file; the data section is added.
pub fn config(rest: &str) -> Config {
    toml::from_str(&format!("[data]\npath = \"-\"\nresponse = \"y\"\n{rest}"))
        .expect("a run file of a test")
}

/// The config of [`config`], and the problem for a table.
pub fn problem(rest: &str, table: Table) -> (Config, Problem) {
    let config = config(rest);
    let problem = Problem::build(&config, table).expect("a problem of a test");
    (config, problem)
}

/// A logistic regression whose columns are skewed, P = d + 1.
pub fn logistic(n: usize, d: usize) -> Table {
    let x: Vec<Vec<f64>> = (0..d)
        .map(|j| {
            (0..n)
                .map(|i| {
                    let u = ((i * (2 * j + 3) * 7919 + j * 104_729) % 10_007) as f64 / 10_007.0;
                    (1.0 + j as f64) * (u * u * 3.0 - 1.0) + 5.0
                })
                .collect()
        })
        .collect();
    let y: Vec<u32> = (0..n)
        .map(|i| {
            let eta: f64 = (0..d)
                .map(|j| (x[j][i] - 5.0) / (1.0 + j as f64) * if j % 2 == 0 { 0.8 } else { -0.5 })
                .sum::<f64>()
                - 0.4;
            let u = ((i * 48_271 + 11) % 9973) as f64 / 9973.0;
            u32::from(u < 1.0 / (1.0 + (-eta).exp()))
        })
        .collect();
    let names: Vec<String> = (0..d).map(|j| format!("x{j}")).collect();
    let columns: Vec<(&str, &[f64])> = names
        .iter()
        .zip(&x)
        .map(|(n, v)| (n.as_str(), v.as_slice()))
        .collect();
    table(&columns, labels(&y, 2))
}
