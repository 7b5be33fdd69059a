//! The reference posteriors by name, with the model and prior that their READMEs state.

use crate::refs::{self, Reference};
use sngd_core::config::Config;
use sngd_core::features::Features;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};
use std::io::Read;
use std::path::Path;

/// A reference posterior, and its lines in a run file.
#[derive(Debug, Clone, Copy)]
pub struct CaseInfo {
    /// Short name.
    pub name: &'static str,
    /// Folder under the references.
    pub folder: &'static str,
    /// The sections `[model]` and `[prior]` of the run file.
    pub model: &'static str,
    /// Batch size B of the minibatch runs.
    pub batch: usize,
    /// Step size ε that works for the posterior, no unit.
    pub step_size: f64,
    /// Damping of the metric; it changes no target.
    pub damping: f64,
    /// Whether the target is Jeffreys', κ = 1.
    pub jeffreys: bool,
}

const fn case(
    name: &'static str,
    folder: &'static str,
    model: &'static str,
    batch: usize,
    step_size: f64,
    damping: f64,
) -> CaseInfo {
    CaseInfo {
        name,
        folder,
        model,
        batch,
        step_size,
        damping,
        jeffreys: false,
    }
}

const LOGIT_10: &str = "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 10)\"\nintercept = \"normal(0, 10)\"\n";
const LOGIT_1: &str = "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"normal(0, 1)\"\n";
const LOGIT_100: &str = "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"normal(0, 100)\"\nintercept = \"normal(0, 100)\"\n";
const LOGIT_FLAT: &str = "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"flat\"\n";
const LINEAR_FLAT: &str = "[model]\nlikelihood = \"gaussian\"\nscale = \"unknown\"\n[prior]\nweights = \"flat\"\nscale = \"flat\"\n";
const LINEAR_CAUCHY: &str = "[model]\nlikelihood = \"gaussian\"\nscale = \"unknown\"\n[prior]\nweights = \"flat\"\nscale = \"half_cauchy(0, 2.5)\"\n";

