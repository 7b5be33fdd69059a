//! Predictions on held-out rows, as an ensemble over all kept draws, scored while the run goes on: on the device if the
//! engine uses one, here otherwise.
//!
//! The ensemble's density of a row is the mean of the draws' densities; its log is the log score (Gneiting & Raftery 2007).
//! Class probabilities are averaged the same way, so that accuracy, Brier score and calibration are the ensemble's. Only
//! sums over draws are kept.

use crate::error::Error;
use crate::event::Outcome;
use crate::prepare::Prepared;
use crate::sink::RunSink;
use serde::{Deserialize, Serialize};
use sngd_core::engine::{Predicted, add_density};
use sngd_core::likelihood::{Likelihood, Observed};
use sngd_core::problem::{HeldOut, Problem};
use sngd_core::trace::DrawBlock;
use sngd_cpu::forward::Forward;
use std::io::{self, Write};
use std::sync::Arc;

/// Bins of the expected calibration error (Guo et al. 2017).
const BINS: usize = 15;

/// Scores on the held-out rows.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// Number of held-out rows.
    pub rows: usize,
    /// Number of draws in the ensemble.
    pub draws: usize,
    /// Mean over rows of ln of the ensemble's density, nats.
    pub log_score: f64,
    /// Standard error of that mean over rows.
    pub log_score_se: f64,
    /// Mean over draws of a single draw's log score.
    pub single_log_score: f64,
    /// The best single draw's log score, chosen on these rows: an upper bound, since no one can choose that draw beforehand.
    pub best_log_score: f64,
    /// Share of rows whose most probable class is right.
    pub accuracy: Option<f64>,
    /// Mean over draws of a single draw's accuracy.
    pub single_accuracy: Option<f64>,
    /// Accuracy of the best single draw, chosen on these rows.
    pub best_accuracy: Option<f64>,
    /// Brier score: mean over rows of Σ over classes of (probability − hit)², where a hit is 1 for the true class, else 0.
    pub brier: Option<f64>,
    /// Expected calibration error over 15 equal bins of the top probability.
    pub calibration_error: Option<f64>,
    /// Root mean squared error of the predictive mean, in units of the response.
    pub rmse: Option<f64>,
    /// Share of rows inside the central 90% predictive interval.
    pub coverage_90: Option<f64>,
}

/// Sums over draws for each of the M held-out rows.
#[derive(Debug)]
pub struct Predictions {
    problem: Arc<Problem>,
    likelihood: Likelihood,
    forward: Forward,
    pub(crate) sums: Sums,
    eta: Vec<f64>,
    theta: Vec<f64>,
}

/// The sums of [`Predictions`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// Running max and Σ exp(ln p − max), `[M]`.
    density: Vec<(f64, f64)>,
    /// Σ of class probabilities `[M,classes]`; empty if the response is not a class.
    classes: Vec<f64>,
    /// Σ of predictive means `[M]`; empty where the likelihood has no mean.
    mean: Vec<f64>,
    /// Σ of the predictive distribution function at y, `[M]`; empty where the likelihood has none.
    below: Vec<f64>,
    draws: usize,
    single: f64,
    best: f64,
    single_hits: f64,
    best_hits: f64,
}

impl Predictions {
    /// Empty sums for a run with held-out rows; `None` without such rows.
    pub fn new(prepared: &Prepared) -> Option<Predictions> {
        let problem = Arc::clone(&prepared.problem);
        let m = problem.held_out.as_ref()?.y.len();
        let likelihood = match &problem.likelihood {
            // The engine's σ is in units of the response's spread; this one is in the response's units.
            Likelihood::Gaussian { scale } => Likelihood::Gaussian {
                scale: scale * problem.transform.y_scale,
            },
            other => other.clone(),
        };
        let (mean, cdf) = likelihood.predicts();
        Some(Predictions {
            forward: Forward::new(&problem),
            sums: Sums {
                density: vec![(f64::NEG_INFINITY, 0.0); m],
                classes: vec![0.0; m * problem.classes.len()],
                mean: vec![0.0; if mean { m } else { 0 }],
                below: vec![0.0; if cdf { m } else { 0 }],
                draws: 0,
                single: 0.0,
                best: f64::NEG_INFINITY,
                single_hits: 0.0,
                best_hits: 0.0,
            },
            eta: vec![0.0; m * likelihood.outputs()],
            theta: vec![0.0; problem.parameters()],
            likelihood,
            problem,
        })
    }

