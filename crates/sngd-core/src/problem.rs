//! A table and a model become a `Problem`: the design in internal coordinates, the priors, the names.

mod design;
mod layout;
mod names;
mod priors;
mod response;
mod row_columns;

use crate::blocks::Layout;
use crate::config::{Config, Family, Predictor, Storage};
use crate::error::CheckError;
use crate::features::Features;
use crate::likelihood::{Likelihood, Observed};
use crate::network::Network;
use crate::prior::{Prior, ScalePrior};
use crate::table::{ResponseKind, Table, TableRequest};
use crate::transform::Transform;
use design::{column_moments, find_pivot};
use row_columns::RowColumns;

/// Data and model of the posterior that is sampled. Engines read it once; nothing in it changes during a run.
#[derive(Debug, Clone)]
pub struct Problem {
    /// The likelihood, in internal units.
    pub likelihood: Likelihood,
    /// The perceptron between features and outputs; `None` for a linear predictor.
    pub network: Option<Network>,
    /// Map from internal parameters to the user's scale; the identity for a network.
    pub transform: Transform,
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
    /// Priors of the coefficients, or of a network's weights and biases, on the natural scale, `[P−A]`.
    pub priors: Vec<Prior>,
    /// Prior of an unknown scale, or of a custom likelihood's positive parameter.
    pub scale_prior: Option<ScalePrior>,
    /// Names of the design's columns, `[D]`; `intercept` first if there is one.
    pub columns: Vec<String>,
    /// Whether column 0 is the intercept.
    pub intercept: bool,
    /// Labels of the classes, for a categorical response.
    pub classes: Vec<String>,
    /// Σ over rows of the terms that the likelihood leaves out of ln p(y), nats, natural units of y.
    pub log_norm: f64,
    /// Σ over coefficients of the terms that the priors leave out of −ln prior, nats.
    pub prior_norm: f64,
    /// Rows kept aside for predictive scores, on the user's scale.
    pub held_out: Option<HeldOut>,
    /// Where the data came from, for messages.
    pub source: String,
}

