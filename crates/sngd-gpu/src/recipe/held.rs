//! Scores each kept draw on the held-out rows, one tile of rows after another.

use super::Recipe;
use crate::buffer::Buffer;
use crate::spec::{When, spec};

impl Recipe<'_> {
    pub(super) fn held(&mut self) {
        let s = self.shape;
        let Some(held) = &s.held else { return };
        let groups = held.tile.div_ceil(64);
        for tile in 0..held.tiles() {
            if let Some(net) = &s.net {
                let one = spec("state/kernel/held.wgsl", "indices", [groups, s.c, 1])
                    .u("R", held.tile)
                    .u("HELD", held.rows)
                    .b("row_index", Buffer::HeldIndex)
                    .at(When::Kept)
                    .panel(tile);
                self.push(one);
                let names = (Buffer::HeldIndex, Buffer::HeldActs, Buffer::HeldEta);
                self.layers(net, held.tile, Buffer::Omega, names, When::Kept);
            }
            let one = spec(
                "state/kernel/predict.wgsl",
                "predict",
                [groups, held.splits, 1],
            )
            .u("R", held.tile)
            .u("HELD", held.rows)
            .u("SPLITS", held.splits)
            .u("WIDTH", held.width)
            .u("CLASSES", self.plan.classes)
            .u("NETWORK", usize::from(s.net.is_some()))
            .b("eta", Buffer::HeldEta)
            .b("terms", Buffer::HeldTerms)
            .b("sums", Buffer::HeldSums)
            .at(When::Kept)
            .panel(tile);
            self.push(one);
            let one = spec("state/kernel/held.wgsl", "draw_sums", [s.c, 1, 1])
                .u("R", held.tile)
                .u("HELD", held.rows)
                .b("terms", Buffer::HeldTerms)
                .b("draws", Buffer::HeldDraws)
                .at(When::Kept)
                .panel(tile);
            self.push(one);
        }
    }
}
