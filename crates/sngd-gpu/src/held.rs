//! Sizes of the pass that scores held-out rows: tiles of rows, for all chains at once.

use crate::network::Net;
use sngd_core::engine::Predicted;
use sngd_core::plan::Plan;

/// Most words of a tile's outputs and activations.
const TILE_WORDS: usize = 4 << 20;

/// The held-out rows of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct Held {
    /// M.
    pub rows: usize,
    /// Rows that are gone over together.
    pub tile: usize,
    /// Shares of the chains, each with sums of its own.
    pub splits: usize,
    /// Sums a row: largest ln p and Σp, then each class, or mean and distribution function.
    pub width: usize,
}

impl Held {
    /// Of a plan that has such rows, on a device that `enough` workgroups fill.
    pub fn new(plan: &Plan, net: Option<&Net>, enough: usize) -> Option<Held> {
        let rows = plan.held;
        let hidden = net.map_or(0, |net| 2 * net.hidden + 1);
        let words = plan.chains * (hidden + plan.h + 2);
        let tile = (TILE_WORDS / words).next_multiple_of(64).min(rows);
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

    /// Tiles of rows.
    pub fn tiles(&self) -> usize {
        self.rows.div_ceil(self.tile)
    }

    /// Words of all sums over draws.
    pub fn sums(&self) -> usize {
        self.splits * self.rows * self.width
    }

    /// Sums `[splits,M,width]` and each draw's own `[n,C]` of (Σ ln p, rows that are right), as the device left them.
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
