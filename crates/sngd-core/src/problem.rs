//! A table and a model become a `Problem`: the design in internal coordinates, the priors, the names.

use crate::config::{Baseline, Config, Family, LinkName, Scale};
use crate::error::{CheckError, nearest};
use crate::likelihood::{Likelihood, Link, Observed};
use crate::philox::Stream;
use crate::prior::{Prior, ScalePrior};
use crate::table::{Response, ResponseKind, Table, TableRequest};
use crate::trace::{Dim, NamedArray, Variable};
use crate::transform::Transform;

/// What is sampled. Engines read it once; nothing in it changes during a run.
#[derive(Debug, Clone)]
pub struct Problem {
    /// Likelihood in internal units.
    pub likelihood: Likelihood,
    /// Map to the user's scale.
    pub transform: Transform,
    /// Design in internal coordinates, `[N,D]` row-major; the intercept, if any, is column 0.
    pub x: Vec<f64>,
    /// Response in internal units, `[N]`.
    pub y: Vec<f64>,
    /// Trials, `[N]`; empty when all are 1.
    pub trials: Vec<f64>,
    /// Priors of the linear coefficients on the natural scale, `[K·D]`.
    pub priors: Vec<Prior>,
    /// Prior of an unknown scale.
    pub scale_prior: Option<ScalePrior>,
    /// Names of the design's columns, `[D]`; `intercept` first if there is one.
    pub columns: Vec<String>,
    /// Whether column 0 is the intercept.
    pub intercept: bool,
    /// Labels of the classes, for a categorical response.
    pub classes: Vec<String>,
    /// Σ of what the likelihood leaves out of ln p(y), natural units.
    pub log_norm: f64,
    /// Held-out rows, on the user's scale.
    pub held_out: Option<HeldOut>,
    /// Where the data came from.
    pub source: String,
}

/// Rows kept aside for predictive scores.
#[derive(Debug, Clone)]
pub struct HeldOut {
    /// Design on the natural scale, `[M,D]`.
    pub x: Vec<f64>,
    /// Response on the natural scale, `[M]`.
    pub y: Vec<f64>,
    /// Trials, empty when all are 1.
    pub trials: Vec<f64>,
}

/// What to ask a reader for.
pub fn table_request(config: &Config) -> TableRequest {
    TableRequest {
        response: config.data.response.clone(),
        response_kind: match config.model.likelihood {
            Family::Bernoulli | Family::Softmax => ResponseKind::Label,
            _ => ResponseKind::Number,
        },
        features: config.data.features.clone(),
        trials: config.model.trials.clone(),
    }
}

impl Problem {
    /// N.
    pub fn rows(&self) -> usize {
        self.y.len()
    }

    /// D.
    pub fn design_columns(&self) -> usize {
        self.columns.len()
    }

    /// P.
    pub fn parameters(&self) -> usize {
        self.transform.parameters()
    }

    /// Everything but the design, for an engine that keeps its own copy of that.
    pub fn clone_without_design(&self) -> Problem {
        Problem {
            likelihood: self.likelihood,
            transform: self.transform.clone(),
            x: Vec::new(),
            y: self.y.clone(),
            trials: self.trials.clone(),
            priors: self.priors.clone(),
            scale_prior: self.scale_prior,
            columns: self.columns.clone(),
            intercept: self.intercept,
            classes: self.classes.clone(),
            log_norm: self.log_norm,
            held_out: None,
            source: self.source.clone(),
        }
    }

    /// The response of row i.
    #[inline]
    pub fn observed(&self, i: usize) -> Observed<f64> {
        Observed {
            y: self.y[i],
            trials: self.trials.get(i).copied().unwrap_or(1.0),
        }
    }

