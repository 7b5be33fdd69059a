//! What a run measures about itself while it goes on, by batch means: the precision of every mean, the configurational temperature
//! of every parameter, and the part of the Monte Carlo error of the means that the gradients do not explain.
//!
//! Integration by parts gives, for any smooth posterior at temperature T, any parameter j and any constant c,
//! E[∂C/∂ω_j] = 0 and E[(ω_j − c)·aᵀ∇C] = T·a_j: no Gaussian assumption (the virial theorem; Wenzel et al. 2020 call it the
//! configurational temperature, with a the j-th unit vector). With a = M⁻¹e_j/(M⁻¹)_jj a Gaussian has E[(ω_j − c)²]/(M⁻¹)_jj there: the
//! ratio of the parameter's variance to the right one, known as well for correlated parameters as for others. The step's estimate of ∇C is enough, since it is unbiased given the state it is taken at. And
//! ω̄ − M⁻¹·mean(∇C) has neither the Monte Carlo error nor the sampler's bias to first order (zero-variance control variates, Mira
//! et al. 2013): the distance between the two is a certificate of the means.

use crate::facts;
use crate::prepare::Prepared;
use serde::{Deserialize, Serialize};
use sngd_core::expansion::Expansion;
use sngd_cpu::mode::Inverse;
use std::sync::Arc;

/// Draws per batch at first; the length doubles when there are many batches.
const FIRST_LENGTH: usize = 25;
/// Batches per chain beyond which neighbours are joined.
const MOST_BATCHES: usize = 64;
/// Stored numbers beyond which batches are joined earlier.
const MOST_NUMBERS: usize = 1 << 25;

/// The measurements of a run. Parameters are in stored order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Gauges {
    /// Effective number of draws for each mean, `[P]`, by batch means.
    pub ess: Vec<f64>,
    /// Monte Carlo error of each mean in posterior sds, `[P]`.
    pub mcse: Vec<f64>,
    /// Configurational temperature of each parameter in centred coordinates, `[P]`; empty where the engine keeps no gradients.
    pub temperature: Vec<f64>,
    /// Monte Carlo error of `temperature`, `[P]`.
    pub temperature_error: Vec<f64>,
    /// Amount to add to each mean to remove its Monte Carlo error, in the parameter's units, `[P]`; empty without gradients or an
    /// expansion at the mode.
    pub shift: Vec<f64>,
    /// The same shift in posterior sds of each parameter in centred coordinates, `[P]`.
    pub shift_sds: Vec<f64>,
    /// Monte Carlo error that remains after the shift, in the same sds, `[P]`.
    pub shift_error: Vec<f64>,
}

/// Running sums over the draws so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Sums {
    /// The constant c, `[P]`.
    centre: Vec<f64>,
    gradients: bool,
    /// Draws per batch.
    length: usize,
    /// Draws in the batch that is being filled.
    filled: usize,
    /// Sums of ω − c, ∇C and (ω − c)·aᵀ∇C over the draws of that batch, `[C,3,P]`.
    current: Vec<f64>,
    /// The same of every full batch, `[C][batches,3,P]`.
    batches: Vec<Vec<f64>>,
    /// Sum of (ω − c)² over all draws and chains, `[P]`.
    square: Vec<f64>,
    draws: usize,
}

/// Adds up what [`Gauges`] are read from.
#[derive(Debug)]
pub(crate) struct Meter {
    p: usize,
    chains: usize,
    order: Vec<usize>,
    pub sums: Sums,
    expansion: Option<Arc<Expansion>>,
    /// M⁻¹ at the mode, made when the first gradients come.
    inverse: Option<Inverse>,
}

impl Meter {
    pub fn new(prepared: &Prepared) -> Meter {
        let (p, chains) = (prepared.plan.p, prepared.plan.chains);
        let mode = prepared.mode.as_ref().map(|m| m.omega.clone());
        Meter {
            p,
            chains,
            order: facts::order(&prepared.problem),
            sums: Sums {
                centre: mode.unwrap_or_default(),
                length: FIRST_LENGTH,
                current: vec![0.0; chains * 3 * p],
                batches: vec![Vec::new(); chains],
                square: vec![0.0; p],
                ..Sums::default()
            },
            expansion: prepared.plan.expansion.clone(),
            inverse: None,
        }
    }

