//! The dispatches of one step, in order, as they follow from the plan. There are three kinds of step: dense metric,
//! diagonal metric and MALA.

mod dense;
mod diagonal;
mod held;
mod mala;
mod metric;
mod network;

use crate::buffer::Buffer;
use crate::device::Tuning;
use crate::shape::{Group, RowSet, Shape, ridged};
use crate::spec::{Spec, When, spec};
use sngd_core::config::FisherKind;
use sngd_core::philox::Stream;
use sngd_core::plan::{Metric, Plan};
use sngd_core::step::PassName;

/// Names of the buffers of a pass over rows.
#[derive(Debug, Clone, Copy)]
struct Names {
    index: Buffer,
    eta: Buffer,
    scores: Buffer,
    weight: Buffer,
    lik: Buffer,
    acts: Buffer,
    delta: Buffer,
}

fn names(set: &RowSet) -> Names {
    match set.pass {
        PassName::Batch => Names {
            index: Buffer::BatchIndex,
            eta: Buffer::BatchEta,
            scores: Buffer::BatchScores,
            weight: Buffer::BatchWeight,
            lik: Buffer::BatchLik,
            acts: Buffer::BatchActs,
            delta: Buffer::BatchDelta,
        },
        PassName::Metric => Names {
            index: Buffer::MetricIndex,
            eta: Buffer::MetricEta,
            scores: Buffer::MetricScores,
            weight: Buffer::MetricWeight,
            lik: Buffer::MetricLik,
            acts: Buffer::MetricActs,
            delta: Buffer::MetricDelta,
        },
    }
}

/// The vectors v over a row's outputs whose squares Σ vvᵀ are the row's part of a matrix: a network goes backward from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Seed {
    /// Rows of a root of W: the row's part is w·JᵀWJ. A linear predictor takes W itself.
    Root,
    /// The score w·s of a row that counts w times: its own gradient, and the second moment of gradients.
    Score,
    /// √w·s: the row's part is w·Jᵀs sᵀJ.
    RootScore,
}

impl Seed {
    /// The constant `FROM_SCORE`: 1 where one vector is stored for each row, else 0.
    fn single(self) -> usize {
        usize::from(self != Seed::Root)
    }
}

/// Builds the list of dispatches.
pub struct Recipe<'a> {
    plan: &'a Plan,
    shape: &'a Shape,
    /// Buffer with the position that the last pass over rows was at.
    omega: Buffer,
    out: Vec<Spec>,
}

/// The dispatches of a step of this plan.
pub fn recipe(plan: &Plan, shape: &Shape) -> Vec<Spec> {
    let mut r = Recipe {
        plan,
        shape,
        omega: Buffer::Omega,
        out: Vec::new(),
    };
    // A kept draw is the state before the step, so it is scored first.
    r.held();
    if plan.metropolis {
        r.mala();
    } else if shape.dense {
        r.dense();
    } else {
        r.diagonal();
    }
    r.out
}

/// Number of dispatches per step of each stage, in the order of the step. A dispatch that runs only every `refresh` steps
/// counts as 1/`refresh`. One that depends on a step size that changes counts as if that changed at each step.
pub fn dispatches(plan: &Plan, tuning: Tuning) -> Vec<(String, f64)> {
    if let (Metric::Mode, Some(expansion)) = (plan.metric, &plan.expansion) {
        return crate::mode::dispatches(plan, expansion, tuning);
    }
    let shape = Shape::new(plan, tuning == Tuning::Software);
    let mut out: Vec<(String, f64)> = Vec::new();
    for s in recipe(plan, &shape) {
        let share = match s.when {
            When::Always | When::NewNoise => 1.0,
            When::Fresh => 1.0 / f64::from(plan.refresh),
            When::Kept => 1.0 / plan.thin as f64,
            When::Once => continue,
        };
        match out.iter_mut().find(|(name, _)| name == s.stage()) {
            Some((_, count)) => *count += share,
            None => out.push((s.stage().into(), share)),
        }
    }
    out
}

/// Grid of (groups of 64 parameters, chain) for kernels over vectors of P.
fn over_p(shape: &Shape) -> [usize; 3] {
    [shape.p.div_ceil(64), shape.c, 1]
}