    fn draw(&mut self, values: &[f64]) {
        let problem = Arc::clone(&self.problem);
        let Some(held) = &problem.held_out else {
            return;
        };
        self.theta.copy_from_slice(values);
        // Draws contain σ, outputs ln σ.
        let first_aux = self.theta.len() - problem.transform.aux;
        self.theta[first_aux..].iter_mut().for_each(|s| *s = s.ln());
        self.forward.outputs(&self.theta, &held.x, 0, &mut self.eta);
        let h = self.likelihood.outputs();
        if problem.network.is_some() {
            // Its outputs are in units of the response's spread.
            let t = &problem.transform;
            let outputs = self.eta.chunks_mut(h);
            outputs.for_each(|eta| eta[0] = t.y_mean + t.y_scale * eta[0]);
        }
        for (eta, o) in self.eta.chunks_mut(h).zip(&held.offset) {
            eta[0] += o;
        }
        let k = problem.classes.len();
        let (mut total, mut hits) = (0.0, 0u32);
        let (mut score, mut probability) = (vec![0.0; h], vec![0.0; k]);
        for i in 0..held.y.len() {
            let eta = &self.eta[i * h..(i + 1) * h];
            let obs = observed(held, i);
            let ln_p = self.likelihood.log_lik_and_score(eta, obs, &mut score)
                + self.likelihood.log_norm(obs);
            total += ln_p;
            add_density(&mut self.sums.density[i], (ln_p, 1.0));
            if k > 0 {
                self.likelihood.class_probabilities(eta, &mut probability);
                hits += u32::from(top(&probability) == obs.y as usize);
                let row = &mut self.sums.classes[i * k..(i + 1) * k];
                row.iter_mut().zip(&probability).for_each(|(s, p)| *s += p);
            }
            if let Some(sum) = self.sums.mean.get_mut(i) {
                *sum += self.likelihood.mean(eta, obs.trials).unwrap_or(f64::NAN);
            }
            if let Some(sum) = self.sums.below.get_mut(i) {
                *sum += self.likelihood.cdf(eta, obs).unwrap_or(f64::NAN);
            }
        }
        self.count(total, f64::from(hits));
    }

    /// Counts one more draw: `total` is its Σ ln p over the rows, `hits` the rows whose most probable class is right.
    fn count(&mut self, total: f64, hits: f64) {
        let rows = self.sums.density.len() as f64;
        self.sums.draws += 1;
        self.sums.single += total / rows;
        self.sums.best = self.sums.best.max(total / rows);
        self.sums.single_hits += hits / rows;
        self.sums.best_hits = self.sums.best_hits.max(hits / rows);
    }

    /// Adds the sums that a device made, which are in internal units.
    fn take(&mut self, sums: &Predicted) {
        let problem = Arc::clone(&self.problem);
        let (Some(held), t) = (&problem.held_out, &problem.transform) else {
            return;
        };
        let draws = sums.draws.len() as f64;
        let (mut missing, mut wide) = (0.0, Vec::new());
        for i in 0..held.y.len() {
            let own = problem.likelihood.log_norm(observed(held, i)) - t.y_scale.ln();
            missing += own;
            let (max, sum) = sums.density[i];
            add_density(&mut self.sums.density[i], (max + own, sum));
            if let (Some(own), Some(mean)) = (self.sums.mean.get_mut(i), sums.mean.get(i)) {
                // y = y_scale·(internal y) + what centring removed.
                let taken = t.y_mean * t.one(held.x.rows(i, 1, &mut wide));
                *own += t.y_scale * mean + taken * draws;
            }
            if let (Some(own), Some(below)) = (self.sums.below.get_mut(i), sums.below.get(i)) {
                *own += below;
            }
        }
        let classes = self.sums.classes.iter_mut().zip(&sums.classes);
        classes.for_each(|(own, more)| *own += more);
        for (total, hits) in &sums.draws {
            self.count(total + missing, *hits);
        }
    }

