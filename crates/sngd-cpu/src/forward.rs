//! Outputs of any predictor at given rows, in f64, for predictions.

use crate::linear;
use crate::network::NetworkPass;
use faer::Par;
use sngd_core::blocks::Layout;
use sngd_core::features::Features;
use sngd_core::problem::Problem;

/// Rows that pass through a network together.
const ROWS: usize = 256;

/// Computes outputs from natural parameters and rows on the natural scale.
#[derive(Debug)]
pub struct Forward {
    network: Option<NetworkPass<f64>>,
    wide: Vec<f64>,
    d: usize,
    k: usize,
    h: usize,
}

impl Forward {
    /// The predictor of a problem.
    pub fn new(problem: &Problem) -> Forward {
        let h = problem.likelihood.outputs();
        let single = Layout::of_sizes(std::iter::repeat_n(1, problem.parameters()));
        Forward {
            network: problem
                .network
                .as_ref()
                .map(|net| NetworkPass::new(net, &single, h, ROWS)),
            wide: Vec::new(),
            d: problem.design_columns(),
            k: problem.likelihood.linear_outputs(),
            h,
        }
    }

    /// Writes outputs `[m,H]` at m rows of a design, from row `first` on, for parameters θ `[P]`; an auxiliary output is the last number
    /// of θ, log σ.
    pub fn outputs(&mut self, theta: &[f64], design: &Features, first: usize, eta: &mut [f64]) {
        for (t, eta) in eta.chunks_mut(ROWS * self.h).enumerate() {
            let x = design.rows(first + t * ROWS, eta.len() / self.h, &mut self.wide);
            match &mut self.network {
                Some(net) => net.forward(x.chunks_exact(self.d), theta, eta, Par::Seq),
                None => linear::outputs(x, theta, eta, self.d, self.k, self.h),
            }
        }
    }
}
