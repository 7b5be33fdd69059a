//! Where chains start: the mode with jitter, prior draws, or zero.

use crate::prepare::Prepared;
use sngd_core::config::Init;
use sngd_core::normals::fill_normals;
use sngd_core::philox::{Stream, at, uniform};
use sngd_cpu::mode::{GAUSSIAN, near_enough};

/// Initial positions in internal coordinates, `[C,P]`. All chains of a superchain share one position.
pub fn positions(prepared: &Prepared) -> Vec<f64> {
    let (plan, run) = (&prepared.plan, &prepared.config.run);
    let group = plan.chains.checked_div(run.superchains).unwrap_or(1);
    let mut out = Vec::with_capacity(plan.chains * plan.p);
    for chain in 0..plan.chains {
        let address = (chain - chain % group.max(1)) as u32;
        match (prepared.config.init(), &prepared.mode) {
            (Init::Map, Some(mode)) => {
                out.extend(mode.near(prepared.init_scale(), plan.seed, address));
            }
            (Init::Standard, _) => out.extend(standard(prepared, address)),
            (Init::Prior, _) => out.extend(from_prior(prepared, address)),
            _ => out.extend(std::iter::repeat_n(0.0, plan.p)),
        }
    }
    if let (Some(expansion), Init::Map) = (&plan.expansion, prepared.config.init())
        && prepared.log_weight_sd >= GAUSSIAN
    {
        near_enough(&prepared.problem, expansion, &mut out);
    }
    out
}

/// The standard start of a network; log σ is that of the response's standard deviation, without offsets.
fn standard(prepared: &Prepared, chain: u32) -> Vec<f64> {
    let problem = &prepared.problem;
    let mut omega = vec![0.0; prepared.plan.p];
    if let Some(net) = &problem.network {
        net.start(&mut omega, prepared.plan.seed, chain);
    }
    if problem.transform.aux == 1 {
        let n = problem.y.len() as f64;
        let offset = |i: usize| problem.offset.get(i).copied().unwrap_or(0.0);
        let left = || problem.y.iter().enumerate().map(|(i, y)| y - offset(i));
        let mean = left().sum::<f64>() / n;
        let var = left().map(|y| (y - mean).powi(2)).sum::<f64>() / n;
        omega[prepared.plan.p - 1] = 0.5 * var.ln();
    }
    omega
}

/// A draw from the prior; parameters with a flat prior start at the mode.
fn from_prior(prepared: &Prepared, chain: u32) -> Vec<f64> {
    let (problem, seed) = (&prepared.problem, prepared.plan.seed);
    let p = problem.parameters();
    let mut theta = vec![0.0; p];
    if let Some(mode) = &prepared.mode {
        problem.prior_transform.natural(&mode.omega, &mut theta);
    }
    let mut z = vec![0.0; p];
    fill_normals(&mut z, seed, Stream::Init, chain, 0);
    let first = |i: usize| uniform(at(seed, Stream::Init, chain, 1, i as u32)[0]);
    for (i, prior) in problem.priors.iter().enumerate() {
        let mut count = 0;
        let mut more = || {
            count += 1;
            uniform(at(seed, Stream::Init, chain, 1 + count, i as u32)[0])
        };
        if let Some(v) = prior.draw(first(i), z[i], &mut more) {
            theta[i] = v;
        }
    }
    if let Some(v) = problem
        .scale_prior
        .and_then(|s| s.draw_log(first(p - 1), z[p - 1]))
    {
        theta[p - 1] = v;
    }
    let mut omega = vec![0.0; p];
    problem.prior_transform.internal(&theta, &mut omega);
    omega
}
