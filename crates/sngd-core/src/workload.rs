//! The workloads of the benches: made data, T = 1. W1 to W7 are logistic regression by SNGD with the metric at the state, closed-form
//! correction, exact Fisher of the batch, noise `full`; W8 is control variates and W9 exact MALA with the metric at the mode. `digits`,
//! `a9a` and `mnist` have the shapes of data that people know, and the steps that such a run makes. One definition for `sngd bench`,
//! the criterion benches and the tests.

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
    /// W1 to W7; W8, W8c and W9 are followed by their P or N; or the name of the data whose shape it has.
    pub name: &'static str,
    /// Kind of step.
    pub kernel: Kernel,
    /// Model of the labels.
    pub model: Model,
    /// Number of data rows, N.
    pub n: usize,
    /// Number of features, D; there is no intercept.
    pub d: usize,
    /// Number of chains, C.
    pub c: usize,
    /// Rows in a batch, B.
    pub b: usize,
}

/// Kinds of step that the workloads time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kernel {
    /// Metric at the state of each chain, made at every step from the batch.
    State,
    /// Metric at the mode, B rows by control variates.
    ControlVariates,
    /// Metric at the mode, all rows, Metropolis test.
    AllRows,
    /// A network's metric at the state in blocks by unit, of so many rows, used for so many steps.
    Units {
        /// Rows that the metric is made of.
        rows: usize,
        /// Steps for which it is used.
        refresh: usize,
    },
}

/// Models of the workloads' labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Logistic regression.
    Logistic,
    /// Softmax regression on so many classes; the first has no weights.
    Softmax(usize),
    /// A perceptron with one hidden layer and a bias for each unit.
    Network {
        /// Units of the hidden layer.
        hidden: usize,
        /// Classes of the response.
        classes: usize,
    },
}

const fn workload(name: &'static str, n: usize, d: usize, c: usize, b: usize) -> Workload {
    Workload {
        name,
        kernel: Kernel::State,
        model: Model::Logistic,
        n,
        d,
        c,
        b,
    }
}

const fn few_rows(name: &'static str, n: usize, d: usize, b: usize) -> Workload {
    Workload {
        kernel: Kernel::ControlVariates,
        ..workload(name, n, d, 64, b)
    }
}

const fn all_rows(name: &'static str, n: usize) -> Workload {
    Workload {
        kernel: Kernel::AllRows,
        ..workload(name, n, 50, 64, n)
    }
}

/// All workloads, in the order of their names, then those that have the shape of known data. W8-n has the same batch for every N, W8c-n the
/// batch that `sngd_cpu::mode::settle` chooses.
pub const WORKLOADS: [Workload; 25] = [
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
    few_rows("W8c-n1e4", 10_000, 50, 16),
    few_rows("W8c-n1e5", 100_000, 50, 16),
    few_rows("W8c-n1e6", 1_000_000, 50, 16),
    few_rows("W8c-n1e7", 10_000_000, 50, 16),
    all_rows("W9-n1e4", 10_000),
    all_rows("W9-n1e6", 1_000_000),
    // examples/digits.toml: 61 pixels and an intercept, ten classes.
    Workload {
        kernel: Kernel::AllRows,
        model: Model::Softmax(10),
        ..workload("digits", 1797, 62, 32, 1797)
    },
    // UCI Adult: 123 binary features and an intercept.
    Workload {
        kernel: Kernel::ControlVariates,
        ..workload("a9a", 32_561, 124, 32, 256)
    },
    // examples/mnist.toml: 14 × 14 pixels.
    Workload {
        kernel: Kernel::Units {
            rows: 600,
            refresh: 20,
        },
        model: Model::Network {
            hidden: 32,
            classes: 10,
        },
        ..workload("mnist", 60_000, 196, 8, 1500)
    },
];

impl Workload {
    /// Number of parameters, P.
    pub fn p(&self) -> usize {
        match self.model {
            Model::Logistic => self.d,
            Model::Softmax(classes) => self.d * (classes - 1),
            Model::Network { hidden, classes } => hidden * (self.d + 1) + classes * (hidden + 1),
        }
    }