    /// −ln prior on internal coordinates (constants included); its gradient `[P]` goes to `grad`, and `theta` `[P]` is
    /// where the natural parameters are written on the way. With `jacobian`, log σ carries its log-Jacobian, so that
    /// C is the cost of a density over (β, σ) as written.
    pub fn prior_cost(
        &self,
        omega: &[f64],
        jacobian: bool,
        theta: &mut [f64],
        grad: &mut [f64],
    ) -> f64 {
        let p = self.parameters();
        self.transform.natural(omega, theta);
        let mut cost = 0.0;
        for (i, prior) in self.priors.iter().enumerate() {
            let (c, d) = prior.cost(theta[i]);
            cost += c + prior.log_norm();
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
        self.transform.pull_back(grad);
        cost
    }

    /// Λ in internal coordinates, dense `[P,P]`: the prior's own information. Scale priors add nothing.
    pub fn prior_information(&self) -> Vec<f64> {
        let mut lambda: Vec<f64> = self.priors.iter().map(|p| p.information()).collect();
        lambda.resize(self.parameters(), 0.0);
        self.transform.pull_back_information(&lambda)
    }

    /// Draws on the natural scale from internal ones: θ = Aω + b, and σ = e^{log σ}.
    pub fn report(&self, omega: &[f64], theta: &mut [f64]) {
        self.transform.natural(omega, theta);
        let first_aux = self.parameters() - self.transform.aux;
        theta[first_aux..].iter_mut().for_each(|t| *t = t.exp());
    }

    /// Names, dims and coordinates of the posterior group.
    pub fn variables(&self) -> Vec<Variable> {
        let (k, d) = (self.transform.outputs, self.design_columns());
        let first = usize::from(self.intercept);
        let skip = self.classes.len().saturating_sub(k);
        let class = (k > 1 || matches!(self.likelihood, Likelihood::Softmax { .. })).then(|| Dim {
            name: "class".into(),
            labels: self.classes[skip..].to_vec(),
        });
        let feature = Dim {
            name: "feature".into(),
            labels: self.columns[first..].to_vec(),
        };
        let mut out = Vec::new();
        if self.intercept {
            out.push(Variable {
                name: "intercept".into(),
                dims: class.iter().cloned().collect(),
                index: (0..k).map(|c| c * d).collect(),
            });
        }
        if d > first {
            out.push(Variable {
                name: "weights".into(),
                dims: class.iter().cloned().chain([feature]).collect(),
                index: (0..k)
                    .flat_map(|c| (first..d).map(move |j| c * d + j))
                    .collect(),
            });
        }
        if self.transform.aux == 1 {
            out.push(Variable {
                name: "scale".into(),
                dims: vec![],
                index: vec![k * d],
            });
        }
        out
    }

    /// One name a parameter, e.g. `weights[glucose]`, in the order of the natural vector.
    pub fn parameter_names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.parameters()];
        for v in self.variables() {
            let mut labels = vec![String::new()];
            for dim in &v.dims {
                labels = labels
                    .iter()
                    .flat_map(|l| {
                        dim.labels.iter().map(move |m| {
                            if l.is_empty() {
                                m.clone()
                            } else {
                                format!("{l}, {m}")
                            }
                        })
                    })
                    .collect();
            }
            for (&i, l) in v.index.iter().zip(&labels) {
                names[i] = if l.is_empty() {
                    v.name.clone()
                } else {
                    format!("{}[{l}]", v.name)
                };
            }
        }
        names
    }

    /// The `observed_data` group: the response on the user's scale.
    pub fn observed_data(&self) -> Vec<NamedArray> {
        let rows = Dim {
            name: "row".into(),
            labels: (0..self.rows()).map(|i| i.to_string()).collect(),
        };
        let t = &self.transform;
        let mut out = vec![NamedArray {
            name: "y".into(),
            dims: vec![rows.clone()],
            values: self.y.iter().map(|y| y * t.y_scale + t.y_mean).collect(),
        }];
        if !self.trials.is_empty() {
            out.push(NamedArray {
                name: "trials".into(),
                dims: vec![rows],
                values: self.trials.clone(),
            });
        }
        out
    }

    /// Checks the table against the model and moves it to internal coordinates.
    pub fn build(config: &Config, table: Table) -> Result<Problem, CheckError> {
        let source = table.source.clone();
        let (y, trials, classes) = response(config, &table)?;
        let (train, test) = split(config, table.rows())?;
        let d0 = table.feature_names.len();
        let intercept = config.data.intercept;
        let d = d0 + usize::from(intercept);
        if d == 0 {
            return Err(CheckError(format!(
                "{source}: found no features and intercept = false, expected at least one column; name some in data.features or set intercept = true"
            )));
        }
        let gather = |rows: &[usize]| -> Vec<f64> {
            let mut x = Vec::with_capacity(rows.len() * d);
            for &i in rows {
                if intercept {
                    x.push(1.0);
                }
                x.extend_from_slice(&table.features[i * d0..(i + 1) * d0]);
            }
            x
        };
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

        let mut x = gather(&train);
        let mut held_out = (!test.is_empty()).then(|| HeldOut {
            x: gather(&test),
            y: pick(&y, &test),
            trials: pick(&trials, &test),
        });
        drop(table.features);
        let (y, trials) = (pick(&y, &train), pick(&trials, &train));
        let n = y.len();
        let moments = column_moments(&x, d);
        let pivot = find_pivot(&source, &columns, &moments, intercept)?;
        let (mut mean, mut scale) = (vec![0.0; d], vec![1.0; d]);
        for j in 0..d {
            if Some(j) == pivot {
                continue;
            }
            let (m, sd) = moments[j];
            if pivot.is_some() {
                mean[j] = m;
                scale[j] = sd;
            } else {
                scale[j] = (m * m + sd * sd).sqrt();
            }
        }
        if config.data.standardize {
            // The user's own scale is then the standardised one, held-out rows included.
            let restyle = |x: &mut [f64]| {
                for row in x.chunks_mut(d) {
                    for j in (0..d).filter(|&j| Some(j) != pivot) {
                        row[j] = (row[j] - mean[j]) / scale[j];
                    }
                }
            };
            restyle(&mut x);
            if let Some(h) = &mut held_out {
                restyle(&mut h.x);
            }
            mean.fill(0.0);
            scale.fill(1.0);
        }
        let pivot_value = pivot.map_or(1.0, |p| x[p]);
        for row in x.chunks_mut(d) {
            for j in 0..d {
                row[j] = if Some(j) == pivot {
                    1.0
                } else {
                    (row[j] - mean[j]) / scale[j]
                };
            }
        }
        let family = config.model.likelihood;
        let (mut y_mean, mut y_scale) = (0.0, 1.0);
        if family == Family::Gaussian {
            let m = y.iter().sum::<f64>() / n as f64;
            let var = y.iter().map(|v| (v - m) * (v - m)).sum::<f64>() / n as f64;
            if var.sqrt() <= 1e-12 * m.abs() || var == 0.0 {
                return Err(CheckError(format!(
                    "{source}: found the same value in every row of response '{}', expected a response that varies; choose another column",
                    config.data.response
                )));
            }
            y_mean = if pivot.is_some() { m } else { 0.0 };
            y_scale = if pivot.is_some() {
                var.sqrt()
            } else {
                (var + m * m).sqrt()
            };
        }
        let y: Vec<f64> = y.iter().map(|v| (v - y_mean) / y_scale).collect();
        let likelihood = likelihood(config, classes.len(), y_scale)?;
        let transform = Transform {
            outputs: likelihood.linear_outputs(),
            columns: d,
            aux: likelihood.aux_outputs(),
            pivot,
            pivot_value,
            mean,
            scale,
            y_mean,
            y_scale,
        };
        let (priors, scale_prior) = priors(config, &columns, intercept, &likelihood)?;
        check_proper(config, &source, &priors, &likelihood, n, d)?;
        let mut problem = Problem {
            likelihood,
            transform,
            x,
            y,
            trials,
            priors,
            scale_prior,
            columns,
            intercept,
            classes,
            log_norm: 0.0,
            held_out,
            source,
        };
        problem.log_norm = (0..n)
            .map(|i| likelihood.log_norm(problem.observed(i)))
            .sum::<f64>()
            - n as f64 * y_scale.ln();
        Ok(problem)
    }
}

