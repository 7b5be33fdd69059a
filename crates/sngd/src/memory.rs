//! Memory that a run on the CPU engine needs, added up before anything is allocated.

use crate::prepare::Prepared;
use sngd_core::config::{Noise, NoiseRows, Precision};
use sngd_core::plan::{CorrectionPlan, Metric, Plan};

/// Bytes of the program, its threads and its buffers.
const PROGRAM: u64 = 32 << 20;

/// Bytes of memory, by the time for which they are needed.
pub(crate) struct Memory {
    /// Needed during the whole run.
    fixed: u64,
    /// Peak while the table becomes a design matrix, or while the mode is searched for.
    start: u64,
    /// Needed for each chain.
    chain: u64,
}

impl Memory {
    pub(crate) fn of(prepared: &Prepared) -> Memory {
        let plan = &prepared.plan;
        let width = match prepared.config.run.precision {
            Precision::F32 => 4,
            Precision::F64 => 8,
        };
        let (p, len) = (plan.p as u64, plan.blocks.len as u64);
        let design = (plan.n * plan.d) as u64;
        // Offsets and weights: in the table, the problem and its copy beside the engine's own.
        let columns =
            plan.n as u64 * (u64::from(plan.offsets) + u64::from(plan.frequencies.is_some()));
        // Λ of a linear predictor is dense, and made from another dense matrix; Λ of a network is only a diagonal.
        let prior = match plan.network {
            Some(_) => 8 * p,
            None => 8 * len,
        };
        // Metric, factor, F and Σ_g stay with the mode; the search needs five more squares, Λ, and a second design matrix.
        let (kept, search) = match prepared.mode {
            Some(_) => (4 * 8 * p * p, 8 * (10 * p * p + design)),
            None => (0, 0),
        };
        let dense_prior = if plan.network.is_none() { 8 * p * p } else { 0 };
        let table = 8 * design;
        Memory {
            fixed: PROGRAM + (8 + width) * design + (16 + width) * columns + prior + kept,
            start: PROGRAM
                + 8 * design
                + 24 * columns
                + search.max(table).max(width * design + prior + dense_prior),
            chain: chain_bytes(plan, width),
        }
    }

    /// Peak bytes of a run of that many chains.
    pub(crate) fn peak(&self, chains: u64) -> u64 {
        self.start.max(self.fixed + self.chain * chains)
    }

    /// Largest number of chains that fits so many bytes.
    pub(crate) fn largest_chains(&self, available: u64) -> u64 {
        available.saturating_sub(self.fixed) / self.chain.max(1)
    }
}

/// Bytes of the matrices and outputs of one chain.
fn chain_bytes(plan: &Plan, width: u64) -> u64 {
    let (p, h) = (plan.p as u64, plan.h as u64);
    let residual = plan.noise == Noise::Residual;
    let squares = if plan.metric != Metric::Fisher {
        0
    } else if plan.metropolis {
        // F, M, and a factor of each point.
        4
    } else {
        // F, M and its factor; V̂'s pass, V̂, the residual and its factor; F at the point moved to, and two for its volume.
        3 + 3 * u64::from(residual)
            + match plan.noise_rows {
                NoiseRows::Batch => 2 * u64::from(residual),
                NoiseRows::Fisher => u64::from(residual),
            }
            + match plan.correction {
                CorrectionPlan::FiniteDifference => 1 + 2 * u64::from(plan.kappa > 0.0),
                _ => 0,
            }
            + u64::from(plan.correction == CorrectionPlan::ClosedForm && h > 1)
            + u64::from(plan.split_volume())
    };
    let rows = (plan.batch + plan.metric_row_count()) as u64;
    let passes = match plan.correction {
        CorrectionPlan::FiniteDifference => 3,
        _ => 2,
    };
    let network = passes * sngd_cpu::network_numbers(plan);
    let square = match plan.metric {
        Metric::Fisher => plan.blocks.len as u64,
        _ => 0,
    };
    width * (squares * square + rows * h + 64 * p + network)
}

/// Free memory, in bytes; `None` where the system does not report it.
pub(crate) fn available() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find(|l| l.starts_with("MemAvailable:"))?;
    line.split_whitespace()
        .nth(1)?
        .parse::<u64>()
        .ok()
        .map(|kib| kib << 10)
}

/// Refuses a run that does not fit the memory; the message gives the largest number of chains that does.
pub(crate) fn cpu_fits(prepared: &Prepared) -> Result<(), String> {
    let plan = &prepared.plan;
    let memory = Memory::of(prepared);
    // The search for the mode is over when this is asked.
    let need = memory.fixed + memory.chain * plan.chains as u64;
    match available() {
        Some(have) if need > have => Err(format!(
            "run.chains: found {} chains of {} parameters, which need about {} of memory, expected at most the {} that are free; lower run.chains to {} or fewer",
            plan.chains,
            plan.p,
            crate::check::bytes(need as f64),
            crate::check::bytes(have as f64),
            memory.largest_chains(have)
        )),
        _ => Ok(()),
    }
}
