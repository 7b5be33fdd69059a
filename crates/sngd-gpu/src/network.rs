//! What a network adds to a shape: its layers' places in the buffers of activations and of δ.

use sngd_core::config::FisherKind;
use sngd_core::network::Layer;
use sngd_core::plan::{Metric, Plan};

/// The input of a bias: `ONE` of `stage/inputs.wgsl`.
const ONE: u32 = u32::MAX;

/// A network as the kernels see it.
#[derive(Debug, Clone, PartialEq)]
pub struct Net {
    /// Layers, inputs first.
    pub layers: Vec<Layer>,
    /// Hidden units in all.
    pub hidden: usize,
    /// Columns of δ: the hidden units, then a seed's H outputs.
    pub units: usize,
    /// Seeds a row of the metric: H where W has a root, 1 where the score is the seed.
    pub seeds: usize,
}

impl Net {
    /// The network of a plan, if its predictor is one.
    pub fn new(plan: &Plan) -> Option<Net> {
        let network = plan.network.as_ref()?;
        let layers = network.layers();
        let hidden = layers[..layers.len() - 1].iter().map(|l| l.outputs).sum();
        // RMSProp's correction wants the exact diagonal, whatever `fisher` says.
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

    /// First column of layer l's units in δ, and of its hidden units among the activations.
    pub fn column(&self, l: usize) -> usize {
        self.layers[..l].iter().map(|l| l.outputs).sum()
    }

    /// `place` of `stage/place.wgsl`, the diagonal left at 0.
    pub fn place(&self, p: usize) -> Vec<[u32; 4]> {
        let mut out = Vec::with_capacity(p);
        for (l, layer) in self.layers.iter().enumerate() {
            // Inputs are counted from the features on: layer l reads the hidden units of layer l − 1.
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

/// `place` of any plan: a network's columns, and where each parameter's diagonal element lies among the squares.
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
