//! `sngd bench`: runs the workloads on each engine, and measures a GEMM ceiling and a peer in the same run; with `--stages` it times
//! the stages of a step on a device, with `--posterior` the time until a posterior is right.

mod contender;
mod data;
mod likelihood;
mod plot;
mod posterior;
mod problem;
mod python;
mod rates;
mod report;
mod score;
mod stages;

use crate::output;
use clap::ValueEnum;
use python::Python;
use serde::Serialize;
use sngd::bench::{self, Rate};
use sngd_core::workload::{WORKLOADS, Workload};
use std::process::Command;

/// Time this machine, side by side with peers where they are installed.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which engines
    #[arg(long, value_enum, default_value_t = Engines::All)]
    pub engine: Engines,
    /// Workloads: W1 to W7, W8-... (few rows at the mode), W9-... (all rows), digits, a9a, mnist (made data of that shape); may be given often [default: W1 to W5]
    #[arg(long, value_name = "NAME")]
    pub workload: Vec<String>,
    /// Seconds for each measurement
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Milliseconds of each stage of a step on the GPU engine's device instead of rates, by its timestamp queries where it has them
    #[arg(long, conflicts_with_all = ["engine", "peers"])]
    pub stages: bool,
    /// Run the peers beside, in turns (A B A B); see benches/peers/README.md
    #[arg(long)]
    pub peers: bool,
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// Adapter for the GPU engine: part of its name [default: the first real GPU, else a software one]; with --posterior as in sngd sample
    #[arg(long)]
    pub device: Option<String>,
    /// Options of the posterior bench.
    #[command(flatten)]
    posterior: posterior::Args,
}

/// Which engines to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Engines {
    /// The CPU engine.
    Cpu,
    /// The GPU engine.
    Gpu,
    /// Both.
    All,
}

/// One line of the table.
#[derive(Debug, Serialize)]
struct Line {
    workload: &'static str,
    rows: usize,
    engine: String,
    steps_per_second: f64,
    chain_steps_per_second: f64,
    gflops: f64,
    /// Gigabytes per second of the least traffic between cores and memory.
    gbytes: f64,
    /// Dispatches per step of all chains, on a device.
    dispatches: Option<f64>,
    /// Share of the f32 GEMM rate of the same device, measured in this run.
    gemm_share: f64,
    /// This rate divided by the peer's, each the best of its turns.
    over_peer: Option<f64>,
}

const TURNS: usize = 2;

/// Runs the command; returns the exit code.
pub fn run(args: &Args) -> anyhow::Result<u8> {
    if args.posterior.posterior {
        let device = args.device.as_deref();
        return posterior::run(&args.posterior, args.peers, device, args.json);
    }
    let chosen = chosen(&args.workload)?;
    if args.stages {
        return stages::run(&chosen, args.seconds, args.device.as_deref(), args.json);
    }
    let peer = if args.peers {
        Some(python::find("jax_sngd.py")?)
    } else {
        None
    };
    let ceilings = Ceilings {
        cpu: bench::gemm_ceiling(),
        device: match args.engine {
            Engines::Cpu => None,
            _ => Some(bench::gpu_ceiling(args.seconds, args.device.as_deref())?),
        },
    };
    let mut lines = Vec::new();
    for w in chosen {
        let mut best: Vec<(String, Rate)> = Vec::new();
        let mut peer_best = 0.0f64;
        for _ in 0..if args.peers { TURNS } else { 1 } {
            if args.engine != Engines::Gpu {
                keep(&mut best, "cpu f32".into(), bench::cpu(w, args.seconds)?);
            }
            if args.engine != Engines::Cpu {
                let (name, rate) = bench::gpu(w, args.seconds, args.device.as_deref())?;
                keep(&mut best, name, rate);
            }
            if let Some(python) = &peer {
                peer_best = peer_best.max(jax(python, w, args.seconds)?);
            }
        }
        for (engine, rate) in best {
            lines.push(line(w, engine, rate, &ceilings, peer_best));
        }
        if peer.is_some() {
            let rate = Rate {
                chain_steps_per_second: peer_best,
                dispatches: None,
            };
            lines.push(line(w, "JAX".into(), rate, &ceilings, 0.0));
        }
    }
    if let Some(path) = &args.posterior.figure {
        rates::figure(&lines).write_svg(path)?;
    }
    if args.json {
        let all = serde_json::json!({
            "gemm_gflops": ceilings.cpu,
            "device_gemm_gflops": ceilings.device.as_ref().map(|(_, rate)| rate),
            "lines": lines,
        });
        output::with_stdout(|out| writeln!(out, "{all}"))?;
    } else {
        output::with_stdout(|out| write!(out, "{}", table(&lines, &ceilings)))?;
    }
    Ok(0)
}

