//! Chains whose metric is fixed at the mode. They make the step in u = Lᵀ(ω − ω*) that `sngd_core::engine` states.
//!
//! `data` is read by all chains. Chains that take all rows are advanced sixteen at a time (`group`) and share a pass over the rows
//! (`pass`, `tile`, `lanes`). Chains that take a few rows are advanced one at a time (`subsample`). `expand` makes the expansion,
//! `settle` chooses the settings that a run file leaves open.

mod data;
mod expand;
mod group;
mod inverse;
pub(crate) mod lanes;
mod pass;
mod settle;
mod starts;
mod subsample;
mod tile;

pub use data::{gradients_to_internal, to_internal};
pub use expand::{Measured, expand};
pub use inverse::Inverse;
pub use lanes::LaneKernels;
pub use settle::{GAUSSIAN, Settled, settle};
pub use starts::near_enough;

use crate::memory::{DataBytes, EngineBytes, VECTORS, column_bytes, prior_bytes};
use crate::scalar::Scalar;
use data::ModeData;
use group::{Group, Move};
use lanes::LANES;
use pass::{Pass, chunk_count};
use rayon::prelude::*;
use sngd_core::config::Gradient;
use sngd_core::engine::{ChainState, Fault, FaultKind, RawBlock, Span};
use sngd_core::expansion::Expansion;
use sngd_core::philox::Stream;
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::stat::{Stat, StatRow};
use std::sync::Arc;
use subsample::{Address, Subsampled};

/// In posterior sds: a chain with a coordinate of u beyond this counts as diverged.
const DIVERGED_SDS: f64 = 1e5;
/// Lower bound of a temperature or a variance in a division, so that a temperature of 0 gives a finite result.
const MIN_SPREAD: f64 = 1e-300;

/// State and gradient kept of a draw.
#[derive(Debug, Clone)]
pub struct Kept {
    /// Position in whitened coordinates u, `[P]`.
    pub u: Vec<f64>,
    /// Gradient of the cost in u, ∇C, `[P]`; estimated where a step takes few rows.
    pub gradient: Vec<f64>,
    /// Log posterior −C in nats, without `Problem::log_norm`; estimated where a step takes few rows.
    pub lp: f64,
    /// Norm of `gradient`.
    pub grad_norm: f64,
}

/// All chains of a run.
#[derive(Debug)]
pub struct ModeChains<T> {
    data: ModeData<T>,
    kind: Kind<T>,
}

#[derive(Debug)]
enum Kind<T> {
    /// Every step takes all rows. With few rows each group has a pass and a thread to itself; else all groups share one pass.
    AllRows {
        groups: Vec<Group<T>>,
        passes: Vec<Pass<T>>,
    },
    /// Every step takes a few rows, drawn by influence.
    Few(Vec<Subsampled<T>>),
}

/// Draws of some chains from a span: `[draws][chains]`, chain by chain in each draw.
struct Harvest {
    chains: usize,
    u: Vec<Vec<f64>>,
    gradient: Vec<Vec<f64>>,
    stats: Vec<StatRow>,
    unfit: u64,
}

impl<T: Scalar> ModeChains<T> {
    /// Starts chains at `init`, `[C,P]` in internal coordinates.
    pub fn new(
        problem: &Problem,
        plan: &Plan,
        expansion: &Arc<Expansion>,
        init: &[f64],
    ) -> ModeChains<T> {
        let data = ModeData::new(problem, Arc::clone(expansion));
        let p = data.p;
        let mut start = vec![0.0; init.len()];
        for (u, w) in start.chunks_exact_mut(p).zip(init.chunks_exact(p)) {
            expansion.whiten(w, u);
        }
        let kind = match plan.gradient {
            Gradient::ControlVariates => Kind::Few(
                start
                    .chunks_exact(p)
                    .enumerate()
                    .map(|(c, u)| Subsampled::new(&data, c as u32, u, plan.batch))
                    .collect(),
            ),
            Gradient::Plain => {
                let groups: Vec<Group<T>> = start
                    .chunks(p * LANES)
                    .enumerate()
                    .map(|(g, u)| Group::new(p, (g * LANES) as u32, u))
                    .collect();
                let shared = chunk_count(plan.n) > 1;
                let passes = if shared {
                    vec![Pass::new(&data, groups.len())]
                } else {
                    groups.iter().map(|_| Pass::new(&data, 1)).collect()
                };
                Kind::AllRows { groups, passes }
            }
        };
        ModeChains { data, kind }
    }

