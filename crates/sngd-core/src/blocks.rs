//! Block-diagonal layouts: which runs of ω a metric couples, and where the square of each block is stored.

/// One block: it couples parameters `offset..offset+size`; its `[size,size]` square starts at `at` in the concatenated matrices.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Index of its first parameter.
    pub offset: usize,
    /// Order: number of parameters in the block.
    pub size: usize,
    /// Index of the first number of its square.
    pub at: usize,
}

/// Consecutive blocks of the same order. An operation runs over all blocks of a group in one go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Group {
    /// Index of its first block.
    pub first: usize,
    /// Number of blocks.
    pub count: usize,
    /// Index of the first parameter of its first block.
    pub offset: usize,
    /// Order of each block.
    pub size: usize,
    /// Index of the first number of its first square.
    pub at: usize,
}

/// The blocks of a metric, in the order of ω. Together they cover all parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The blocks, in the order of ω.
    pub blocks: Vec<Block>,
    /// Numbers in all squares together, Σ size².
    pub len: usize,
    /// Number of parameters, P.
    pub p: usize,
}

impl Layout {
    /// One block of order `p`.
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

    /// Groups the consecutive blocks of the same order.
    pub fn groups(&self) -> Vec<Group> {
        let mut out: Vec<Group> = Vec::new();
        for (first, block) in self.blocks.iter().enumerate() {
            match out.last_mut() {
                Some(group) if group.size == block.size => group.count += 1,
                _ => out.push(Group {
                    first,
                    count: 1,
                    offset: block.offset,
                    size: block.size,
                    at: block.at,
                }),
            }
        }
        out
    }

    /// Whether one block covers all parameters.
    pub fn is_full(&self) -> bool {
        self.blocks.len() == 1
    }

    /// Order of the largest block.
    pub fn largest(&self) -> usize {
        self.blocks.iter().map(|b| b.size).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_runs_of_one_order() {
        let groups = Layout::of_sizes([3, 3, 2, 1, 1]).groups();
        let found: Vec<[usize; 5]> = groups
            .iter()
            .map(|g| [g.first, g.count, g.offset, g.size, g.at])
            .collect();
        assert_eq!(found, [[0, 2, 0, 3, 0], [2, 1, 6, 2, 18], [3, 2, 8, 1, 22]]);
    }
}
