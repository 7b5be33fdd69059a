//! Plans whose metric is at the state of each chain: which settings go together, key by key in the order of the step.

use super::{
    CorrectionPlan, DEFAULT_WARMUP, Frequencies, MethodRow, Metric, MetricRows, Plan,
    check_step_size, method_row, positive,
};
use crate::batch::Batches;
use crate::blocks::Layout;
use crate::config::{
    BatchSize, Blocks, Config, Correction, DEFAULT_STEP_SIZE, FisherKind, FisherRows, Gradient,
    Integrator, Method, Noise, NoiseRows, RowsName, SamplerConfig, Target,
};
use crate::error::CheckError;
use crate::likelihood::Likelihood;
use crate::problem::Problem;

/// Default rows of a batch; where there are no more rows, a step takes all of them.
const DEFAULT_BATCH: usize = 128;

/// Share of the temperature that the noise of a default batch may have.
const MINIBATCH_SHARE: f64 = 0.25;

/// Most rows of which each step of a network under its default prior takes all.
const NETWORK_FULL: usize = 2000;
/// Default damping of such a network, whose data leave some weights to the prior (docs/networks.md).
const NETWORK_DAMPING: f64 = 0.1;

impl Plan {
    /// Makes a plan with the metric at the state. Checks everything that needs no device and no optimisation.
    ///
    /// # Errors
    /// [`CheckError::Key`] for the first setting that does not fit the data, the model or another setting.
    pub fn check(config: &Config, problem: &Problem) -> Result<Plan, CheckError> {
        let s = &config.sampler;
        let method = s.method_or_default();
        let row = method_row(method);
        let n = problem.rows();
        let step_size = s.step_size.clone().unwrap_or(DEFAULT_STEP_SIZE);
        check_step_size(&step_size)?;
        let chains = config.run.chains_or_default();
        positive("run.chains", chains)?;
        let thin = config.run.thin.unwrap_or(1);
        positive("run.thin", thin)?;
        positive("run.draws", config.run.draws)?;
        refresh(s, method, &row)?;
        positive("sampler.fisher_labels", s.fisher_labels as usize)?;
        positive("sampler.probes", s.probes as usize)?;
        let standard = config.standard_network() && s.method.is_none();
        let damping = damping(s, if standard { NETWORK_DAMPING } else { 0.0 })?;
        let temperature = temperature(s, method)?;
        let default = if standard && n <= NETWORK_FULL {
            n
        } else if row.noise == Noise::Residual && s.noise.is_none() && temperature > 0.0 {
            // Minibatch noise is to be no more than a part of the temperature: the law of `law_temperature`, solved for B.
            let e = step_size.initial();
            let rows = e * n as f64 / ((2.0 - e) * MINIBATCH_SHARE * temperature);
            (rows.ceil() as usize)
                .next_multiple_of(16)
                .clamp(DEFAULT_BATCH, n.max(DEFAULT_BATCH))
        } else {
            DEFAULT_BATCH
        };
        let (batch, full_batch) = batch(s, &row, n, default)?;
        let metric = metric(s, &row, problem.network.is_some())?;
        let dense = metric == Metric::Fisher;
        let metric_rows = metric_rows(s, &row, metric, n, full_batch)?;
        let noise = noise(s, &row, dense)?;
        let integrator = integrator(s, &row, dense)?;
        let noise_rows = noise_rows(s)?;
        let blocks = Layout::of(problem, if dense { s.blocks } else { Blocks::Diagonal });
        labels(s, &problem.likelihood)?;
        let correction = correction(s, &row, problem, dense, &blocks)?;
        let plan = Plan {
            seed: config.seed,
            chains,
            n,
            offsets: !problem.offset.is_empty(),
            frequencies: Frequencies::of(problem),
            d: problem.design_columns(),
            k: problem.likelihood.linear_outputs(),
            h: problem.likelihood.outputs(),
            p: problem.parameters(),
            batch,
            full_batch,
            batches: s.batches,
            metric,
            blocks,
            network: problem.network.clone(),
            fisher: s.fisher,
            fisher_labels: s.fisher_labels,
            metric_rows,
            refresh: s.fisher_refresh,
            noise,
            noise_rows,
            integrator,
            correction,
            kappa: s.target.kappa(),
            temperature,
            step_size,
            damping,
            metropolis: row.metropolis,
            jacobian: s.target == Target::Posterior,
            storage: config.data.storage,
            held: problem.held_out.as_ref().map_or(0, |h| h.rows.len()),
            classes: problem.classes.len(),
            warmup: config.run.warmup.unwrap_or(DEFAULT_WARMUP),
            draws: config.run.most_draws(),
            thin,
            method,
            gradient: Gradient::Plain,
            expansion: None,
            direct: false,
        };
        if plan.noise == Noise::Nominal {
            plan.check_nominal()?;
        }
        Ok(plan)
    }
}