    /// Smallest number of floating-point operations of a step of one chain. At the state: SYRK (lower half) B·P², Cholesky P³/3, exact
    /// leverages B·P². At the mode: outputs and gradient, 4·B·P. A network: outputs and gradient, and the share of a step in the blocks
    /// of the metric and their Cholesky factors.
    pub fn flops(&self) -> f64 {
        let (b, p, d) = (self.b as f64, self.p() as f64, self.d as f64);
        match (self.kernel, self.model) {
            (Kernel::Units { rows, refresh }, Model::Network { hidden, classes }) => {
                let (h, k) = (hidden as f64, classes as f64);
                // backward no product goes to the features
                let passes = b * (4.0 * h * (d + 1.0) + 6.0 * k * (h + 1.0));
                let block = |size: f64| rows as f64 * size * size + size * size * size / 3.0;
                let metric = (h * block(d + 1.0) + k * block(h + 1.0)) / refresh as f64;
                passes + metric + 4.0 * self.squares()
            }
            (Kernel::State | Kernel::Units { .. }, _) => 2.0 * b * p * p + p * p * p / 3.0,
            (Kernel::ControlVariates | Kernel::AllRows, _) => 4.0 * b * p,
        }
    }

    /// Smallest number of bytes that a step of one chain moves in f32, if what is used twice is kept where it is used: the chain's rows in,
    /// its state in and out, and with a metric at the state the metric's triangle out and in. All chains share the rows of a step
    /// over all rows.
    pub fn bytes(&self) -> f64 {
        let row = (self.d + 1) as f64; // with its label
        let state = 2.0 * self.p() as f64;
        let words = match self.kernel {
            Kernel::State => self.b as f64 * row + state + self.squares(),
            Kernel::ControlVariates => self.b as f64 * row + state,
            Kernel::AllRows => self.n as f64 * row / self.c as f64 + state,
            Kernel::Units { rows, refresh } => {
                let metric = rows as f64 * row + 0.5 * self.squares();
                self.b as f64 * row + state + 0.5 * self.squares() + metric / refresh as f64
            }
        };
        4.0 * words
    }

    /// Numbers in the metric, whole squares of all its blocks.
    fn squares(&self) -> f64 {
        match self.model {
            Model::Network { hidden, classes } => {
                (hidden * (self.d + 1).pow(2) + classes * (hidden + 1).pow(2)) as f64
            }
            _ => (self.p() as f64).powi(2),
        }
    }

    /// Makes data and run file: standard normal features, labels from a logistic or softmax model with weights of size 1/√D.
    pub fn build(&self) -> Result<(Config, Problem), CheckError> {
        let config: Config = toml::from_str(&self.run_file())
            .map_err(|e| CheckError::key(self.name, e.to_string()))?;
        let problem = Problem::build(&config, self.table())?;
        Ok((config, problem))
    }

    fn table(&self) -> Table {
        let (n, d) = (self.n, self.d);
        let mut features = vec![0.0f64; n * d];
        for (i, row) in features.chunks_mut(d).enumerate() {
            fill_normals(row, 17, Stream::Init, i as u32, 0);
        }
        let classes = match self.model {
            Model::Logistic => 2,
            Model::Softmax(classes) | Model::Network { classes, .. } => classes,
        };
        let index = features
            .chunks(d)
            .enumerate()
            .map(|(i, row)| label(row, classes, i as u32))
            .collect();
        Table::new(
            self.name,
            (0..d).map(|j| format!("x{j}")).collect(),
            Features::new(d, features),
            Response::Labels {
                index,
                levels: (0..classes).map(|k| k.to_string()).collect(),
            },
        )
    }