    /// The scores so far; `None` before the first draw.
    pub fn scores(&self) -> Option<Scores> {
        let held = self.problem.held_out.as_ref()?;
        if self.sums.draws == 0 {
            return None;
        }
        let (m, s) = (held.y.len() as f64, self.sums.draws as f64);
        let each: Vec<f64> = self
            .sums
            .density
            .iter()
            .map(|(max, sum)| max + (sum / s).ln())
            .collect();
        let log_score = each.iter().sum::<f64>() / m;
        let spread = each.iter().map(|v| (v - log_score).powi(2)).sum::<f64>();
        let k = self.problem.classes.len();
        let classes = (k > 0).then(|| self.class_scores(held, k));
        Some(Scores {
            rows: held.y.len(),
            draws: self.sums.draws,
            log_score,
            log_score_se: (spread / (m * (m - 1.0).max(1.0))).sqrt(),
            single_log_score: self.sums.single / s,
            best_log_score: self.sums.best,
            accuracy: classes.map(|c| c.0),
            single_accuracy: classes.map(|_| self.sums.single_hits / s),
            best_accuracy: classes.map(|_| self.sums.best_hits),
            brier: classes.map(|c| c.1),
            calibration_error: classes.map(|c| c.2),
            rmse: (k == 0 && !self.sums.mean.is_empty()).then(|| {
                let square = |(y, sum): (&f64, &f64)| (y - sum / s).powi(2);
                (held.y.iter().zip(&self.sums.mean).map(square).sum::<f64>() / m).sqrt()
            }),
            coverage_90: (!self.sums.below.is_empty()).then(|| {
                let inside = |b: &&f64| (0.05..=0.95).contains(&(**b / s));
                self.sums.below.iter().filter(inside).count() as f64 / m
            }),
        })
    }

    /// Accuracy, Brier score and calibration error of the averaged probabilities.
    fn class_scores(&self, held: &HeldOut, k: usize) -> (f64, f64, f64) {
        let (m, s) = (held.y.len() as f64, self.sums.draws as f64);
        let (mut hits, mut brier) = (0.0, 0.0);
        let mut bins = [(0.0, 0.0, 0.0); BINS];
        for (row, y) in self.sums.classes.chunks(k).zip(&held.y) {
            let p: Vec<f64> = row.iter().map(|v| v / s).collect();
            let best = top(&p);
            let hit = f64::from(u8::from(best == *y as usize));
            hits += hit;
            for (c, p) in p.iter().enumerate() {
                let own = f64::from(u8::from(c == *y as usize));
                brier += (p - own).powi(2);
            }
            let bin = ((p[best] * BINS as f64) as usize).min(BINS - 1);
            let (count, confidence, right) = &mut bins[bin];
            (*count, *confidence, *right) = (*count + 1.0, *confidence + p[best], *right + hit);
        }
        let calibration = bins.iter().map(|(_, c, r)| (c - r).abs()).sum::<f64>() / m;
        (hits / m, brier / m, calibration)
    }
}

impl RunSink for Predictions {
    fn block(&mut self, block: &DrawBlock) -> Result<(), Error> {
        if let Some(sums) = &block.predicted {
            self.take(sums);
        } else if !block.warmup {
            let p = self.problem.parameters();
            for values in block.values.chunks(p) {
                self.draw(values);
            }
        }
        Ok(())
    }

    fn finish(&mut self, _: &Outcome, _: Option<&str>) -> Result<(), Error> {
        Ok(())
    }
}

/// ln p(y|θ) of each fitted row, in nats, for y in its natural units.
#[derive(Debug)]
pub(crate) struct RowTerms {
    problem: Arc<Problem>,
    forward: Forward,
}

impl RowTerms {
    pub(crate) fn new(prepared: &Prepared) -> RowTerms {
        let problem = Arc::clone(&prepared.problem);
        RowTerms {
            forward: Forward::new(&problem),
            problem,
        }
    }

