//! The CPU engine: schedules chains over threads, behind the `Engine` trait.

use crate::conjugate::Conjugate;
use crate::memory::EngineBytes;
use crate::mode::ModeChains;
use crate::resident::Resident;
use crate::scalar::Scalar;
use crate::step::{Chain, ChainKind, Context};
use faer::Par;
use rayon::prelude::*;
use sngd_core::config::Precision;
use sngd_core::engine::{
    ChainState, Engine, EngineError, EngineInfo, Fault, FaultKind, RawBlock, Span,
};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use std::collections::VecDeque;

/// The CPU engine. Both precisions are compiled in this crate, so that crates which use it need not compile the kernels again.
pub struct CpuEngine(Box<dyn Engine>);

impl CpuEngine {
    /// Loads a problem and starts chains at `init`, `[C,P]` in internal coordinates; without `threads` it takes every core.
    pub fn new(
        precision: Precision,
        problem: &Problem,
        plan: &Plan,
        init: &[f64],
        threads: Option<usize>,
    ) -> Result<CpuEngine, EngineError> {
        Ok(CpuEngine(match precision {
            Precision::F32 => Box::new(Native::<f32>::new(problem, plan, init, threads)?),
            Precision::F64 => Box::new(Native::<f64>::new(problem, plan, init, threads)?),
        }))
    }

    /// Bytes of memory that an engine of this precision takes beside the problem's own.
    pub fn bytes(precision: Precision, problem: &Problem, plan: &Plan) -> EngineBytes {
        match precision {
            Precision::F32 => Native::<f32>::bytes(problem, plan),
            Precision::F64 => Native::<f64>::bytes(problem, plan),
        }
    }
}

impl Engine for CpuEngine {
    fn info(&self) -> &EngineInfo {
        self.0.info()
    }

    fn enqueue(&mut self, span: Span) -> Result<(), EngineError> {
        self.0.enqueue(span)
    }

    fn collect(&mut self) -> Result<RawBlock, EngineError> {
        self.0.collect()
    }

    fn state(&mut self) -> Result<ChainState, EngineError> {
        self.0.state()
    }

    fn restore(&mut self, state: &ChainState) -> Result<(), EngineError> {
        self.0.restore(state)
    }
}

/// The engine in one precision.
struct Native<T> {
    info: EngineInfo,
    plan: Plan,
    chains: Chains<T>,
    pool: rayon::ThreadPool,
    queue: VecDeque<Span>,
    next_step: u32,
}

/// The chains, by where their metric is taken.
enum Chains<T> {
    /// At the state of each chain.
    State(Box<Resident<T>>, Vec<Chain<T>>),
    /// At the mode.
    Mode(Box<ModeChains<T>>),
    /// No steps: independent draws, always in f64.
    Direct(Box<Conjugate>),
}

/// One chain's draws of a span.
struct Lane {
    omega: Vec<f64>,
    stats: Vec<f64>,
    fallbacks: u64,
}

impl<T: Scalar> Native<T> {
    fn new(
        problem: &Problem,
        plan: &Plan,
        init: &[f64],
        threads: Option<usize>,
    ) -> Result<Native<T>, EngineError> {
        let p = plan.p;
        if init.len() != plan.chains * p {
            return Err(EngineError::Misuse(format!(
                "found {} initial numbers, expected {} chains of {p} parameters",
                init.len(),
                plan.chains
            )));
        }
        let mut builder = rayon::ThreadPoolBuilder::new();
        if let Some(n) = threads {
            builder = builder.num_threads(n);
        }
        let pool = builder
            .build()
            .map_err(|e| EngineError::Device(format!("the thread pool could not be built: {e}")))?;
        let chains = match &plan.expansion {
            Some(expansion) if plan.direct => {
                let draws = pool.install(|| Conjugate::new(problem, expansion))?;
                Chains::Direct(Box::new(draws))
            }
            Some(expansion) => {
                let chains = pool.install(|| ModeChains::new(problem, plan, expansion, init));
                Chains::Mode(Box::new(chains))
            }
            None => {
                let data = Resident::new(problem, plan.storage, &plan.blocks);
                let chains = init
                    .chunks(p)
                    .enumerate()
                    .map(|(c, w)| Chain::new(&data, plan, c as u32, w))
                    .collect();
                Chains::State(Box::new(data), chains)
            }
        };
        let bits = 8 * size_of::<T>();
        let threads = pool.current_num_threads();
        Ok(Native {
            info: EngineInfo {
                kind: "cpu",
                device: format!("CPU engine, f{bits}, {threads} threads"),
                driver: format!("native {}", std::env::consts::ARCH),
            },
            plan: plan.clone(),
            chains,
            pool,
            queue: VecDeque::new(),
            next_step: 0,
        })
    }

    fn bytes(problem: &Problem, plan: &Plan) -> EngineBytes {
        match &plan.expansion {
            Some(_) if plan.direct => Conjugate::bytes(plan),
            Some(expansion) => ModeChains::<T>::bytes(problem, plan, expansion),
            None => EngineBytes {
                data: Resident::<T>::bytes(problem, plan),
                chain: Chain::<T>::bytes(plan),
            },
        }
    }