    fn run_file(&self) -> String {
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
            Kernel::Units { rows, refresh } => format!(
                "blocks = \"unit\"\nstep_size = 0.045\nbatch_size = {}\nbatches = \"without_replacement\"\nfisher_rows = {rows}\nfisher_refresh = {refresh}\ndamping = 0.001\nnoise = \"nominal\"",
                self.b
            ),
        };
        let (model, prior) = match self.model {
            Model::Logistic => ("likelihood = \"bernoulli\"".into(), "normal(0, 1)"),
            Model::Softmax(_) => (
                "likelihood = \"softmax\"\nbaseline = \"first\"".into(),
                "normal(0, 1)",
            ),
            Model::Network { hidden, .. } => (
                format!("predictor = \"mlp\"\nhidden = [{hidden}]\nlikelihood = \"softmax\""),
                "normal_fan_in(8)\"\nbias = \"normal(0, 1)",
            ),
        };
        let intercept = match self.model {
            Model::Network { .. } => "",
            _ => "intercept = false\n",
        };
        format!(
            "[data]\npath = \"-\"\nresponse = \"y\"\n{intercept}[model]\n{model}\n[prior]\nweights = \"{prior}\"\n[sampler]\n{sampler}\n[run]\nchains = {}\nwarmup = 0\n",
            self.c
        )
    }
}

/// The label of row `i`: the first class has the output 0, class k the features' sum with signs that k sets, over √D. Of two classes the
/// second is drawn by the logistic function, of more the largest output with Gumbel noise.
fn label(row: &[f64], classes: usize, i: u32) -> u32 {
    let root = (row.len() as f64).sqrt();
    let output = |k: usize| -> f64 {
        let signed = |(j, x): (usize, &f64)| if (j / k).is_multiple_of(2) { *x } else { -x };
        row.iter().enumerate().map(signed).sum::<f64>() / root
    };
    if classes == 2 {
        let mu = 1.0 / (1.0 + (-output(1)).exp());
        return u32::from(uniform(at(17, Stream::Label, i, 0, 0)[0]) < mu);
    }
    let noisy = |k: usize| {
        let u = uniform(at(17, Stream::Label, i, 0, k as u32)[0]);
        let eta = if k == 0 { 0.0 } else { output(k) };
        eta - (-u.ln()).ln()
    };
    let best = (0..classes).max_by(|&a, &b| noisy(a).total_cmp(&noisy(b)));
    best.unwrap_or(0) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> &'static Workload {
        WORKLOADS.iter().find(|w| w.name == name).unwrap()
    }

    #[test]
    fn shapes_are_those_of_the_data_they_are_named_after() {
        for (name, p) in [("W3", 64), ("digits", 558), ("a9a", 124), ("mnist", 6634)] {
            let w = named(name);
            assert_eq!(w.p(), p, "{name}");
            if w.n < 20_000 {
                let (_, problem) = w.build().unwrap();
                assert_eq!(problem.parameters(), p, "{name}");
            }
        }
    }

    #[test]
    fn run_files_of_every_workload_are_read() {
        for w in &WORKLOADS {
            let config: Config = toml::from_str(&w.run_file()).unwrap();
            assert_eq!(config.run.chains, Some(w.c), "{}", w.name);
        }
    }

    #[test]
    fn work_is_counted_by_hand() {
        // SYRK and leverages 2·64·8², Cholesky 8³/3.
        assert_eq!(named("W1").flops(), 8192.0 + 512.0 / 3.0);
        // 64 rows of 8 features and a label, 8 weights in and out, a triangle of 8² / 2 out and in.
        assert_eq!(named("W1").bytes(), 4.0 * (64.0 * 9.0 + 16.0 + 64.0));
        let w = named("W9-n1e4");
        assert_eq!(w.flops(), 4.0 * 10_000.0 * 50.0);
        assert_eq!(w.bytes(), 4.0 * (10_000.0 * 51.0 / 64.0 + 100.0));
        // Layer by layer: 1500 rows through 32 × 197 and 10 × 33 weights and back, blocks of 600 rows and factors at a twentieth, solves.
        let passes = 1500.0 * (4.0 * 32.0 * 197.0 + 6.0 * 330.0);
        let blocks = 32.0 * (600.0 * 197f64.powi(2) + 197f64.powi(3) / 3.0)
            + 10.0 * (600.0 * 33f64.powi(2) + 33f64.powi(3) / 3.0);
        let squares = 32.0 * 197f64.powi(2) + 10.0 * 33f64.powi(2);
        let all = passes + blocks / 20.0 + 4.0 * squares;
        assert!((named("mnist").flops() / all - 1.0).abs() < 1e-12);
    }
}
