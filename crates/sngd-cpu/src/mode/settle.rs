//! Chooses the settings that a run file leaves open of a run whose metric is at the mode: kernel, rows per step, step size. Every
//! choice is a function of the data, the model and the seed, so that the same run file gives the same draws on every engine.

use super::data::ModeData;
use super::expand::{Measured, expand};
use super::group::{Group, Move, start, step};
use super::lanes::LANES;
use super::pass::Pass;
use super::starts::draw_near;
use crate::conjugate;
use crate::map::Found;
use rayon::prelude::*;
use sngd_core::config::{Config, Device, Gradient, Schedule, StepSize};
use sngd_core::error::CheckError;
use sngd_core::philox::Stream;
use sngd_core::plan::{ModeRequest, ModeSettings, Plan};
use sngd_core::problem::Problem;
use std::sync::Arc;

/// Numbers in the design up to which a step over all rows is cheap: 10⁶ of them are 0.1 ms per chain on two cores, and 32 chains
/// with 1000 draws then take a few seconds at most.
const CHEAP_PASS: usize = 1_000_000;
/// Share of the noise budget that minibatch noise may take, which is the relative error of the temperature.
const NOISE_SHARE: f64 = 0.005;
/// Smallest batch that is chosen, and what a chosen batch is a multiple of, in rows: sixteen stand side by side in a step of the CPU
/// engine. The remainders of N rows shrink as N grows, so that from some 10⁵ rows on a step costs the least that a step can.
const LEAST_BATCH: usize = LANES;
/// Share of the data rows beyond which a batch saves no time.
const LARGEST_SHARE: f64 = 0.125;
/// Step sizes ε tried without a Metropolis test, no unit.
const UNTESTED_STEPS: [f64; 5] = [0.5, 0.3, 0.2, 0.1, 0.05];
/// Acceptance that a Metropolis test would have to show for an untested step.
const UNTESTED_ACCEPTANCE: f64 = 0.9;
/// Pareto shape k̂ of the Laplace draws' weights from which the longest untested step is not tried. The posterior then has heavier
/// tails than its Laplace approximation, and there such a step is wrong.
const HEAVY: f64 = 0.5;
/// Step sizes ε that pilot runs with a Metropolis test try, from the longest on.
const TESTED_STEPS: [f64; 10] = [1.0, 0.8, 0.6, 0.45, 0.3, 0.2, 0.13, 0.08, 0.05, 0.03];
/// Standard deviation of the log importance weights, in nats, below which the posterior is near enough to Gaussian for ε = 1.
pub const GAUSSIAN: f64 = 0.1;
/// Most groups of chains in a pilot run.
const PILOT_GROUPS: usize = 2;
/// Floating-point operations that a pilot run may take.
const PILOT_FLOPS: f64 = 1.5e10;
/// Effective draws per kept draw that the choice of thinning aims at, and where steps are cheap: R-hat of 1000 draws then is below 1.01 also
/// for the worst of hundreds of parameters.
const WORTH: (f64, f64) = (0.12, 0.25);
/// Most steps per kept draw, and most where steps are cheap.
const THIN: (usize, usize) = (20, 400);
/// Steps are cheap where those of all chains take this many floating-point operations for [`DRAWS`] draws, which is seconds.
const CHEAP_RUN: f64 = 4e11;
/// The default number of draws, by which steps are judged whatever the run's own.
const DRAWS: usize = 1000;
/// Default number of chains: two groups of sixteen.
const CHAINS: usize = 32;
/// Total count of numbers in all draws beyond which fewer chains are run.
const MANY_NUMBERS: usize = 1 << 27;

/// A plan, and the reasons for its settings.
#[derive(Debug, Clone)]
pub struct Settled {
    /// The plan of the run, with all settings chosen.
    pub plan: Plan,
    /// The measurements at the mode.
    pub measured: Measured,
    /// One short paragraph with the numbers that decided the settings.
    pub reasons: String,
}

/// Result of a pilot run of the exact kernel.
#[derive(Debug, Clone, Copy)]
struct Pilot {
    epsilon: f64,
    acceptance: f64,
    /// Effective draws per step of the slowest of the numbers that are followed.
    efficiency: f64,
}

