//! Well-specified models on data generated from the seed.

use crate::data::{self, Dice};
use crate::error::Error;
use crate::sample::Model;
use sngd_core::table::Response;

/// A Gaussian mean, responses with population sd exactly σ: Σ_g is then F and the law has no other factor.
pub fn gaussian_mean(seed: u64, n: usize) -> Result<Model, Error> {
    let mut dice = Dice::new(seed, n as u32);
    let y = data::standardised(dice.normals(n));
    let y = y.iter().map(|z| 3.0 + 1.7 * z).collect();
    Model::new(
        "[model]\nlikelihood = \"gaussian\"\nscale = 1.7\n[prior]\nintercept = \"flat\"",
        data::table(&[], Response::Numbers(y)),
    )
}

/// Linear regression, P = 4, σ = 1 known.
pub fn linear_regression(seed: u64, n: usize) -> Result<Model, Error> {
    let mut dice = Dice::new(seed, 1);
    let x = data::columns(&mut dice, n, 3);
    let noise = data::standardised(dice.normals(n));
    let y = (0..n).map(|i| data::linear(&x, 1.0, &[0.8, -0.5, 0.3], i) + noise[i]);
    let y = Response::Numbers(y.collect());
    Model::new(
        "[model]\nlikelihood = \"gaussian\"\nscale = 1.0\n[prior]\nweights = \"flat\"",
        data::table(&x, y),
    )
}

/// Logistic regression, P = 4.
pub fn logistic(seed: u64, n: usize) -> Result<Model, Error> {
    let mut dice = Dice::new(seed, 2);
    let x = data::columns(&mut dice, n, 3);
    let y = (0..n)
        .map(|i| {
            let p = data::logistic(data::linear(&x, -0.3, &[0.8, -0.5, 0.3], i));
            u32::from(dice.uniform() < p)
        })
        .collect();
    Model::new(
        "[model]\nlikelihood = \"bernoulli\"\n[prior]\nweights = \"flat\"",
        data::table(&x, data::labels(y, 2)),
    )
}

/// Softmax regression with three classes, P = 6.
pub fn softmax(seed: u64, n: usize) -> Result<Model, Error> {
    let mut dice = Dice::new(seed, 3);
    let x = data::columns(&mut dice, n, 2);
    let y = (0..n)
        .map(|i| {
            let e = [
                1.0,
                data::linear(&x, 0.2, &[0.8, -0.4], i).exp(),
                data::linear(&x, -0.3, &[-0.3, 0.6], i).exp(),
            ];
            let u = dice.uniform() * (e[0] + e[1] + e[2]);
            u32::from(u > e[0]) + u32::from(u > e[0] + e[1])
        })
        .collect();
    Model::new(
        "[model]\nlikelihood = \"softmax\"\nbaseline = \"first\"\n[prior]\nweights = \"flat\"",
        data::table(&x, data::labels(y, 3)),
    )
}

/// Perceptron of two tanh units on two features, σ = 0.3 known, P = 9: the data determine its weights.
pub fn perceptron(seed: u64, n: usize) -> Result<Model, Error> {
    let mut dice = Dice::new(seed, 4);
    let x = data::columns(&mut dice, n, 2);
    let noise = data::standardised(dice.normals(n));
    let y = (0..n).map(|i| {
        let first = data::linear(&x, 0.5, &[1.5, -0.5], i).tanh();
        let second = data::linear(&x, -0.5, &[0.4, 1.2], i).tanh();
        0.2 + 1.2 * first - 0.9 * second + 0.3 * noise[i]
    });
    let y = Response::Numbers(y.collect());
    Model::new(
        "[model]\npredictor = \"mlp\"\nhidden = [2]\nlikelihood = \"gaussian\"\nscale = 0.3\n[prior]\nweights = \"normal(0, 3)\"\nbias = \"normal(0, 3)\"",
        data::table(&x, y),
    )
    .map(|model| model.with_starts(8))
}
