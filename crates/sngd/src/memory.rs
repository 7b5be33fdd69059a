//! Memory that a run on the CPU engine needs, added up before anything is allocated.

use crate::prepare::Prepared;
use sngd_core::config::{Gradient, Noise, NoiseRows, Precision};
use sngd_core::plan::{CorrectionPlan, Metric, Plan};

/// Bytes of the program, its threads and its buffers.
const PROGRAM: u64 = 32 << 20;

/// Bytes of memory, by the time for which they are needed.
pub(crate) struct Memory {
    /// Needed during the whole run.
    fixed: u64,
    /// Peak while the table becomes a design matrix, while the mode is searched for, or while the data are expanded there.
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
        let data = Data::of(prepared);
        // Offsets and weights: in the table, the problem and its copy beside the engine's own.
        let columns =
            plan.n as u64 * (u64::from(plan.offsets) + u64::from(plan.frequencies.is_some()));
        // Λ of a linear predictor is dense, and made from another dense matrix; Λ of a network is only a diagonal.
        let prior = match plan.network {
            Some(_) => 8 * p,
            None => 8 * len,
        };
        // Metric, factor, F and Σ_g stay with the mode; the search needs five more squares and Λ, and with volume a design in f64.
        let (kept, search) = match prepared.mode {
            Some(_) if plan.kappa > 0.0 => {
                let design = sngd_cpu::design_bytes::<f64>(&prepared.problem, plan);
                (4 * 8 * p * p, 8 * 10 * p * p + design)
            }
            Some(_) => (4 * 8 * p * p, 8 * 10 * p * p),
            None => (0, 0),
        };
        let dense_prior = if plan.network.is_none() { 8 * p * p } else { 0 };
        Memory {
            fixed: PROGRAM + data.fixed + (16 + width) * columns + prior + kept,
            start: PROGRAM
                + 24 * columns
                + (data.fixed + data.start + prior + dense_prior).max(data.own + search),
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

/// Bytes of the data.
struct Data {
    /// As the problem holds them.
    own: u64,
    /// As problem and engine hold them, or problem and expansion, in memory once where both read the same numbers.
    fixed: u64,
    /// Beside `fixed`, while the influence of each row is measured and a table is made of it.
    start: u64,
}

impl Data {
    fn of(prepared: &Prepared) -> Data {
        let (plan, problem) = (&prepared.plan, &prepared.problem);
        let bytes = |v: &[f64]| size_of_val(v) as u64;
        let columns = [
            &problem.y,
            &problem.trials,
            &problem.offset,
            &problem.weights,
        ];
        let columns: u64 = columns.iter().map(|c| bytes(c)).sum();
        let own = problem.x.bytes() as u64 + columns;
        let n = plan.n as u64;
        let Some(expansion) = &plan.expansion else {
            let design = match prepared.config.run.precision {
                Precision::F32 => sngd_cpu::design_bytes::<f32>(problem, plan) + 8 * n,
                Precision::F64 => sngd_cpu::design_bytes::<f64>(problem, plan) + 16 * n,
            };
            return Data {
                own,
                fixed: own + design,
                start: 0,
            };
        };
        let shared = problem.x.shares(&expansion.x);
        let design = if shared {
            0
        } else {
            4 * expansion.x.len() as u64
        };
        let rows = 4 * expansion.rows.len() as u64;
        let table = expansion.influence.as_ref().map_or(0, |_| 8 * n);
        Data {
            own,
            fixed: own + design + rows + table,
            // Leverage and squared remainder of each output; influence, probability, and shares in two lists.
            start: n * (4 * (plan.k + plan.h) as u64 + 8 + 8 + 16),
        }
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
    let rows = match (&plan.metric, plan.gradient) {
        // Outputs of all rows are never there at once: chains share a pass, and a tile of rows follows another.
        (Metric::Mode, Gradient::Plain) => 0,
        (Metric::Mode, Gradient::ControlVariates) => plan.batch as u64,
        _ => (plan.batch + plan.metric_row_count()) as u64,
    };
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
            bytes(need as f64),
            bytes(have as f64),
            memory.largest_chains(have)
        )),
        _ => Ok(()),
    }
}

/// A number of bytes with a unit.
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
