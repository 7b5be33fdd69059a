//! Where chains start: the mode with jitter, prior draws, or zero.

use crate::prepare::Prepared;
use sngd_core::config::Init;
use sngd_core::philox::{Stream, at, fill_normals, uniform};
use sngd_cpu::map::Mode;

/// Initial positions in internal coordinates, `[C,P]`. Chains of one superchain share theirs.
pub fn positions(prepared: &Prepared) -> Vec<f64> {
    let (plan, run) = (&prepared.plan, &prepared.config.run);
    let group = plan.chains.checked_div(run.superchains).unwrap_or(1);
    let mut out = Vec::with_capacity(plan.chains * plan.p);
    for chain in 0..plan.chains {
        let address = (chain - chain % group.max(1)) as u32;
        match (prepared.config.init(), &prepared.mode) {
            (Init::Map, Some(mode)) => {
                out.extend(near_mode(mode, run.init_scale, plan.seed, address));
            }
            (Init::Standard, _) => out.extend(standard(prepared, address)),
            (Init::Prior, _) => out.extend(from_prior(prepared, address)),
            _ => out.extend(std::iter::repeat_n(0.0, plan.p)),
        }
    }
    out
}

/// ω* + scale·L⁻ᵀz: `scale` posterior sds at T = 1 in every direction.
fn near_mode(mode: &Mode, scale: f64, seed: u64, chain: u32) -> Vec<f64> {
    let p = mode.omega.len();
    let mut u = vec![0.0; p];
    fill_normals(&mut u, seed, Stream::Init, chain, 0);
    for j in (0..p).rev() {
        let column = &mode.chol[j * p..(j + 1) * p];
        let known: f64 = (j + 1..p).map(|i| column[i] * u[i]).sum();
        u[j] = (u[j] - known) / column[j];
    }
    mode.omega
        .iter()
        .zip(&u)
        .map(|(w, u)| w + scale * u)
        .collect()
}

/// A network's standard start: weights of variance gain/fan-in, biases 0, log σ at the response's own spread.
fn standard(prepared: &Prepared, chain: u32) -> Vec<f64> {
    let (problem, seed) = (&prepared.problem, prepared.plan.seed);
    let mut omega = vec![0.0; prepared.plan.p];
    let Some(net) = &problem.network else {
        return omega;
    };
    fill_normals(&mut omega, seed, Stream::Init, chain, 0);
    let layers = net.layers();
    for (l, layer) in layers.iter().enumerate() {
        let gain = if l + 1 < layers.len() {
            net.activation.start_gain()
        } else {
            1.0
        };
        let sd = (gain / layer.inputs as f64).sqrt();
        for unit in omega[layer.offset..layer.offset + layer.len()].chunks_mut(layer.stride) {
            let (weights, bias) = unit.split_at_mut(layer.inputs);
            weights.iter_mut().for_each(|w| *w *= sd);
            bias.fill(0.0);
        }
    }
    if problem.transform.aux == 1 {
        let n = problem.y.len() as f64;
        let mean = problem.y.iter().sum::<f64>() / n;
        let var = problem.y.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / n;
        omega[prepared.plan.p - 1] = 0.5 * var.ln();
    }
    omega
}

/// A prior draw; what has a flat prior starts at the mode.
fn from_prior(prepared: &Prepared, chain: u32) -> Vec<f64> {
    let (problem, seed) = (&prepared.problem, prepared.plan.seed);
    let p = problem.parameters();
    let mut theta = vec![0.0; p];
    if let Some(mode) = &prepared.mode {
        problem.transform.natural(&mode.omega, &mut theta);
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
    problem.transform.internal(&theta, &mut omega);
    omega
}