impl Recipe<'_> {
    fn push(&mut self, s: Spec) {
        self.out.push(s);
    }

    /// Runs what `build` adds only at steps that compute the metric; the results stay valid as long as the metric does.
    fn with_the_metric(&mut self, build: impl FnOnce(&mut Self)) {
        let from = self.out.len();
        build(self);
        for s in &mut self.out[from..] {
            s.when = When::Fresh;
        }
    }

    fn empirical(&self) -> usize {
        usize::from(self.plan.fisher == FisherKind::Empirical)
    }

    /// The vectors that the metric is summed from.
    fn metric_seed(&self) -> Seed {
        match (self.plan.fisher, self.plan.frequencies) {
            (FisherKind::Empirical, None) => Seed::Score,
            (FisherKind::Empirical, Some(_)) => Seed::RootScore,
            _ => Seed::Root,
        }
    }

    /// Sets a network's sizes for a Gram matrix over explicit rows: one output with P design columns.
    fn as_one_output(&self, s: Spec) -> Spec {
        if self.shape.net.is_none() {
            return s;
        }
        s.u("K", 1).u("H", 1).u("HH", 1).u("D", self.shape.p)
    }

    /// The same for kernels that loop over priors, which treat auxiliary parameters apart.
    fn over_prior(&self, s: Spec) -> Spec {
        if self.shape.net.is_none() {
            return s;
        }
        let aux = self.shape.h - self.shape.k;
        s.u("K", 1).u("H", 1 + aux).u("D", self.shape.p - aux)
    }

    fn rows(&mut self, set: &RowSet, omega: Buffer, when: When) {
        let n = names(set);
        self.omega = omega;
        if let Some(net) = &self.shape.net {
            self.forward(net, set, omega, when);
        }
        let s = spec(
            "state/kernel/rows.wgsl",
            "rows",
            [set.rows.div_ceil(64), self.shape.c, 1],
        )
        .u("R", set.rows)
        .code("ROWS", &set.rule)
        .code("WEIGHTS", &set.weights)
        .u("LABELS", self.plan.fisher_labels as usize)
        .u("EMPIRICAL", self.empirical())
        .u("NETWORK", usize::from(self.shape.net.is_some()))
        .b("omega", omega)
        .b("row_index", n.index)
        .b("eta", n.eta)
        .b("scores", n.scores)
        .b("weight", n.weight)
        .b("lik_sums", n.lik)
        .at(when);
        self.push(s);
    }

    fn gradient(&mut self, set: &RowSet, from: Buffer, to: Buffer, when: When) {
        let s = self.shape;
        if let Some(net) = &s.net {
            self.network_gradient(net, set, to, when);
            return;
        }
        let one = spec(
            "state/kernel/gradient.wgsl",
            "gradient",
            [s.gradient_groups(), s.c, set.grad_splits],
        )
        .u("R", set.rows)
        .u("GRAD_D", s.grad_d)
        .u("GRAD_M", s.grad_m)
        .u("GRAD_K", s.grad_k)
        .u("GRAD_SPLITS", set.grad_splits)
        .b("row_index", names(set).index)
        .b("coefficient", from)
        .b("partial_sum", to)
        .at(when);
        self.push(one);
    }

    fn reduce(
        &mut self,
        from: Buffer,
        to: Buffer,
        (splits, length): (usize, usize),
        lambda: Option<(Buffer, f64)>,
        when: When,
    ) {
        let groups = length.div_ceil(64);
        let row = groups.min(32_768);
        let s = spec(
            "state/kernel/reduce.wgsl",
            "reduce",
            [row, groups.div_ceil(row), 1],
        )
        .u("SPLITS", splits)
        .u("LENGTH", length)
        .u("REDUCE_ROW", row)
        .u("WITH_LAMBDA", usize::from(lambda.is_some()))
        .f("SHARE", lambda.map_or(1.0, |(_, share)| share))
        .b("added", lambda.map_or(Buffer::Added, |(a, _)| a))
        .b("parts", from)
        .b("total", to)
        .at(when);
        self.push(s);
    }

    fn normals(&mut self, stream: Stream, to: Buffer, (vectors, length): (usize, usize)) {
        let groups = (self.shape.c * vectors * length.div_ceil(4)).div_ceil(64);
        let wide = groups.min(32_768);
        let s = spec(
            "state/kernel/normals.wgsl",
            "draw_normals",
            [wide, groups.div_ceil(wide), 1],
        )
        .u("VECTORS", vectors)
        .u("LENGTH", length)
        .u("WIDE", wide)
        .u("STREAM", stream as usize)
        .b("z", to);
        self.push(s);
    }

    /// Sets the constants of a kernel over the squares of a group, one square per chain and block.
    fn over_squares(&self, s: Spec, group: &Group) -> Spec {
        let run = &group.run;
        s.u("ORDER", run.size)
            .u("COUNT", run.count)
            .u("FIRST_SQUARE", run.at)
            .u("FIRST_PARAMETER", run.offset)
            .u("FIRST_BLOCK", run.first)
    }

    fn product(
        &mut self,
        entry: &'static str,
        matrix: Buffer,
        (from, to): (Buffer, Buffer),
        vectors: usize,
    ) {
        let s = self.shape;
        for g in &s.groups {
            let grid = [g.run.size.div_ceil(8), s.c * g.run.count, vectors];
            let one = self
                .over_squares(spec("state/kernel/triangle.wgsl", entry, grid), g)
                .u("VECTORS", vectors)
                .b("matrix", matrix)
                .b("input", from)
                .b("output", to);
            self.push(one);
        }
    }

    /// Computes cost and its gradient at the position in buffer `omega`.
    fn cost(&mut self, omega: Buffer, (gradient, cost): (Buffer, Buffer), when: When) {
        let s = self.shape;
        let batch = &s.batch_rows;
        let full = match &s.metric_rows {
            Some(m) if self.plan.full_log_density() && !self.plan.full_batch => m,
            _ => batch,
        };
        let one = spec(
            "state/kernel/cost.wgsl",
            "cost_and_gradient",
            [s.teams(), 1, 1],
        );
        let one = self
            .over_prior(one)
            .u("LANES", s.lanes)
            .u("GRAD_SPLITS", batch.grad_splits)
            .u("BATCH_SUMS", batch.lik_sums)
            .u("FULL_SUMS", full.lik_sums)
            .f("SHARE", self.plan.n as f64 / self.plan.batch as f64)
            .b("omega", omega)
            .b("partial_sum", Buffer::BatchSum)
            .b("batch_lik", Buffer::BatchLik)
            .b("full_lik", names(full).lik)
            .b("gradient", gradient)
            .b("cost", cost)
            .at(when);
        self.push(one);
    }

    /// Adds the dispatch from leverages to coefficients c; the sum Σ Jᵀc follows elsewhere.
    fn contraction(&mut self, (half_kappa, divergence): (f64, f64), splits: usize, adds: usize) {
        let s = self.shape;
        let set = s.metric();
        let n = names(&set);
        let one = spec(
            "state/kernel/contraction.wgsl",
            "contraction",
            [set.rows.div_ceil(64), s.c, 1],
        )
        .u("R", set.rows)
        .u("EMPIRICAL", self.empirical())
        .u("LEVER_SPLITS", splits)
        .u("ADDS", adds)
        .f("HALF_KAPPA", half_kappa)
        .f("DIVERGENCE", divergence)
        .b("eta", n.eta)
        .b("row_index", n.index);
        self.push(one);
    }

    fn whiten(&mut self, drift_parts: usize, gradient: Buffer, linv: Buffer) {
        let s = self.shape;
        let set = s.metric();
        for g in &s.groups {
            let grid = [g.run.size.div_ceil(8), s.c * g.run.count, 1];
            let one = self
                .over_squares(spec("state/kernel/whiten.wgsl", "whiten", grid), g)
                .u("DRIFT_PARTS", drift_parts)
                .code("NOISE", &self.plan.noise)
                .u(
                    "RIDGED",
                    usize::from(ridged(self.plan) && !self.plan.metropolis),
                )
                .f("SHARE", self.plan.n as f64 / set.rows as f64)
                .b("linv", linv)
                .b("gradient", gradient);
            self.push(one);
        }
    }

    fn update(&mut self) {
        let one = spec(
            "state/kernel/update.wgsl",
            "update",
            [self.shape.teams(), 1, 1],
        )
        .u("LANES", self.shape.lanes)
        .code("NOISE", &self.plan.noise)
        .u("FULL_DENSITY", usize::from(self.plan.full_log_density()));
        self.push(one);
    }
}