/// Rows kept aside for predictive scores.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// Index of each row in the table, from 0, `[M]`.
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
    TableRequest {
        response: config.data.response.clone(),
        response_kind: match config.model.likelihood {
            Family::Bernoulli | Family::Softmax => ResponseKind::Label,
            _ => ResponseKind::Number,
        },
        features: config.data.features.clone(),
        trials: (config.model.trials.clone()).or_else(|| config.model.companion.clone()),
        offset: (config.data.offset.clone()).or_else(|| config.data.exposure.clone()),
        weights: config.data.weights.clone(),
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
            x: Features::new(self.design_columns(), Vec::<f64>::new()),
            y: self.y.clone(),
            trials: self.trials.clone(),
            offset: self.offset.clone(),
            weights: self.weights.clone(),
            roots: self.roots.clone(),
            priors: self.priors.clone(),
            scale_prior: self.scale_prior,
            columns: self.columns.clone(),
            intercept: self.intercept,
            classes: self.classes.clone(),
            log_norm: self.log_norm,
            prior_norm: self.prior_norm,
            held_out: None,
            source: self.source.clone(),
        }
    }

    /// Design `[M,D]` and response `[M]` of the held-out rows, in internal coordinates. Exact also where a held-out row has another
    /// value in the pivot's column than the rows that were fitted.
    pub fn held_out_internal(&self) -> Option<(Features, Vec<f64>)> {
        let held = self.held_out.as_ref()?;
        let (mut x, mut y) = (held.x.clone(), held.y.clone());
        // A network takes features and response as they are.
        if self.network.is_none() {
            self.transform.enter_rows(&mut x, &mut y);
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

    /// −ln prior on internal coordinates `[P]`, nats, constants included. Its gradient is written to `grad` `[P]`, the natural
    /// parameters to `theta` `[P]`. With `jacobian`, the log-Jacobian of log σ is included, so that the cost is that of a density over
    /// (β, σ) as written.
    pub fn prior_cost(
        &self,
        omega: &[f64],
        jacobian: bool,
        theta: &mut [f64],
        grad: &mut [f64],
    ) -> f64 {
        let p = self.parameters();
        // A network's internal coordinates are the natural ones.
        let linear = self.network.is_none();
        if linear {
            self.transform.natural(omega, theta);
        } else {
            theta.copy_from_slice(omega);
        }
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
        if linear {
            self.transform.pull_back(grad);
        }
        cost
    }

    /// Information Λ of the prior in internal coordinates, dense `[P,P]`. Scale priors add nothing.
    pub fn prior_information(&self) -> Vec<f64> {
        let mut lambda: Vec<f64> = self.priors.iter().map(|p| p.information()).collect();
        lambda.resize(self.parameters(), 0.0);
        self.transform.pull_back_information(&lambda)
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

    /// Checks the table against the model and moves it to internal coordinates.
    pub fn build(config: &Config, table: Table) -> Result<Problem, CheckError> {
        let source = table.source.clone();
        let (y, trials, classes) = response::response(config, &table)?;
        let (train, test) = response::split(config, table.rows())?;
        let RowColumns {
            offset,
            weights,
            roots,
        } = RowColumns::of(config, &table, &test)?;
        let d0 = table.feature_names.len();
        // A network's units have biases instead.
        let linear = config.model.predictor == Predictor::Linear;
        let intercept = config.data.intercept && linear;
        let d = d0 + usize::from(intercept);
        if d == 0 {
            return Err(CheckError::data(
                source,
                format!(
                    "found no features{}, expected at least one column; name some in data.features{}",
                    if linear { " and intercept = false" } else { "" },
                    if linear {
                        " or set intercept = true"
                    } else {
                        ""
                    }
                ),
            ));
        }
        let pick = |v: &[f64], rows: &[usize]| -> Vec<f64> {
            if v.is_empty() {
                vec![]
            } else {
                rows.iter().map(|&i| v[i]).collect()
            }
        };
        let mut columns = Vec::with_capacity(d);
        if intercept {
            columns.push("intercept".to_string());
        }
        columns.extend(table.feature_names.iter().cloned());

        let (mut x, test_x) = design::split(table.features, &train, &test, intercept);
        let mut held_out = (!test.is_empty()).then(|| HeldOut {
            rows: test.clone(),
            x: test_x,
            y: pick(&y, &test),
            trials: pick(&trials, &test),
            offset: pick(&offset, &test),
        });
        let (mut y, trials) = (pick(&y, &train), pick(&trials, &train));
        let (offset, weights) = (pick(&offset, &train), pick(&weights, &train));
        let n = y.len();
        let moments = column_moments(&x, &weights);
        let pivot = if linear {
            find_pivot(&source, &columns, &moments, intercept)?
        } else {
            None
        };
        let (mut mean, mut scale) = (vec![0.0; d], vec![1.0; d]);
        for j in 0..d {
            let (m, sd) = moments[j];
            if pivot.is_some_and(|p| p != j) || (!linear && config.data.standardize) {
                mean[j] = m;
                // A network may have constant features, such as a pixel that is dark in every image.
                scale[j] = if sd > 1e-12 * m.abs() { sd } else { 1.0 };
            } else if linear && pivot.is_none() {
                scale[j] = (m * m + sd * sd).sqrt();
            }
        }
        if config.data.standardize {
            // The user's scale is then the standardised one, for held-out rows too.
            design::standardise(&mut x, &mean, &scale, pivot);
            if let Some(h) = &mut held_out {
                design::standardise(&mut h.x, &mean, &scale, pivot);
            }
            mean.fill(0.0);
            scale.fill(1.0);
        }
        // A row that does not count may hold anything.
        let counted = weights.iter().position(|w| *w > 0.0).unwrap_or(0);
        let pivot_value = pivot.map_or(1.0, |p| x.rows(counted, 1, &mut Vec::new())[p]);
        let family = config.model.likelihood;
        let (mut y_mean, mut y_scale) = (0.0, 1.0);
        if family == Family::Gaussian {
            let mean = |of: &dyn Fn(f64) -> f64| match weights.is_empty() {
                true => y.iter().map(|&v| of(v)).sum::<f64>() / n as f64,
                false => {
                    let terms = y.iter().zip(&weights).map(|(&v, w)| w * of(v));
                    terms.sum::<f64>() / weights.iter().sum::<f64>()
                }
            };
            let m = mean(&|v| v);
            let var = mean(&|v| (v - m) * (v - m));
            if var.sqrt() <= 1e-12 * m.abs() || var == 0.0 {
                return Err(CheckError::data(
                    source,
                    format!(
                        "found the same value in every row of response '{}', expected a response that varies; choose another column",
                        config.data.response
                    ),
                ));
            }
            if linear {
                y_mean = if pivot.is_some() { m } else { 0.0 };
                y_scale = (var + (m - y_mean) * (m - y_mean)).sqrt();
            }
        }
        let likelihood = response::likelihood(config, classes.len(), y_scale)?;
        let network = network(config, d, likelihood.linear_outputs())?;
        let (outputs, width) = match &network {
            None => (likelihood.linear_outputs(), d),
            Some(net) => {
                (mean, scale) = (vec![0.0; net.parameters()], vec![1.0; net.parameters()]);
                (1, net.parameters())
            }
        };
        let transform = Transform {
            outputs,
            columns: width,
            aux: likelihood.aux_outputs(),
            pivot,
            pivot_value,
            mean,
            scale,
            y_mean,
            y_scale,
        };
        let (priors, scale_prior) = match &network {
            None => priors::linear(config, &columns, intercept, &likelihood)?,
            Some(net) => priors::network(config, net, &likelihood)?,
        };
        priors::check_shift(config, &priors, &likelihood)?;
        let prior_norm = priors.iter().map(|p| p.log_norm()).sum();
        if network.is_none() {
            transform.enter_rows(&mut x, &mut y);
        }
        let mut problem = Problem {
            likelihood,
            network,
            transform,
            x,
            y,
            trials,
            offset: offset.iter().map(|o| o / y_scale).collect(),
            weights,
            roots,
            priors,
            scale_prior,
            columns,
            intercept,
            classes,
            log_norm: 0.0,
            prior_norm,
            held_out,
            source,
        };
        let weight = |i: usize| problem.weights.get(i).copied().unwrap_or(1.0);
        problem.log_norm = (0..n)
            .map(|i| weight(i) * (problem.likelihood.log_norm(problem.observed(i)) - y_scale.ln()))
            .sum::<f64>()
            + problem.roots.iter().map(|r| r.ln()).sum::<f64>();
        problem.scale_rows();
        if config.data.storage != Storage::F32 {
            // Every engine rounds the design to 16 bits, which f32 holds as well as f64.
            problem.x = problem.x.into_f32();
        }
        Ok(problem)
    }
}

/// The network that `[model]` describes, checked; `None` for a linear predictor.
fn network(config: &Config, inputs: usize, outputs: usize) -> Result<Option<Network>, CheckError> {
    let m = &config.model;
    if m.predictor == Predictor::Linear {
        let stray = [
            ("hidden", m.hidden.is_some()),
            ("activation", m.activation.is_some()),
            ("bias", m.bias.is_some()),
        ];
        return match stray.iter().find(|(_, found)| *found) {
            Some((key, _)) => Err(CheckError::key(
                format!("model.{key}"),
                "found a value beside predictor = \"linear\", expected it only with predictor = \"mlp\"; remove the key or set predictor = \"mlp\"",
            )),
            None => Ok(None),
        };
    }
    let hidden = m.hidden.clone().unwrap_or_default();
    if hidden.is_empty() || hidden.contains(&0) {
        return Err(CheckError::key(
            "model.hidden",
            format!(
                "found {hidden:?}, expected the width of each hidden layer beside predictor = \"mlp\", such as [16] or [32, 16]"
            ),
        ));
    }
    let widths = std::iter::once(inputs)
        .chain(hidden)
        .chain([outputs])
        .collect();
    Ok(Some(Network {
        widths,
        activation: m.activation.unwrap_or_default(),
        bias: m.bias.unwrap_or(true),
    }))
}