fn chosen(names: &[String]) -> anyhow::Result<Vec<&'static Workload>> {
    if names.is_empty() {
        return Ok(WORKLOADS[..5].iter().collect());
    }
    names
        .iter()
        .map(|n| {
            WORKLOADS
                .iter()
                .find(|w| w.name.eq_ignore_ascii_case(n))
                .ok_or_else(|| {
                    let known = WORKLOADS.map(|w| w.name).join(", ");
                    anyhow::anyhow!("--workload: found {n}, expected one of {known}")
                })
        })
        .collect()
}

fn keep(best: &mut Vec<(String, Rate)>, name: String, rate: Rate) {
    match best.iter_mut().find(|(n, _)| *n == name) {
        Some((_, old)) if rate.chain_steps_per_second > old.chain_steps_per_second => *old = rate,
        Some(_) => {}
        None => best.push((name, rate)),
    }
}

/// The highest rates of the devices, in GFLOP/s of an f32 matrix product.
struct Ceilings {
    cpu: f64,
    /// Name and rate of the GPU device, if there is one.
    device: Option<(String, f64)>,
}

impl Ceilings {
    /// Ceiling of an engine; a peer computes on the CPU.
    fn of(&self, engine: &str) -> f64 {
        match &self.device {
            Some((name, rate)) if name == engine => *rate,
            _ => self.cpu,
        }
    }
}

fn line(w: &Workload, engine: String, rate: Rate, ceilings: &Ceilings, peer: f64) -> Line {
    let ceiling = ceilings.of(&engine);
    let gflops = rate.chain_steps_per_second * w.flops() / 1e9;
    Line {
        workload: w.name,
        rows: w.n,
        engine,
        steps_per_second: rate.chain_steps_per_second / w.c as f64,
        chain_steps_per_second: rate.chain_steps_per_second,
        gflops,
        gbytes: rate.chain_steps_per_second * w.bytes() / 1e9,
        dispatches: rate.dispatches,
        gemm_share: gflops / ceiling,
        over_peer: (peer > 0.0).then(|| rate.chain_steps_per_second / peer),
    }
}

fn table(lines: &[Line], ceilings: &Ceilings) -> String {
    let mut out = format!("f32 GEMM on this CPU: {:.0} GFLOP/s\n", ceilings.cpu);
    if let Some((name, rate)) = &ceilings.device {
        out += &format!("f32 GEMM in WGSL on {name}: {rate:.1} GFLOP/s\n");
    }
    out += &format!(
        "{:<8} {:<34} {:>10} {:>15} {:>10} {:>9} {:>9} {:>7} {:>9}\n",
        "",
        "engine",
        "steps/s",
        "chain-steps/s",
        "dispatches",
        "GFLOP/s",
        "of GEMM",
        "GB/s",
        "over JAX"
    );
    for l in lines {
        let over = l.over_peer.map_or(String::new(), |r| format!("{r:.2}x"));
        out += &format!(
            "{:<8} {:<34} {:>10.1} {:>15.0} {:>10} {:>9.1} {:>8.0}% {:>7.1} {over:>9}\n",
            l.workload,
            l.engine,
            l.steps_per_second,
            l.chain_steps_per_second,
            l.dispatches.map_or(String::new(), stages::count),
            l.gflops,
            100.0 * l.gemm_share,
            l.gbytes
        );
    }
    out
}

/// The peer's best block, in chain-steps per second, with the faster of its two ways to compute leverages.
fn jax(python: &Python, w: &Workload, seconds: f64) -> anyhow::Result<f64> {
    let mut best = 0.0f64;
    for leverages in ["solve", "inverse"] {
        let out = Command::new(&python.program)
            .arg(&python.script)
            .args(["--workload", w.name])
            .args(["--seconds", &format!("{seconds}"), "--leverages", leverages])
            .output()?;
        let text = String::from_utf8_lossy(&out.stdout);
        for line in text.lines() {
            let json: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
            for key in ["best_block", "chain_steps_per_second"] {
                best = best.max(json[key].as_f64().unwrap_or(0.0));
            }
        }
        if !out.status.success() {
            anyhow::bail!(
                "the JAX peer failed on {}: {}",
                w.name,
                String::from_utf8_lossy(&out.stderr)
                    .lines()
                    .last()
                    .unwrap_or_default()
            );
        }
    }
    Ok(best)
}
