//! Chains that ran away on finite numbers: nothing is infinite, yet after warm-up the log posterior of a chain stays far below
//! that of its start. No step meant to sample does that, and nothing in a single step shows it.

use crate::prepare::Prepared;
use crate::start;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_cpu::forward::Forward;

/// The energy of a posterior is P·T/2 on average; being this many P·T below the start is no fluctuation.
const ENERGIES: f64 = 20.0;
/// Standard errors of the start's log posterior that count as noise.
const ERRORS: f64 = 6.0;
/// Number of rows used to estimate the log posterior of the start.
const ROWS: usize = 1024;
/// Draws before a chain is judged, and the share of them that must lie below. A minibatch estimate of the density is
/// noisy on both sides, so that noise alone never gives a share near 1.
const JUDGED_FROM: u64 = 20;
const SHARE: f64 = 0.95;

/// A chain that ran away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stray {
    pub chain: u32,
    /// Log posterior of the start, minus what noise can explain; nats.
    pub floor: f64,
    /// Log posterior of the last draw, in nats.
    pub now: f64,
}

#[derive(Debug, Clone, Copy)]
struct Chain {
    /// Log posterior below which a draw counts against the chain, in nats.
    floor: f64,
    draws: u64,
    below: u64,
    last: f64,
}

/// Compares the log posterior of each chain with that of its start.
#[derive(Debug)]
pub(crate) struct Watch(Vec<Chain>);

impl Watch {
    pub(crate) fn new(prepared: &Prepared) -> Watch {
        let plan = &prepared.plan;
        // A sampler without a target runs at the temperature of its minibatch noise.
        let hottest = plan.temperature.max(plan.law_temperature());
        let energy = ENERGIES * plan.p as f64 * hottest;
        let chains = start::positions(prepared)
            .chunks(plan.p)
            .map(|omega| {
                let (value, error) = match &plan.expansion {
                    // The expansion gives the start's log posterior without reading any row.
                    Some(expansion) => {
                        let mut u = vec![0.0; plan.p];
                        expansion.whiten(omega, &mut u);
                        let away: f64 = u.iter().map(|u| u * u).sum();
                        let at_mode = prepared.problem.log_norm - expansion.cost;
                        (at_mode - 0.5 * away, 0.0)
                    }
                    None => log_posterior(&prepared.problem, omega, plan.jacobian),
                };
                Chain {
                    floor: value - energy - ERRORS * error,
                    draws: 0,
                    below: 0,
                    last: f64::NAN,
                }
            })
            .collect();
        Watch(chains)
    }

    /// Takes the statistics of complete draws after warm-up, `[n, C, Stat::COUNT]`.
    pub(crate) fn take(&mut self, stats: &[f64]) {
        let (full, batch) = (Stat::Lp.at(), Stat::LpMinibatch.at());
        for draw in stats.chunks(Stat::COUNT * self.0.len()) {
            for (chain, row) in self.0.iter_mut().zip(draw.chunks(Stat::COUNT)) {
                let lp = if row[full].is_nan() {
                    row[batch]
                } else {
                    row[full]
                };
                chain.draws += 1;
                chain.below += u64::from(lp < chain.floor);
                chain.last = lp;
            }
        }
    }

    /// Draws of each chain, and how many of them lie below.
    pub(crate) fn counts(&self) -> Vec<(u64, u64)> {
        self.0.iter().map(|c| (c.draws, c.below)).collect()
    }

    /// Goes on from the counts of an earlier part of the run.
    pub(crate) fn restore(&mut self, counts: &[(u64, u64)]) {
        for (chain, &(draws, below)) in self.0.iter_mut().zip(counts) {
            (chain.draws, chain.below) = (draws, below);
        }
    }

    /// The first chain that ran away, if any.
    pub(crate) fn stray(&self) -> Option<Stray> {
        let fell = |c: &Chain| c.draws >= JUDGED_FROM && c.below as f64 >= SHARE * c.draws as f64;
        let chain = self.0.iter().position(fell)?;
        let Chain { floor, last, .. } = self.0[chain];
        Some(Stray {
            chain: chain as u32,
            floor,
            now: last,
        })
    }
}

/// Log posterior at ω, estimated from evenly spaced rows, and its standard error.
fn log_posterior(problem: &Problem, omega: &[f64], jacobian: bool) -> (f64, f64) {
    let n = problem.rows();
    let h = problem.likelihood.outputs();
    let m = n.min(ROWS);
    let (mut eta, mut score) = (vec![0.0; h], vec![0.0; h]);
    let mut forward = Forward::new(problem);
    let each: Vec<f64> = (0..m)
        .map(|j| {
            let i = j * n / m;
            forward.outputs(omega, &problem.x, i, &mut eta);
            eta[0] += problem.offset.get(i).copied().unwrap_or(0.0);
            let seen = problem.observed(i);
            let ll = (problem.likelihood).log_lik_and_score(&eta, seen, &mut score);
            match problem.weights.get(i) {
                Some(0.0) => 0.0,
                times => times.map_or(ll, |w| w * ll),
            }
        })
        .collect();
    let mean = each.iter().sum::<f64>() / m as f64;
    let spread = each.iter().map(|v| (v - mean).powi(2)).sum::<f64>();
    let error = if m < n {
        n as f64 * (spread / (m * (m - 1)) as f64).sqrt()
    } else {
        0.0
    };
    let (mut theta, mut gradient) = (vec![0.0; omega.len()], vec![0.0; omega.len()]);
    let cost = problem.prior_cost(omega, jacobian, &mut theta, &mut gradient);
    (n as f64 * mean - cost + problem.log_norm, error)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(floors: &[f64]) -> Watch {
        let chain = |&floor| Chain {
            floor,
            draws: 0,
            below: 0,
            last: f64::NAN,
        };
        Watch(floors.iter().map(chain).collect())
    }

    fn rows(lp: impl Fn(usize, usize) -> f64, n: usize, chains: usize) -> Vec<f64> {
        let mut out = vec![0.0; n * chains * Stat::COUNT];
        for (i, row) in out.chunks_mut(Stat::COUNT).enumerate() {
            row[Stat::Lp.at()] = f64::NAN;
            row[Stat::LpMinibatch.at()] = lp(i / chains, i % chains);
        }
        out
    }

    #[test]
    fn a_chain_that_fell_is_named_and_its_company_is_not() {
        let mut w = watch(&[-200.0; 3]);
        let fell = |_, c| if c == 1 { -5000.0 } else { -90.0 };
        w.take(&rows(fell, 19, 3));
        assert_eq!(w.stray(), None);
        w.take(&rows(fell, 1, 3));
        let expected = Stray {
            chain: 1,
            floor: -200.0,
            now: -5000.0,
        };
        assert_eq!(w.stray(), Some(expected));
    }

    #[test]
    fn a_noisy_estimate_is_no_fall() {
        let mut w = watch(&[0.0]);
        let noisy = |i, _| if i % 10 == 0 { 1e3 } else { -1e3 };
        w.take(&rows(noisy, 100, 1));
        assert_eq!(w.stray(), None);
    }
}
