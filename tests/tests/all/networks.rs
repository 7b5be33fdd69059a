//! Networks: gradients, Fisher matrices and their blocks compared with finite differences of the forward pass, and a network's
//! posterior compared with a reference from another program.

use faer::Par;
use sngd_core::batch::BatchRows;
use sngd_core::blocks::Layout;
use sngd_core::config::{Blocks, Config, FisherKind, Storage};
use sngd_core::differences::slopes;
use sngd_core::features::Features;
use sngd_core::likelihood::packed;
use sngd_core::network::{Activation, Network};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};
use sngd_cpu::Scalar;
use sngd_cpu::pass::{LabelAddress, Pass, Wanted};
use sngd_cpu::resident::Resident;
use sngd_tests::drive::{Draws, Kind};
use sngd_tests::{cases, compare, drive, small, yacht};

/// A forward pass in plain loops for the oracle, from ω's layout as `network` documents it.
fn outputs(net: &Network, omega: &[f64], x: &[f64]) -> Vec<f64> {
    let mut a = x.to_vec();
    let mut at = 0;
    for l in 1..net.widths.len() {
        let mut next = Vec::new();
        for _ in 0..net.widths[l] {
            let mut z = 0.0;
            for v in &a {
                z += omega[at] * v;
                at += 1;
            }
            if net.bias {
                z += omega[at];
                at += 1;
            }
            next.push(z);
        }
        if l + 1 < net.widths.len() {
            for z in &mut next {
                *z = match net.activation {
                    Activation::Tanh => z.tanh(),
                    Activation::Relu => z.max(0.0),
                    Activation::Gelu => {
                        let c = (2.0 / std::f64::consts::PI).sqrt();
                        0.5 * *z * (1.0 + (c * (*z + 0.044715 * z.powi(3))).tanh())
                    }
                };
            }
        }
        a = next;
    }
    a.extend_from_slice(&omega[at..]);
    a
}

struct Oracle {
    gradient: Vec<f64>,
    fisher: Vec<f64>,
    second: Vec<f64>,
}

/// The sums Σ Jᵀs, Σ JᵀWJ and Σ ggᵀ, with J by central differences.
fn oracle(problem: &Problem, omega: &[f64]) -> Oracle {
    let net = problem.network.as_ref().unwrap();
    let (p, h, d) = (omega.len(), problem.likelihood.outputs(), net.widths[0]);
    let mut out = Oracle {
        gradient: vec![0.0; p],
        fisher: vec![0.0; p * p],
        second: vec![0.0; p * p],
    };
    let design = problem.x.to_vec();
    for i in 0..problem.rows() {
        let x = &design[i * d..(i + 1) * d];
        let eta = outputs(net, omega, x);
        let mut jac = vec![vec![0.0; p]; h];
        let forward = |w: &[f64], eta: &mut [f64]| eta.copy_from_slice(&outputs(net, w, x));
        let mut room = vec![0.0; p + 2 * h];
        slopes(
            forward,
            omega,
            |_| 1e-5,
            &mut room,
            |q, slope| {
                for (row, slope) in jac.iter_mut().zip(slope) {
                    row[q] = *slope;
                }
            },
        );
        let mut s = vec![0.0; h];
        problem
            .likelihood
            .log_lik_and_score(&eta, problem.observed(i), &mut s);
        let mut weight = vec![0.0; h * (h + 1) / 2];
        problem
            .likelihood
            .fisher(&eta, problem.observed(i).trials, &mut weight);
        let g: Vec<f64> = (0..p)
            .map(|q| (0..h).map(|a| jac[a][q] * s[a]).sum())
            .collect();
        for q in 0..p {
            out.gradient[q] += g[q];
            for r in 0..p {
                out.second[q * p + r] += g[q] * g[r];
                for a in 0..h {
                    for b in 0..h {
                        out.fisher[q * p + r] += jac[a][q] * weight[packed(a, b)] * jac[b][r];
                    }
                }
            }
        }
    }
    out
}

fn numbers(n: usize, salt: usize) -> Vec<f64> {
    (0..n)
        .map(|i| ((i * 7919 + salt * 104_729 + 13) % 10_007) as f64 / 10_007.0 - 0.5)
        .collect()
}

fn problem(likelihood: &str, hidden: &str, activation: &str, bias: bool) -> Problem {
    let (n, d) = (37, 3);
    let u = numbers(n, 5);
    let response = if likelihood.contains("softmax") {
        small::labels(&(0..n).map(|i| (i * i % 4) as u32).collect::<Vec<_>>(), 4)
    } else if likelihood.contains("bernoulli") {
        small::labels(
            &(0..n).map(|i| (i * i % 3 % 2) as u32).collect::<Vec<_>>(),
            2,
        )
    } else if likelihood.contains("gaussian") {
        Response::Numbers(u)
    } else {
        Response::Numbers((0..n).map(|i| (i * i % 5) as f64).collect())
    };
    let trials = likelihood.contains("binomial").then(|| vec![6.0; n]);
    let table = Table {
        trials,
        ..Table::new(
            "test",
            (0..d).map(|j| format!("x{j}")).collect(),
            Features::new(
                d,
                numbers(n * d, 1)
                    .iter()
                    .map(|v| 2.0 * v)
                    .collect::<Vec<f64>>(),
            ),
            response,
        )
    };
    let text = format!(
        "[model]\npredictor = \"mlp\"\nhidden = {hidden}\nactivation = \"{activation}\"\nbias = {bias}\n{likelihood}\n"
    );
    small::problem(&text, table).1
}

