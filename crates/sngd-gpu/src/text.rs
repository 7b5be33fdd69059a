//! The text of a dispatch: its root file linked with constants and model, and the buffers that it reads. No device is involved.

use crate::buffer::Buffer;
use crate::shape::Shape;
use crate::spec::{Spec, Value};
use sngd_core::engine::EngineError;
use sngd_core::philox::key;
use sngd_core::plan::{DIVERGED, JITTER_FIRST, Plan};
use sngd_core::problem::Problem;
use sngd_shaders::{Binding, Code, Consts, LinkError, Linked, ModelSource, link};

/// What all texts of a run share.
#[derive(Debug)]
pub struct Texts {
    consts: Consts,
    /// `None` for a user's likelihood without WGSL, which `GpuEngine::new` refuses.
    model: Option<ModelSource>,
}

impl Texts {
    /// The texts of a plan.
    pub fn new(problem: &Problem, plan: &Plan, shape: &Shape) -> Texts {
        Texts {
            consts: shared_consts(problem, plan, shape),
            model: ModelSource::of(&problem.likelihood),
        }
    }

    /// The text of a dispatch.
    ///
    /// # Errors
    /// A name that the text lacks, or a file that is not one of ours.
    pub fn of(&self, spec: &Spec) -> Result<Linked, LinkError> {
        let own = |name: &str| spec.consts.iter().any(|(n, _)| *n == name);
        let shared = self.consts.0.iter().filter(|(n, _)| !own(n)).cloned();
        let consts = spec
            .consts
            .iter()
            .fold(Consts(shared.collect()), |c, &(name, v)| match v {
                Value::U(v) => c.u32(name, v),
                Value::F(v) => c.f32(name, v),
            });
        // A kernel that overrides the number of outputs uses no likelihood.
        let model = (self.model.as_ref()).filter(|_| !own("K"));
        link(spec.root, &consts, model)
    }
}

/// The buffer of every variable of a kernel.
///
/// # Errors
/// A variable that the dispatch binds nothing to, and that no buffer is named after.
pub fn bound(spec: &Spec, bindings: &[Binding]) -> Result<Vec<Buffer>, EngineError> {
    let of = |b: &Binding| {
        spec.buffer(&b.name).ok_or_else(|| {
            EngineError::Device(format!(
                "{} ({}) reads \"{}\": found no buffer of that name, nor one bound to it",
                spec.entry, spec.root, b.name
            ))
        })
    };
    bindings.iter().map(of).collect()
}

