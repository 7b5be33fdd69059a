//! Chains that ran away on finite numbers: nothing is infinite, yet after warm-up a chain's log posterior stays far below
//! where it started. No step meant to sample does that, and nothing in a single step shows it.

use crate::prepare::Prepared;
use crate::start;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_cpu::forward::Forward;

/// A posterior's energy is P·T/2 on average; this many P·T below the start is no fluctuation of it.
const ENERGIES: f64 = 20.0;
/// Standard errors of the start's estimate that count as noise.
const ERRORS: f64 = 6.0;
/// Rows that the start is estimated from.
const ROWS: usize = 1024;
/// Draws before a chain is judged, and the share of them that must lie below: a minibatch's estimate of the density is
/// noisy on both sides, so that no share near 1 comes from noise.
const JUDGED_FROM: u64 = 20;
const SHARE: f64 = 0.95;

/// A chain that ran away.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Stray {
    pub chain: u32,
    /// Log posterior of the start, less what noise can explain.
    pub floor: f64,
    /// That of the last draw.
    pub now: f64,
}

#[derive(Debug, Clone, Copy)]
struct Chain {
    /// What a draw below counts against it.
    floor: f64,
    draws: u64,
    below: u64,
    last: f64,
}

/// The log posterior of each chain beside that of its start.
#[derive(Debug)]
pub(crate) struct Watch(Vec<Chain>);

impl Watch {
    pub(crate) fn new(prepared: &Prepared) -> Watch {
        let plan = &prepared.plan;
        // A sampler without a target has the temperature of its minibatch noise.
        let hottest = plan.temperature.max(plan.law_temperature());
        let energy = ENERGIES * plan.p as f64 * hottest;
        let chains = start::positions(prepared)
            .chunks(plan.p)
            .map(|omega| {
                let (value, error) = match &plan.expansion {
                    // No row need be looked at again: a start lies so many sds from the mode.
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

    /// Takes in the statistics of whole draws after warm-up, `[n, C, Stat::COUNT]`.
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

    /// The first chain that ran away.
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

/// Log posterior at ω from evenly spaced rows, and its standard error.
fn log_posterior(problem: &Problem, omega: &[f64], jacobian: bool) -> (f64, f64) {
    let (n, d) = (problem.rows(), problem.design_columns());
    let h = problem.likelihood.outputs();
    let m = n.min(ROWS);
    let (mut eta, mut score) = (vec![0.0; h], vec![0.0; h]);
    let mut forward = Forward::new(problem);
    let each: Vec<f64> = (0..m)
        .map(|j| {
            let i = j * n / m;
            forward.outputs(omega, &problem.x[i * d..(i + 1) * d], &mut eta);
            let seen = problem.observed(i);
            problem.likelihood.log_lik_and_score(&eta, seen, &mut score)
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
        let told = Stray {
            chain: 1,
            floor: -200.0,
            now: -5000.0,
        };
        assert_eq!(w.stray(), Some(told));
    }

    #[test]
    fn a_noisy_estimate_is_no_fall() {
        let mut w = watch(&[0.0]);
        let noisy = |i, _| if i % 10 == 0 { 1e3 } else { -1e3 };
        w.take(&rows(noisy, 100, 1));
        assert_eq!(w.stray(), None);
    }
}
