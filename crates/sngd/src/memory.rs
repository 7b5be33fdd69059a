//! Memory that a run on the CPU engine needs, added up before anything is allocated. What the engine allocates, it counts itself
//! (`sngd_cpu::EngineBytes`).

use crate::prepare::Prepared;
use sngd_cpu::{CpuEngine, map};

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
        let (plan, problem) = (&prepared.plan, &prepared.problem);
        let engine = CpuEngine::bytes(prepared.config.run.precision, problem, plan);
        let (kept, search) = match prepared.mode {
            Some(_) => map::bytes(problem, plan),
            None => (0, 0),
        };
        let (own, columns) = (problem.bytes(), problem.column_bytes());
        let data = engine.data;
        Memory {
            fixed: PROGRAM + own + columns + data.rows + data.columns + data.prior + kept,
            // Offsets and weights are in the table too, and in copies of it.
            start: PROGRAM + 3 * columns + own + (data.rows + data.prior + data.start).max(search),
            chain: engine.chain,
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