    /// The log likelihoods `[n, C, N]` of the draws of a block, which must be kept draws.
    pub(crate) fn of(&mut self, block: &DrawBlock) -> DrawBlock {
        let problem = &self.problem;
        let (p, n, h) = (
            problem.parameters(),
            problem.rows(),
            problem.likelihood.outputs(),
        );
        let first_aux = p - problem.transform.aux;
        let (mut theta, mut omega) = (vec![0.0; p], vec![0.0; p]);
        let (mut eta, mut score) = (vec![0.0; n * h], vec![0.0; h]);
        let mut values = Vec::with_capacity(block.values.len() / p * n);
        for draw in block.values.chunks(p) {
            theta.copy_from_slice(draw);
            theta[first_aux..].iter_mut().for_each(|s| *s = s.ln());
            // The design is kept only in internal coordinates.
            problem.transform.internal(&theta, &mut omega);
            self.forward.outputs(&omega, &problem.x, 0, &mut eta);
            let outputs = problem.likelihood.outputs();
            for (eta, o) in eta.chunks_mut(outputs).zip(&problem.offset) {
                eta[0] += o;
            }
            let unit = problem.transform.y_scale.ln();
            values.extend((0..n).map(|i| {
                let obs = problem.observed(i);
                let eta = &eta[i * h..(i + 1) * h];
                let ln_p = problem.likelihood.log_lik_and_score(eta, obs, &mut score);
                ln_p + problem.likelihood.log_norm(obs) - unit
            }));
        }
        DrawBlock {
            values,
            stats: vec![],
            predicted: None,
            ..block.clone()
        }
    }
}

fn observed(held: &HeldOut, i: usize) -> Observed<f64> {
    Observed {
        y: held.y[i],
        trials: held.trials.get(i).copied().unwrap_or(1.0),
    }
}

fn top(p: &[f64]) -> usize {
    (0..p.len())
        .max_by(|&a, &b| p[a].total_cmp(&p[b]))
        .unwrap_or(0)
}

impl Scores {
    /// Writes the scores as text.
    ///
    /// # Errors
    /// The errors of the writer.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(
            out,
            "held-out rows: {}, an ensemble of {} draws",
            self.rows, self.draws
        )?;
        writeln!(
            out,
            "  log score {:.4} ± {:.4} a row (a single draw {:.4} on average, {:.4} at best)",
            self.log_score, self.log_score_se, self.single_log_score, self.best_log_score
        )?;
        if let (Some(a), Some(s), Some(best), Some(b), Some(e)) = (
            self.accuracy,
            self.single_accuracy,
            self.best_accuracy,
            self.brier,
            self.calibration_error,
        ) {
            writeln!(
                out,
                "  accuracy {a:.4} (a single draw {s:.4} on average, {best:.4} at best), Brier score {b:.4}, calibration error {e:.4}"
            )?;
        }
        if let Some(r) = self.rmse {
            writeln!(out, "  root mean squared error {r:.4}")?;
        }
        if let Some(c) = self.coverage_90 {
            writeln!(out, "  {:.1}% of rows in the 90% interval", 100.0 * c)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Data, Device, Family, Mala, Model, Prior, Sampler};
    use statrs::distribution::{Continuous, Normal};

    #[test]
    fn row_terms_are_densities_on_the_natural_scale() {
        let x: Vec<f64> = (0..60).map(|i| f64::from(i * 7 % 13) + 100.0).collect();
        let y: Vec<f64> = (0..30)
            .map(|i| 40.0 + 0.3 * x[2 * i] - x[2 * i + 1] + (i % 5) as f64)
            .collect();
        let offset: Vec<f64> = (0..30).map(|i| f64::from(i % 4) - 1.0).collect();
        let data = Data::new(x.clone(), ["a", "b"], y.clone()).offset(offset.clone());
        let run = Sampler::builder(Model::linear(Family::Gaussian), &data)
            .prior(Prior::Normal(0.0, 10.0))
            .method(Mala::default().step_size(0.5))
            .device(Device::Cpu)
            .build()
            .unwrap();
        // Two draws of one chain: intercept, a, b, scale.
        let draws = [[38.0, 0.2, -0.9, 1.7], [41.0, 0.35, -1.1, 0.6]];
        let block = DrawBlock {
            warmup: false,
            first_draw: 0,
            len: 2,
            values: draws.concat(),
            stats: vec![],
            predicted: None,
        };
        let terms = RowTerms::new(run.prepared()).of(&block).values;
        assert_eq!(terms.len(), 60);
        for (d, [c, a, b, s]) in draws.into_iter().enumerate() {
            for i in 0..30 {
                let mean = c + a * x[2 * i] + b * x[2 * i + 1] + offset[i];
                let law = Normal::new(mean, s).unwrap();
                let (own, truth) = (terms[d * 30 + i], law.ln_pdf(y[i]));
                assert!(
                    (own - truth).abs() < 1e-9 * (1.0 + truth.abs()),
                    "{own} {truth}"
                );
            }
        }
    }
}
