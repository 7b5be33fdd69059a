//! The trait that both engines implement, and the step that both compute.
//!
//! Step t of chain c, from ω (all in internal coordinates):
//! 1. metric rows -> M = (N/r) Σ w·JᵀWJ + N·damping·I + Λ, scaled Cholesky (every `refresh` steps), where a row counts w times (once
//!    without weights; with them damping has Σ w for N) and outputs have the row's offset in them;
//! 2. batch rows -> ĝ = −(N/B) Σ w·Jᵀs − ∇ln prior;
//! 3. corrections v = (κ/2)·∇ln|M| − Σ w·Jᵀ·divergence, so that Γ + (κ/2)M⁻¹∇ln|M| = M⁻¹v, computed and kept with the metric;
//! 4. noise n with covariance M⁻¹QM⁻¹; a residual Q that is not positive definite is replaced by full noise for this
//!    step, and counted: a run in which that is common fails, one in which it is rare reports how rare;
//! 5. a kept draw is the state **before** the update, beside the statistics computed at it;
//! 6. ω ← ω − ε M⁻¹ĝ + εTw M⁻¹v + n, w = 1 where the metric is fresh (`Plan::correction_weight`).
//!
//! With `Metric::Mode` the step is made in u = Lᵀ(ω − ω*) (`crate::expansion`), where M is the identity. With
//! ∇R = Σ x̃ᵢrᵢ − c − the prior's remainder, so that ∇C = u − ∇R, over all rows or as (1/B) Σ x̃ᵢrᵢ/qᵢ over a batch drawn by influence:
//! 1. u′ = (1 − ε)u + ε∇R + √((2ε − ε²)T)·z, z from `Stream::Noise` at (chain, step);
//! 2. with `Plan::metropolis`, u′ is kept when ln of a uniform from `Stream::Accept` is below
//!    (R′ − R)/T + [−2εb·(u′ − au) + ε²|b|² + 2εb′·(u − au′) − ε²|b′|²]/(2(2ε − ε²)T), a = 1 − ε, b = ∇R(u), b′ = ∇R(u′),
//!    R = Σρ − cᵀu − the prior's remainder: what does not depend on R cancels, so nothing large is subtracted;
//! 3. a step whose ∇R is not finite is not made: the chain does not move, and the step is counted (`RawBlock::fallbacks`);
//! 4. statistics: lp = −C(ω*) − ½|u|² + R over all rows, `lp_minibatch` the same from the batch, |∇C| and |noise| in u.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A run of consecutive steps: `draws` kept draws, each the state before `thin` steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// Index of the first step, counted from the start of warm-up.
    pub first_step: u32,
    /// Number of kept draws, n.
    pub draws: u32,
    /// Steps per draw.
    pub thin: u32,
    /// Whether these are warm-up steps.
    pub warmup: bool,
}

/// Draws and statistics of a span, in internal coordinates.
#[derive(Debug, Clone, PartialEq)]
pub struct RawBlock {
    /// The span that was run.
    pub span: Span,
    /// Positions ω, `[n, C, P]`.
    pub omega: Vec<f64>,
    /// Statistics, `[n, C, Stat::COUNT]`. `lp` leaves out `Problem::log_norm`; NaN where it was not computed.
    pub stats: Vec<f64>,
    /// The step's estimate of ∇C at each draw, internal coordinates, `[n, C, P]`; empty where the engine keeps none.
    pub gradient: Vec<f64>,
    /// Steps whose residual noise fell back to full noise, or whose gradient was not finite, over all chains.
    pub fallbacks: u64,
    /// The first fault of each chain that has one.
    pub faults: Vec<Fault>,
    /// Scores of the span's draws on held-out rows, where the engine computes them; with `None` the CPU side does.
    pub predicted: Option<Predicted>,
}

/// Sums over draws and chains on the M held-out rows. Densities are of y in internal units and leave out what the
/// likelihood leaves out of ln p (`Likelihood::log_norm`).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Predicted {
    /// Largest ln p(y|η) and Σ p(y|η) divided by its exponential, `[M]`.
    pub density: Vec<(f64, f64)>,
    /// Σ of class probabilities, `[M,classes]`; empty for a response that is no class.
    pub classes: Vec<f64>,
    /// Σ of the mean of y, `[M]`; empty for classes.
    pub mean: Vec<f64>,
    /// Σ of a Gaussian's distribution function at y, `[M]`; zeros for other likelihoods, empty for classes.
    pub below: Vec<f64>,
    /// Σ over rows of ln p, and rows whose most probable class is right, of each draw: `[n, C]`.
    pub draws: Vec<(f64, f64)>,
}

