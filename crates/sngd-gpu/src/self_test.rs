//! What a device computes in one step, checked without another engine: Philox's known answers, and a Cholesky factorisation.

use crate::buffer::Buffer;
use crate::buffers::Buffers;
use crate::device::{Gpu, Tuning};
use crate::engine::load;
use crate::shape::Shape;
use crate::sizes::Sizes;
use crate::spec::When;
use sngd_core::config::Config;
use sngd_core::engine::EngineError;
use sngd_core::features::Features;
use sngd_core::philox::{Stream, at, normals_f32, normals_f64};
use sngd_core::plan::Plan;
use sngd_core::problem::Problem;
use sngd_core::table::{Response, Table};

/// Result of one check.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What was checked.
    pub name: &'static str,
    /// Error that was found.
    pub error: f64,
    /// Largest error that passes.
    pub allowed: f64,
}

impl Check {
    /// Whether it passed; an error of NaN does not.
    pub fn passed(&self) -> bool {
        self.error <= self.allowed
    }
}

impl Gpu {
    /// Checks one step of a small regression.
    ///
    /// # Errors
    /// Where the device cannot even run them.
    pub fn self_test(&self) -> Result<Vec<Check>, EngineError> {
        let (problem, plan) = example().map_err(EngineError::Device)?;
        let buffers = self.one_step(&problem, &plan)?;
        Ok(vec![
            self.check_normals(&buffers, &plan)?,
            self.check_cholesky(&buffers, &plan)?,
        ])
    }

    /// The noise of step 0, which is Philox at known addresses. A wrong bit gives errors of about 1.
    fn check_normals(&self, buffers: &Buffers, plan: &Plan) -> Result<Check, EngineError> {
        let z = buffers.read(self, Buffer::Z)?;
        let error = (0..plan.chains * plan.p).fold(0.0f64, |worst, i| {
            let (chain, j) = (i / plan.p, i % plan.p);
            let bits = at(plan.seed, Stream::Noise, chain as u32, 0, (j / 4) as u32);
            worst.max(f64::from((z[i] - normals_f32(bits)[j % 4]).abs()))
        });
        Ok(Check {
            name: "Philox and normals",
            error,
            allowed: 1e-5,
        })
    }

    /// Whether L⁻¹M L⁻ᵀ = I.
    fn check_cholesky(&self, buffers: &Buffers, plan: &Plan) -> Result<Check, EngineError> {
        let (m, w) = (
            buffers.read(self, Buffer::Fisher)?,
            buffers.read(self, Buffer::Linv)?,
        );
        let p = plan.p;
        let mut error = 0.0f64;
        for i in 0..p {
            for j in 0..=i {
                let mut sum = 0.0;
                for a in 0..=i {
                    for b in 0..=j {
                        let ab = f64::from(m[a.max(b) * p + a.min(b)]);
                        sum += f64::from(w[i * p + a]) * ab * f64::from(w[j * p + b]);
                    }
                }
                error = error.max((sum - if i == j { 1.0 } else { 0.0 }).abs());
            }
        }
        Ok(Check {
            name: "Cholesky",
            error,
            allowed: 1e-4,
        })
    }

    fn one_step(&self, problem: &Problem, plan: &Plan) -> Result<Buffers, EngineError> {
        let shape = Shape::new(plan, self.tuning == Tuning::Software);
        let sizes = Sizes::new(plan, &shape);
        let init = vec![0.0; plan.chains * plan.p];
        let (buffers, passes) = load(self, problem, plan, &shape, &sizes, &init)?;
        let now = crate::steps::Now {
            epsilon: 0.1,
            budget: 0.19,
            correction: 0.1,
            ..Default::default()
        };
        self.queue
            .write_buffer(buffers.get(Buffer::Now)?, 0, bytemuck::bytes_of(&now));
        let mut encoder = self.device.create_command_encoder(&Default::default());
        {
            let mut pass = encoder.begin_compute_pass(&Default::default());
            for p in passes.iter().filter(|p| p.when != When::Once) {
                pass.set_pipeline(&p.pipeline);
                p.bind(&mut pass, 0);
                pass.dispatch_workgroups(p.grid[0], p.grid[1], p.grid[2]);
            }
        }
        self.queue.submit([encoder.finish()]);
        self.wait_for(None, self.patience(0.0, true), "a step of the self-test")?;
        Ok(buffers)
    }
}

/// A regression with twenty parameters, 200 rows, known scale and flat priors.
fn example() -> Result<(Problem, Plan), String> {
    let (n, d) = (200, 20);
    let text = r#"{"data": {"path": "self-test", "response": "y", "intercept": false},
        "model": {"likelihood": "gaussian", "scale": 1.0}, "prior": {"weights": "flat"}, "run": {"chains": 4},
        "sampler": {"noise": "full", "batch_size": "full", "step_size": 0.5}}"#;
    let config: Config = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let z = |i: usize| normals_f64(at(5, Stream::Split, 0, 0, i as u32))[0];
    let features: Vec<f64> = (0..n * d).map(z).collect();
    let y = (0..n)
        .map(|i| features[i * d] - 0.5 * features[i * d + 1] + z(n * d + i))
        .collect();
    let table = Table::new(
        "self-test",
        (0..d).map(|j| format!("x{j}")).collect(),
        Features::new(d, features),
        Response::Numbers(y),
    );
    let problem = Problem::build(&config, table).map_err(|e| e.to_string())?;
    let plan = Plan::check(&config, &problem).map_err(|e| e.to_string())?;
    Ok((problem, plan))
}
