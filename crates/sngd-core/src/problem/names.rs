//! Names of parameters and data in the trace.

use super::Problem;
use crate::likelihood::Likelihood;
use crate::network::Network;
use crate::trace::{Dim, NamedArray, Variable};

impl Problem {
    /// Names, dimensions and coordinates of the variables in the posterior group.
    pub fn variables(&self) -> Vec<Variable> {
        let mut out = match &self.network {
            None => self.coefficients(),
            Some(net) => self.network_variables(net),
        };
        if let Some(name) = self.likelihood.auxiliary() {
            out.push(Variable {
                name: name.into(),
                dims: vec![],
                index: vec![self.parameters() - 1],
            });
        }
        out
    }

    /// Labels of the outputs: names of classes, or numbers.
    fn output_labels(&self, k: usize) -> Vec<String> {
        let skip = self.classes.len().saturating_sub(k);
        if matches!(self.likelihood, Likelihood::Softmax { .. }) {
            self.classes[skip..].to_vec()
        } else {
            (0..k).map(|i| i.to_string()).collect()
        }
    }

    /// `layer0_weights[layer0_in, layer0_out]` and `layer0_bias[layer0_out]`, and so on.
    fn network_variables(&self, net: &Network) -> Vec<Variable> {
        let layers = net.layers();
        let mut out = Vec::new();
        for (l, layer) in layers.iter().enumerate() {
            let inputs = if l == 0 {
                self.columns.clone()
            } else {
                (0..layer.inputs).map(|i| i.to_string()).collect()
            };
            let outputs = if l + 1 == layers.len() {
                self.output_labels(layer.outputs)
            } else {
                (0..layer.outputs).map(|i| i.to_string()).collect()
            };
            let (from, to) = (
                Dim {
                    name: format!("layer{l}_in"),
                    labels: inputs,
                },
                Dim {
                    name: format!("layer{l}_out"),
                    labels: outputs,
                },
            );
            let at = |i: usize, o: usize| layer.offset + o * layer.stride + i;
            out.push(Variable {
                name: format!("layer{l}_weights"),
                dims: vec![from, to.clone()],
                index: (0..layer.inputs)
                    .flat_map(|i| (0..layer.outputs).map(move |o| at(i, o)))
                    .collect(),
            });
            if net.bias {
                out.push(Variable {
                    name: format!("layer{l}_bias"),
                    dims: vec![to],
                    index: (0..layer.outputs).map(|o| at(layer.inputs, o)).collect(),
                });
            }
        }
        out
    }

    /// `intercept`, `weights[feature]`, with a class dimension for softmax.
    fn coefficients(&self) -> Vec<Variable> {
        let (k, d) = (self.transform.outputs, self.design_columns());
        let first = usize::from(self.intercept);
        let class = (k > 1 || matches!(self.likelihood, Likelihood::Softmax { .. })).then(|| Dim {
            name: if self.classes.is_empty() {
                "output"
            } else {
                "class"
            }
            .into(),
            labels: self.output_labels(k),
        });
        let feature = Dim {
            name: "feature".into(),
            labels: self.columns[first..].to_vec(),
        };
        let mut out = Vec::new();
        if self.intercept {
            out.push(Variable {
                name: "intercept".into(),
                dims: class.iter().cloned().collect(),
                index: (0..k).map(|c| c * d).collect(),
            });
        }
        if d > first {
            out.push(Variable {
                name: "weights".into(),
                dims: class.iter().cloned().chain([feature]).collect(),
                index: (0..k)
                    .flat_map(|c| (first..d).map(move |j| c * d + j))
                    .collect(),
            });
        }
        out
    }

    /// One name per parameter, e.g. `weights[glucose]`, in the order of the natural vector, `[P]`.
    pub fn parameter_names(&self) -> Vec<String> {
        let mut names = vec![String::new(); self.parameters()];
        for v in self.variables() {
            let mut labels = vec![String::new()];
            for dim in &v.dims {
                labels = labels
                    .iter()
                    .flat_map(|l| {
                        dim.labels.iter().map(move |m| {
                            if l.is_empty() {
                                m.clone()
                            } else {
                                format!("{l}, {m}")
                            }
                        })
                    })
                    .collect();
            }
            for (&i, l) in v.index.iter().zip(&labels) {
                names[i] = if l.is_empty() {
                    v.name.clone()
                } else {
                    format!("{}[{l}]", v.name)
                };
            }
        }
        names
    }

    /// The `observed_data` group: the response on the user's scale. Rows have no labels: the text of as many numbers would take more
    /// memory than the response.
    pub fn observed_data(&self) -> Vec<NamedArray> {
        let rows = Dim {
            name: "row".into(),
            labels: Vec::new(),
        };
        let t = &self.transform;
        let mut out = vec![NamedArray {
            name: "y".into(),
            dims: vec![rows.clone()],
            values: (self.y.iter().enumerate())
                .map(|(i, y)| y / self.roots.get(i).unwrap_or(&1.0) * t.y_scale + t.y_mean)
                .collect(),
        }];
        if !self.trials.is_empty() {
            let own = matches!(self.likelihood, Likelihood::Custom(_));
            out.push(NamedArray {
                name: if own { "companion" } else { "trials" }.into(),
                dims: vec![rows],
                values: self.trials.clone(),
            });
        }
        out
    }
}
