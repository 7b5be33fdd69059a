//! Scores each kept draw on the held-out rows, one tile of rows after another.

use super::Recipe;
use crate::spec::{When, spec};

impl Recipe<'_> {
    pub(super) fn held(&mut self) {
        let s = self.shape;
        let Some(held) = &s.held else { return };
        let groups = held.tile.div_ceil(64);
        for tile in 0..held.tiles() {
            if let Some(net) = &s.net {
                let one = spec("stage/held.wgsl", "indices", [groups, s.c, 1])
                    .u("R", held.tile)
                    .u("HELD", held.rows)
                    .b("row_index", "held_index")
                    .at(When::Kept)
                    .panel(tile);
                self.push(one);
                let names = ("held_index", "held_acts", "held_eta");
                self.layers(net, held.tile, "omega", names, When::Kept);
            }
            let one = spec("stage/predict.wgsl", "predict", [groups, held.splits, 1])
                .u("R", held.tile)
                .u("HELD", held.rows)
                .u("SPLITS", held.splits)
                .u("WIDTH", held.width)
                .u("CLASSES", self.plan.classes)
                .u("NETWORK", usize::from(s.net.is_some()))
                .b("eta", "held_eta")
                .b("terms", "held_terms")
                .b("sums", "held_sums")
                .at(When::Kept)
                .panel(tile);
            self.push(one);
            let one = spec("stage/held.wgsl", "draw_sums", [s.c, 1, 1])
                .u("R", held.tile)
                .u("HELD", held.rows)
                .b("terms", "held_terms")
                .b("draws", "held_draws")
                .at(When::Kept)
                .panel(tile);
            self.push(one);
        }
    }
}