/// The sums of a pass in precision T, with blocks expanded to dense matrices.
fn sums<T: Scalar>(problem: &Problem, blocks: Blocks, omega: &[f64]) -> (Vec<f64>, Oracle) {
    let layout = Layout::of(problem, blocks);
    let data = Resident::<T>::new(problem, Storage::F32, &layout);
    let mut pass = Pass::new(&data, data.n, true, true, false);
    pass.select(&data, BatchRows::All, data.n);
    let at: Vec<T> = omega.iter().map(|&w| T::of(w)).collect();
    let wanted = Wanted {
        log_lik: true,
        gradient: true,
        fisher: Some(FisherKind::Exact),
        second: true,
        diagonal_only: false,
    };
    let label = LabelAddress {
        seed: 1,
        chain: 0,
        step: 0,
        labels: 1,
    };
    pass.run(&data, &at, wanted, label, Par::Seq);
    let p = data.p;
    let (mut mask, mut fisher, mut second) = (vec![0.0; p * p], vec![0.0; p * p], vec![0.0; p * p]);
    for b in &layout.blocks {
        for j in 0..b.size {
            for i in j..b.size {
                let from = b.at + j * b.size + i;
                for (r, c) in [(i, j), (j, i)] {
                    let to = (b.offset + r) * p + b.offset + c;
                    mask[to] = 1.0;
                    fisher[to] = pass.fisher[from].to64();
                    second[to] = pass.second[from].to64();
                }
            }
        }
    }
    let gradient = pass.gradient.iter().map(|g| g.to64()).collect();
    (
        mask,
        Oracle {
            gradient,
            fisher,
            second,
        },
    )
}

const LIKELIHOODS: &[&str] = &[
    "likelihood = \"gaussian\"\nscale = 0.7",
    "likelihood = \"gaussian\"\nscale = \"unknown\"",
    "likelihood = \"bernoulli\"",
    "likelihood = \"bernoulli\"\nlink = \"probit\"",
    "likelihood = \"binomial\"\ntrials = \"t\"\nlink = \"cloglog\"",
    "likelihood = \"poisson\"",
    "likelihood = \"softmax\"",
    "likelihood = \"softmax\"\nbaseline = \"first\"",
];

#[test]
fn gradients_and_fisher_blocks_match_finite_differences() {
    let shapes = [
        ("[4]", "tanh", true),
        ("[5, 3]", "gelu", true),
        ("[3]", "relu", false),
    ];
    for likelihood in LIKELIHOODS {
        for (hidden, activation, bias) in shapes {
            let problem = problem(likelihood, hidden, activation, bias);
            let omega: Vec<f64> = numbers(problem.parameters(), 3)
                .iter()
                .map(|v| 1.6 * v)
                .collect();
            let want = oracle(&problem, &omega);
            let largest = |v: &[f64]| v.iter().fold(0.0f64, |m, x| m.max(x.abs()));
            for blocks in [Blocks::Full, Blocks::Layer, Blocks::Unit, Blocks::Diagonal] {
                // Differences are accurate to 1e-9; f32 sums of 37 rows to about 40 roundings.
                for (bound, (mask, got)) in [
                    (1e-8, sums::<f64>(&problem, blocks, &omega)),
                    (5e-6, sums::<f32>(&problem, blocks, &omega)),
                ] {
                    let close = |got: &[f64], want: &[f64], mask: Option<&[f64]>, what: &str| {
                        let scale = largest(want);
                        for i in 0..want.len() {
                            let w = want[i] * mask.map_or(1.0, |m| m[i]);
                            assert!(
                                (got[i] - w).abs() < bound * scale,
                                "{what}[{i}] {} {w}: {likelihood} {hidden} {activation} {blocks:?}",
                                got[i]
                            );
                        }
                    };
                    close(&got.gradient, &want.gradient, None, "gradient");
                    close(&got.fisher, &want.fisher, Some(&mask), "fisher");
                    close(&got.second, &want.second, Some(&mask), "second");
                }
            }
        }
    }
}

/// Five blocks of rows and several tiles: the sums do not depend on how rows are cut.
#[test]
fn many_rows_add_up() {
    let (n, d) = (1111, 3);
    let table = Table::new(
        "test",
        (0..d).map(|j| format!("x{j}")).collect(),
        Features::new(d, numbers(n * d, 1)),
        small::labels(&(0..n).map(|i| (i * i % 4) as u32).collect::<Vec<_>>(), 4),
    );
    let text = "[model]\npredictor = \"mlp\"\nhidden = [6]\nlikelihood = \"softmax\"\n";
    let (_, problem) = small::problem(text, table);
    let omega: Vec<f64> = numbers(problem.parameters(), 3);
    let want = oracle(&problem, &omega);
    let (_, got) = sums::<f64>(&problem, Blocks::Full, &omega);
    let scale = want.fisher.iter().fold(0.0f64, |m, x| m.max(x.abs()));
    for (g, w) in got.fisher.iter().zip(&want.fisher) {
        assert!((g - w).abs() < 1e-8 * scale);
    }
}

