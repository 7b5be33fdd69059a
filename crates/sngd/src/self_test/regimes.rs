//! A few steps of every kind of kernel, compared with the f64 CPU engine, which makes the same steps from the same random
//! numbers.

use super::tested::Tested;
use crate::builder::{Builder, Data, Model};
use crate::error::Error;
use crate::prepare::Prepared;
use crate::start;
use sngd_core::config::Device;
use sngd_core::config::{Family, Gradient, Noise, Precision};
use sngd_core::engine::{Engine, Span};
use sngd_core::network::Activation;
use sngd_core::philox::Stream;
use sngd_core::plan::{Metric, Plan};
use sngd_core::prior::Prior;
use sngd_cpu::CpuEngine;
use sngd_gpu::GpuEngine;

/// Steps that are compared.
const STEPS: u32 = 4;
/// Largest error, relative to how far the chains moved.
const ALLOWED: f64 = 3e-3;

const SMALL: &str = "small metric";
const RESIDUAL: &str = "residual noise";
const SHARED: &str = "metric in shared memory";
const PANELS: &str = "metric in panels";
const OUTPUTS: &str = "several outputs";
const NETWORK: &str = "network";
const DIAGONAL: &str = "diagonal metric";
const MODE: &str = "metric at the mode, all rows";
const CONTROL: &str = "metric at the mode, control variates";

/// Largest order of a metric that one thread sums, and of one that is factored in shared memory.
const ORDERS: (usize, usize) = (12, 88);

/// A kind of kernel, and a run that uses it.
struct Regime {
    name: &'static str,
    family: Family,
    hidden: Option<usize>,
    /// Numbers of rows and of features.
    size: (usize, usize),
    /// The section `sampler` of a run file, as JSON.
    sampler: &'static str,
}

/// All kinds. Small metrics are summed by single threads, larger ones by workgroups; they are factored in shared memory up to an
/// order of 88, and beyond it in panels.
const REGIMES: [Regime; 9] = [
    Regime {
        name: SMALL,
        family: Family::Bernoulli,
        hidden: None,
        size: (64, 2),
        sampler: r#"{"batch_size": "full", "step_size": 0.2, "noise": "full"}"#,
    },
    Regime {
        name: RESIDUAL,
        family: Family::Bernoulli,
        hidden: None,
        size: (64, 2),
        sampler: r#"{"batch_size": 48, "step_size": 0.2, "noise": "residual"}"#,
    },
    Regime {
        name: SHARED,
        family: Family::Bernoulli,
        hidden: None,
        size: (96, 30),
        sampler: r#"{"batch_size": 64, "step_size": 0.2, "noise": "full"}"#,
    },
    Regime {
        name: PANELS,
        family: Family::Bernoulli,
        hidden: None,
        size: (128, 96),
        sampler: r#"{"batch_size": "full", "step_size": 0.2, "noise": "full"}"#,
    },
    Regime {
        name: OUTPUTS,
        family: Family::Softmax,
        hidden: None,
        size: (64, 4),
        sampler: r#"{"batch_size": 48, "step_size": 0.2, "noise": "full"}"#,
    },
    Regime {
        name: NETWORK,
        family: Family::Bernoulli,
        hidden: Some(4),
        size: (64, 3),
        sampler: r#"{"batch_size": 48, "step_size": 0.1, "noise": "full", "damping": 0.1}"#,
    },
    Regime {
        name: DIAGONAL,
        family: Family::Bernoulli,
        hidden: None,
        size: (64, 4),
        sampler: r#"{"method": "psgld", "batch_size": 48, "step_size": 0.001}"#,
    },
    Regime {
        name: MODE,
        family: Family::Bernoulli,
        hidden: None,
        size: (64, 4),
        sampler: r#"{"method": "mala", "metric": "mode", "step_size": 0.2}"#,
    },
    Regime {
        name: CONTROL,
        family: Family::Bernoulli,
        hidden: None,
        size: (200, 4),
        sampler: r#"{"gradient": "control_variates", "batch_size": 24, "metric": "mode", "step_size": 0.2}"#,
    },
];

/// Names of all kinds.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    REGIMES.iter().map(|regime| regime.name)
}

