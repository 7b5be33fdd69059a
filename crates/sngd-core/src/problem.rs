//! A table and a model become a `Problem`: the design in internal coordinates, the priors, the names.

mod build;
mod classes;
mod coordinates;
mod counts;
mod defaults;
mod design;
mod layout;
mod names;
mod priors;
#[cfg(test)]
mod priors_tests;
mod response;
#[cfg(test)]
mod response_tests;
mod row_columns;

pub use self::priors::{AT_MEANS, StatedPrior};

use crate::blocks::Layout;
use crate::config::{Config, Family, Trials};
use crate::features::Features;
use crate::likelihood::{Likelihood, Observed};
use crate::network::Network;
use crate::prior::{Prior, ScalePrior};
use crate::table::{ResponseKind, TableRequest};
use crate::transform::Transform;

/// Data and model of the posterior that is sampled. Engines read it once; nothing in it changes during a run.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The likelihood, in internal units.
    pub likelihood: Likelihood,
    /// The perceptron between features and outputs; `None` for a linear predictor.
    pub network: Option<Network>,
    /// Map from internal parameters to the user's scale; the identity for a network's weights.
    pub transform: Transform,
    /// Map from internal parameters to those that the priors are about: `transform`, but that the intercept is the linear predictor
    /// where every column is at its mean, if its prior is on that.
    pub prior_transform: Transform,
    /// Design in internal coordinates, `[N,D]`; the intercept, if any, is column 0.
    pub x: Features,
    /// Response in internal units, `[N]`.
    pub y: Vec<f64>,
    /// Trials, or a custom likelihood's companion column, `[N]`; empty when all are 1.
    pub trials: Vec<f64>,
    /// Number added to every linear output of a row, internal units, `[N]`; empty where there is no offset.
    pub offset: Vec<f64>,
    /// How often each row counts, `[N]`; empty when every row counts once.
    pub weights: Vec<f64>,
    /// Square roots √w of known precisions w, `[N]`; design, response and offset of each row are multiplied by them. Empty for none.
    pub roots: Vec<f64>,
    /// Priors of the coefficients, or of a network's weights and biases, on the scale of `prior_transform`, `[P−A]`.
    pub priors: Vec<Prior>,
    /// Prior of an unknown scale, or of a custom likelihood's positive parameter.
    pub scale_prior: Option<ScalePrior>,
    /// The priors in force, given or default, one per group of parameters that share it.
    pub stated_priors: Vec<StatedPrior>,
    /// Names of the design's columns, `[D]`; `intercept` first if there is one.
    pub columns: Vec<String>,
    /// Whether column 0 is the intercept.
    pub intercept: bool,
    /// Whether the intercept's prior is on the linear predictor where every column is at its mean.
    pub intercept_at_means: bool,
    /// Labels of the classes, for a categorical response; of a Bernoulli response that of 0 and that of 1.
    pub classes: Vec<String>,
    /// Σ over rows of the terms that the likelihood leaves out of ln p(y), nats, natural units of y.
    pub log_norm: f64,
    /// Σ over coefficients of the terms that the priors leave out of −ln prior, nats.
    pub prior_norm: f64,
    /// Rows kept aside for predictive scores, on the user's scale.
    pub held_out: Option<HeldOut>,
    /// Where the data came from, for messages.
    pub source: String,
    /// Rows of the source that are neither fitted nor held out: their numbers from 0, ascending.
    pub left_out: Vec<usize>,
    /// What the user should know of how the data were read, a sentence each without its full stop.
    pub notes: Vec<String>,
}

/// Rows kept aside for predictive scores.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// Number of each row in the source, from 0, `[M]`.
    pub rows: Vec<usize>,
    /// Design on the natural scale, `[M,D]`.
    pub x: Features,
    /// Response on the natural scale, `[M]`.
    pub y: Vec<f64>,
    /// Trials, `[M]`; empty when all are 1.
    pub trials: Vec<f64>,
    /// Offset on the natural scale, `[M]`; empty where there is no offset.
    pub offset: Vec<f64>,
}

/// The columns that a reader of the data file must return for this run file.
pub fn table_request(config: &Config) -> TableRequest {
    let model = &config.model;
    let (trials, trials_role) = match (&model.trials, &model.failures) {
        (Some(Trials::Column(column)), _) => (Some(column), "trials"),
        (_, Some(column)) => (Some(column), "failures"),
        _ => (model.companion.as_ref(), "companion"),
    };
    TableRequest {
        response: config.data.response.clone(),
        response_kind: match config.model.likelihood {
            Family::Bernoulli | Family::Softmax => ResponseKind::Label,
            _ => ResponseKind::Number,
        },
        features: config.data.features.clone(),
        trials: trials.cloned(),
        trials_role,
        offset: (config.data.offset.clone()).or_else(|| config.data.exposure.clone()),
        weights: config.data.weights.clone(),
        missing: config.data.missing,
    }
}

impl Problem {
    /// Number of data rows, N.
    pub fn rows(&self) -> usize {
        self.y.len()
    }

    /// Number of design columns, D.
    pub fn design_columns(&self) -> usize {
        self.columns.len()
    }

