//! A network's passes: forward through the layers to the outputs, backward from seeds to δ.

use super::{Recipe, Seed, names};
use crate::buffer::Buffer;
use crate::network::Net;
use crate::shape::RowSet;
use crate::spec::{Spec, When, spec};
use sngd_shaders::Weights;

impl Recipe<'_> {
    /// Computes row numbers and outputs of a pass, which `rows.wgsl` then reads.
    pub(super) fn forward(&mut self, net: &Net, set: &RowSet, omega: Buffer, when: When) {
        let c = self.shape.c;
        let n = names(set);
        let x = set.rows.div_ceil(64);
        let one = spec("state/kernel/rows.wgsl", "indices", [x, c, 1])
            .u("R", set.rows)
            .code("ROWS", &set.rule)
            .code("WEIGHTS", &Weights::None)
            .u("LABELS", 0)
            .u("EMPIRICAL", 0)
            .u("NETWORK", 1)
            .b("row_index", n.index)
            .at(when);
        self.push(one);
        self.layers(net, set.rows, omega, (n.index, n.acts, n.eta), when);
    }

    /// Computes activations and outputs of a pass whose row numbers are known.
    pub(super) fn layers(
        &mut self,
        net: &Net,
        rows: usize,
        omega: Buffer,
        (index, acts, eta): (Buffer, Buffer, Buffer),
        when: When,
    ) {
        let (x, c) = (rows.div_ceil(64), self.shape.c);
        for (l, layer) in net.layers.iter().enumerate() {
            let one = spec(
                "state/kernel/forward.wgsl",
                "forward",
                [x, c, layer.outputs],
            )
            .u("R", rows)
            .u("OFFSET", layer.offset)
            .u("INPUTS", layer.inputs)
            .u("STRIDE", layer.stride)
            .u("HIDDEN", net.hidden)
            .u("FIRST", usize::from(l == 0))
            .u("LAST", usize::from(l + 1 == net.layers.len()))
            .u("BELOW", if l > 0 { net.column(l - 1) } else { 0 })
            .u("HERE", net.column(l))
            .b("row_index", index)
            .b("omega", omega)
            .b("acts", acts)
            .b("eta", eta)
            .at(when);
            self.push(one);
        }
    }

    /// Computes δ of every unit for the seeds of a pass.
    pub(super) fn backward(&mut self, net: &Net, set: &RowSet, seed: Seed, when: When) {
        let c = self.shape.c;
        let n = names(set);
        let (seeds, delta) = stored(net, set, seed);
        let weight = if seed == Seed::Score {
            n.scores
        } else {
            n.weight
        };
        let one = spec(
            "state/kernel/seeds.wgsl",
            "seeds",
            [set.rows.div_ceil(64), c, 1],
        )
        .u("R", set.rows)
        .u("UNITS", net.units)
        .u("FROM_SCORE", seed.single())
        .b("weight", weight)
        .b("delta", delta)
        .at(when);
        self.push(one);
        let rows = set.rows * seeds;
        for l in (0..net.layers.len() - 1).rev() {
            let above = net.layers[l + 1];
            let grid = [rows.div_ceil(64), c, net.layers[l].outputs];
            let one = spec("state/kernel/deltas.wgsl", "deltas", grid)
                .u("R", rows)
                .u("SEEDS", seeds)
                .u("UNITS", net.units)
                .u("HIDDEN", net.hidden)
                .u("ABOVE_OFFSET", above.offset)
                .u("ABOVE_STRIDE", above.stride)
                .u("ABOVE_UNITS", above.outputs)
                .u("ABOVE", net.column(l + 1))
                .u("HERE", net.column(l))
                .b("omega", self.omega)
                .b("acts", n.acts)
                .b("delta", delta)
                .at(when);
            self.push(one);
        }
    }

    /// Computes Σ Jᵀs over a pass from its scores.
    pub(super) fn network_gradient(&mut self, net: &Net, set: &RowSet, to: Buffer, when: When) {
        self.backward(net, set, Seed::Score, when);
        let one = self
            .network_sum("state/kernel/network_gradient.wgsl", net, set, Seed::Score)
            .b("partial_sum", to)
            .at(when);
        self.push(one);
    }

    /// Computes the diagonal of Σ JᵀWJ over a pass.
    pub(super) fn network_diagonal(&mut self, net: &Net, set: &RowSet, when: When) {
        self.backward(net, set, Seed::Root, when);
        let one = self
            .network_sum("state/kernel/network_diagonal.wgsl", net, set, Seed::Root)
            .at(when);
        self.push(one);
    }

    /// A kernel that sums over the rows of seeds, with one sum per parameter.
    fn network_sum(&self, root: &'static str, net: &Net, set: &RowSet, seed: Seed) -> Spec {
        let s = self.shape;
        let grid = [s.p.div_ceil(16), s.c, set.grad_splits];
        self.over_seeds(spec(root, "network_sum", grid), net, set, seed)
            .u("GRAD_SPLITS", set.grad_splits)
            .b("row_index", names(set).index)
    }

    /// The kernel that computes a network's Gram matrices, with the constants and buffers of its rows.
    pub(super) fn network_gram(
        &self,
        root: &'static str,
        grid: [usize; 3],
        net: &Net,
        set: &RowSet,
        seed: Seed,
    ) -> Spec {
        let one = self.as_one_output(spec(root, "fisher_tiles", grid));
        self.over_seeds(one, net, set, seed)
    }

    /// Sets the constants and buffers that a kernel over the rows of seeds needs.
    fn over_seeds(&self, one: Spec, net: &Net, set: &RowSet, seed: Seed) -> Spec {
        let n = names(set);
        let (seeds, delta) = stored(net, set, seed);
        one.u("R", set.rows * seeds)
            .u("SEEDS", seeds)
            .u("COLUMNS", self.shape.d)
            .u("HIDDEN", net.hidden)
            .u("UNITS", net.units)
            .b("acts", n.acts)
            .b("delta", delta)
    }
}

/// Number of seeds per row, and the buffer of their δ.
fn stored(net: &Net, set: &RowSet, seed: Seed) -> (usize, Buffer) {
    match seed {
        Seed::Score => (1, names(set).delta),
        Seed::Root | Seed::RootScore => (net.seeds, Buffer::SeedDelta),
    }
}
