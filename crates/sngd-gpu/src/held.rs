//! Sizes of the pass that scores held-out rows, one tile of rows after another and all chains at once.

use crate::network::Net;
use sngd_core::engine::Predicted;
use sngd_core::plan::Plan;

/// Upper limit on the words that hold a tile's outputs and activations, over all chains.
const TILE_WORDS: usize = 4 << 20;

/// How a run's held-out rows are scored on the device.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// Number of held-out rows, M.
    pub rows: usize,
    /// Number of rows in a tile: those that one dispatch scores.
    pub tile: usize,
    /// Number of shares that the chains are split into. Each share has separate sums.
    pub splits: usize,
    /// Number of sums per row: largest ln p and Σp, then one per class, or mean and distribution function.
    pub width: usize,
}

impl Held {
    /// Sizes for a plan with held-out rows, on a device that `enough` workgroups keep busy. `None` without such rows.
    pub fn new(plan: &Plan, net: Option<&Net>, enough: usize) -> Option<Held> {
        let rows = plan.held;
        let hidden = net.map_or(0, |net| 2 * net.hidden + 1);
        let words = plan.chains * (hidden + plan.h + 2);
        let tile = (TILE_WORDS / words).max(1).next_multiple_of(64).min(rows);
        (rows > 0).then(|| Held {
            rows,
            tile,
            splits: enough.div_ceil(tile.div_ceil(64)).min(plan.chains),
            width: match plan.classes {
                0 => 4,
                classes => 2 + classes,
            },
        })
    }

    /// Number of tiles that cover all rows.
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(self.tile)
    }

    /// Number of sums over draws: all shares, rows and kinds.
    pub fn sums(&self) -> usize {
        self.splits * self.rows * self.width
    }

    /// Predictions from what the device computed: `sums` `[splits,M,width]`, and `draws` `[n,C]`, for each draw the pair
    /// (Σ ln p, number of rows whose likeliest class is right). Both come as the bits of f32.
    pub fn predicted(&self, sums: &[u32], draws: &[u32], classes: usize) -> Predicted {
        let number = |w: &u32| f64::from(f32::from_bits(*w));
        let pairs = draws
            .chunks_exact(2)
            .map(|w| (number(&w[0]), number(&w[1])));
        let mut out = Predicted::default();
        for (split, share) in sums.chunks_exact(self.rows * self.width).enumerate() {
            let mut one = Predicted::default();
            for row in share.chunks_exact(self.width) {
                one.density.push((number(&row[0]), number(&row[1])));
                let rest = row[2..].iter().map(number);
                if classes > 0 {
                    one.classes.extend(rest);
                } else {
                    one.mean.push(number(&row[2]));
                    one.below.push(number(&row[3]));
                }
            }
            if split == 0 {
                one.draws = pairs.clone().collect();
            }
            out.add(one);
        }
        out
    }
}