    fn run(&mut self, span: Span) -> RawBlock {
        self.next_step = span.first_step + span.draws * span.thin;
        let plan = &self.plan;
        let (data, chains) = match &mut self.chains {
            Chains::State(data, chains) => (&**data, chains),
            Chains::Mode(chains) => return self.pool.install(|| chains.run(plan, span)),
            Chains::Direct(draws) => return self.pool.install(|| draws.run(plan, span)),
        };
        let threads = self.pool.current_num_threads();
        // With many chains, one chain per task. With few, the threads go into the linear algebra of each chain.
        let inner = if plan.chains < threads {
            Par::rayon(threads)
        } else {
            Par::Seq
        };
        let lanes: Vec<Lane> = self.pool.install(|| {
            if plan.chains < threads {
                chains
                    .iter_mut()
                    .map(|c| advance(c, data, plan, span, inner))
                    .collect()
            } else {
                chains
                    .par_iter_mut()
                    .map(|c| advance(c, data, plan, span, inner))
                    .collect()
            }
        });
        let (n, c, p, s) = (span.draws as usize, plan.chains, plan.p, Stat::COUNT);
        let mut omega = Vec::with_capacity(n * c * p);
        let mut stats = Vec::with_capacity(n * c * s);
        for i in 0..n {
            for lane in &lanes {
                omega.extend_from_slice(&lane.omega[i * p..(i + 1) * p]);
                stats.extend_from_slice(&lane.stats[i * s..(i + 1) * s]);
            }
        }
        let faults = chains
            .iter()
            .filter_map(|c| {
                c.fault.map(|(step, kind)| Fault {
                    chain: c.index,
                    step,
                    kind,
                })
            })
            .collect();
        let fallbacks = lanes.iter().map(|l| l.fallbacks).sum();
        RawBlock {
            span,
            omega,
            stats,
            gradient: Vec::new(),
            fallbacks,
            faults,
            predicted: None,
        }
    }
}

fn advance<T: Scalar>(
    chain: &mut Chain<T>,
    data: &Resident<T>,
    plan: &Plan,
    span: Span,
    par: Par,
) -> Lane {
    let (n, p, s) = (span.draws as usize, plan.p, Stat::COUNT);
    let mut lane = Lane {
        omega: Vec::with_capacity(n * p),
        stats: Vec::with_capacity(n * s),
        fallbacks: 0,
    };
    for i in 0..span.draws {
        lane.omega.extend(chain.omega.iter().map(|w| w.to64()));
        let mut kept = None;
        for j in 0..span.thin {
            if chain.fault.is_some() {
                break;
            }
            let t = span.first_step + i * span.thin + j;
            let cx = Context {
                data,
                plan,
                chain: chain.index,
                t,
                keep: j == 0,
                par,
            };
            match chain.step(&cx) {
                Ok(info) => {
                    lane.fallbacks += u64::from(info.fell_back);
                    kept.get_or_insert(info.stats);
                }
                Err(kind) => chain.fault = Some((t, kind)),
            }
        }
        let mut stats = kept.unwrap_or(Stat::UNKNOWN);
        let diverged = matches!(chain.fault, Some((_, FaultKind::Diverged)));
        stats[Stat::Diverging.at()] = f64::from(u8::from(diverged));
        lane.stats.extend_from_slice(&stats);
    }
    lane
}

impl<T: Scalar> Engine for Native<T> {
    fn info(&self) -> &EngineInfo {
        &self.info
    }

    fn enqueue(&mut self, span: Span) -> Result<(), EngineError> {
        self.queue.push_back(span);
        Ok(())
    }

    fn collect(&mut self) -> Result<RawBlock, EngineError> {
        match self.queue.pop_front() {
            Some(span) => Ok(self.run(span)),
            None => Err(EngineError::Misuse(
                "collect: found no span, expected one that was enqueued".into(),
            )),
        }
    }

    fn state(&mut self) -> Result<ChainState, EngineError> {
        let chains = match &self.chains {
            Chains::State(_, chains) => chains,
            Chains::Mode(chains) => return Ok(chains.state(self.next_step)),
            Chains::Direct(draws) => return Ok(draws.state(&self.plan, self.next_step)),
        };
        let mut second_moment = Vec::new();
        for c in chains {
            if let ChainKind::Diagonal(d) = &c.kind {
                second_moment.extend(d.second_moment.iter().map(|v| v.to64()));
            }
        }
        Ok(ChainState {
            step: self.next_step,
            omega: chains
                .iter()
                .flat_map(|c| c.omega.iter().map(|w| w.to64()))
                .collect(),
            second_moment,
            exact: Vec::new(),
        })
    }

    fn restore(&mut self, state: &ChainState) -> Result<(), EngineError> {
        let p = self.plan.p;
        if state.omega.len() != self.plan.chains * p {
            return Err(EngineError::Misuse(format!(
                "restore: found {} positions, expected {} chains of {p} parameters",
                state.omega.len(),
                self.plan.chains
            )));
        }
        self.next_step = state.step;
        match &mut self.chains {
            Chains::State(_, chains) => {
                for (chain, omega) in chains.iter_mut().zip(state.omega.chunks_exact(p)) {
                    let to = chain.omega.iter_mut().zip(omega);
                    to.for_each(|(to, w)| *to = T::of(*w));
                }
                for (chain, v) in chains.iter_mut().zip(state.second_moment.chunks_exact(p)) {
                    if let ChainKind::Diagonal(d) = &mut chain.kind {
                        d.restore(v);
                    }
                }
            }
            Chains::Mode(chains) => chains.restore(state),
            // A draw depends on nothing but its step.
            Chains::Direct(_) => {}
        }
        Ok(())
    }
}
