//! Builds a run in code from arrays: a model, data, priors and a method.

use crate::error::Error;
use crate::prepare::{Prepared, prepare_table};
use sngd_core::config::{
    BatchSize, Blocks, Config, Correction, DataConfig, Device, Family, FullName, LinkName, Method,
    ModelConfig, Noise, OutputConfig, Precision, Predictor, PriorConfig, PriorEntry, RunConfig,
    SamplerConfig, Scale, StepSize, Storage, Target,
};
use sngd_core::error::CheckError;
use sngd_core::features::{Features, Numbers};
use sngd_core::likelihood::Custom;
use sngd_core::network::Activation;
use sngd_core::prior::{Prior, ScalePrior};
use sngd_core::table::{Response, Table};
use std::sync::Arc;

/// Rows of features with a response.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    names: Vec<String>,
    features: Features,
    response: Vec<f64>,
    trials: Option<Vec<f64>>,
    offset: Option<Vec<f64>>,
    weights: Option<Vec<f64>>,
}

impl Data {
    /// `features` is `[N,D]`, row-major, a vector of f64 or of f32, with D names; `response` is `[N]`: numbers, counts, or the labels of a
    /// Bernoulli or softmax response as numbers. Lengths are checked when the run is built.
    pub fn new(
        features: impl Into<Numbers>,
        names: impl IntoIterator<Item = impl Into<String>>,
        response: Vec<f64>,
    ) -> Data {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        Data {
            features: Features::new(names.len(), features),
            names,
            response,
            trials: None,
            offset: None,
            weights: None,
        }
    }

    /// Trials of a binomial response, or the companion number that a custom likelihood reads with each response, `[N]`.
    pub fn trials(mut self, trials: Vec<f64>) -> Data {
        self.trials = Some(trials);
        self
    }

    /// Known term added to the linear predictor of each row, `[N]`; for example the logarithm of an exposure.
    pub fn offset(mut self, offset: Vec<f64>) -> Data {
        self.offset = Some(offset);
        self
    }

    /// Weight of each row, `[N]`: how often it counts.
    pub fn weights(mut self, weights: Vec<f64>) -> Data {
        self.weights = Some(weights);
        self
    }

    fn table(&self, labels: bool) -> Result<Table, CheckError> {
        let (n, d) = (self.response.len(), self.names.len());
        if n == 0 || self.features.len() != n * d {
            return Err(CheckError::key(
                "data",
                format!(
                    "found {} feature values for {n} responses and {d} names, expected N times D of them and at least one row",
                    self.features.len()
                ),
            ));
        }
        for (what, column) in [
            ("trials", &self.trials),
            ("offsets", &self.offset),
            ("weights", &self.weights),
        ] {
            if let Some(c) = column.as_ref().filter(|c| c.len() != n) {
                return Err(CheckError::key(
                    "data",
                    format!(
                        "found {} {what} for {n} responses, expected one each",
                        c.len()
                    ),
                ));
            }
        }
        let mut stray = None;
        self.features.each_row(|row| {
            stray = stray.or_else(|| row.iter().copied().find(|v| !v.is_finite()));
        });
        let all = stray
            .iter()
            .chain(&self.response)
            .chain(self.trials.iter().flatten())
            .chain(self.offset.iter().flatten())
            .chain(self.weights.iter().flatten());
        if let Some(v) = all.into_iter().find(|v| !v.is_finite()) {
            return Err(CheckError::key(
                "data",
                format!("found {v}, expected finite numbers; leave such rows out"),
            ));
        }
        let response = if labels {
            let mut levels = self.response.clone();
            levels.sort_by(f64::total_cmp);
            levels.dedup();
            let index = self
                .response
                .iter()
                .map(|y| levels.iter().position(|l| l == y).unwrap_or_default() as u32)
                .collect();
            Response::Labels {
                index,
                levels: levels.iter().map(f64::to_string).collect(),
            }
        } else {
            Response::Numbers(self.response.clone())
        };
        Ok(Table {
            trials: self.trials.clone(),
            offset: self.offset.clone(),
            weights: self.weights.clone(),
            ..Table::new("data", self.names.clone(), self.features.clone(), response)
        })
    }
}

/// The predictor and the likelihood.
#[derive(Debug, Clone, PartialEq)]
pub struct Model {
    config: ModelConfig,
    intercept: bool,
}