/// Draws with a `[sampler]` from given starts, or `None` if this engine is not available.
fn draw(
    kind: Kind,
    config: &Config,
    problem: &Problem,
    sampler: &str,
    (chains, warmup, draws): (usize, usize, usize),
    starts: impl Fn(&Plan) -> Vec<f64>,
) -> Option<Draws> {
    let mut config = config.clone();
    config.sampler = toml::from_str(sampler).expect("a [sampler]");
    (config.run.chains, config.run.warmup, config.run.draws) = (Some(chains), Some(warmup), draws);
    let config = drive::shortened(kind, &config);
    let plan = Plan::check(&config, problem).expect("a plan");
    let mut engine = drive::engine(kind, problem, &plan, &starts(&plan)).expect("an engine")?;
    let d = Draws::of(engine.as_mut(), problem, &plan).expect("a run");
    assert!(d.faults.is_empty(), "{kind:?} {sampler}: {:?}", d.faults);
    Some(d)
}

/// κ = 0 is the posterior under any metric: a softmax regression with a block per class, and with one for all classes.
#[test]
fn blocked_metrics_keep_the_posterior() {
    for kind in drive::kinds() {
        let Some(case) = cases::load("softmax_iris") else {
            return;
        };
        let mode_plan = Plan::check(&case.config, &case.problem).unwrap();
        let mode = sngd_cpu::map::find(&case.problem, &mode_plan).unwrap();
        for (blocks, epsilon) in [("unit", 0.1), ("layer", 0.2)] {
            // One block for all classes is the full metric, which another test covers.
            if drive::second_driver() && blocks == "layer" {
                continue;
            }
            let sampler = format!(
                "step_size = {epsilon}\nbatch_size = 120\nbatches = \"without_replacement\"\nblocks = \"{blocks}\"\n"
            );
            let starts = |plan: &Plan| drive::dispersed(plan, &mode, 1.0);
            let length = (24, 150, 3000);
            let Some(d) = draw(kind, &case.config, &case.problem, &sampler, length, starts) else {
                continue;
            };
            for (r, row) in compare::against(&case, &d).rows.iter().enumerate() {
                assert!(
                    row.mean_error.abs() < 0.1 + 4.0 * row.mean_mcse
                        && row.sd_error.abs() < 0.05 + 4.0 * row.sd_mcse,
                    "{kind:?} {blocks} [{r}]: {row:?}"
                );
                assert!(row.mean_mcse < 0.1, "{kind:?} {blocks} [{r}]: {row:?}");
            }
        }
    }
}

/// The yacht network compared with long HMC runs, in what its symmetries do not change.
#[test]
fn a_network_reaches_its_reference() {
    let Some(case) = yacht::load() else { return };
    if drive::second_driver() {
        eprintln!(
            "SKIPPED: the network's reference on the second driver, minutes long there; the parity suite holds it to the CPU"
        );
        return;
    }
    let minibatch =
        "step_size = 0.05\nbatch_size = 123\nbatches = \"without_replacement\"\ndamping = 0.1\n";
    for kind in drive::kinds() {
        for (sampler, length) in [
            (
                "method = \"mala\"\nstep_size = 0.2\ndamping = 0.1\n".to_string(),
                (16, 1000, 3000),
            ),
            (minibatch.to_string(), (16, 700, 1500)),
            (format!("{minibatch}blocks = \"layer\"\n"), (16, 700, 1500)),
        ] {
            // Minutes on a software driver. The parity suite compares the device's steps with the CPU's, blocks and Metropolis tests
            // included, and `blocked_metrics_keep_the_posterior` samples a smaller network there.
            if kind == Kind::Gpu && !drive::long() {
                continue;
            }
            let starts = |plan: &Plan| case.starts(plan.chains, plan.seed);
            let Some(d) = draw(kind, &case.config, &case.problem, &sampler, length, starts) else {
                continue;
            };
            let x = case.distance(&d);
            assert!(
                x.mean < 0.15 + 4.0 * x.mean_mcse,
                "{kind:?} {sampler}: {x:?}"
            );
            assert!(x.sd < 0.1 + 4.0 * x.sd_mcse, "{kind:?} {sampler}: {x:?}");
            // The log posterior of a chain stuck in a poor mode is tens of sds too low.
            let (lp, norm) = (x.log_posterior, x.norm);
            let room = if kind == Kind::Gpu { 2.0 } else { 1.0 };
            assert!(
                lp.0.abs() < 0.4 * room && lp.1.abs() < 0.25 * room,
                "{kind:?} {sampler}: {x:?}"
            );
            assert!(
                norm.0.abs() < 0.4 * room && norm.1.abs() < 0.25 * room,
                "{kind:?} {sampler}: {x:?}"
            );
        }
    }
}
