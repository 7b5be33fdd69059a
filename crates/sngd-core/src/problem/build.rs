//! A table and a run file become a `Problem`.

use super::coordinates::Coordinates;
use super::defaults::{Defaults, Fitted};
use super::row_columns::RowColumns;
use super::{HeldOut, Problem, design, priors, response};
use crate::config::{Config, Family, Predictor, Storage};
use crate::error::CheckError;
use crate::network::Network;
use crate::table::Table;
use std::collections::BTreeSet;

/// Where the numbers of a network with a standardised response are reported.
const UNITS: &str = "; predictions and scale are in the response's own units";

impl Problem {
    /// Checks the table against the model and moves it to internal coordinates.
    pub fn build(config: &Config, table: Table) -> Result<Problem, CheckError> {
        // All that can be refused is refused first: the response, the rows, the columns, the model, its priors.
        let response::Observations {
            y,
            trials,
            classes,
            notes: of_response,
        } = response::response(config, &table)?;
        let mut notes = table.notes.clone();
        notes.extend(of_response);
        let (train, test) = response::split(config, table.rows())?;
        let (train, test, empty) = without_trials(config, &table, &trials, [train, test])?;
        let apart: BTreeSet<usize> = test.iter().chain(&empty).copied().collect();
        let by_row = RowColumns::of(config, &table, &apart)?;
        let columns = columns(config, &table)?;
        if !table.left_out.is_empty() {
            let (out, all) = (table.left_out.len(), table.rows() + table.left_out.len());
            notes.push(format!(
                "left out {out} of {all} rows, in which a cell is missing"
            ));
        }
        if !empty.is_empty() {
            let (out, all) = (empty.len(), table.rows());
            notes.push(format!(
                "left out {out} of {all} rows, which have 0 trials and add nothing"
            ));
        }
        notes.extend(standardised(config));
        let held_rows = test.iter().map(|&i| table.source_row(i)).collect();
        let mut left_out: Vec<usize> = empty.iter().map(|&i| table.source_row(i)).collect();
        left_out.extend(&table.left_out);
        left_out.sort_unstable();
        let source = table.source;
        let (mut x, test_x) = design::split(table.features, &train, &test, has_intercept(config));
        let mut held_out = (!test.is_empty()).then(|| HeldOut {
            x: test_x,
            y: pick(&y, &test),
            trials: pick(&trials, &test),
            offset: pick(&by_row.offset, &test),
            rows: held_rows,
        });
        let (mut y, trials) = (pick(&y, &train), pick(&trials, &train));
        let weights = pick(&by_row.weights, &train);
        let mut coordinates = Coordinates::of(config, &source, &columns, &x, &y, &weights)?;
        let likelihood = response::likelihood(config, classes.len(), coordinates.y_scale)?;
        let network = network(config, columns.len(), likelihood.linear_outputs())?;
        if config.standardizes() {
            coordinates.standardise(&mut x, held_out.as_mut());
        }
        let defaults = Defaults::of(
            &likelihood,
            &coordinates,
            &Fitted {
                y: &y,
                trials: &trials,
                offset: &pick(&by_row.offset, &train),
                weights: &weights,
            },
        );
        let intercept = has_intercept(config);
        let priors = match &network {
            None => priors::linear(config, &columns, intercept, &likelihood, &defaults)?,
            Some(net) => priors::network(config, net, &likelihood, &defaults)?,
        };
        priors::check_shift(config, &priors.coefficients, &likelihood)?;

        // From here on nothing is refused.
        let y_scale = coordinates.y_scale;
        let transform = coordinates.transform(&likelihood, network.as_ref());
        let prior_transform = match priors.at_means {
            true => transform.at_means(),
            false => transform.clone(),
        };
        match network {
            None => transform.enter_rows(&mut x, &mut y),
            Some(_) => transform.enter_responses(&mut y),
        }
        let mut problem = Problem {
            prior_norm: priors.coefficients.iter().map(|p| p.log_norm()).sum(),
            offset: pick(&by_row.offset, &train)
                .iter()
                .map(|o| o / y_scale)
                .collect(),
            roots: by_row.roots,
            intercept,
            intercept_at_means: priors.at_means,
            log_norm: 0.0,
            likelihood,
            network,
            transform,
            prior_transform,
            x,
            y,
            trials,
            weights,
            priors: priors.coefficients,
            scale_prior: priors.scale,
            stated_priors: priors.stated,
            columns,
            classes,
            held_out,
            source,
            left_out,
            notes,
        };
        problem.log_norm = problem.sum_of_log_norms();
        problem.scale_rows();
        if config.data.storage != Storage::F32 {
            // Every engine rounds the design to 16 bits, which f32 holds as well as f64.
            problem.x = problem.x.into_f32();
        }
        Ok(problem)
    }

