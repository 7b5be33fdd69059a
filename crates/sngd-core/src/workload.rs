//! The workloads of the benches: synthetic logistic regression at T = 1. W1 to W7 are SNGD with the metric at the state, closed-form
//! correction, exact Fisher of the batch, noise `full`; W8 is control variates and W9 exact MALA with the metric at the mode. One
//! definition for `sngd bench`, the criterion benches and the tests.

use crate::config::Config;
use crate::error::CheckError;
use crate::features::Features;
use crate::normals::fill_normals;
use crate::philox::{Stream, at, uniform};
use crate::problem::Problem;
use crate::table::{Response, Table};

/// Settings of one workload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Workload {
    /// W1 to W7; W8, W8c and W9 are followed by their P or N.
    pub name: &'static str,
    /// Kind of step.
    pub kernel: Kernel,
    /// Number of data rows, N.
    pub n: usize,
    /// Number of parameters, P.
    pub p: usize,
    /// Number of chains, C.
    pub c: usize,
    /// Rows in a batch, B.
    pub b: usize,
}

/// Kinds of step that the workloads time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Metric at the state of each chain.
    State,
    /// Metric at the mode, B rows by control variates.
    ControlVariates,
    /// Metric at the mode, all rows, Metropolis test.
    AllRows,
}

const fn workload(name: &'static str, n: usize, p: usize, c: usize, b: usize) -> Workload {
    let kernel = Kernel::State;
    Workload {
        name,
        kernel,
        n,
        p,
        c,
        b,
    }
}

const fn few_rows(name: &'static str, n: usize, p: usize, b: usize) -> Workload {
    let kernel = Kernel::ControlVariates;
    Workload {
        name,
        kernel,
        n,
        p,
        c: 64,
        b,
    }
}

const fn all_rows(name: &'static str, n: usize) -> Workload {
    let kernel = Kernel::AllRows;
    Workload {
        name,
        kernel,
        n,
        p: 50,
        c: 64,
        b: n,
    }
}

/// All workloads, in the order of their names. W8-n has the same batch for every N, W8c-n the batch that `sngd_cpu::mode::settle` chooses.
pub const WORKLOADS: [Workload; 22] = [
    workload("W1", 10_000, 8, 1024, 64),
    workload("W2", 10_000, 32, 256, 128),
    workload("W3", 10_000, 64, 64, 256),
    workload("W4", 10_000, 256, 16, 512),
    workload("W5", 20_000, 1024, 2, 1024),
    workload("W6", 20_000, 4096, 1, 4096),
    workload("W7", 1_000_000, 100, 32, 1024),
    few_rows("W8-8", 100_000, 8, 64),
    few_rows("W8-32", 100_000, 32, 64),
    few_rows("W8-128", 100_000, 128, 128),
    few_rows("W8-512", 50_000, 512, 256),
    few_rows("W8-1024", 20_000, 1024, 512),
    few_rows("W8-n1e4", 10_000, 50, 64),
    few_rows("W8-n1e5", 100_000, 50, 64),
    few_rows("W8-n1e6", 1_000_000, 50, 64),
    few_rows("W8-n1e7", 10_000_000, 50, 64),
    few_rows("W8c-n1e4", 10_000, 50, 64),
    few_rows("W8c-n1e5", 100_000, 50, 16),
    few_rows("W8c-n1e6", 1_000_000, 50, 16),
    few_rows("W8c-n1e7", 10_000_000, 50, 16),
    all_rows("W9-n1e4", 10_000),
    all_rows("W9-n1e6", 1_000_000),
];

impl Workload {
    /// Smallest number of floating-point operations of a step of one chain. At the state: SYRK (lower half) B·P², Cholesky P³/3, exact
    /// leverages B·P². At the mode: outputs and gradient, 4·B·P.
    pub fn flops(&self) -> f64 {
        let (b, p) = (self.b as f64, self.p as f64);
        if self.kernel != Kernel::State {
            return 4.0 * b * p;
        }
        2.0 * b * p * p + p * p * p / 3.0
    }

    /// Makes data and run file: standard normal features, labels from a logistic model with weights of size 1/√P, prior normal(0, 1).
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
            features: Features::new(p, features),
            response: Response::Labels {
                index,
                levels: vec!["0".into(), "1".into()],
            },
            trials: None,
            offset: None,
            weights: None,
        };
        let sampler = match self.kernel {
            Kernel::State => format!(
                "step_size = 0.1\nbatch_size = {}\nfisher_rows = \"batch\"\nnoise = \"full\"\ncorrection = \"closed_form\"",
                self.b
            ),
            Kernel::ControlVariates => format!(
                "metric = \"mode\"\ngradient = \"control_variates\"\nbatch_size = {}\nstep_size = 0.3",
                self.b
            ),
            Kernel::AllRows => "metric = \"mode\"\nmethod = \"mala\"\nstep_size = 1.0".into(),
        };
        let text = format!(
            "[data]\npath = \"-\"\nresponse = \"y\"\nintercept = false\n[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 1)\"\n[sampler]\n{sampler}\n[run]\nchains = {}\nwarmup = 0\n",
            self.c
        );
        let config: Config =
            toml::from_str(&text).map_err(|e| CheckError::key(self.name, e.to_string()))?;
        let problem = Problem::build(&config, table)?;
        Ok((config, problem))
    }
}
