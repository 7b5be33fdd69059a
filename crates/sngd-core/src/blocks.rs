//! Block-diagonal layouts: which runs of ω a metric couples, and where each block's square lies in memory.

use crate::config::Blocks;
use crate::problem::Problem;

/// One block: parameters `offset..offset+size`, its `[size,size]` square at `at` of the concatenated matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// First parameter.
    pub offset: usize,
    /// Order.
    pub size: usize,
    /// First number of its square.
    pub at: usize,
}

/// Blocks in the order of ω; they cover it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The blocks.
    pub blocks: Vec<Block>,
    /// Numbers of all squares, Σ size².
    pub len: usize,
    /// P.
    pub p: usize,
}

impl Layout {
    /// One block of order p.
    pub fn full(p: usize) -> Layout {
        Layout::of_sizes([p])
    }

    /// Blocks of these orders, one after another.
    pub fn of_sizes(sizes: impl IntoIterator<Item = usize>) -> Layout {
        let (mut offset, mut at) = (0, 0);
        let blocks = sizes
            .into_iter()
            .map(|size| {
                let block = Block { offset, size, at };
                (offset, at) = (offset + size, at + size * size);
                block
            })
            .collect();
        Layout {
            blocks,
            len: at,
            p: offset,
        }
    }

    /// The layout that `[sampler] blocks` names. Auxiliary parameters (log σ) are blocks of their own but in `full`.
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

    /// Whether one block holds everything.
    pub fn is_full(&self) -> bool {
        self.blocks.len() == 1
    }

    /// The largest block's order.
    pub fn largest(&self) -> usize {
        self.blocks.iter().map(|b| b.size).max().unwrap_or(0)
    }
}