/// Expands at the mode and chooses every setting that the run file leaves open. Of large data held as f32 there is one copy afterwards: the
/// problem reads its rows from the expansion's design, unless the run asks for the log likelihood of every row and draw.
///
/// # Errors
/// When the posterior has no such expansion, or when the keys of the run file rule each other out.
pub fn settle(
    config: &Config,
    problem: &mut Problem,
    found: &Found,
) -> Result<Settled, CheckError> {
    let n = problem.rows();
    let request = ModeRequest::of(config, n)?;
    let (expansion, measured) = expand(
        problem,
        found,
        config.data.storage,
        config.seed,
        !config.output.log_likelihood,
    )?;
    let expansion = Arc::new(expansion);
    let temperature = config.sampler.temperature.unwrap_or(1.0);
    let direct = found.marginal
        && request == ModeRequest::default()
        && temperature == 1.0
        && !matches!(config.run.device, Device::Gpu(_))
        && conjugate::applies(problem);
    let data = ModeData::new(problem, Arc::clone(&expansion));
    let most = measured
        .laplace
        .len()
        .min(PILOT_GROUPS * LANES * measured.parameters);
    let mut starts = measured.laplace[..most].to_vec();
    if measured.log_weight_sd >= GAUSSIAN {
        draw_near(&data, &mut starts);
    }
    let mut judge = Judge {
        config,
        measured: &measured,
        starts,
        data,
        temperature,
        words: Vec::new(),
    };
    let settings = if direct {
        judge.independent()
    } else {
        judge.decide(&request)
    };
    let reasons = judge.words.join("; ");
    let plan = Plan::at_mode(config, problem, &settings, expansion)?;
    Ok(Settled {
        plan,
        measured,
        reasons,
    })
}

struct Judge<'a> {
    config: &'a Config,
    measured: &'a Measured,
    /// Where chains of pilot runs start, `[chains,P]` in u.
    starts: Vec<f64>,
    data: ModeData<f32>,
    temperature: f64,
    words: Vec<String>,
}