    /// Σ over rows of the terms that the likelihood leaves out of ln p(y), nats, natural units of y; asked before rows are scaled by √w.
    fn sum_of_log_norms(&self) -> f64 {
        let weight = |i: usize| self.weights.get(i).copied().unwrap_or(1.0);
        let units = self.transform.y_scale.ln();
        (0..self.rows())
            .map(|i| weight(i) * (self.likelihood.log_norm(self.observed(i)) - units))
            .sum::<f64>()
            + self.roots.iter().map(|r| r.ln()).sum::<f64>()
    }
}

/// What is standardised for a network under its default prior, in one sentence.
fn standardised(config: &Config) -> Option<String> {
    let gaussian = config.model.likelihood == Family::Gaussian;
    let (what, units) = match (config.standardizes(), gaussian) {
        _ if !config.standard_network() => return None,
        (false, false) => return None,
        (true, false) => ("features are", ""),
        (false, true) => ("the response is", UNITS),
        (true, true) => ("features and response are", UNITS),
    };
    Some(format!(
        "{what} standardised for the network, on whose scale its default prior is{units}"
    ))
}

/// Whether the design has a column of ones of its own. A network's units have biases instead.
fn has_intercept(config: &Config) -> bool {
    config.data.intercept && config.model.predictor == Predictor::Linear
}

/// Names of the design's columns; `intercept` first if there is one.
fn columns(config: &Config, table: &Table) -> Result<Vec<String>, CheckError> {
    let intercept = has_intercept(config).then(|| "intercept".to_string());
    let names: Vec<String> = (intercept.into_iter())
        .chain(table.feature_names.iter().cloned())
        .collect();
    if !names.is_empty() {
        return Ok(names);
    }
    let (found, remedy) = match config.model.predictor {
        Predictor::Linear => (" and intercept = false", " or set intercept = true"),
        _ => ("", ""),
    };
    Err(CheckError::data(
        &table.source,
        format!(
            "found no features{found}, expected at least one column; name some in data.features{remedy}"
        ),
    ))
}

/// The fitted and the held-out rows of a binomial response that have trials, and the rows that have none.
fn without_trials(
    config: &Config,
    table: &Table,
    trials: &[f64],
    rows: [Vec<usize>; 2],
) -> Result<(Vec<usize>, Vec<usize>, Vec<usize>), CheckError> {
    let [mut train, mut test] = rows;
    // The companion of a user's own likelihood may be 0.
    if config.model.likelihood != Family::Binomial {
        return Ok((train, test, vec![]));
    }
    let empty: Vec<usize> = (0..trials.len()).filter(|&i| trials[i] == 0.0).collect();
    if !empty.is_empty() {
        [&mut train, &mut test]
            .into_iter()
            .for_each(|rows| rows.retain(|&i| trials[i] > 0.0));
    }
    if train.is_empty() {
        return Err(CheckError::data(
            &table.source,
            "found 0 trials in each of the rows to fit, expected a row with trials; choose another column or number of trials",
        ));
    }
    Ok((train, test, empty))
}

/// The numbers of these rows; none where there is no column.
fn pick(column: &[f64], rows: &[usize]) -> Vec<f64> {
    match column {
        [] => vec![],
        v => rows.iter().map(|&i| v[i]).collect(),
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