    /// Adds kept draws `[n,C,P]` in internal coordinates and the gradients at them, if there are any.
    pub fn take(&mut self, omega: &[f64], gradient: &[f64]) {
        let p = self.p;
        if self.sums.centre.is_empty() {
            let Some(first) = omega.get(..p) else { return };
            self.sums.centre = first.to_vec();
        }
        self.sums.gradients = gradient.len() == omega.len();
        if self.sums.gradients && self.inverse.is_none() {
            self.inverse = self.expansion.as_deref().map(Inverse::of);
        }
        let solved = match &self.inverse {
            Some(inverse) if self.sums.gradients => inverse.times(gradient),
            _ => Vec::new(),
        };
        let variance = |j: usize| self.inverse.as_ref().map_or(1.0, |i| i.variance(j));
        let variance: Vec<f64> = (0..p).map(variance).collect();
        let nothing = vec![0.0; p];
        for (i, row) in omega.chunks_exact(self.chains * p).enumerate() {
            for (c, w) in row.chunks_exact(p).enumerate() {
                let at = (i * self.chains + c) * p;
                let g = gradient.get(at..at + p).unwrap_or(&nothing);
                // Without an expansion, ∇C itself.
                let v = solved.get(at..at + p).unwrap_or(g);
                let sums = &mut self.sums.current[c * 3 * p..(c + 1) * 3 * p];
                let (away, rest) = sums.split_at_mut(p);
                let (slope, product) = rest.split_at_mut(p);
                for j in 0..p {
                    let d = w[j] - self.sums.centre[j];
                    away[j] += d;
                    slope[j] += g[j];
                    product[j] += d * v[j] / variance[j];
                    self.sums.square[j] += d * d;
                }
            }
            self.sums.draws += 1;
            self.sums.filled += 1;
            if self.sums.filled == self.sums.length {
                self.close();
            }
        }
    }

    fn close(&mut self) {
        let width = 3 * self.p;
        for (batches, sums) in self
            .sums
            .batches
            .iter_mut()
            .zip(self.sums.current.chunks(width))
        {
            batches.extend_from_slice(sums);
        }
        self.sums.current.fill(0.0);
        self.sums.filled = 0;
        let count = self.sums.batches.first().map_or(0, |b| b.len() / width);
        let numbers = count * width * self.chains;
        if count >= MOST_BATCHES || (numbers > MOST_NUMBERS && count >= 8) {
            for batches in &mut self.sums.batches {
                let pairs = batches.chunks(2 * width);
                *batches = pairs
                    .filter(|pair| pair.len() == 2 * width)
                    .flat_map(|pair| (0..width).map(|i| pair[i] + pair[width + i]))
                    .collect();
            }
            self.sums.length *= 2;
        }
    }

    /// The measurements so far; `None` while there are fewer than four batches in all.
    pub fn read(&self, prepared: &Prepared) -> Option<Gauges> {
        let (p, width) = (self.p, 3 * self.p);
        let all: Vec<&[f64]> = self
            .sums
            .batches
            .iter()
            .flat_map(|b| b.chunks_exact(width))
            .collect();
        let m = all.len();
        if m < 4 {
            return None;
        }
        let per = self.sums.length as f64;
        let count = (self.sums.draws * self.chains) as f64;
        // Mean over batches of a quantity, and the error of that mean.
        let mean_of = |at: usize| {
            let mean = all.iter().map(|b| b[at]).sum::<f64>() / (m as f64 * per);
            let spread = all
                .iter()
                .map(|b| (b[at] / per - mean).powi(2))
                .sum::<f64>();
            (mean, (spread / ((m - 1) * m) as f64).sqrt())
        };
        let away: Vec<(f64, f64)> = (0..p).map(mean_of).collect();
        let sd: Vec<f64> = (0..p)
            .map(|j| {
                (self.sums.square[j] / count - away[j].0.powi(2))
                    .max(0.0)
                    .sqrt()
            })
            .collect();
        let by_order = |of: &dyn Fn(usize) -> f64| self.order.iter().map(|&j| of(j)).collect();
        let mut out = Gauges {
            mcse: by_order(&|j| away[j].1 / sd[j]),
            ess: by_order(&|j| (sd[j] / away[j].1).powi(2)),
            temperature: Vec::new(),
            temperature_error: Vec::new(),
            shift: Vec::new(),
            shift_sds: Vec::new(),
            shift_error: Vec::new(),
        };
        if !self.sums.gradients {
            return Some(out);
        }
        let product: Vec<(f64, f64)> = (2 * p..3 * p).map(mean_of).collect();
        out.temperature = by_order(&|j| product[j].0);
        out.temperature_error = by_order(&|j| product[j].1);
        if let Some(expansion) = &self.expansion {
            let groups = self.groups();
            let (shift, error) = shifts(expansion, &groups, p);
            out.shift_sds = by_order(&|j| shift[j] / sd[j]);
            out.shift_error = by_order(&|j| error[j] / sd[j]);
            let natural = natural_shift(prepared, &self.sums.centre, &away, &shift);
            out.shift = by_order(&|j| natural[j]);
        }
        Some(out)
    }