    /// Bytes of what [`ModeChains::new`] makes for a plan, and of the expansion that it reads.
    pub fn bytes(problem: &Problem, plan: &Plan, expansion: &Expansion) -> EngineBytes {
        let (prior, dense_prior) = prior_bytes(plan);
        // Outputs of all rows are never there at once: chains share a pass, and a tile of rows follows another.
        let outputs = match plan.gradient {
            Gradient::Plain => 0,
            Gradient::ControlVariates => (plan.batch * plan.h) as u64,
        };
        EngineBytes {
            data: DataBytes {
                rows: expand::expansion_bytes(problem, expansion),
                columns: column_bytes::<T>(plan),
                prior,
                start: dense_prior + expand::measure_bytes(plan),
            },
            chain: size_of::<T>() as u64 * (outputs + VECTORS * plan.p as u64),
        }
    }

    /// Runs a span of steps and returns its draws.
    pub fn run(&mut self, plan: &Plan, span: Span) -> RawBlock {
        let data = &self.data;
        let harvests: Vec<Harvest> = match &mut self.kind {
            Kind::Few(chains) => chains
                .par_iter_mut()
                .map(|chain| few(data, plan, span, chain))
                .collect(),
            Kind::AllRows { groups, passes } if passes.len() == groups.len() => groups
                .par_iter_mut()
                .zip(passes)
                .map(|(group, pass)| all_rows(data, plan, span, std::slice::from_mut(group), pass))
                .collect(),
            Kind::AllRows { groups, passes } => passes
                .iter_mut()
                .map(|pass| all_rows(data, plan, span, groups, pass))
                .collect(),
        };
        self.block(span, harvests)
    }

    fn block(&self, span: Span, harvests: Vec<Harvest>) -> RawBlock {
        let expansion = &self.data.expansion;
        let n = span.draws as usize;
        let (mut omega, mut gradient, mut stats) = (Vec::new(), Vec::new(), Vec::new());
        for i in 0..n {
            for h in &harvests {
                for c in i * h.chains..(i + 1) * h.chains {
                    omega.extend_from_slice(&h.u[c]);
                    gradient.extend_from_slice(&h.gradient[c]);
                    stats.extend_from_slice(&h.stats[c]);
                }
            }
        }
        to_internal(expansion, &mut omega);
        RawBlock {
            span,
            omega,
            stats,
            gradient: gradients_to_internal(expansion, &gradient),
            fallbacks: harvests.iter().map(|h| h.unfit).sum(),
            faults: self.faults(),
            predicted: None,
        }
    }

    fn faults(&self) -> Vec<Fault> {
        let fault = |chain, at: Option<(u32, FaultKind)>| {
            at.map(|(step, kind)| Fault { chain, step, kind })
        };
        match &self.kind {
            Kind::Few(chains) => chains
                .iter()
                .filter_map(|c| fault(c.chain, c.fault))
                .collect(),
            Kind::AllRows { groups, .. } => groups
                .iter()
                .flat_map(|g| {
                    let lanes = (g.first..).zip(g.faults);
                    lanes.filter_map(|(chain, at)| fault(chain, at))
                })
                .collect(),
        }
    }

    /// State of all chains before step `step`, in internal coordinates.
    pub fn state(&self, step: u32) -> ChainState {
        let mut omega: Vec<f64> = match &self.kind {
            Kind::Few(chains) => chains
                .iter()
                .flat_map(|c| c.u.iter().map(|u| u.to64()))
                .collect(),
            Kind::AllRows { groups, .. } => groups
                .iter()
                .flat_map(|g| (0..g.count).flat_map(|l| g.position(l)))
                .collect(),
        };
        let exact = omega.clone();
        to_internal(&self.data.expansion, &mut omega);
        ChainState {
            step,
            omega,
            second_moment: Vec::new(),
            exact,
        }
    }

    /// Sets the positions of all chains before their first step.
    pub fn restore(&mut self, state: &ChainState) {
        let p = self.data.p;
        let mut u = state.exact.clone();
        if u.len() != state.omega.len() {
            u = vec![0.0; state.omega.len()];
            for (u, w) in u.chunks_exact_mut(p).zip(state.omega.chunks_exact(p)) {
                self.data.expansion.whiten(w, u);
            }
        }
        match &mut self.kind {
            Kind::Few(chains) => {
                for (chain, u) in chains.iter_mut().zip(u.chunks_exact(p)) {
                    chain
                        .u
                        .iter_mut()
                        .zip(u)
                        .for_each(|(to, u)| *to = T::of(*u));
                }
            }
            Kind::AllRows { groups, .. } => {
                for (group, u) in groups.iter_mut().zip(u.chunks(p * LANES)) {
                    *group = Group::new(p, group.first, u);
                }
            }
        }
    }
}

