//! Faults as sentences: which chain, which step, what happened, what helps.

use crate::prepare::Prepared;
use crate::run_error::{MAX_FALLBACK_SHARE, RunError};
use crate::stray::Stray;
use sngd_core::config::Init;
use sngd_core::engine::{Fault, FaultKind};
use sngd_core::likelihood::Likelihood;
use sngd_core::plan::{Metric, Plan};
use sngd_cpu::preflight;
use sngd_shaders::{MOST_ITERATIONS, ModelSource};

/// The error for a likelihood whose evaluation was stopped, if one was.
pub(crate) fn stopped(prepared: &Prepared) -> Option<RunError> {
    let Likelihood::Custom(own) = &prepared.problem.likelihood else {
        return None;
    };
    let why = own.body.stopped()?;
    Some(RunError::Unevaluable {
        sentence: format!("the likelihood stopped while sampling: {why}"),
    })
}

/// What may have happened on a device, which does not say so: a loop of the user's text was ended.
fn ended_loop(prepared: &Prepared) -> String {
    let model = ModelSource::of(&prepared.problem.likelihood);
    match model.filter(ModelSource::may_loop) {
        Some(model) => format!(
            "; if a loop of {} can run for more than {MOST_ITERATIONS} iterations, shorten it: its function then gives NaN",
            model.name()
        ),
        None => String::new(),
    }
}

/// The error for the fault of a chain.
pub(crate) fn numbers(prepared: &Prepared, fault: Fault) -> RunError {
    let Fault { chain, step, kind } = fault;
    let plan = &prepared.plan;
    let what = match kind {
        FaultKind::MetricNotPositive { pivot } => format!(
            "the metric is not positive definite at {}, expected one that is; raise sampler.damping (now {}) or give that parameter a proper prior",
            parameter(prepared, pivot),
            plan.damping
        ),
        FaultKind::ResidualNotPositive { pivot } => format!(
            "the minibatch noise is hotter than the temperature allows, at {}, expected a noise budget above it; {}",
            parameter(prepared, pivot),
            cooler(prepared)
        ),
        FaultKind::Diverged if plan.metric == Metric::Mode => format!(
            "the chain diverged: found a number that is not finite, or beyond any use, expected a chain near the posterior; {}{}",
            exact_kernel(plan),
            ended_loop(prepared)
        ),
        FaultKind::Diverged => format!(
            "the chain diverged: found a number that is not finite, or beyond {:e} in internal units, expected a chain near the posterior; lower sampler.step_size (now {}), raise sampler.damping (now {}){}{}",
            sngd_core::plan::DIVERGED,
            plan.step_size.initial(),
            plan.damping,
            if prepared.config.init() == Init::Map && prepared.init_scale() <= 1.0 {
                " or sampler.batch_size".to_string()
            } else if prepared.problem.network.is_some() {
                " or give the weights a narrower prior".to_string()
            } else if prepared.config.init() == Init::Map {
                format!(" or lower run.init_scale (now {})", prepared.init_scale())
            } else {
                " or set run.init = \"map\"".to_string()
            },
            ended_loop(prepared)
        ),
    };
    RunError::Numbers {
        chain,
        step,
        kind,
        sentence: format!("chain {chain}, step {step}: {what}"),
    }
}

/// The error for a chain that ran away.
pub(crate) fn stray(prepared: &Prepared, stray: Stray) -> RunError {
    let plan = &prepared.plan;
    let Stray { chain, floor, now } = stray;
    if plan.metric == Metric::Mode {
        return RunError::RanAway {
            chain,
            sentence: format!(
                "chain {chain} ran away: found a log posterior of {now:.4e}, expected no less than {floor:.4e}, which noise alone could make of its start; {}",
                exact_kernel(plan)
            ),
        };
    }
    let refreshed = if plan.refresh > 1 {
        format!(
            ", lower sampler.fisher_refresh (now {}: the metric is that of earlier steps)",
            plan.refresh
        )
    } else {
        String::new()
    };
    RunError::RanAway {
        chain,
        sentence: format!(
            "chain {chain} ran away: found a log posterior of {now:.4e}, expected no less than {floor:.4e}, which noise alone could make of its start; lower sampler.step_size (now {}), raise sampler.damping (now {}){refreshed}",
            plan.step_size.initial(),
            plan.damping
        ),
    }
}

/// Advice for a chain whose metric is at the mode.
fn exact_kernel(plan: &Plan) -> String {
    if plan.metropolis {
        format!(
            "lower sampler.step_size (now {}) or leave it out",
            plan.step_size.initial()
        )
    } else {
        "set batch_size = \"full\" and leave sampler.method, gradient and step_size out: a Metropolis test then keeps chains from running away".into()
    }
}

/// The error for too many fallbacks.
pub(crate) fn fallbacks(prepared: &Prepared, share: f64) -> RunError {
    if prepared.plan.metric == Metric::Mode {
        return RunError::Fallbacks {
            share,
            sentence: format!(
                "the gradient was not finite in {:.1}% of the steps, which were not made, expected at most {:.0}%; {}{}",
                100.0 * share,
                100.0 * MAX_FALLBACK_SHARE,
                exact_kernel(&prepared.plan),
                ended_loop(prepared)
            ),
        };
    }
    RunError::Fallbacks {
        share,
        sentence: format!(
            "the minibatch noise was hotter than the temperature allows in {:.1}% of the steps, expected at most {:.0}%; {}",
            100.0 * share,
            100.0 * MAX_FALLBACK_SHARE,
            cooler(prepared)
        ),
    }
}

/// Name of the parameter at a pivot, for a message.
fn parameter(prepared: &Prepared, pivot: u32) -> String {
    prepared
        .problem
        .parameter_names()
        .get(pivot as usize)
        .map_or(format!("parameter {pivot}"), |n| format!("parameter {n}"))
}

fn cooler(prepared: &Prepared) -> String {
    let plan: &Plan = &prepared.plan;
    let halved = format!("lower sampler.step_size (now {})", plan.step_size.initial());
    match &prepared.mode {
        Some(mode) => {
            let reach = preflight::reach(plan, mode);
            format!(
                "at the mode the smallest batch is {}, and the chain strayed from there: set sampler.batch_size = \"full\" (now {}), or {halved}",
                reach.batch, plan.batch
            )
        }
        None => format!(
            "set sampler.batch_size = \"full\" (now {}), or {halved}",
            plan.batch
        ),
    }
}