/// Adds a density in the form e^max·sum to another one.
pub fn add_density((max, sum): &mut (f64, f64), (other, more): (f64, f64)) {
    if other > *max {
        *sum = *sum * (*max - other).exp() + more;
        *max = other;
    } else {
        *sum += more * (other - *max).exp();
    }
}

impl Predicted {
    /// Adds the sums of further draws.
    pub fn add(&mut self, more: Predicted) {
        if self.density.is_empty() {
            *self = more;
            return;
        }
        for (own, other) in self.density.iter_mut().zip(more.density) {
            add_density(own, other);
        }
        let sums = [
            (&mut self.classes, more.classes),
            (&mut self.mean, more.mean),
            (&mut self.below, more.below),
        ];
        for (own, other) in sums {
            own.iter_mut().zip(other).for_each(|(a, b)| *a += b);
        }
        self.draws.extend(more.draws);
    }
}

/// Why a chain cannot go on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Fault {
    /// Index of the chain.
    pub chain: u32,
    /// Index of the step.
    pub step: u32,
    /// Kind of fault.
    pub kind: FaultKind,
}

/// Kinds of fault.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum FaultKind {
    /// M is not positive definite at `pivot`, even with the largest jitter.
    MetricNotPositive {
        /// Index of the failing pivot.
        pivot: u32,
    },
    /// The noise budget is negative: the temperature is below what this batch and step can reach.
    ResidualNotPositive {
        /// Index of the failing pivot.
        pivot: u32,
    },
    /// A number that is not finite, or a position too far away to be valid.
    Diverged,
}

/// Description of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineInfo {
    /// `cpu` or `gpu`.
    pub kind: &'static str,
    /// E.g. `CPU engine, f32, 2 threads` or the adapter's name.
    pub device: String,
    /// Driver and backend.
    pub driver: String,
}

/// State of all chains between two steps.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ChainState {
    /// Index of the next step.
    pub step: u32,
    /// Positions ω, `[C, P]`.
    pub omega: Vec<f64>,
    /// RMSProp's running mean V, `[C, P]`; empty for other metrics.
    pub second_moment: Vec<f64>,
    /// The numbers that the engine itself holds, where ω is computed from others: an engine of the same kind and precision goes on from them with
    /// the same bits. Empty where ω is what it holds.
    pub exact: Vec<f64>,
}

/// Errors of an engine that do not come from the sampler's numbers.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum EngineError {
    /// No device was found, or none of that name.
    #[error("{0}")]
    NoDevice(String),
    /// The problem does not fit the device; the message names the largest size that does.
    #[error("{0}")]
    DoesNotFit(String),
    /// The program that calls the engine asks for what it cannot do, such as starting points of another number.
    #[error("{0}")]
    Misuse(String),
    /// The device was lost, or a shader or a submission failed.
    #[error("{0}")]
    Device(String),
    /// The device did not finish in time. The work may go on there, so that the device is given up, and never closed.
    #[error("{0}")]
    Overdue(String),
}

/// An engine with a problem, a plan and initial positions loaded.
pub trait Engine: Send {
    /// Description of this engine.
    fn info(&self) -> &EngineInfo;
    /// Starts a span; returns before it has ended where the device allows.
    fn enqueue(&mut self, span: Span) -> Result<(), EngineError>;
    /// Waits for the oldest span and returns its draws.
    fn collect(&mut self) -> Result<RawBlock, EngineError>;
    /// Number of spans that may be enqueued at once.
    fn depth(&self) -> usize {
        1
    }
    /// The state of all chains after everything enqueued has been collected.
    fn state(&mut self) -> Result<ChainState, EngineError>;
    /// Sets the state of all chains of an engine that has made no step. An engine of the kind that gave the state goes on with the same
    /// bits, if the metric is made afresh at the state's step (`Plan::refresh`); another one from the same positions.
    fn restore(&mut self, state: &ChainState) -> Result<(), EngineError>;
}
