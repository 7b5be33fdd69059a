//! What the trace of a run contains besides its draws.

use crate::facts::{self, Facts};
use crate::prepare::Prepared;
use sngd_core::engine::EngineInfo;
use sngd_core::problem::Problem;
use sngd_core::stat::Stat;
use sngd_core::trace::{Dim, NamedArray, StatInfo, TraceSchema};

/// Names of the parameters in stored order, `[P]`.
pub(crate) fn names(problem: &Problem) -> Vec<String> {
    let natural = problem.parameter_names();
    facts::order(problem)
        .into_iter()
        .map(|i| natural[i].clone())
        .collect()
}

/// Schema and attributes of the trace of a run.
pub(crate) fn trace(prepared: &Prepared, engine: &EngineInfo) -> TraceSchema {
    let (plan, problem) = (&prepared.plan, &prepared.problem);
    let mut facts = Facts::of(prepared);
    let constant = facts
        .metric
        .take()
        .map(|values| metric(&names(problem), &facts, values));
    let json = |v: serde_json::Result<String>| v.unwrap_or_default();
    let ledger: serde_json::Map<String, serde_json::Value> = facts
        .ledger
        .iter()
        .map(|(k, v)| (k.clone(), v.clone().into()))
        .collect();
    let mut attributes = vec![
        ("run_file", json(serde_json::to_string(&prepared.config))),
        ("target_ledger", json(serde_json::to_string(&ledger))),
        ("priors", json(serde_json::to_string(&facts.priors))),
        ("sngd_facts", json(serde_json::to_string(&facts))),
        ("engine", engine.kind.to_string()),
        ("device", engine.device.clone()),
        ("driver", engine.driver.clone()),
        ("seed", plan.seed.to_string()),
        ("tuning_steps", plan.warmup.to_string()),
        ("data_source", problem.source.clone()),
        ("status", "running".to_string()),
    ];
    if !problem.classes.is_empty() {
        // Of a Bernoulli response first the level that is 0, then the one that is 1.
        attributes.push(("classes", json(serde_json::to_string(&problem.classes))));
    }
    attributes.sort_by_key(|(k, _)| *k);
    TraceSchema {
        chains: plan.chains,
        parameters: plan.p,
        variables: problem.variables(),
        stats: Stat::ALL
            .iter()
            .map(|stat| StatInfo {
                name: stat.name().to_string(),
                boolean: stat.is_flag(),
            })
            .collect(),
        save_warmup: prepared.config.run.save_warmup,
        observed: problem.observed_data(),
        constant: constant.into_iter().chain(rows_apart(problem)).collect(),
        attributes: attributes
            .into_iter()
            .map(|(k, v)| (k.to_string(), v))
            .collect(),
    }
}

/// Rows of the data file that were not fitted, by their numbers from 0: those held out, and those left out. Rows have no labels.
fn rows_apart(problem: &Problem) -> impl Iterator<Item = NamedArray> {
    let array = |name: &str, rows: &[usize]| NamedArray {
        name: name.into(),
        dims: vec![Dim {
            name: format!("{name}_row"),
            labels: Vec::new(),
        }],
        values: rows.iter().map(|&r| r as f64).collect(),
    };
    let held_out = problem
        .held_out
        .as_ref()
        .map(|held| array("held_out", &held.rows));
    let left_out = (!problem.left_out.is_empty()).then(|| array("left_out", &problem.left_out));
    held_out.into_iter().chain(left_out)
}

fn metric(names: &[String], facts: &Facts, values: Vec<f64>) -> NamedArray {
    let mut labels = names.to_vec();
    if let Some(label) = facts.log_scale.and_then(|i| labels.get_mut(i)) {
        *label = format!("log_{label}");
    }
    let dim = |name: &str| Dim {
        name: name.into(),
        labels: labels.clone(),
    };
    NamedArray {
        name: "metric".into(),
        dims: vec![dim("parameter"), dim("parameter_column")],
        values,
    }
}