/// All cases whose models sngd has.
pub const CASES: &[CaseInfo] = &[
    case("gc_pima", "glm/gc_pima", LOGIT_10, 266, 0.3, 0.001),
    case("gc_german", "glm/gc_german", LOGIT_10, 500, 0.3, 0.01),
    case(
        "gc_australian",
        "glm/gc_australian",
        LOGIT_10,
        518,
        0.3,
        0.003,
    ),
    case("gc_heart", "glm/gc_heart", LOGIT_10, 203, 0.3, 0.003),
    case("gc_ripley", "glm/gc_ripley", LOGIT_10, 188, 0.3, 0.01),
    case("wells_dist", "glm/wells_dist", LOGIT_FLAT, 1510, 0.3, 0.0),
    case(
        "wells_dist100ars",
        "glm/wells_dist100ars",
        LOGIT_FLAT,
        1510,
        0.3,
        0.0,
    ),
    case(
        "wells_interaction",
        "glm/wells_interaction",
        LOGIT_FLAT,
        1510,
        0.3,
        0.0,
    ),
    case(
        "wells_interaction_c",
        "glm/wells_interaction_c",
        LOGIT_FLAT,
        1510,
        0.3,
        0.0,
    ),
    case(
        "wells_dae_inter",
        "glm/wells_dae_inter",
        LOGIT_FLAT,
        1510,
        0.3,
        0.0,
    ),
    case("nes_logit", "glm/nes_logit", LOGIT_FLAT, 590, 0.3, 0.0),
    case("dogs", "glm/dogs", LOGIT_100, 375, 0.3, 0.0),
    case(
        "tfp_german_logistic",
        "glm/tfp_german_logistic",
        LOGIT_1,
        500,
        0.3,
        0.01,
    ),
    case(
        "GLM_Poisson",
        "glm/GLM_Poisson",
        "[model]\nlikelihood = \"poisson\"\n[prior]\nweights = \"flat\"\n",
        20,
        0.3,
        0.0,
    ),
    case(
        "GLM_Binomial",
        "glm/GLM_Binomial",
        "[model]\nlikelihood = \"binomial\"\ntrials = \"trials\"\n[prior]\nweights = \"normal(0, 100)\"\nintercept = \"normal(0, 100)\"\n",
        20,
        0.3,
        0.0,
    ),
    case(
        "softmax_iris",
        "glm/softmax_iris",
        "[model]\nlikelihood = \"softmax\"\nbaseline = \"first\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"normal(0, 1)\"\n",
        75,
        0.3,
        0.0,
    ),
    case(
        "softmax_iris_full",
        "glm/softmax_iris_full",
        "[model]\nlikelihood = \"softmax\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"normal(0, 1)\"\n",
        75,
        0.3,
        0.0,
    ),
    case(
        "nes1980",
        "posteriordb/nes1980-nes",
        LINEAR_FLAT,
        351,
        0.3,
        0.0,
    ),
    case(
        "kidiq_momhsiq",
        "posteriordb/kidiq-kidscore_momhsiq",
        LINEAR_CAUCHY,
        217,
        0.3,
        0.0,
    ),
    case(
        "earn_height",
        "posteriordb/earnings-earn_height",
        LINEAR_FLAT,
        1073,
        0.3,
        0.0,
    ),
    case(
        "logearn_interaction",
        "posteriordb/earnings-logearn_interaction",
        LINEAR_FLAT,
        894,
        0.3,
        0.0,
    ),
    case(
        "mesquite",
        "posteriordb/mesquite-mesquite",
        LINEAR_FLAT,
        42,
        0.3,
        0.0,
    ),
    case(
        "logmesquite_logvas",
        "posteriordb/mesquite-logmesquite_logvas",
        LINEAR_FLAT,
        42,
        0.3,
        0.0,
    ),
    case(
        "kilpisjarvi",
        "posteriordb/kilpisjarvi_mod-kilpisjarvi",
        "[model]\nlikelihood = \"gaussian\"\n[prior]\nweights = \"normal(0, 0.033333333333333333)\"\nintercept = \"normal(9.31290322580645, 100)\"\nscale = \"flat\"\n",
        47,
        0.3,
        0.0,
    ),
    case(
        "sblrc",
        "posteriordb/sblrc-blr",
        "[model]\nlikelihood = \"gaussian\"\n[prior]\nweights = \"normal(0, 10)\"\nscale = \"half_normal(0, 10)\"\n",
        50,
        0.3,
        0.0,
    ),
    case(
        "sblri",
        "posteriordb/sblri-blr",
        "[model]\nlikelihood = \"gaussian\"\n[prior]\nweights = \"normal(0, 10)\"\nscale = \"half_normal(0, 10)\"\n",
        50,
        0.3,
        0.0,
    ),
    case(
        "arK",
        "posteriordb/arK-arK",
        "[model]\nlikelihood = \"gaussian\"\n[prior]\nweights = \"normal(0, 10)\"\nintercept = \"normal(0, 10)\"\nscale = \"half_cauchy(0, 2.5)\"\n",
        98,
        0.3,
        0.0,
    ),
    CaseInfo {
        name: "jeffreys_sex2",
        folder: "glm/jeffreys_sex2",
        model: LOGIT_FLAT,
        batch: 120,
        step_size: 0.1,
        damping: 0.01,
        jeffreys: true,
    },
    CaseInfo {
        name: "jeffreys_endometrial",
        folder: "glm/jeffreys_endometrial",
        model: LOGIT_FLAT,
        batch: 60,
        step_size: 0.1,
        damping: 0.01,
        jeffreys: true,
    },
    case("a9a_logistic", "glm/a9a_logistic", LOGIT_1, 29305, 0.3, 0.0),
    case(
        "digits_softmax",
        "glm/digits_softmax",
        "[model]\nlikelihood = \"softmax\"\n[prior]\nweights = \"normal(0, 1)\"\nintercept = \"normal(0, 1)\"\n",
        1000,
        0.3,
        0.0,
    ),
];

/// The case of that name.
pub fn info(name: &str) -> &'static CaseInfo {
    CASES
        .iter()
        .find(|c| c.name == name)
        .unwrap_or_else(|| panic!("no case '{name}'"))
}

/// A loaded case: the problem, and for each parameter of the reference its index in our natural vector.
#[derive(Debug, Clone)]
pub struct Case {
    /// Name, model and settings of the case.
    pub info: CaseInfo,
    /// Run file with `[sampler]` and `[run]` still at their defaults.
    pub config: Config,
    /// The problem: data, likelihood and priors.
    pub problem: Problem,
    /// Mean and sd of each parameter, to compare with.
    pub reference: Reference,
    /// Index in the natural parameter vector of each reference parameter, `[P]`.
    pub index: Vec<usize>,
}