impl Model {
    /// A linear predictor η = xᵀβ with an intercept, and a family with its canonical link. A Gaussian has an unknown scale.
    pub fn linear(family: Family) -> Model {
        Model {
            config: ModelConfig {
                predictor: Default::default(),
                hidden: None,
                activation: None,
                bias: None,
                likelihood: family,
                link: None,
                scale: (family == Family::Gaussian).then(|| Scale::Named("unknown".into())),
                trials: (family == Family::Binomial).then(|| "trials".into()),
                failures: None,
                baseline: Default::default(),
                wgsl: None,
                outputs: None,
                auxiliary: None,
                companion: None,
                custom: None,
            },
            intercept: true,
        }
    }

    /// A perceptron with these hidden widths in place of a linear predictor; its units have biases, besides the intercept.
    pub fn mlp(family: Family, hidden: impl Into<Vec<usize>>, activation: Activation) -> Model {
        Model::linear(family).over(hidden, activation)
    }

    /// A user-defined likelihood over a linear predictor; [`Model::over`] puts it over a perceptron.
    pub fn custom(likelihood: Custom) -> Model {
        let mut model = Model::linear(Family::Custom);
        model.config.custom = Some(Arc::new(likelihood));
        model
    }

    /// A perceptron with these hidden widths in place of the linear predictor.
    pub fn over(mut self, hidden: impl Into<Vec<usize>>, activation: Activation) -> Model {
        self.config.predictor = Predictor::Mlp;
        self.config.hidden = Some(hidden.into());
        self.config.activation = Some(activation);
        self
    }

    /// Uses another link than the canonical one.
    pub fn link(mut self, link: LinkName) -> Model {
        self.config.link = Some(link);
        self
    }

    /// Known standard deviation σ of a Gaussian, in the units of the response.
    pub fn scale(mut self, sigma: f64) -> Model {
        self.config.scale = Some(Scale::Known(sigma));
        self
    }

    /// Which logits a softmax has: one per class, or class 0 fixed at 0.
    pub fn baseline(mut self, baseline: sngd_core::config::Baseline) -> Model {
        self.config.baseline = baseline;
        self
    }

    /// Fits without an intercept.
    pub fn no_intercept(mut self) -> Model {
        self.intercept = false;
        self
    }
}