/// Names of the kinds that a plan uses.
pub(super) fn of(plan: &Plan) -> Vec<&'static str> {
    if plan.metric == Metric::Mode {
        return vec![match plan.gradient {
            Gradient::Plain => MODE,
            Gradient::ControlVariates => CONTROL,
        }];
    }
    if plan.metric != Metric::Fisher && plan.network.is_none() {
        return vec![DIAGONAL];
    }
    let order = plan.blocks.largest();
    let kinds = [
        (order > ORDERS.1, PANELS),
        (plan.metric != Metric::Fisher, DIAGONAL),
        (plan.noise == Noise::Residual, RESIDUAL),
        (plan.network.is_some(), NETWORK),
        (plan.network.is_none() && plan.h > 1, OUTPUTS),
    ];
    let used: Vec<&str> = (kinds.iter().filter(|k| k.0)).map(|k| k.1).collect();
    match used.is_empty() {
        false => used,
        true if order > ORDERS.0 => vec![SHARED],
        true => vec![SMALL],
    }
}

/// Tests the kind of that name.
pub(super) fn test(tested: &Tested, name: &str) -> Result<(bool, String), Error> {
    match REGIMES.iter().find(|regime| regime.name == name) {
        Some(regime) => compare(tested, regime),
        None => Ok((false, "no such kind of kernel".into())),
    }
}

impl Regime {
    /// The run on made-up data: normal features, and labels that the first two of them lean to.
    fn prepare(&self) -> Result<Prepared, Error> {
        let (n, d) = self.size;
        let mut z = vec![0.0f64; n * (d + 1)];
        sngd_core::normals::fill_normals(&mut z, 20, Stream::Split, 0, 0);
        let (x, noise) = z.split_at(n * d);
        let labels = (0..n).map(|i| {
            let lean = noise[i] + x[i * d] - 0.5 * x[i * d + 1];
            match self.family {
                Family::Softmax => f64::from(u8::from(lean > -0.5) + u8::from(lean > 0.5)),
                _ => f64::from(u8::from(lean > 0.0)),
            }
        });
        let names = (0..d).map(|j| format!("x{j}"));
        let data = Data::new(x.to_vec(), names, labels.collect());
        let model = match self.hidden {
            Some(width) => Model::mlp(self.family, [width], Activation::Tanh),
            None => Model::linear(self.family),
        };
        let mut builder = Builder::new(model, &data)
            .prior(Prior::Normal(0.0, 1.0))
            .chains(3)
            .device(Device::Cpu);
        if self.hidden.is_none() {
            builder = builder.prior_intercept(Prior::Normal(0.0, 1.0));
        }
        builder.config().sampler = serde_json::from_str(self.sampler)
            .map_err(|e| Error::Input(format!("self-test, {}: {e}", self.name)))?;
        builder.prepare()
    }
}

/// Largest error of any chain's position after some steps, and whether it is small enough.
fn compare(tested: &Tested, regime: &Regime) -> Result<(bool, String), Error> {
    let prepared = &regime.prepare()?;
    let (problem, plan) = (&*prepared.problem, &prepared.plan);
    let init = start::positions(prepared);
    let cpu = |precision| CpuEngine::new(precision, problem, plan, &init, Some(1));
    let mut engine: Box<dyn Engine> = match tested {
        Tested::Cpu => Box::new(cpu(Precision::F32)?),
        Tested::Gpu(gpu) => Box::new(GpuEngine::new(gpu.clone(), problem, plan, &init)?),
    };
    let found = advance(engine.as_mut())?;
    let truth = advance(&mut cpu(Precision::F64)?)?;
    let size = plan.chains * plan.p;
    let largest = |a: &[f64], b: &[f64]| {
        let each = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        // NaN is an error of any size.
        each.fold(
            0.0,
            |w: f64, d| if d.is_nan() { f64::INFINITY } else { w.max(d) },
        )
    };
    let moved = largest(&truth[truth.len() - size..], &truth[..size]);
    let worst = largest(&found, &truth) / moved;
    let passed = found.len() == truth.len() && worst < ALLOWED;
    Ok((
        passed,
        format!("{STEPS} steps within {worst:.0e} of the f64 engine"),
    ))
}

/// Positions before each of the steps and after the last, `[STEPS + 1, C, P]`.
fn advance(engine: &mut dyn Engine) -> Result<Vec<f64>, Error> {
    engine.enqueue(Span {
        first_step: 0,
        draws: STEPS + 1,
        thin: 1,
        warmup: false,
    })?;
    Ok(engine.collect()?.omega)
}