impl Judge<'_> {
    /// The settings of independent draws, which have no step to be chosen.
    fn independent(&mut self) -> ModeSettings {
        self.words.push(format!(
            "independent draws ({} rows, {} parameters): given the scale the coefficients are gaussian, and the scale's own density is read from a grid",
            self.measured.rows, self.measured.parameters
        ));
        let run = &self.config.run;
        ModeSettings {
            metropolis: true,
            gradient: Gradient::Plain,
            batch: self.measured.rows,
            step_size: StepSize::Constant(1.0),
            chains: run.chains.unwrap_or(CHAINS),
            warmup: run.warmup.unwrap_or(0),
            thin: run.thin.unwrap_or(1),
            direct: true,
        }
    }

    fn decide(&mut self, request: &ModeRequest) -> ModeSettings {
        let m = self.measured;
        let gaussian = match m.pareto_k {
            Some(k) => format!("k-hat {k:.2} of {} Laplace draws", m.draws),
            None => format!(
                "log weights of {} Laplace draws spread by {:.2}",
                m.draws, m.log_weight_sd
            ),
        };
        self.words.push(format!(
            "metric at the mode ({} rows, {} parameters, largest leverage {:.2}, {gaussian})",
            m.rows, m.parameters, m.largest_leverage
        ));
        let gradient = self.gradient(request);
        let (epsilon, efficiency, metropolis) = match gradient {
            Gradient::Plain => self.all_rows(request),
            Gradient::ControlVariates => {
                let e = request.step_size.unwrap_or_else(|| self.untested_step());
                (e, untested_efficiency(e), false)
            }
        };
        let batch = match gradient {
            Gradient::Plain => m.rows,
            Gradient::ControlVariates => {
                let b = request.batch.unwrap_or_else(|| self.batch(epsilon));
                self.words.push(format!(
                    "{b} rows per step drawn by influence, whose noise is {:.2}% of the budget",
                    100.0 * m.noise_share(b, epsilon, self.temperature)
                ));
                b
            }
        };
        let run = &self.config.run;
        let many = m.parameters * run.most_draws().min(10_000);
        let chains = run.chains.unwrap_or(if many * CHAINS > MANY_NUMBERS {
            LANES
        } else {
            CHAINS
        });
        let step = 4.0 * (batch * self.data.expansion.columns * self.data.k) as f64
            + 4.0 * (m.parameters * m.parameters) as f64;
        let cheap = CHEAP_RUN / (step * (chains * DRAWS) as f64);
        let thin = run.thin.unwrap_or_else(|| {
            let least = ((WORTH.0 / efficiency).ceil() as usize).min(THIN.0);
            let wanted = ((WORTH.1 / efficiency).ceil() as usize).min(THIN.1);
            wanted.min(cheap as usize).max(least).max(1)
        });
        ModeSettings {
            metropolis,
            gradient,
            batch,
            step_size: schedule(epsilon, metropolis && self.ruled()),
            chains,
            warmup: run.warmup.unwrap_or_else(|| Plan::warmup_for(efficiency)),
            thin,
            direct: false,
        }
    }

    /// All rows where a pass is cheap, or where a batch would have to be large; else a few rows.
    fn gradient(&mut self, request: &ModeRequest) -> Gradient {
        if let Some(g) = request.gradient {
            return g;
        }
        let m = self.measured;
        let size = m.rows * self.data.expansion.columns * self.data.k;
        if request.metropolis == Some(true) {
            return Gradient::Plain;
        }
        if size <= CHEAP_PASS {
            self.words.push("a pass over all rows is cheap".into());
            return Gradient::Plain;
        }
        let epsilon = request.step_size.unwrap_or(UNTESTED_STEPS[1]);
        let need = self.batch(epsilon);
        if need as f64 > LARGEST_SHARE * m.rows as f64 {
            self.words.push(format!(
                "a few rows would have to be {need}, so that each step takes all of them"
            ));
            return Gradient::Plain;
        }
        if request.step_size.is_none() && request.metropolis.is_none() {
            let shown = self.would_accept(UNTESTED_STEPS[3]);
            if shown < UNTESTED_ACCEPTANCE {
                self.words.push(format!(
                    "without a Metropolis test even ε = {} would be off (it would accept {shown:.2})",
                    UNTESTED_STEPS[3]
                ));
                return Gradient::Plain;
            }
        }
        Gradient::ControlVariates
    }

    /// The smallest batch, a multiple of [`LEAST_BATCH`], whose noise is small enough.
    fn batch(&self, epsilon: f64) -> usize {
        let one = self
            .measured
            .noise_share(1, epsilon, self.temperature.max(1e-6));
        let need = (one / NOISE_SHARE).ceil().min(1e9) as usize;
        need.max(LEAST_BATCH)
            .next_multiple_of(LEAST_BATCH)
            .min(self.measured.rows)
    }

    /// Step size ε, effective draws per step, and whether a Metropolis test follows the step.
    fn all_rows(&mut self, request: &ModeRequest) -> (f64, f64, bool) {
        let metropolis = request.metropolis.unwrap_or(self.temperature > 0.0);
        if !metropolis {
            let e = request.step_size.unwrap_or_else(|| self.untested_step());
            return (e, untested_efficiency(e), false);
        }
        let pilot = match request.step_size {
            Some(e) => self.pilot(e),
            None if self.ruled() => self.tune(),
            None => self.pilot(1.0),
        };
        self.words.push(format!(
            "exact MALA over all rows, ε = {} (pilot: acceptance {:.2}, {:.3} effective draws per step of the slowest parameter)",
            pilot.epsilon, pilot.acceptance, pilot.efficiency
        ));
        (pilot.epsilon, pilot.efficiency, true)
    }

    /// Whether the schedule has short steps. None are needed where the posterior is close to Gaussian; none are added to the user's ε.
    fn ruled(&self) -> bool {
        self.measured.log_weight_sd >= GAUSSIAN && self.config.sampler.step_size.is_none()
    }

    /// The longest step that a Metropolis test would nearly always accept.
    fn untested_step(&mut self) -> f64 {
        let heavy = self.measured.pareto_k.is_some_and(|k| k >= HEAVY);
        let mut last = (UNTESTED_STEPS[0], 1.0);
        for e in UNTESTED_STEPS.into_iter().skip(usize::from(heavy)) {
            last = (e, self.would_accept(e));
            if last.1 >= UNTESTED_ACCEPTANCE {
                break;
            }
        }
        self.words.push(format!(
            "ε = {}, at which a Metropolis test would accept {:.2}",
            last.0, last.1
        ));
        last.0
    }

    /// Mean probability of acceptance of one exact step from sixteen Laplace draws.
    fn would_accept(&self, epsilon: f64) -> f64 {
        let mut chains = [self.chains(0)];
        let mut pass = Pass::new(&self.data, 1);
        start(&self.data, &mut chains, &mut pass);
        let mut mean = 0.0;
        step(
            &self.data,
            &self.how(epsilon),
            &mut chains,
            &mut pass,
            0,
            |_, _, odds, _| {
                mean = odds.iter().sum::<f64>() / LANES as f64;
            },
        );
        mean
    }

    fn chains(&self, group: usize) -> Group<f32> {
        let p = self.measured.parameters;
        let from = group * LANES * p;
        Group::new(
            p,
            (group * LANES) as u32,
            &self.starts[from..from + LANES * p],
        )
    }

    fn how(&self, epsilon: f64) -> Move {
        Move {
            epsilon,
            temperature: self.temperature,
            metropolis: true,
            seed: self.config.seed,
            noise: Stream::Pilot,
        }
    }

    /// The step size that gives the most effective draws, by pilot runs from the longest step on.
    fn tune(&self) -> Pilot {
        let mut best = self.pilot(TESTED_STEPS[0]);
        let mut worse = 0;
        for e in &TESTED_STEPS[1..] {
            let next = self.pilot(*e);
            if next.efficiency > best.efficiency {
                (best, worse) = (next, 0);
            } else if best.acceptance > 0.5 {
                worse += 1;
            }
            if worse == 2 {
                break;
            }
        }
        best
    }

    /// Runs sixteen chains from Laplace draws, or two groups of sixteen where that is cheap.
    fn pilot(&self, epsilon: f64) -> Pilot {
        let m = self.measured;
        let (p, data) = (m.parameters, &self.data);
        let flops = 4.0 * (m.rows * data.expansion.columns * data.k * LANES) as f64
            + 4.0 * (p * p * LANES) as f64;
        let steps = ((PILOT_FLOPS / flops) as usize).clamp(40, 400);
        let burn = steps / 4;
        let groups = (m.draws / LANES).min(if steps == 400 { PILOT_GROUPS } else { 1 });
        let runs: Vec<(Vec<Vec<f32>>, f64)> = (0..groups)
            .into_par_iter()
            .map(|g| {
                let mut chains = [self.chains(g)];
                let mut pass = Pass::new(data, 1);
                start(data, &mut chains, &mut pass);
                let mut accepted = 0.0;
                let mut series: Vec<Vec<f32>> = (0..LANES)
                    .map(|_| Vec::with_capacity((steps - burn) * (p + 1)))
                    .collect();
                for t in 0..steps {
                    let keep = t >= burn;
                    let at = schedule(epsilon, self.ruled()).at(t as u32);
                    step(
                        data,
                        &self.how(at),
                        &mut chains,
                        &mut pass,
                        t as u32,
                        |_, g, odds, _| {
                            if keep {
                                accepted += odds.iter().sum::<f64>() / LANES as f64;
                                for (l, series) in series.iter_mut().enumerate() {
                                    series.extend(g.position(l).map(|u| u as f32));
                                    series.push(g.rest(l) as f32);
                                }
                            }
                        },
                    );
                }
                (series, accepted / (steps - burn) as f64)
            })
            .collect();
        let acceptance = runs.iter().map(|r| r.1).sum::<f64>() / groups as f64;
        let series: Vec<&[f32]> = runs
            .iter()
            .flat_map(|r| r.0.iter().map(Vec::as_slice))
            .collect();
        Pilot {
            epsilon,
            acceptance,
            efficiency: slowest(&series, p + 1),
        }
    }
}

