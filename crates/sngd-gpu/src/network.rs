//! What a network adds to a shape: where its layers are in the buffers of activations and of δ.

use sngd_core::config::FisherKind;
use sngd_core::network::Layer;
use sngd_core::plan::{Metric, Plan};

/// Column that stands for a bias's constant input, `ONE` of `state/shared/inputs.wgsl`.
const ONE: u32 = u32::MAX;

/// Layout of a network for the kernels.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    /// The layers, from the inputs to the outputs.
    pub layers: Vec<Layer>,
    /// Number of hidden units in all layers.
    pub hidden: usize,
    /// Number of columns of δ: one per hidden unit, then H for the seed's outputs.
    pub units: usize,
    /// Number of seeds per row of the metric: H where they are a root of W, 1 where the score is the seed.
    pub seeds: usize,
}

impl Net {
    /// The network of a plan, if its predictor is one.
    pub fn new(plan: &Plan) -> Option<Net> {
        let network = plan.network.as_ref()?;
        let layers = network.layers();
        let hidden = layers[..layers.len() - 1].iter().map(|l| l.outputs).sum();
        // RMSProp's correction needs the exact diagonal, whatever `fisher` says.
        let rooted = match plan.metric {
            Metric::Fisher => plan.fisher != FisherKind::Empirical,
            metric => metric == Metric::RmsProp,
        };
        Some(Net {
            layers,
            hidden,
            units: hidden + plan.h,
            seeds: if rooted { plan.h } else { 1 },
        })
    }

    /// First column of layer l's units in δ. Hidden units have the same column among the activations.
    pub fn column(&self, l: usize) -> usize {
        self.layers[..l].iter().map(|l| l.outputs).sum()
    }

    /// The buffer `place` of `state/shared/place.wgsl`, with 0 for the place of the diagonal.
    pub fn place(&self, p: usize) -> Vec<[u32; 4]> {
        let mut out = Vec::with_capacity(p);
        for (l, layer) in self.layers.iter().enumerate() {
            // Input columns start with the features, then the hidden units: layer l reads those of layer l − 1.
            let below = match l {
                0 => 0,
                _ => self.layers[0].inputs + self.column(l - 1),
            };
            for unit in 0..layer.outputs {
                for i in 0..layer.stride {
                    let input = if i < layer.inputs {
                        (below + i) as u32
                    } else {
                        ONE
                    };
                    out.push([(self.column(l) + unit) as u32, input, 0, 0]);
                }
            }
        }
        let aux = p - out.len();
        out.extend((0..aux).map(|a| [(self.units - aux + a) as u32, ONE, 0, 0]));
        out
    }
}

/// The buffer `place` of any plan: a network's columns, and the index of each parameter's diagonal entry in its square.
pub fn place(plan: &Plan, net: Option<&Net>) -> Vec<[u32; 4]> {
    let mut out = net.map_or(vec![[0; 4]; plan.p], |n| n.place(plan.p));
    for block in &plan.blocks.blocks {
        for i in 0..block.size {
            out[block.offset + i][2] = (block.at + i * (block.size + 1)) as u32;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use sngd_core::network::{Activation, Network};

    #[test]
    fn every_parameter_has_its_unit_and_input() {
        let layers = Network {
            widths: vec![2, 3, 2],
            activation: Activation::Tanh,
            bias: true,
        }
        .layers();
        let net = Net {
            layers,
            hidden: 3,
            units: 6,
            seeds: 1,
        };
        let place = net.place(9 + 8 + 1);
        assert_eq!(place[4], [1, 1, 0, 0]);
        assert_eq!(place[5], [1, ONE, 0, 0]);
        // Second output's weight from the third hidden unit.
        assert_eq!(place[9 + 4 + 2], [4, 2 + 2, 0, 0]);
        assert_eq!(place[17], [5, ONE, 0, 0]);
    }
}
