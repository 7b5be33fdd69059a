//! What a run would cost: sizes, work a step, memory on either engine, and the largest sizes that fit. Runs nothing.

use crate::device;
use crate::memory::{self, Memory};
use crate::prepare::Prepared;
use serde::Serialize;
use sngd_core::config::Noise;
use sngd_core::plan::{Metric, MetricRows, Plan};
use sngd_cpu::preflight;
use sngd_gpu::Tuning;
use std::collections::BTreeMap;
use std::io::{self, Write};

/// The plan in numbers; serialises to the stable form of `sngd check --json`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cost {
    /// Version of this form.
    pub version: u32,
    /// Where the data came from.
    pub data: String,
    /// N.
    pub rows: usize,
    /// Rows held out.
    pub held_out: usize,
    /// D, the intercept included.
    pub columns: usize,
    /// K.
    pub outputs: usize,
    /// P.
    pub parameters: usize,
    /// C.
    pub chains: usize,
    /// B.
    pub batch_size: usize,
    /// Rows of the metric.
    pub metric_rows: usize,
    /// Steps a chain.
    pub steps: usize,
    /// Floating-point operations a step of one chain.
    pub flops_per_chain_step: f64,
    /// Bytes of features and matrices that a step of one chain touches.
    pub bytes_per_chain_step: f64,
    /// Floating-point operations of the whole run.
    pub flops: f64,
    /// Bytes of all kept draws in memory.
    pub draws_bytes: u64,
    /// Bytes of the CPU engine, about.
    pub cpu_bytes: u64,
    /// Most chains that fit the memory of this machine now, where that is known.
    pub cpu_largest_chains: Option<u64>,
    /// Bytes of each device buffer.
    pub gpu_buffers: BTreeMap<String, u64>,
    /// Bytes of all of them.
    pub gpu_bytes: u64,
    /// Kernels that a GPU starts a step, all chains in one, by stage; shares where a metric is kept for several steps.
    pub gpu_dispatches: BTreeMap<String, f64>,
    /// All of them.
    pub gpu_dispatches_per_step: f64,
    /// What the adapters of this machine make of it.
    pub adapters: Vec<Fit>,
    /// T of minibatch noise alone, with natural gradients.
    pub law_temperature: Option<f64>,
    /// Smallest T at this batch and step for residual noise, at the mode.
    pub smallest_temperature: Option<f64>,
    /// Smallest B at this temperature and step for residual noise, at the mode.
    pub smallest_batch: Option<usize>,
    /// RMS of (eigenvalue − 1) of F⁻¹Σ_g at the mode.
    pub fisher_mismatch: Option<f64>,
    /// Factor by which the inverse of a metric of few rows is too large; `null` if infinite or negligible.
    pub metric_bias: Option<f64>,
    /// Which density the draws follow, and how.
    pub ledger: BTreeMap<String, String>,
    /// What is odd about a likelihood of the user's own and makes no draw wrong.
    pub notes: Vec<String>,
}

/// One adapter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// Its name.
    pub name: String,
    /// Whether a CPU computes.
    pub software: bool,
    /// Whether every buffer is within its limits.
    pub fits: bool,
    /// Most chains for which that is so; 0 for none.
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
        ledger: crate::facts::ledger(prepared).into_iter().collect(),
        notes: prepared.notes.clone(),
    }
}

/// Features read and matrices written or read, in four-byte words.
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
            // Sizes grow with the chains: the last power of two that fits, then bisection.
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

/// Bytes with a unit.
pub(crate) fn bytes(b: f64) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB"];
    let (mut b, mut i) = (b, 0);
    while b >= 1024.0 && i + 1 < units.len() {
        (b, i) = (b / 1024.0, i + 1);
    }
    if i == 0 {
        format!("{b:.0} B")
    } else {
        format!("{b:.1} {}", units[i])
    }
}

impl Cost {
    /// Writes it in words.
    ///
    /// # Errors
    /// Those of the writer.
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
            // A count, or a mean over the steps that share a metric.
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
        for (k, v) in &self.ledger {
            writeln!(out, "{k}: {v}")?;
        }
        for note in &self.notes {
            writeln!(out, "note: {note}")?;
        }
        Ok(())
    }
}
