//! The network reference: 6–8–1 tanh on the yacht data, known scale 0.3, N(0, 1) on all 65 parameters. Only what the
//! network's symmetries do not change is compared: function values on the test rows, the log posterior and ‖θ‖².

use crate::compare::moments;
use crate::drive::Draws;
use crate::{refs, small};
use sngd_core::config::Config;
use sngd_core::features::Features;
use sngd_core::network::Activation;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};
use std::path::Path;

/// Data and reference of the yacht network.
#[derive(Debug, Clone)]
pub struct Yacht {
    /// Run file with `[sampler]` and `[run]` at their defaults.
    pub config: Config,
    /// The problem: data, network and priors.
    pub problem: Problem,
    /// Features of the test rows `[62,6]`.
    test: Vec<f64>,
    /// Mean and sd of f on the test rows, then of the log posterior and ‖θ‖².
    reference: Vec<(f64, f64)>,
}

/// Distance of a run's draws from the reference.
#[derive(Debug, Clone, Copy, Default)]
pub struct Distance {
    /// Largest |mean − reference| over the function values, in reference sds.
    pub mean: f64,
    /// Monte Carlo error of that mean, in reference sds.
    pub mean_mcse: f64,
    /// Largest |sd/reference − 1| over the function values.
    pub sd: f64,
    /// Monte Carlo error of that ratio.
    pub sd_mcse: f64,
    /// Log posterior: (mean − reference)/sd, and sd ratio − 1.
    pub log_posterior: (f64, f64),
    /// The same two numbers for ‖θ‖².
    pub norm: (f64, f64),
}

fn csv(path: &Path) -> (Vec<f64>, Vec<f64>) {
    let text = std::fs::read_to_string(path).expect("a network's data read");
    let (mut x, mut y) = (Vec::new(), Vec::new());
    let header = text.lines().next().expect("a header");
    let target = header
        .split(',')
        .position(|c| c == "y")
        .expect("a column y");
    for line in text.lines().skip(1).filter(|l| !l.is_empty()) {
        for (j, v) in line.split(',').enumerate() {
            let v = v.parse().expect("a number");
            if j == target { y.push(v) } else { x.push(v) }
        }
    }
    (x, y)
}

/// Loads the reference; prints a message and returns `None` if it is missing.
pub fn load() -> Option<Yacht> {
    let Some(folder) = refs::folder("mlp/mlp_yacht_h8") else {
        refs::skip("mlp_yacht_h8");
        return None;
    };
    let (x, y) = csv(&folder.join("train.csv"));
    let d = x.len() / y.len();
    let table = Table::new(
        "yacht",
        (0..d).map(|j| format!("x{j}")).collect(),
        Features::new(d, x),
        Response::Numbers(y),
    );
    let text = "[model]\npredictor = \"mlp\"\nhidden = [8]\nlikelihood = \"gaussian\"\nscale = 0.3\n[prior]\nweights = \"normal(0, 1)\"\nbias = \"normal(0, 1)\"\n";
    let (config, problem) = small::problem(text, table);
    let (test, _) = csv(&folder.join("test.csv"));
    let text = std::fs::read_to_string(folder.join("reference_hmc.json")).expect("a reference");
    let json: serde_json::Value = serde_json::from_str(&text).expect("a reference is JSON");
    let list = |key: &str| -> Vec<f64> {
        json[key]
            .as_array()
            .map(|a| a.iter().filter_map(serde_json::Value::as_f64).collect())
            .unwrap_or_default()
    };
    let mut reference: Vec<(f64, f64)> = list("f_test_mean")
        .into_iter()
        .zip(list("f_test_sd"))
        .collect();
    for key in ["log_post_unnorm", "theta_norm2"] {
        let v = list(key);
        reference.push((v[0], v[1]));
    }
    Some(Yacht {
        config,
        problem,
        test,
        reference,
    })
}

impl Yacht {
    /// Standard random starts, `[C,P]`.
    pub fn starts(&self, chains: usize, seed: u64) -> Vec<f64> {
        let net = self.problem.network.as_ref().expect("a network");
        let p = self.problem.parameters();
        let mut out = vec![0.0; chains * p];
        for (c, omega) in out.chunks_mut(p).enumerate() {
            net.start(omega, seed, c as u32);
        }
        out
    }

    /// Function values f on the test rows, log posterior without constants, ‖θ‖².
    fn functions(&self, theta: &[f64]) -> Vec<f64> {
        let d = 6;
        let (hidden, out) = theta.split_at(8 * (d + 1));
        let f = |x: &[f64]| -> f64 {
            let mut sum = out[8];
            for h in 0..8 {
                let w = &hidden[h * (d + 1)..(h + 1) * (d + 1)];
                let z: f64 = w[d] + w.iter().zip(x).map(|(w, x)| w * x).sum::<f64>();
                sum += out[h] * Activation::Tanh.value_and_slope(z).0;
            }
            sum
        };
        let mut values: Vec<f64> = self.test.chunks(d).map(f).collect();
        let misfit: f64 = self
            .problem
            .x
            .to_vec()
            .chunks(d)
            .zip(&self.problem.y)
            .map(|(x, y)| (y - f(x)).powi(2))
            .sum();
        let norm: f64 = theta.iter().map(|t| t * t).sum();
        values.push(-0.5 * misfit / 0.09 - 0.5 * norm);
        values.push(norm);
        values
    }

    /// Distance of draws from the reference.
    pub fn distance(&self, draws: &Draws) -> Distance {
        let p = draws.p;
        let count = self.reference.len();
        let mut chains = vec![vec![Vec::with_capacity(draws.n); draws.chains]; count];
        for i in 0..draws.n {
            for c in 0..draws.chains {
                let at = (i * draws.chains + c) * p;
                let values = self.functions(&draws.values[at..at + p]);
                for (k, v) in values.into_iter().enumerate() {
                    chains[k][c].push(v);
                }
            }
        }
        let mut out = Distance::default();
        for (k, (m, s)) in self.reference.iter().enumerate() {
            let (mean, sd, mean_se, sd_se) = moments(&chains[k]);
            let (dm, ds) = ((mean - m) / s, sd / s - 1.0);
            if k == count - 2 {
                out.log_posterior = (dm, ds);
            } else if k == count - 1 {
                out.norm = (dm, ds);
            } else {
                if dm.abs() > out.mean {
                    (out.mean, out.mean_mcse) = (dm.abs(), mean_se / s);
                }
                if ds.abs() > out.sd {
                    (out.sd, out.sd_mcse) = (ds.abs(), sd_se / s);
                }
            }
        }
        out
    }
}