/// Loads a case; prints a message and returns `None` if its files are missing.
pub fn load(name: &str) -> Option<Case> {
    let info = *info(name);
    let Some(folder) = refs::folder(info.folder) else {
        refs::skip(name);
        return None;
    };
    let categorical = info.model.contains("bernoulli") || info.model.contains("softmax");
    let (mut table, constant) = match name {
        "a9a_logistic" => (a9a()?, Some(0)),
        "digits_softmax" => (digits()?, Some(0)),
        _ => refs::design(&folder.join("design.csv"), categorical),
    };
    let file = if info.jeffreys {
        "reference_exact_jeffreys.json"
    } else if folder.join("reference_exact.json").exists() {
        "reference_exact.json"
    } else {
        "reference_hmc.json"
    };
    let mut reference = refs::reference(&folder.join(file));
    // A column of zeros carries no information: its coefficients keep their prior, and the data check refuses it.
    let empty = drop_empty_columns(&mut table);
    reference.leave_out(|i| {
        let row = i % (table.feature_names.len() + empty.len() + 1);
        constant == Some(0) && row > 0 && empty.contains(&(row - 1))
    });
    let config = config(&info, constant.is_some());
    let problem = Problem::build(&config, table).expect("a reference problem builds");
    // The reference has its constant in some column; sngd puts the intercept first. Both are class-major.
    let d = problem.design_columns();
    let order = |j: usize| match constant {
        Some(c) if j == c => 0,
        Some(c) if j < c => j + 1,
        _ => j,
    };
    let linear = problem.transform.outputs * d;
    let index = (0..reference.mean.len())
        .map(|i| {
            if i < linear {
                i / d * d + order(i % d)
            } else {
                i
            }
        })
        .collect();
    Some(Case {
        info,
        config,
        problem,
        reference,
        index,
    })
}

/// Removes the all-zero columns of a table; returns their indices.
fn drop_empty_columns(table: &mut Table) -> Vec<usize> {
    let d = table.feature_names.len();
    let x = table.features.to_vec();
    let empty: Vec<usize> = (0..d)
        .filter(|&j| x.iter().skip(j).step_by(d).all(|&x| x == 0.0))
        .collect();
    let kept = |i: &usize| !empty.contains(&(i % d));
    let rest: Vec<f64> = (0..x.len()).filter(kept).map(|i| x[i]).collect();
    table.features = Features::new(d - empty.len(), rest);
    table.feature_names = (0..d)
        .filter(kept)
        .map(|j| std::mem::take(&mut table.feature_names[j]))
        .collect();
    empty
}

fn config(info: &CaseInfo, intercept: bool) -> Config {
    let target = if info.jeffreys {
        "jeffreys"
    } else {
        "posterior"
    };
    let text = format!(
        "[data]\npath = \"-\"\nresponse = \"y\"\nintercept = {intercept}\n{}\n[sampler]\ntarget = \"{target}\"\nbatch_size = {}\nstep_size = {}\ndamping = {}\nbatches = \"without_replacement\"\n",
        info.model, info.batch, info.step_size, info.damping
    );
    toml::from_str(&text).expect("a case is a run file")
}

fn inflate(path: &Path) -> Vec<u8> {
    let mut out = Vec::new();
    let file = std::fs::File::open(path).expect("a data file opens");
    flate2::read::GzDecoder::new(file)
        .read_to_end(&mut out)
        .expect("a data file inflates");
    out
}

/// UCI Adult in Platt's 123 binary features; `None` if missing.
fn a9a() -> Option<Table> {
    let Some(folder) = refs::dataset("a9a") else {
        refs::skip("a9a");
        return None;
    };
    let x = inflate(&folder.join("X_train_u8_32561x123.bin.gz"));
    let y = inflate(&folder.join("y_train_i8.bin.gz"));
    Some(Table::new(
        "a9a",
        (1..=123).map(|j| format!("x{j}")).collect(),
        Features::new(123, x.iter().map(|&b| f64::from(b)).collect::<Vec<_>>()),
        Response::Labels {
            index: y.iter().map(|&b| u32::from(b == 1)).collect(),
            levels: vec!["-1".into(), "1".into()],
        },
    ))
}

/// The first 1500 handwritten digits, pixels in sixteenths; `None` if missing.
fn digits() -> Option<Table> {
    let Some(folder) = refs::dataset("digits") else {
        refs::skip("digits");
        return None;
    };
    let read = |f: &str| -> Vec<u8> {
        let bytes = std::fs::read(folder.join(f)).expect("digits read");
        npyz::NpyFile::new(&bytes[..])
            .expect("npy")
            .into_vec()
            .expect("u8")
    };
    let (x, y) = (read("X_u8.npy"), read("y_u8.npy"));
    let n = 1500;
    let x: Vec<f64> = x[..n * 64].iter().map(|&b| f64::from(b) / 16.0).collect();
    Some(Table::new(
        "digits",
        (0..64).map(|j| format!("pixel{j}")).collect(),
        Features::new(64, x),
        Response::Labels {
            index: y[..n].iter().map(|&b| u32::from(b)).collect(),
            levels: (0..10).map(|c| c.to_string()).collect(),
        },
    ))
}
