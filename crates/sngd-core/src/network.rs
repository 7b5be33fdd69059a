//! The multilayer perceptron as a shape: which numbers of ω are which weights.
//!
//! ω is layer by layer, within a layer unit by unit, and a unit's numbers are its incoming weights and then its bias. So the
//! parameters of a layer, or of a unit, are contiguous: the blocks of a layer-wise or unit-wise Fisher matrix are runs of ω.

use crate::normals::fill_normals;
use crate::philox::Stream;
use crate::real::Real;
use serde::{Deserialize, Serialize};

/// The function between two layers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// tanh z.
    #[default]
    Tanh,
    /// max(z, 0), whose slope at 0 counts as 0.
    Relu,
    /// z·Φ(z), by the tanh form of Hendrycks & Gimpel (2016).
    Gelu,
}

impl Activation {
    /// The value φ(z) and the slope φ′(z).
    #[inline(always)]
    pub fn value_and_slope<T: Real>(self, z: T) -> (T, T) {
        match self {
            Activation::Tanh => {
                let a = T::tanh_lane(z);
                (a, T::one() - a * a)
            }
            Activation::Relu if z > T::zero() => (z, T::one()),
            Activation::Relu => (T::zero(), T::zero()),
            Activation::Gelu => {
                let (c, cubic) = (T::of((2.0 / std::f64::consts::PI).sqrt()), T::of(0.044_715));
                let half = T::of(0.5);
                let t = T::tanh_lane(c * (z + cubic * z * z * z));
                let inner = c * (T::one() + T::of(3.0) * cubic * z * z);
                let value = half * z * (T::one() + t);
                (
                    value,
                    half * (T::one() + t) + half * z * (T::one() - t * t) * inner,
                )
            }
        }
    }

    /// Writes φ of each z into `value`, and φ′ in place of z. One loop per function, so that the loops vectorise.
    #[inline(always)]
    pub fn apply<T: Real>(self, z: &mut [T], value: &mut [T]) {
        match self {
            Activation::Tanh => each(Activation::Tanh, z, value),
            Activation::Relu => each(Activation::Relu, z, value),
            Activation::Gelu => each(Activation::Gelu, z, value),
        }
    }

    /// Variance of a weight times its fan-in at the standard start: He et al. (2015) for relu and gelu, LeCun's 1 for tanh.
    pub fn start_gain(self) -> f64 {
        match self {
            Activation::Tanh => 1.0,
            Activation::Relu | Activation::Gelu => 2.0,
        }
    }
}

#[inline(always)]
fn each<T: Real>(f: Activation, z: &mut [T], value: &mut [T]) {
    for (a, z) in value.iter_mut().zip(z) {
        (*a, *z) = f.value_and_slope(*z);
    }
}

/// Widths and activation of a perceptron.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Widths of all layers: D, the hidden widths, K.
    pub widths: Vec<usize>,
    /// The function between layers; the last layer is linear.
    pub activation: Activation,
    /// Whether units have biases.
    pub bias: bool,
}

/// The place of one layer in ω.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// Index of its first parameter.
    pub offset: usize,
    /// Number of inputs of a unit (fan-in).
    pub inputs: usize,
    /// Number of units.
    pub outputs: usize,
    /// Parameters per unit: the fan-in, plus one for the bias if there is one.
    pub stride: usize,
}

impl Layer {
    /// Number of parameters.
    pub fn len(&self) -> usize {
        self.outputs * self.stride
    }

    /// Whether the layer has no parameters; false in every network that was checked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Network {
    /// The layers, inputs first.
    pub fn layers(&self) -> Vec<Layer> {
        let mut offset = 0;
        self.widths
            .windows(2)
            .map(|w| {
                let stride = w[0] + usize::from(self.bias);
                let layer = Layer {
                    offset,
                    inputs: w[0],
                    outputs: w[1],
                    stride,
                };
                offset += layer.len();
                layer
            })
            .collect()
    }

    /// The standard random start of a chain: weights normal with variance gain/fan-in, biases 0. Numbers of `omega` beyond the
    /// network's parameters are set to 0 too.
    pub fn start(&self, omega: &mut [f64], seed: u64, chain: u32) {
        fill_normals(omega, seed, Stream::Init, chain, 0);
        let layers = self.layers();
        for (l, layer) in layers.iter().enumerate() {
            let gain = if l + 1 < layers.len() {
                self.activation.start_gain()
            } else {
                1.0
            };
            let sd = (gain / layer.inputs as f64).sqrt();
            for unit in omega[layer.offset..layer.offset + layer.len()].chunks_mut(layer.stride) {
                let (weights, bias) = unit.split_at_mut(layer.inputs);
                weights.iter_mut().for_each(|w| *w *= sd);
                bias.fill(0.0);
            }
        }
        omega[self.parameters()..].fill(0.0);
    }

    /// Number of weights and biases.
    pub fn parameters(&self) -> usize {
        self.layers().iter().map(Layer::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::differences::slope;

    #[test]
    fn slopes_are_derivatives() {
        for f in [Activation::Tanh, Activation::Relu, Activation::Gelu] {
            for z in [-3.0, -0.7, -1e-3, 1e-3, 0.4, 2.5f64] {
                let expected = slope(|z| f.value_and_slope(z).0, z, 1e-5);
                let found = f.value_and_slope(z).1;
                assert!((found - expected).abs() < 1e-8, "{f:?} {z}");
            }
        }
    }

    #[test]
    fn gelu_is_near_the_gaussian_form() {
        // z·Φ(z) at 1 is 0.841345; the tanh form is within 5e-4.
        let v = Activation::Gelu.value_and_slope(1.0f64).0;
        assert!((v - 0.841_345).abs() < 5e-4);
    }

    #[test]
    fn layers_tile_the_parameters() {
        let net = Network {
            widths: vec![6, 8, 3, 1],
            activation: Activation::Tanh,
            bias: true,
        };
        let layers = net.layers();
        assert_eq!(net.parameters(), 6 * 8 + 8 + 8 * 3 + 3 + 3 + 1);
        assert_eq!(layers[1].offset, layers[0].len());
        assert_eq!(layers[2].offset + layers[2].len(), net.parameters());
    }
}