fn refresh(s: &SamplerConfig, method: Method, row: &MethodRow) -> Result<(), CheckError> {
    positive("sampler.fisher_refresh", s.fisher_refresh as usize)?;
    if s.fisher_refresh > 1 && (row.metric != Metric::Fisher || row.metropolis) {
        return Err(CheckError::key(
            "sampler.fisher_refresh",
            format!(
                "found {} beside method = \"{}\", which makes its metric at every step or has none, expected 1; remove the key or use method = \"sngd\"",
                s.fisher_refresh,
                format!("{method:?}").to_lowercase()
            ),
        ));
    }
    Ok(())
}

fn damping(s: &SamplerConfig, default: f64) -> Result<f64, CheckError> {
    let damping = s.damping.unwrap_or(default);
    if !(damping >= 0.0 && damping.is_finite()) {
        return Err(CheckError::key(
            "sampler.damping",
            format!("found {}, expected a finite number of 0 or more", damping),
        ));
    }
    Ok(damping)
}

fn temperature(s: &SamplerConfig, method: Method) -> Result<f64, CheckError> {
    Ok(match (method, s.temperature) {
        (Method::Ngd, Some(t)) => {
            return Err(CheckError::key(
                "sampler.temperature",
                format!(
                    "found {t} beside method = \"ngd\", which has only the temperature that step_size and batch_size imply, expected none; remove the key or use method = \"sngd\""
                ),
            ));
        }
        (_, None) => 1.0,
        (_, Some(t)) if t >= 0.0 && t.is_finite() => t,
        (_, Some(t)) => {
            return Err(CheckError::key(
                "sampler.temperature",
                format!("found {t}, expected a finite number of 0 or more; 1 is the posterior"),
            ));
        }
    })
}

/// Rows in a batch, and whether each step takes every row once.
fn batch(
    s: &SamplerConfig,
    row: &MethodRow,
    n: usize,
    default: usize,
) -> Result<(usize, bool), CheckError> {
    Ok(match (&s.batch_size, row.metropolis) {
        (None, true) | (Some(BatchSize::Named(_)), _) => (n, true),
        (Some(BatchSize::Rows(b)), true) => {
            return Err(CheckError::key(
                "sampler.batch_size",
                format!(
                    "found {b} beside method = \"mala\", whose Metropolis test needs every row, expected \"full\""
                ),
            ));
        }
        (None, false) if n <= default => (n, true),
        (None, false) => (default, false),
        (Some(BatchSize::Rows(0)), _) => {
            return Err(CheckError::key(
                "sampler.batch_size",
                "found 0, expected 1 or more rows, or \"full\"",
            ));
        }
        (Some(BatchSize::Rows(b)), _) if *b > n => {
            return Err(CheckError::key(
                "sampler.batch_size",
                format!(
                    "found {b} for {n} rows of data, expected at most {n}; lower it or set batch_size = \"full\""
                ),
            ));
        }
        (Some(BatchSize::Rows(b)), _) => (*b, *b == n && s.batches != Batches::WithReplacement),
    })
}

fn metric(s: &SamplerConfig, row: &MethodRow, network: bool) -> Result<Metric, CheckError> {
    Ok(match (row.metric, s.blocks) {
        (Metric::Fisher, b) if row.metropolis && b != Blocks::Full => {
            return Err(CheckError::key(
                "sampler.blocks",
                format!(
                    "found \"{}\" beside method = \"mala\", expected \"full\"",
                    block_name(b)
                ),
            ));
        }
        // The diagonal of a network's metric is a layout of blocks of order one.
        (Metric::Fisher, Blocks::Diagonal) if !network => Metric::FisherDiagonal,
        (m, _) => m,
    })
}

fn metric_rows(
    s: &SamplerConfig,
    row: &MethodRow,
    metric: Metric,
    n: usize,
    full_batch: bool,
) -> Result<MetricRows, CheckError> {
    Ok(match &s.fisher_rows {
        _ if row.metropolis => MetricRows::Full,
        _ if !metric.is_fisher() => MetricRows::Batch,
        FisherRows::Named(RowsName::Full) => MetricRows::Full,
        FisherRows::Named(RowsName::Batch) if full_batch => MetricRows::Full,
        FisherRows::Named(RowsName::Batch) => MetricRows::Batch,
        FisherRows::Rows(r) if *r == n => MetricRows::Full,
        FisherRows::Rows(r) if (1..n).contains(r) => MetricRows::Sample(*r),
        FisherRows::Rows(r) => {
            return Err(CheckError::key(
                "sampler.fisher_rows",
                format!("found {r} for {n} rows of data, expected 1 to {n}, \"full\" or \"batch\""),
            ));
        }
    })
}

