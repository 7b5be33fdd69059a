//! Which parameters of a problem a blocked metric couples.

use super::Problem;
use crate::blocks::Layout;
use crate::config::Blocks;

impl Layout {
    /// The layout that `[sampler] blocks` names. Except with `full`, each auxiliary parameter (log σ) is a block of order one.
    pub fn of(problem: &Problem, blocks: Blocks) -> Layout {
        let (k, d) = (
            problem.likelihood.linear_outputs(),
            problem.design_columns(),
        );
        let aux = std::iter::repeat_n(1, problem.likelihood.aux_outputs());
        match (blocks, &problem.network) {
            (Blocks::Full, _) => Layout::full(problem.parameters()),
            (Blocks::Layer, None) => Layout::of_sizes([k * d].into_iter().chain(aux)),
            (Blocks::Unit, None) => Layout::of_sizes(std::iter::repeat_n(d, k).chain(aux)),
            (Blocks::Layer, Some(net)) => {
                Layout::of_sizes(net.layers().iter().map(|l| l.len()).chain(aux))
            }
            (Blocks::Unit, Some(net)) => Layout::of_sizes(
                net.layers()
                    .iter()
                    .flat_map(|l| std::iter::repeat_n(l.stride, l.outputs))
                    .chain(aux),
            ),
            (Blocks::Diagonal, _) => Layout::of_sizes(std::iter::repeat_n(1, problem.parameters())),
        }
    }
}