macro_rules! methods {
    ($($(#[$doc:meta])* $name:ident),*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name(SamplerConfig);

        impl Default for $name {
            fn default() -> Self {
                $name(SamplerConfig { method: Some(Method::$name), ..SamplerConfig::default() })
            }
        }

        impl $name {
            /// Step size ε in (0, 1], no unit.
            pub fn step_size(mut self, epsilon: f64) -> Self {
                self.0.step_size = Some(StepSize::Constant(epsilon));
                self
            }
            /// Rows of a minibatch, B.
            pub fn batch_size(mut self, rows: usize) -> Self {
                self.0.batch_size = Some(BatchSize::Rows(rows));
                self
            }
            /// All rows in every step.
            pub fn full_batch(mut self) -> Self {
                self.0.batch_size = Some(BatchSize::Named(FullName::Full));
                self
            }
            /// Measure in which the target is a density.
            pub fn target(mut self, target: Target) -> Self {
                self.0.target = target;
                self
            }
            /// How the noise of a step is chosen.
            pub fn noise(mut self, noise: Noise) -> Self {
                self.0.noise = Some(noise);
                self
            }
            /// How the correction terms are computed.
            pub fn correction(mut self, correction: Correction) -> Self {
                self.0.correction = correction;
                self
            }
            /// Which entries of the metric are kept, by blocks.
            pub fn blocks(mut self, blocks: Blocks) -> Self {
                self.0.blocks = blocks;
                self
            }
            /// Damping λ, added to the diagonal of the Fisher matrix in the metric.
            pub fn damping(mut self, damping: f64) -> Self {
                self.0.damping = Some(damping);
                self
            }
        }

        impl From<$name> for SamplerConfig {
            fn from(m: $name) -> SamplerConfig {
                m.0
            }
        }
    )*};
}

methods! {
    /// Stochastic natural gradient descent with corrections and residual noise.
    Sngd,
    /// Minibatch natural gradient descent without added noise.
    Ngd,
    /// Langevin dynamics with a constant metric.
    Sgld,
    /// Langevin dynamics preconditioned as in RMSProp.
    Psgld,
    /// Riemannian Langevin dynamics.
    Sgrld,
    /// Metropolis-adjusted Langevin on full batches.
    Mala
}

/// `Ngd` has none: its temperature is what step size and batch imply.
macro_rules! temperatures {
    ($($name:ident),*) => {$(
        impl $name {
            /// Temperature T of the target, no unit; 1 is the posterior.
            pub fn temperature(mut self, temperature: f64) -> Self {
                self.0.temperature = Some(temperature);
                self
            }
        }
    )*};
}

temperatures!(Sngd, Sgld, Psgld, Sgrld, Mala);

/// Collects the settings of a run; `build` checks them.
#[derive(Debug, Clone, PartialEq)]
pub struct Builder {
    config: Config,
    data: Data,
}

impl Builder {
    pub(crate) fn new(model: Model, data: &Data) -> Builder {
        let config = Config {
            seed: 1,
            data: DataConfig {
                path: Default::default(),
                response: "response".into(),
                positive: None,
                features: None,
                intercept: model.intercept,
                standardize: None,
                test_fraction: 0.0,
                offset: data.offset.as_ref().map(|_| "offset".into()),
                exposure: None,
                weights: data.weights.as_ref().map(|_| "weights".into()),
                weights_kind: Default::default(),
                missing: Default::default(),
                storage: Storage::F32,
            },
            model: model.config,
            prior: PriorConfig::default(),
            sampler: SamplerConfig::default(),
            run: RunConfig::default(),
            output: OutputConfig::default(),
        };
        Builder {
            config,
            data: data.clone(),
        }
    }

    /// Prior of every weight.
    pub fn prior(self, prior: Prior) -> Builder {
        self.set_prior("weights".into(), prior)
    }

    /// Prior of the weight of one column.
    pub fn prior_of(self, column: &str, prior: Prior) -> Builder {
        self.set_prior(format!("weights.{column}"), prior)
    }

    /// Prior of the intercept; flat if not set.
    pub fn prior_intercept(self, prior: Prior) -> Builder {
        self.set_prior("intercept".into(), prior)
    }

    /// Prior of an unknown Gaussian scale, or of the positive parameter of a custom likelihood.
    pub fn prior_scale(self, prior: ScalePrior) -> Builder {
        let own = self.config.model.custom.as_ref();
        let name = own.and_then(|c| c.auxiliary.clone());
        self.set_prior(name.unwrap_or_else(|| "scale".into()), prior)
    }

    fn set_prior(mut self, key: String, prior: impl Into<PriorEntry>) -> Builder {
        self.config.prior.0.insert(key, prior.into());
        self
    }

    /// The sampling method and its settings.
    pub fn method(mut self, method: impl Into<SamplerConfig>) -> Builder {
        self.config.sampler = method.into();
        self
    }

    /// Number of chains, C.
    pub fn chains(mut self, chains: usize) -> Builder {
        self.config.run.chains = Some(chains);
        self
    }

    /// Steps per kept draw.
    pub fn thin(mut self, steps: usize) -> Builder {
        self.config.run.thin = Some(steps);
        self
    }

    /// Seed: the key of every random stream.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.config.seed = seed;
        self
    }

    /// Device that computes the steps.
    pub fn device(mut self, device: Device) -> Builder {
        self.config.run.device = device;
        self
    }

    /// Number format of the CPU engine.
    pub fn precision(mut self, precision: Precision) -> Builder {
        self.config.run.precision = precision;
        self
    }

    /// Number of threads of the CPU engine.
    pub fn threads(mut self, threads: usize) -> Builder {
        self.config.run.threads = Some(threads);
        self
    }

    /// Standardises the features; priors and draws are then per standard deviation.
    pub fn standardize(mut self) -> Builder {
        self.config.data.standardize = Some(true);
        self
    }

    /// The config so far, for settings without a method here.
    pub fn config(&mut self) -> &mut Config {
        &mut self.config
    }

    /// Checks everything that needs no device.
    pub(crate) fn prepare(self) -> Result<Prepared, Error> {
        let labels = matches!(
            self.config.model.likelihood,
            Family::Bernoulli | Family::Softmax
        );
        let table = self.data.table(labels)?;
        prepare_table(self.config, table)
    }
}