    /// Number of parameters, P.
    pub fn parameters(&self) -> usize {
        self.transform.parameters()
    }

    /// A copy without the design and the held-out rows, for an engine that stores the design in another form.
    pub fn clone_without_design(&self) -> Problem {
        Problem {
            likelihood: self.likelihood.clone(),
            network: self.network.clone(),
            transform: self.transform.clone(),
            prior_transform: self.prior_transform.clone(),
            x: Features::new(self.design_columns(), Vec::<f64>::new()),
            y: self.y.clone(),
            trials: self.trials.clone(),
            offset: self.offset.clone(),
            weights: self.weights.clone(),
            roots: self.roots.clone(),
            priors: self.priors.clone(),
            scale_prior: self.scale_prior,
            stated_priors: self.stated_priors.clone(),
            columns: self.columns.clone(),
            intercept: self.intercept,
            intercept_at_means: self.intercept_at_means,
            classes: self.classes.clone(),
            log_norm: self.log_norm,
            prior_norm: self.prior_norm,
            held_out: None,
            source: self.source.clone(),
            left_out: self.left_out.clone(),
            notes: self.notes.clone(),
        }
    }

    /// Bytes of the fitted rows: design, response, trials, offsets and weights.
    pub fn bytes(&self) -> u64 {
        let columns = size_of_val(&*self.y) + size_of_val(&*self.trials);
        (self.x.bytes() + columns) as u64 + self.column_bytes()
    }

    /// Bytes of offsets and weights alone.
    pub fn column_bytes(&self) -> u64 {
        (size_of_val(&*self.offset) + size_of_val(&*self.weights)) as u64
    }

    /// Design `[M,D]` and response `[M]` of the held-out rows, in internal coordinates. Exact also where a held-out row has another
    /// value in the pivot's column than the rows that were fitted.
    pub fn held_out_internal(&self) -> Option<(Features, Vec<f64>)> {
        let held = self.held_out.as_ref()?;
        let (mut x, mut y) = (held.x.clone(), held.y.clone());
        match self.network {
            None => self.transform.enter_rows(&mut x, &mut y),
            // A network takes features as they are.
            Some(_) => self.transform.enter_responses(&mut y),
        }
        Some((x, y))
    }

    /// The response of row i, with its trials.
    #[inline]
    pub fn observed(&self, i: usize) -> Observed<f64> {
        Observed {
            y: self.y[i],
            trials: self.trials.get(i).copied().unwrap_or(1.0),
        }
    }

    /// −ln prior on internal coordinates `[P]`, nats, constants included. Its gradient is written to `grad` `[P]`, the
    /// parameters that the priors are about to `theta` `[P]`. With `jacobian`, the log-Jacobian of log σ is included, so that the cost is that of a density over
    /// (β, σ) as written.
    pub fn prior_cost(
        &self,
        omega: &[f64],
        jacobian: bool,
        theta: &mut [f64],
        grad: &mut [f64],
    ) -> f64 {
        let p = self.parameters();
        self.prior_transform.natural(omega, theta);
        let mut cost = self.prior_norm;
        for (i, prior) in self.priors.iter().enumerate() {
            let (c, d) = prior.cost(theta[i]);
            cost += c;
            grad[i] = d;
        }
        if let Some(prior) = self.scale_prior {
            let (c, d) = prior.cost(theta[p - 1]);
            cost += c;
            grad[p - 1] = d;
            if jacobian {
                cost -= theta[p - 1];
                grad[p - 1] -= 1.0;
            }
        }
        self.prior_transform.pull_back(grad);
        cost
    }

    /// Information Λ of the prior in internal coordinates, dense `[P,P]`. Scale priors add nothing.
    pub fn prior_information(&self) -> Vec<f64> {
        let mut lambda: Vec<f64> = self.priors.iter().map(|p| p.information()).collect();
        lambda.resize(self.parameters(), 0.0);
        self.prior_transform.pull_back_information(&lambda)
    }

    /// The same in a block-diagonal layout, each block `[size,size]`. A network's Λ is diagonal and never stored dense.
    pub fn prior_information_in(&self, layout: &Layout) -> Vec<f64> {
        let p = self.parameters();
        let mut out = vec![0.0; layout.len];
        if self.network.is_some() {
            for block in &layout.blocks {
                for i in 0..block.size {
                    let prior = self.priors.get(block.offset + i);
                    out[block.at + i * (block.size + 1)] = prior.map_or(0.0, |q| q.information());
                }
            }
            return out;
        }
        let dense = self.prior_information();
        for block in &layout.blocks {
            for j in 0..block.size {
                let from = (block.offset + j) * p + block.offset;
                let to = block.at + j * block.size;
                out[to..to + block.size].copy_from_slice(&dense[from..from + block.size]);
            }
        }
        out
    }

    /// Maps one draw from internal coordinates to the natural scale: θ = Aω + b, and σ = e^{log σ}.
    pub fn report(&self, omega: &[f64], theta: &mut [f64]) {
        self.transform.natural(omega, theta);
        let first_aux = self.parameters() - self.transform.aux;
        theta[first_aux..].iter_mut().for_each(|t| *t = t.exp());
    }
}