/// Constants that all kernels of a run share.
fn shared_consts(problem: &Problem, plan: &Plan, s: &Shape) -> Consts {
    let t = &problem.transform;
    let [seed0, seed1] = key(plan.seed);
    let activation = problem.network.as_ref().map(|n| n.activation);
    Consts::new()
        .u32("N", s.n as u32)
        .u32("ROW_PAIRS", s.row_pairs as u32)
        .u32("ROW_OFFSETS", u32::from(plan.offsets))
        .u32("ROW_WEIGHTS", u32::from(plan.frequencies.is_some()))
        .u32("D", s.d as u32)
        .u32("K", s.k as u32)
        .u32("H", s.h as u32)
        .u32("HH", s.hh as u32)
        .u32("P", s.p as u32)
        .u32("C", s.c as u32)
        .u32("BATCH", s.batch as u32)
        .u32("SEED0", seed0)
        .u32("SEED1", seed1)
        .u32("STORAGE", plan.storage.code())
        .u32("ACTIVATION", activation.unwrap_or_default().code())
        .u32("SQUARES", s.squares as u32)
        .u32("METRIC_BLOCKS", s.blocks as u32)
        .u32("BLOCKED", s.blocked())
        .u32("PIVOT", t.pivot.map_or(u32::MAX, |p| p as u32))
        .f32("PIVOT_VALUE", t.pivot_value as f32)
        .f32("Y_MEAN", t.y_mean as f32)
        .f32("Y_SCALE", t.y_scale as f32)
        .f32("LOG_Y_SCALE", t.y_scale.ln() as f32)
        .f32("JACOBIAN", if plan.jacobian { 1.0 } else { 0.0 })
        .f32("LARGEST", DIVERGED as f32)
        .f32("JITTER_FIRST", JITTER_FIRST as f32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::recipe::recipe;
    use crate::sizes::Sizes;
    use sngd_core::config::Config;
    use sngd_core::features::Features;
    use sngd_core::table::{Response, Table};
    use std::collections::BTreeSet;

    /// A problem of 300 rows and a few columns, and its plan, from the lines of a run file.
    fn planned(model: &str, columns: usize, sampler: &str) -> (Problem, Plan) {
        let text = format!(
            r#"{{"data": {{"path": "t", "response": "y"}}, "model": {{{model}}}, "prior": {{"weights": "normal(0, 1)"}},
                "run": {{"chains": 3}}, "sampler": {{"metric": "state", "step_size": 0.1, {sampler}}}}}"#
        );
        let config: Config = serde_json::from_str(&text).unwrap();
        let x = |i: usize| (i as f64 * 0.7).sin() + (i as f64 * 0.013).cos();
        let table = Table::new(
            "t",
            (0..columns).map(|j| format!("x{j}")).collect(),
            Features::new(columns, (0..300 * columns).map(x).collect::<Vec<f64>>()),
            if model.contains("gaussian") {
                Response::Numbers((0..300).map(x).collect())
            } else {
                Response::Labels {
                    index: (0..300).map(|i| u32::from(i % 3 == 0)).collect(),
                    levels: vec!["no".into(), "yes".into()],
                }
            },
        );
        let problem = Problem::build(&config, table).unwrap();
        let plan = Plan::check(&config, &problem).unwrap();
        (problem, plan)
    }

    /// Every variable of every kernel has a buffer that the plan allocates, and every buffer of the table is read by some kernel.
    #[test]
    fn kernels_and_the_table_of_buffers_agree() {
        let logit = r#""likelihood": "bernoulli""#;
        let scale = r#""likelihood": "gaussian""#;
        let network = r#""likelihood": "bernoulli", "predictor": "mlp", "hidden": [3]"#;
        let full = r#""batch_size": "full""#;
        let plans = [
            (logit, 3, full),
            (logit, 20, r#""batch_size": 40, "fisher_rows": 100"#),
            (scale, 20, r#""batch_size": 40, "fisher_rows": "batch""#),
            (
                scale,
                20,
                r#""batch_size": "full", "noise": "nominal", "damping": 0.01"#,
            ),
            (
                scale,
                3,
                r#""batch_size": "full", "target": "jeffreys", "damping": 0.01, "noise": "full""#,
            ),
            (
                logit,
                100,
                r#""batch_size": "full", "correction": "probe", "noise": "full""#,
            ),
            (
                logit,
                5,
                r#""batch_size": "full", "correction": "finite_difference", "target": "jeffreys", "noise": "full""#,
            ),
            (scale, 5, r#""method": "mala", "target": "jeffreys""#),
            (logit, 5, r#""method": "mala""#),
            (logit, 5, r#""method": "sgld", "batch_size": 40"#),
            (logit, 5, r#""method": "psgld", "batch_size": 40"#),
            (
                network,
                5,
                r#""batch_size": "full", "noise": "full", "damping": 0.01"#,
            ),
            (network, 5, r#""method": "psgld", "batch_size": 40"#),
        ];
        let mut read = BTreeSet::new();
        let mut listed = BTreeSet::new();
        for (model, columns, sampler) in plans {
            let (problem, plan) = planned(model, columns, sampler);
            for software in [false, true] {
                let shape = Shape::new(&plan, software);
                let sizes = Sizes::new(&plan, &shape);
                let allocated: Vec<Buffer> = sizes.buffers.iter().map(|(b, _)| *b).collect();
                listed.extend(allocated.iter().map(|b| b.name()));
                let texts = Texts::new(&problem, &plan, &shape);
                for spec in recipe(&plan, &shape) {
                    let linked = texts.of(&spec).unwrap();
                    for buffer in bound(&spec, &linked.bindings(spec.entry).unwrap()).unwrap() {
                        assert!(
                            allocated.contains(&buffer),
                            "{sampler}: {} reads {buffer:?}",
                            spec.root
                        );
                        read.insert(buffer.name());
                    }
                }
            }
        }
        let unread: Vec<_> = listed.difference(&read).collect();
        assert!(
            unread.is_empty(),
            "allocated, but read by no kernel of these plans: {unread:?}"
        );
    }

    /// A variable without a buffer is an error of the text's, before any device sees it.
    #[test]
    fn a_variable_without_a_buffer_is_refused() {
        let (problem, plan) = planned(r#""likelihood": "bernoulli""#, 3, r#""batch_size": "full""#);
        let shape = Shape::new(&plan, false);
        let texts = Texts::new(&problem, &plan, &shape);
        let mut spec = recipe(&plan, &shape)
            .into_iter()
            .find(|s| s.entry == "upper")
            .unwrap();
        let bindings = texts.of(&spec).unwrap().bindings(spec.entry).unwrap();
        assert!(bound(&spec, &bindings).is_ok());
        spec.bind.retain(|(variable, _)| *variable != "matrix");
        let refused = bound(&spec, &bindings).unwrap_err().to_string();
        assert!(refused.contains("reads \"matrix\""), "{refused}");
    }
}