fn noise(s: &SamplerConfig, row: &MethodRow, dense: bool) -> Result<Noise, CheckError> {
    Ok(match s.noise {
        Some(v) if row.metropolis && v != Noise::Full => {
            return Err(CheckError::key(
                "sampler.noise",
                "found a policy beside method = \"mala\", expected none; remove the key",
            ));
        }
        Some(v @ (Noise::Residual | Noise::Nominal)) if !dense => {
            return Err(CheckError::key(
                "sampler.noise",
                format!(
                    "found \"{}\" with a metric that is not a dense Fisher matrix, expected \"full\" or \"none\"; set blocks = \"full\" and a method with a Fisher metric, or another noise",
                    if v == Noise::Residual {
                        "residual"
                    } else {
                        "nominal"
                    }
                ),
            ));
        }
        Some(v) => v,
        None if !dense && row.noise == Noise::Residual => Noise::Full,
        None => row.noise,
    })
}

fn integrator(s: &SamplerConfig, row: &MethodRow, dense: bool) -> Result<Integrator, CheckError> {
    Ok(match s.integrator {
        Some(Integrator::Ou) if !dense => {
            return Err(CheckError::key(
                "sampler.integrator",
                "found \"ou\" with a metric that is not a dense Fisher matrix, for which 2ε − ε² is not exact on a Gaussian, expected \"euler\"",
            ));
        }
        Some(i) => i,
        None if !dense => Integrator::Euler,
        None => row.integrator,
    })
}

fn noise_rows(s: &SamplerConfig) -> Result<NoiseRows, CheckError> {
    Ok(match s.noise_rows {
        NoiseRows::Batch if s.batch_size == Some(BatchSize::Rows(1)) => {
            return Err(CheckError::key(
                "sampler.noise_rows",
                "found \"batch\" beside batch_size = 1, whose spread cannot be measured, expected \"fisher\" or a larger batch",
            ));
        }
        r => r,
    })
}

/// Refuses Monte Carlo labels of a likelihood that draws none.
fn labels(s: &SamplerConfig, likelihood: &Likelihood) -> Result<(), CheckError> {
    if s.fisher == FisherKind::MonteCarlo
        && let Likelihood::Custom(own) = likelihood
        && !own.draws_labels()
    {
        return Err(CheckError::key(
            "sampler.fisher",
            format!(
                "found \"monte_carlo\" beside the likelihood \"{}\", which has no draw_label, expected \"exact\" or \"empirical\"; or give it one",
                own.name
            ),
        ));
    }
    Ok(())
}

fn correction(
    s: &SamplerConfig,
    row: &MethodRow,
    problem: &Problem,
    dense: bool,
    blocks: &Layout,
) -> Result<CorrectionPlan, CheckError> {
    let network = problem.network.is_some();
    let constant_metric = !network
        && matches!(problem.likelihood, Likelihood::Gaussian { .. })
        && s.fisher == FisherKind::Exact;
    if !row.corrected || constant_metric {
        return Ok(CorrectionPlan::Off);
    }
    Ok(match s.correction {
        Correction::Off => CorrectionPlan::Off,
        Correction::ClosedForm | Correction::Probe if network || (dense && !blocks.is_full()) => {
            return Err(CheckError::key(
                "sampler.correction",
                format!(
                    "found \"{}\" with {}, which has no closed form here, expected \"auto\", \"finite_difference\" or \"off\"",
                    if s.correction == Correction::Probe {
                        "probe"
                    } else {
                        "closed_form"
                    },
                    if network {
                        "a network"
                    } else {
                        "a blocked metric"
                    }
                ),
            ));
        }
        Correction::Auto if network || (dense && !blocks.is_full()) => {
            CorrectionPlan::FiniteDifference
        }
        Correction::ClosedForm => CorrectionPlan::ClosedForm,
        Correction::Auto if dense && problem.parameters() > 512 => CorrectionPlan::Probe(s.probes),
        Correction::Auto => CorrectionPlan::ClosedForm,
        Correction::Probe | Correction::FiniteDifference if !dense => {
            return Err(CheckError::key(
                "sampler.correction",
                "found a random correction with a diagonal metric, whose closed form costs nothing, expected \"auto\", \"closed_form\" or \"off\"",
            ));
        }
        Correction::Probe => CorrectionPlan::Probe(s.probes),
        Correction::FiniteDifference => CorrectionPlan::FiniteDifference,
    })
}

fn block_name(b: Blocks) -> &'static str {
    match b {
        Blocks::Full => "full",
        Blocks::Layer => "layer",
        Blocks::Unit => "unit",
        Blocks::Diagonal => "diagonal",
    }
}