/// Mean and population sd of each column of `[N,D]`.
fn column_moments(x: &[f64], d: usize) -> Vec<(f64, f64)> {
    let n = (x.len() / d) as f64;
    let mut mean = vec![0.0; d];
    for row in x.chunks(d) {
        mean.iter_mut().zip(row).for_each(|(m, v)| *m += v / n);
    }
    let mut var = vec![0.0; d];
    for row in x.chunks(d) {
        for j in 0..d {
            let r = row[j] - mean[j];
            var[j] += r * r / n;
        }
    }
    mean.into_iter()
        .zip(var.into_iter().map(f64::sqrt))
        .collect()
}

/// The all-ones column: the intercept, or the single constant column without one.
fn find_pivot(
    source: &str,
    columns: &[String],
    moments: &[(f64, f64)],
    intercept: bool,
) -> Result<Option<usize>, CheckError> {
    let constant: Vec<usize> = (usize::from(intercept)..columns.len())
        .filter(|&j| moments[j].1 <= 1e-12 * moments[j].0.abs())
        .collect();
    if let Some(&j) = constant.iter().find(|&&j| moments[j].0 == 0.0) {
        return Err(CheckError(format!(
            "{source}: found only zeros in column '{}', expected a column that varies; leave it out of data.features",
            columns[j]
        )));
    }
    match (intercept, constant.as_slice()) {
        (true, []) => Ok(Some(0)),
        (true, [j, ..]) => Err(CheckError(format!(
            "{source}: found the same value in every row of column '{}', which the intercept already carries; leave the column out of data.features or set intercept = false",
            columns[*j]
        ))),
        (false, []) => Ok(None),
        (false, [j]) => Ok(Some(*j)),
        (false, [i, j, ..]) => Err(CheckError(format!(
            "{source}: found two constant columns, '{}' and '{}', whose coefficients no data can tell apart; leave one out of data.features",
            columns[*i], columns[*j]
        ))),
    }
}

