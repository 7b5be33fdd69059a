//! The workloads of the benches: synthetic logistic regression, SNGD at T = 1, closed-form correction, exact Fisher of the
//! batch, noise `full`. One definition for `sngd bench`, the criterion benches and the tests.

use crate::config::Config;
use crate::error::CheckError;
use crate::philox::{Stream, at, fill_normals, uniform};
use crate::problem::Problem;
use crate::table::{Response, Table};

/// Sizes of one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// W1 to W7.
    pub name: &'static str,
    /// Rows.
    pub n: usize,
    /// Parameters.
    pub p: usize,
    /// Chains.
    pub c: usize,
    /// Batch.
    pub b: usize,
}

const fn workload(name: &'static str, n: usize, p: usize, c: usize, b: usize) -> Workload {
    Workload { name, n, p, c, b }
}

/// All of them, by name.
pub const WORKLOADS: [Workload; 7] = [
    workload("W1", 10_000, 8, 1024, 64),
    workload("W2", 10_000, 32, 256, 128),
    workload("W3", 10_000, 64, 64, 256),
    workload("W4", 10_000, 256, 16, 512),
    workload("W5", 20_000, 1024, 2, 1024),
    workload("W6", 20_000, 4096, 1, 4096),
    workload("W7", 1_000_000, 100, 32, 1024),
];

impl Workload {
    /// Least floating-point work of a chain-step: SYRK (lower half) B·P², Cholesky P³/3, exact leverages B·P².
    pub fn flops(&self) -> f64 {
        let (b, p) = (self.b as f64, self.p as f64);
        2.0 * b * p * p + p * p * p / 3.0
    }

    /// Standard normal features, labels from a logistic model with weights of size 1/√P, prior normal(0, 1).
    pub fn build(&self) -> Result<(Config, Problem), CheckError> {
        let (n, p) = (self.n, self.p);
        let mut features = vec![0.0f64; n * p];
        for (i, row) in features.chunks_mut(p).enumerate() {
            fill_normals(row, 17, Stream::Init, i as u32, 0);
        }
        let index = features
            .chunks(p)
            .enumerate()
            .map(|(i, row)| {
                let eta: f64 = row
                    .iter()
                    .enumerate()
                    .map(|(j, x)| x * if j % 2 == 0 { 1.0 } else { -1.0 })
                    .sum();
                let mu = 1.0 / (1.0 + (-eta / (p as f64).sqrt()).exp());
                u32::from(uniform(at(17, Stream::Label, i as u32, 0, 0)[0]) < mu)
            })
            .collect();
        let table = Table {
            source: self.name.into(),
            feature_names: (0..p).map(|j| format!("x{j}")).collect(),
            features,
            response: Response::Labels {
                index,
                levels: vec!["0".into(), "1".into()],
            },
            trials: None,
            offset: None,
            weights: None,
        };
        let text = format!(
            "[data]\npath = \"-\"\nresponse = \"y\"\nintercept = false\n[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 1)\"\n[sampler]\nstep_size = 0.1\nbatch_size = {}\nfisher_rows = \"batch\"\nnoise = \"full\"\ncorrection = \"closed_form\"\n[run]\nchains = {}\nwarmup = 0\n",
            self.b, self.c
        );
        let config: Config = toml::from_str(&text).map_err(|e| CheckError(e.to_string()))?;
        let problem = Problem::build(&config, table)?;
        Ok((config, problem))
    }
}