/// The schedule whose longest step is ε. Where a Metropolis test may refuse long steps, a chain needs short ones to move on.
fn schedule(epsilon: f64, ruled: bool) -> StepSize {
    if ruled {
        StepSize::Schedule(Schedule::Ruler { initial: epsilon })
    } else {
        StepSize::Constant(epsilon)
    }
}

/// Effective draws per step, 1/τ, of a Gaussian whose autocorrelation at lag one is 1 − ε.
fn untested_efficiency(epsilon: f64) -> f64 {
    epsilon / (2.0 - epsilon)
}

/// The smallest number of effective draws per step over all columns of `series` and their squares, `[chains][steps, width]`: 1/τ
/// by Geyer's initial positive sequence over autocovariances averaged over chains. The mean is taken over all chains, so that
/// a chain that is stuck shows.
fn slowest(series: &[&[f32]], width: usize) -> f64 {
    let steps = series.first().map_or(0, |s| s.len() / width);
    (0..width)
        .into_par_iter()
        .flat_map_iter(|j| [false, true].map(|square| (j, square)))
        .map(|(j, square)| {
            let chains: Vec<Vec<f64>> = series
                .iter()
                .map(|s| {
                    let value = |v: &f32| f64::from(*v).powi(if square { 2 } else { 1 });
                    s.iter().skip(j).step_by(width).map(value).collect()
                })
                .collect();
            efficiency(&chains, steps)
        })
        .reduce(|| 1.0, f64::min)
}

fn efficiency(chains: &[Vec<f64>], steps: usize) -> f64 {
    let count = (chains.len() * steps) as f64;
    let mean = chains.iter().flatten().sum::<f64>() / count;
    let at = |lag: usize| {
        let products = chains
            .iter()
            .flat_map(|c| c[lag..].iter().zip(c).map(|(a, b)| (a - mean) * (b - mean)));
        products.sum::<f64>() / (chains.len() * (steps - lag)) as f64
    };
    let variance = at(0);
    if variance <= 0.0 || !variance.is_finite() {
        return 1.0;
    }
    let mut tau = -1.0;
    let mut lag = 0;
    while lag + 1 < steps / 2 {
        let pair = (at(lag) + at(lag + 1)) / variance;
        if pair <= 0.0 {
            break;
        }
        tau += 2.0 * pair;
        lag += 2;
    }
    (1.0 / tau.max(1.0)).min(1.0)
}
