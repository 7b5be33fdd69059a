//! What a run would cost: sizes, work per step, memory on either engine, and the largest sizes that fit. Runs nothing.

use crate::device;
use crate::memory::{self, Memory, bytes};
use crate::prepare::Prepared;
use serde::Serialize;
use sngd_core::config::Noise;
use sngd_core::plan::{Metric, MetricRows, Plan};
use sngd_core::problem::StatedPrior;
use sngd_cpu::preflight;
use sngd_gpu::Tuning;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The plan in numbers; serialises to the stable form of `sngd check --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// Version of the JSON form.
    pub version: u32,
    /// Where the data came from.
    pub data: String,
    /// Number of data rows that are fitted, N.
    pub rows: usize,
    /// Number of held-out rows.
    pub held_out: usize,
    /// Number of design columns, D, the intercept included.
    pub columns: usize,
    /// Number of linear outputs, K.
    pub outputs: usize,
    /// Number of parameters, P.
    pub parameters: usize,
    /// Number of chains, C.
    pub chains: usize,
    /// Rows of a minibatch, B.
    pub batch_size: usize,
    /// Rows over which the metric is computed.
    pub metric_rows: usize,
    /// Steps per chain, warm-up included.
    pub steps: usize,
    /// Floating-point operations per step of one chain.
    pub flops_per_chain_step: f64,
    /// Bytes of features and matrices that one step of one chain reads or writes.
    pub bytes_per_chain_step: f64,
    /// Floating-point operations of the whole run, all chains.
    pub flops: f64,
    /// Bytes of all kept draws in memory, eight per number.
    pub draws_bytes: u64,
    /// Memory of the CPU engine at its peak, in bytes, estimated.
    pub cpu_bytes: u64,
    /// Largest number of chains that fits the free memory of this machine; `None` where that is not known.
    pub cpu_largest_chains: Option<u64>,
    /// Bytes of each device buffer, by name.
    pub gpu_buffers: BTreeMap<String, u64>,
    /// Bytes of all device buffers.
    pub gpu_bytes: u64,
    /// Kernels that a GPU starts per step, all chains in one, by stage; fractions where a metric is kept for several steps.
    pub gpu_dispatches: BTreeMap<String, f64>,
    /// Kernels that a GPU starts per step, over all stages.
    pub gpu_dispatches_per_step: f64,
    /// Whether the run fits each adapter of this machine.
    pub adapters: Vec<Fit>,
    /// Temperature T of minibatch noise alone, with natural gradients.
    pub law_temperature: Option<f64>,
    /// Smallest temperature T that residual noise allows at this batch and step size, at the mode.
    pub smallest_temperature: Option<f64>,
    /// Smallest batch B that residual noise allows at this temperature and step size, at the mode.
    pub smallest_batch: Option<usize>,
    /// Fisher mismatch: RMS of (eigenvalue − 1) of F⁻¹Σ_g at the mode.
    pub fisher_mismatch: Option<f64>,
    /// Factor by which the inverse of a metric of few rows is too large; `null` if infinite or negligible.
    pub metric_bias: Option<f64>,
    /// The priors in force, given or default.
    pub priors: Vec<StatedPrior>,
    /// Which density the draws follow, and how: entries by name.
    pub ledger: BTreeMap<String, String>,
    /// What the user should know before the run: how the data were read, and remarks on a user-defined likelihood.
    pub notes: Vec<String>,
}

/// How the run fits one adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// Name of the adapter.
    pub name: String,
    /// Whether it is a software adapter, computed by a CPU.
    pub software: bool,
    /// Whether every buffer is within the adapter's limits.
    pub fits: bool,
    /// Largest number of chains for which every buffer is within the limits; 0 if there is none.
    pub largest_chains: u64,
}

/// Adds up what a run would cost.
pub fn check(prepared: &Prepared) -> Cost {
    let (plan, problem) = (&prepared.plan, &prepared.problem);
    let residual = plan.noise == Noise::Residual && plan.rho() > 0.0;
    let reach = prepared
        .mode
        .as_deref()
        .filter(|_| residual)
        .map(|mode| preflight::reach(plan, mode));
    let gpu_buffers: BTreeMap<String, u64> = sngd_gpu::memory(plan, problem).into_iter().collect();
    let gpu_bytes = gpu_buffers.values().sum();
    let gpu_dispatches: BTreeMap<String, f64> = sngd_gpu::dispatches(plan, Tuning::Hardware)
        .into_iter()
        .collect();
    let memory = Memory::of(prepared);
    Cost {
        version: 1,
        data: problem.source.clone(),
        rows: plan.n,
        held_out: problem.held_out.as_ref().map_or(0, |h| h.y.len()),
        columns: plan.d,
        outputs: plan.k,
        parameters: plan.p,
        chains: plan.chains,
        batch_size: plan.batch,
        metric_rows: plan.metric_row_count(),
        steps: plan.steps(),
        flops_per_chain_step: plan.flops_per_chain_step(),
        bytes_per_chain_step: touched(plan),
        flops: plan.flops_per_chain_step() * plan.steps() as f64 * plan.chains as f64,
        draws_bytes: 8 * (plan.draws * plan.chains * plan.p) as u64,
        cpu_bytes: memory.peak(plan.chains as u64),
        cpu_largest_chains: memory::available().map(|a| memory.largest_chains(a)),
        gpu_bytes,
        gpu_dispatches_per_step: gpu_dispatches.values().sum(),
        gpu_dispatches,
        adapters: fits(prepared, &gpu_buffers),
        gpu_buffers,
        law_temperature: plan.natural_law(),
        smallest_temperature: reach.map(|r| r.temperature),
        smallest_batch: reach.map(|r| r.batch),
        fisher_mismatch: prepared.mismatch.as_ref().ok().map(|m| m.frobenius),
        metric_bias: plan.metric_bias().filter(|b| b.is_finite()),
        priors: problem.stated_priors.clone(),
        ledger: crate::facts::ledger(prepared).into_iter().collect(),
        notes: prepared.notes.clone(),
    }
}

/// Bytes of the features read and of the matrices read or written, four per number, per step of one chain.
fn touched(plan: &Plan) -> f64 {
    let rows = match plan.metric_rows {
        MetricRows::Batch => plan.batch,
        _ => plan.batch + plan.metric_row_count() / plan.refresh as usize,
    };
    let square = if plan.metric == Metric::Fisher {
        plan.blocks.len as f64
    } else {
        0.0
    };
    let matrices = if plan.noise == Noise::Residual {
        6.0
    } else {
        3.0
    };
    4.0 * (rows as f64 * plan.d as f64 + matrices * square / f64::from(plan.refresh))
}

fn fits(prepared: &Prepared, buffers: &BTreeMap<String, u64>) -> Vec<Fit> {
    let (plan, problem) = (&prepared.plan, &prepared.problem);
    let largest = |buffers: &mut dyn Iterator<Item = u64>| buffers.max().unwrap_or(0);
    let limited = |chains: u64| {
        let plan = Plan {
            chains: chains as usize,
            ..plan.clone()
        };
        let sizes = sngd_gpu::memory(&plan, problem);
        // The staging ring is never bound to a shader.
        largest(
            &mut sizes
                .into_iter()
                .filter(|(n, _)| n != "staging")
                .map(|(_, b)| b),
        )
    };
    let now = largest(
        &mut buffers
            .iter()
            .filter(|(n, _)| *n != "staging")
            .map(|(_, b)| *b),
    );
    device::adapters()
        .into_iter()
        .map(|a| {
            let limit = a.storage_binding_bytes.min(a.buffer_bytes);
            // Sizes grow with the number of chains: find the last power of two that fits, then bisect.
            let (mut low, mut high) = (0u64, 1u64);
            while high < 1 << 24 && limited(high) <= limit {
                (low, high) = (high, 2 * high);
            }
            while high - low > 1 {
                let middle = low + (high - low) / 2;
                if limited(middle) <= limit {
                    low = middle
                } else {
                    high = middle
                }
            }
            Fit {
                name: a.name,
                software: a.software,
                fits: now <= limit,
                largest_chains: low,
            }
        })
        .collect()
}

impl Cost {
    /// Writes it as text.
    ///
    /// # Errors
    /// The errors of the writer.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let held = match self.held_out {
            0 => String::new(),
            n => format!(" and {n} held out"),
        };
        writeln!(
            out,
            "{}: {} rows{held}, {} columns, {} outputs, {} parameters",
            self.data, self.rows, self.columns, self.outputs, self.parameters
        )?;
        writeln!(
            out,
            "{} chains x {} steps, batches of {} rows, a metric over {} rows",
            self.chains, self.steps, self.batch_size, self.metric_rows
        )?;
        writeln!(
            out,
            "work: {:.3e} flops and {} a step of a chain, {:.3e} flops in all; {} dispatches a step on a GPU",
            self.flops_per_chain_step,
            bytes(self.bytes_per_chain_step),
            self.flops,
            // A whole number, or a mean over the steps that share a metric.
            (100.0 * self.gpu_dispatches_per_step).round() / 100.0
        )?;
        let most = match self.cpu_largest_chains {
            Some(c) => format!(" (at most {c} chains fit this machine now)"),
            None => String::new(),
        };
        writeln!(
            out,
            "memory: about {} on the CPU engine{most}, {} on a GPU; all draws are {}",
            bytes(self.cpu_bytes as f64),
            bytes(self.gpu_bytes as f64),
            bytes(self.draws_bytes as f64)
        )?;
        for a in &self.adapters {
            writeln!(
                out,
                "  {}{}: {}, at most {} chains fit its buffers",
                a.name,
                if a.software { " (software)" } else { "" },
                if a.fits { "fits" } else { "does not fit" },
                a.largest_chains
            )?;
        }
        if let Some(law) = self.law_temperature {
            writeln!(
                out,
                "temperature of minibatch noise alone: {law:.4} (the law)"
            )?;
        }
        if let (Some(t), Some(b)) = (self.smallest_temperature, self.smallest_batch) {
            writeln!(
                out,
                "residual noise at the mode: temperature of at least {t:.4} at this batch, batch of at least {b} at this temperature"
            )?;
        }
        if let Some(m) = self.fisher_mismatch {
            writeln!(
                out,
                "fisher mismatch at the mode: {m:.3} (the law assumes 0)"
            )?;
        }
        crate::priors::write(out, &self.priors, usize::MAX)?;
        for (k, v) in &self.ledger {
            writeln!(out, "{k}: {v}")?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        Ok(())
    }
}
