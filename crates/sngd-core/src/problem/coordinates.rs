//! How columns and response are centred and scaled, before the map of the parameters is made of it (`crate::transform`).

use super::HeldOut;
use super::design::{column_moments, find_pivot, standardise};
use crate::config::{Config, Family, Predictor};
use crate::error::CheckError;
use crate::features::Features;
use crate::likelihood::Likelihood;
use crate::network::Network;
use crate::transform::Transform;

/// Means and scales of the fitted rows. `mean` and `scale` are a column's, `[D]`; see [`Transform`] for each field.
pub(super) struct Coordinates {
    pivot: Option<usize>,
    pivot_value: f64,
    mean: Vec<f64>,
    scale: Vec<f64>,
    y_mean: f64,
    pub y_scale: f64,
    /// Mean and population sd of each column on the user's scale, `[D]`.
    pub moments: Vec<(f64, f64)>,
}

impl Coordinates {
    /// Measures the fitted rows: design `x` `[N,D]`, response `y` `[N]`, and how often each row counts, `[N]` or empty. Refuses
    /// a Gaussian response that does not vary.
    pub fn of(
        config: &Config,
        source: &str,
        columns: &[String],
        x: &Features,
        y: &[f64],
        weights: &[f64],
    ) -> Result<Coordinates, CheckError> {
        let linear = config.model.predictor == Predictor::Linear;
        let moments = column_moments(x, weights);
        let pivot = match linear {
            true => find_pivot(&moments, config.data.intercept),
            false => None,
        };
        // A row that does not count may hold anything.
        let counted = weights.iter().position(|w| *w > 0.0).unwrap_or(0);
        let mut out = Coordinates {
            pivot,
            pivot_value: pivot.map_or(1.0, |p| x.rows(counted, 1, &mut Vec::new())[p]),
            mean: vec![0.0; columns.len()],
            scale: vec![1.0; columns.len()],
            y_mean: 0.0,
            y_scale: 1.0,
            moments,
        };
        for (j, &(mean, sd)) in out.moments.iter().enumerate() {
            if pivot.is_some_and(|p| p != j) || (!linear && config.standardizes()) {
                out.mean[j] = mean;
                // There may be constant columns, such as a pixel that is dark in every image.
                out.scale[j] = if sd > 1e-12 * mean.abs() { sd } else { 1.0 };
            } else if linear && pivot.is_none() {
                let size = (mean * mean + sd * sd).sqrt();
                out.scale[j] = if size > 0.0 { size } else { 1.0 };
            }
        }
        if config.model.likelihood == Family::Gaussian {
            let (mean, var) = response_moments(source, &config.data.response, y, weights)?;
            if linear {
                out.y_mean = if pivot.is_some() { mean } else { 0.0 };
                out.y_scale = (var + (mean - out.y_mean) * (mean - out.y_mean)).sqrt();
            } else if config.standard_network() {
                (out.y_mean, out.y_scale) = (mean, var.sqrt());
            }
        }
        Ok(out)
    }

    /// Standardises fitted and held-out rows: this is the user's scale from then on, and nothing is left to centre or scale.
    pub fn standardise(&mut self, x: &mut Features, held_out: Option<&mut HeldOut>) {
        standardise(x, &self.mean, &self.scale, self.pivot);
        if let Some(held) = held_out {
            standardise(&mut held.x, &self.mean, &self.scale, self.pivot);
        }
        for (j, (mean, sd)) in self.moments.iter_mut().enumerate() {
            if self.pivot != Some(j) {
                *mean = (*mean - self.mean[j]) / self.scale[j];
                *sd /= self.scale[j];
            }
        }
        self.mean.fill(0.0);
        self.scale.fill(1.0);
    }

    /// The map between parameters on the user's scale and internal ones; the identity for a network's weights.
    pub fn transform(self, likelihood: &Likelihood, network: Option<&Network>) -> Transform {
        let (outputs, mean, scale) = match network {
            None => (likelihood.linear_outputs(), self.mean, self.scale),
            // A network's weights are internal ones: θ_j = σ_y·ω_j/s_j with s_j = σ_y.
            Some(net) => {
                let p = net.parameters();
                (1, vec![0.0; p], vec![self.y_scale; p])
            }
        };
        Transform {
            outputs,
            columns: mean.len(),
            aux: likelihood.aux_outputs(),
            pivot: self.pivot,
            pivot_value: self.pivot_value,
            mean,
            scale,
            y_mean: self.y_mean,
            y_scale: self.y_scale,
        }
    }
}

/// Mean and population variance of a Gaussian response.
fn response_moments(
    source: &str,
    name: &str,
    y: &[f64],
    weights: &[f64],
) -> Result<(f64, f64), CheckError> {
    let average = |of: &dyn Fn(f64) -> f64| match weights.is_empty() {
        true => y.iter().map(|&v| of(v)).sum::<f64>() / y.len() as f64,
        false => {
            let terms = y.iter().zip(weights).map(|(&v, w)| w * of(v));
            terms.sum::<f64>() / weights.iter().sum::<f64>()
        }
    };
    let mean = average(&|v| v);
    let var = average(&|v| (v - mean) * (v - mean));
    if var.sqrt() <= 1e-12 * mean.abs() || var == 0.0 {
        return Err(CheckError::data(
            source,
            format!(
                "found the same value in every row of response '{name}', expected a response that varies; choose another column"
            ),
        ));
    }
    Ok((mean, var))
}