    /// Whether chains agree on every mean: split R-hat from the means of half chains is at most `largest`. With one chain its halves must.
    pub fn agree(&self, largest: f64) -> bool {
        let width = 3 * self.p;
        let batches = self.sums.batches.first().map_or(0, |b| b.len() / width);
        let half = batches / 2;
        if half == 0 {
            return false;
        }
        let per = (half * self.sums.length) as f64;
        let count = (self.sums.draws * self.chains) as f64;
        let halves: Vec<&[f64]> = (self.sums.batches.iter())
            .flat_map(|b| [&b[..half * width], &b[half * width..2 * half * width]])
            .collect();
        (0..self.p).all(|j| {
            let of = |b: &&[f64]| b.iter().skip(j).step_by(width).sum::<f64>() / per;
            let means: Vec<f64> = halves.iter().map(of).collect();
            let mean = means.iter().sum::<f64>() / means.len() as f64;
            let off = means.iter().map(|m| (m - mean).powi(2)).sum::<f64>();
            let between = off / (means.len() - 1) as f64;
            let within = self.sums.square[j] / count - mean * mean - between;
            // A parameter that never moves has no spread, and nothing to wait for.
            let rhat = ((per - 1.0) / per + between / within).sqrt();
            rhat <= largest || self.sums.square[j] == 0.0
        })
    }

    /// Means of ω − c and ∇C, `[groups][2P]`: chains where there are eight or more, else all batches.
    fn groups(&self) -> Vec<Vec<f64>> {
        let width = 3 * self.p;
        let mean = |parts: Vec<&[f64]>| -> Vec<f64> {
            let n = parts.len() as f64 * self.sums.length as f64;
            (0..2 * self.p)
                .map(|i| parts.iter().map(|b| b[i]).sum::<f64>() / n)
                .collect()
        };
        if self.chains >= 8 {
            let chain = |b: &Vec<f64>| mean(b.chunks_exact(width).collect());
            self.sums.batches.iter().map(chain).collect()
        } else {
            let batches = self.sums.batches.iter().flat_map(|b| b.chunks_exact(width));
            batches.map(|b| mean(vec![b])).collect()
        }
    }
}

/// Returns −M⁻¹·mean(∇C) over all groups, and the error that remains in the mean of ω − M⁻¹∇C, both `[P]`.
fn shifts(expansion: &Expansion, groups: &[Vec<f64>], p: usize) -> (Vec<f64>, Vec<f64>) {
    let m = groups.len();
    let mut solved: Vec<f64> = groups.iter().flat_map(|g| g[p..].iter().copied()).collect();
    solved.chunks_exact_mut(p).for_each(|b| expansion.solve(b));
    let n = m as f64;
    let shift = (0..p)
        .map(|j| -solved.iter().skip(j).step_by(p).sum::<f64>() / n)
        .collect();
    let error = (0..p)
        .map(|j| {
            let value = |i: usize| groups[i][j] - solved[i * p + j];
            let mean = (0..m).map(value).sum::<f64>() / n;
            let spread = (0..m).map(|i| (value(i) - mean).powi(2)).sum::<f64>();
            (spread / (n * (n - 1.0))).sqrt()
        })
        .collect();
    (shift, error)
}

/// The shift of the mean of ω in the units of θ, `[P]`; for a scale it is the change of exp of the mean.
fn natural_shift(
    prepared: &Prepared,
    centre: &[f64],
    away: &[(f64, f64)],
    shift: &[f64],
) -> Vec<f64> {
    let p = shift.len();
    let mean: Vec<f64> = centre.iter().zip(away).map(|(c, a)| c + a.0).collect();
    let moved: Vec<f64> = mean.iter().zip(shift).map(|(m, s)| m + s).collect();
    let (mut from, mut to) = (vec![0.0; p], vec![0.0; p]);
    prepared.problem.report(&mean, &mut from);
    prepared.problem.report(&moved, &mut to);
    to.iter().zip(&from).map(|(t, f)| t - f).collect()
}

impl Gauges {
    /// Whether every mean has the precision that was asked for.
    pub fn enough(&self, until: &sngd_core::config::Until) -> bool {
        let ess = until
            .ess
            .is_none_or(|least| self.ess.iter().all(|e| *e >= least));
        let mcse = until
            .mcse
            .is_none_or(|most| self.mcse.iter().all(|e| *e <= most));
        ess && mcse
    }

    /// Index of the parameter whose temperature is furthest from `target`, in units of its error.
    pub fn worst_temperature(&self, target: f64) -> Option<usize> {
        let off = |i: usize| ((self.temperature[i] - target) / self.temperature_error[i]).abs();
        (0..self.temperature.len()).max_by(|&a, &b| off(a).total_cmp(&off(b)))
    }

    /// Index of the parameter whose mean has the largest shift, in sds.
    pub fn worst_shift(&self) -> Option<usize> {
        let size = |i: usize| self.shift_sds[i].abs();
        (0..self.shift_sds.len()).max_by(|&a, &b| size(a).total_cmp(&size(b)))
    }
}