/// The response as numbers, the trials, and the labels of a categorical response.
type ResponseParts = (Vec<f64>, Vec<f64>, Vec<String>);

fn response(config: &Config, table: &Table) -> Result<ResponseParts, CheckError> {
    let (source, name) = (&table.source, &config.data.response);
    let counts = |v: &[f64], what: &str| -> Result<(), CheckError> {
        match v.iter().position(|y| *y < 0.0 || y.fract() != 0.0) {
            Some(i) => Err(CheckError(format!(
                "{source}: row {}, column '{name}': found {}, expected {what}; correct the row or choose another likelihood",
                i + 1,
                v[i]
            ))),
            None => Ok(()),
        }
    };
    match (&table.response, config.model.likelihood) {
        (Response::Numbers(y), Family::Gaussian) => Ok((y.clone(), vec![], vec![])),
        (Response::Numbers(y), Family::Poisson) => {
            counts(y, "a count of 0 or more for poisson")?;
            Ok((y.clone(), vec![], vec![]))
        }
        (Response::Numbers(y), Family::Binomial) => {
            counts(y, "a count of successes for binomial")?;
            let Some(t) = &table.trials else {
                return Err(CheckError(
                    "model.trials: found nothing, expected the column of trials for likelihood = \"binomial\"; add trials = \"COLUMN\"".into(),
                ));
            };
            for (i, (y, t)) in y.iter().zip(t).enumerate() {
                if t.fract() != 0.0 || *t < 1.0 || y > t {
                    return Err(CheckError(format!(
                        "{source}: row {}: found {y} successes of {t} trials, expected whole trials of 1 or more and no more successes than trials; correct the row",
                        i + 1
                    )));
                }
            }
            Ok((y.clone(), t.clone(), vec![]))
        }
        (Response::Labels { index, levels }, family) => {
            let wanted = if family == Family::Bernoulli {
                "two"
            } else {
                "two or more"
            };
            let ok = levels.len() == 2 || (family == Family::Softmax && levels.len() > 2);
            if !ok {
                let shown: Vec<&str> = levels.iter().take(5).map(String::as_str).collect();
                return Err(CheckError(format!(
                    "{source}: column '{name}': found {} levels ({}{}), expected {wanted}; choose another response or likelihood",
                    levels.len(),
                    shown.join(", "),
                    if levels.len() > 5 { ", ..." } else { "" }
                )));
            }
            Ok((
                index.iter().map(|&i| f64::from(i)).collect(),
                vec![],
                levels.clone(),
            ))
        }
        (Response::Numbers(_), Family::Bernoulli | Family::Softmax) => Err(CheckError(format!(
            "{source}: column '{name}': found numbers, expected labels; read it as labels"
        ))),
    }
}