/// The statistics of a kept draw.
fn stats_row(plan: &Plan, kept: &Kept, noise_norm: f64, acceptance: f64, t: u32) -> StatRow {
    let exact = plan.full_batch;
    Stat::row(&[
        (Stat::Lp, if exact { kept.lp } else { f64::NAN }),
        (Stat::LpMinibatch, kept.lp),
        (Stat::GradNorm, kept.grad_norm),
        (Stat::NoiseNorm, noise_norm),
        (Stat::CholeskyJitter, 0.0),
        (Stat::Diverging, 0.0),
        (Stat::StepSize, plan.step_size.at(t)),
        (Stat::Temperature, plan.temperature),
        (Stat::AcceptanceRate, acceptance),
    ])
}

/// Runs a span of one chain that takes few rows.
fn few<T: Scalar>(
    data: &ModeData<T>,
    plan: &Plan,
    span: Span,
    chain: &mut Subsampled<T>,
) -> Harvest {
    let mut out = Harvest::new(1, span);
    let Some(influence) = &data.expansion.influence else {
        return out;
    };
    for i in 0..span.draws {
        let mut row = None;
        for j in 0..span.thin {
            let t = span.first_step + i * span.thin + j;
            if chain.fault.is_some() {
                break;
            }
            let at = Address {
                influence,
                epsilon: plan.step_size.at(t),
                temperature: plan.temperature,
                seed: plan.seed,
                t,
                keep: j == 0,
            };
            let outcome = chain.step(data, &at);
            out.unfit += u64::from(!outcome.moved);
            if let Some(kept) = outcome.kept {
                row = Some((stats_row(plan, &kept, outcome.noise_norm, 1.0, t), kept));
            }
        }
        match row {
            Some((mut stats, kept)) => {
                let fault = matches!(chain.fault, Some((_, FaultKind::Diverged)));
                stats[Stat::Diverging.at()] = f64::from(u8::from(fault));
                out.push(kept, stats);
            }
            None => out.push_nothing(data.p),
        }
    }
    out
}

/// Runs a span of some groups that share a pass.
fn all_rows<T: Scalar>(
    data: &ModeData<T>,
    plan: &Plan,
    span: Span,
    groups: &mut [Group<T>],
    pass: &mut Pass<T>,
) -> Harvest {
    let chains: usize = groups.iter().map(|g| g.count).sum();
    let mut out = Harvest::new(chains, span);
    group::start(data, groups, pass);
    for i in 0..span.draws {
        let mut kept: Vec<Kept> = Vec::with_capacity(chains);
        for g in groups.iter() {
            kept.extend((0..g.count).map(|l| g.kept(data, l)));
        }
        let mut noise_and_odds = vec![(f64::NAN, f64::NAN); chains];
        for j in 0..span.thin {
            let t = span.first_step + i * span.thin + j;
            let how = Move {
                epsilon: plan.step_size.at(t),
                temperature: plan.temperature,
                metropolis: plan.metropolis,
                seed: plan.seed,
                noise: Stream::Noise,
            };
            let mut at = 0;
            let mut unfit = 0;
            group::step(data, &how, groups, pass, t, |_, g, odds, bad| {
                // With a test, a proposal that is not finite is rejected. Without one, the chain does not move, and the step is counted.
                unfit += if plan.metropolis { 0 } else { bad };
                if j == 0 {
                    for l in 0..g.count {
                        let odds = if plan.metropolis { odds[l] } else { 1.0 };
                        noise_and_odds[at + l] = (g.noise_norm(&how, l), odds);
                    }
                }
                at += g.count;
            });
            out.unfit += unfit;
        }
        let first = span.first_step + i * span.thin;
        let faults = groups.iter().flat_map(|g| g.faults[..g.count].iter());
        for ((kept, (noise, odds)), fault) in kept.into_iter().zip(noise_and_odds).zip(faults) {
            let mut stats = stats_row(plan, &kept, noise, odds, first);
            stats[Stat::Diverging.at()] = f64::from(u8::from(fault.is_some()));
            out.push(kept, stats);
        }
    }
    out
}

impl Harvest {
    fn new(chains: usize, span: Span) -> Harvest {
        let n = chains * span.draws as usize;
        Harvest {
            chains,
            u: Vec::with_capacity(n),
            gradient: Vec::with_capacity(n),
            stats: Vec::with_capacity(n),
            unfit: 0,
        }
    }

    fn push(&mut self, kept: Kept, stats: StatRow) {
        self.u.push(kept.u);
        self.gradient.push(kept.gradient);
        self.stats.push(stats);
    }

    /// Fills the place of a draw of a chain that has failed. Such a draw is never stored.
    fn push_nothing(&mut self, p: usize) {
        self.u.push(vec![f64::NAN; p]);
        self.gradient.push(vec![f64::NAN; p]);
        self.stats.push(Stat::UNKNOWN);
    }
}