fn split(config: &Config, n: usize) -> Result<(Vec<usize>, Vec<usize>), CheckError> {
    let share = config.data.test_fraction;
    if !(0.0..1.0).contains(&share) {
        return Err(CheckError(format!(
            "data.test_fraction: found {share}, expected a share of rows in [0, 1); use 0.2 for a fifth"
        )));
    }
    let held = (share * n as f64).round() as usize;
    if held == 0 {
        return Ok(((0..n).collect(), vec![]));
    }
    let feistel = crate::batch::Feistel::new(n as u32, config.seed, Stream::Split, 0, 0);
    let order: Vec<usize> = (0..n as u32).map(|i| feistel.permute(i) as usize).collect();
    let (mut test, mut train) = (order[..held].to_vec(), order[held..].to_vec());
    test.sort_unstable();
    train.sort_unstable();
    if train.is_empty() {
        return Err(CheckError(format!(
            "data.test_fraction: found {share}, which holds out all {n} rows, expected some left to fit; use a smaller share"
        )));
    }
    Ok((train, test))
}

fn likelihood(config: &Config, classes: usize, y_scale: f64) -> Result<Likelihood, CheckError> {
    let m = &config.model;
    let refuse = |key: &str, owner: &str| {
        Err(CheckError(format!(
            "model.{key}: found a value beside likelihood = \"{}\", expected it only with {owner}; remove the key",
            family_name(m.likelihood)
        )))
    };
    if m.scale.is_some() && m.likelihood != Family::Gaussian {
        return refuse("scale", "gaussian");
    }
    if m.trials.is_some() && m.likelihood != Family::Binomial {
        return refuse("trials", "binomial");
    }
    if m.baseline == Baseline::First && m.likelihood != Family::Softmax {
        return refuse("baseline", "softmax");
    }
    let wrong_link = |expected: &str| {
        Err(CheckError(format!(
            "model.link: found \"{}\" beside likelihood = \"{}\", expected {expected}",
            serde_json::to_value(m.link)
                .ok()
                .and_then(|v| v.as_str().map(String::from))
                .unwrap_or_default(),
            family_name(m.likelihood)
        )))
    };
    Ok(match m.likelihood {
        Family::Gaussian => {
            if m.link.is_some() {
                return refuse("link", "bernoulli, binomial and poisson");
            }
            match &m.scale {
                Some(Scale::Known(s)) if *s > 0.0 && s.is_finite() => {
                    Likelihood::Gaussian { scale: s / y_scale }
                }
                Some(Scale::Named(s)) if s == "unknown" => Likelihood::GaussianUnknownScale,
                None => Likelihood::GaussianUnknownScale,
                Some(Scale::Known(s)) => {
                    return Err(CheckError(format!(
                        "model.scale: found {s}, expected a positive number or \"unknown\""
                    )));
                }
                Some(Scale::Named(s)) => {
                    return Err(CheckError(format!(
                        "model.scale: found \"{s}\", expected a positive number or \"unknown\""
                    )));
                }
            }
        }
        Family::Bernoulli | Family::Binomial => match m.link {
            None => Likelihood::Binomial(Link::Logit),
            Some(l) => match l.binomial() {
                Some(link) => Likelihood::Binomial(link),
                None => return wrong_link("\"logit\", \"probit\" or \"cloglog\""),
            },
        },
        Family::Poisson => match m.link {
            None | Some(LinkName::Log) => Likelihood::Poisson,
            Some(_) => return wrong_link("\"log\""),
        },
        Family::Softmax => {
            if m.link.is_some() {
                return refuse("link", "bernoulli, binomial and poisson");
            }
            Likelihood::Softmax {
                classes,
                baseline: m.baseline == Baseline::First,
            }
        }
    })
}

fn family_name(f: Family) -> &'static str {
    match f {
        Family::Gaussian => "gaussian",
        Family::Bernoulli => "bernoulli",
        Family::Binomial => "binomial",
        Family::Poisson => "poisson",
        Family::Softmax => "softmax",
    }
}

type Priors = (Vec<Prior>, Option<ScalePrior>);

fn priors(
    config: &Config,
    columns: &[String],
    intercept: bool,
    likelihood: &Likelihood,
) -> Result<Priors, CheckError> {
    let map = &config.prior.0;
    let read = |key: &str, default: &str| -> Result<Prior, CheckError> {
        Prior::parse(map.get(key).map_or(default, String::as_str))
            .map_err(|e| CheckError(format!("prior.{key}: {e}")))
    };
    let weights = read("weights", "normal(0, 2.5)")?;
    let mut one = Vec::with_capacity(columns.len());
    for (j, name) in columns.iter().enumerate() {
        one.push(if intercept && j == 0 {
            read("intercept", "flat")?
        } else if map.contains_key(&format!("weights.{name}")) {
            read(&format!("weights.{name}"), "")?
        } else {
            weights
        });
    }
    for key in map.keys() {
        let own = key.strip_prefix("weights.");
        let known = match key.as_str() {
            "weights" | "scale" => true,
            "intercept" => {
                if !intercept {
                    return Err(CheckError(
                        "prior.intercept: found a prior beside data.intercept = false, expected none; remove the key or set intercept = true".into(),
                    ));
                }
                true
            }
            _ => own.is_some_and(|o| columns.iter().any(|c| c == o)),
        };
        if !known {
            let candidates: Vec<String> = ["weights", "intercept", "scale"]
                .iter()
                .map(|s| s.to_string())
                .chain(columns.iter().map(|c| format!("weights.{c}")))
                .collect();
            let hint = nearest(key, candidates.iter().map(String::as_str))
                .map_or(String::new(), |n| format!("; did you mean \"{n}\"?"));
            return Err(CheckError(format!(
                "prior: found unknown key \"{key}\", expected weights, intercept, scale or \"weights.COLUMN\"{hint}"
            )));
        }
    }
    let k = likelihood.linear_outputs();
    let all = (0..k).flat_map(|_| one.iter().copied()).collect();
    let scale = map.get("scale");
    let scale_prior = match (likelihood, scale) {
        (Likelihood::GaussianUnknownScale, s) => Some(
            ScalePrior::parse(s.map_or("half_cauchy(0, 2.5)", String::as_str))
                .map_err(|e| CheckError(format!("prior.scale: {e}")))?,
        ),
        (_, Some(_)) => {
            return Err(CheckError(
                "prior.scale: found a prior for a scale that the model does not have, expected it only with likelihood = \"gaussian\" and scale = \"unknown\"; remove the key".into(),
            ));
        }
        _ => None,
    };
    Ok((all, scale_prior))
}

/// Flat priors need data that pin every direction; what can be told without optimising is told here.
fn check_proper(
    config: &Config,
    source: &str,
    priors: &[Prior],
    likelihood: &Likelihood,
    n: usize,
    d: usize,
) -> Result<(), CheckError> {
    let flat = priors.iter().filter(|p| **p == Prior::Flat).count();
    if flat == 0 || config.sampler.target == crate::config::Target::Jeffreys {
        return Ok(());
    }
    if let Likelihood::Softmax {
        baseline: false, ..
    } = likelihood
    {
        return Err(CheckError(
            "model.baseline: found \"none\" beside a flat prior, which leaves the shift common to all classes without a posterior (improper), expected proper priors; set baseline = \"first\" or give prior.intercept and prior.weights".into(),
        ));
    }
    let flat_columns = flat / likelihood.linear_outputs();
    let unknown = usize::from(*likelihood == Likelihood::GaussianUnknownScale);
    if n < flat_columns + unknown {
        return Err(CheckError(format!(
            "{source}: found {n} rows for {d} columns under a flat prior, whose posterior is improper, expected at least {} rows; give the weights a proper prior such as prior.weights = \"normal(0, 1)\"",
            flat_columns + unknown
        )));
    }
    Ok(())
}
