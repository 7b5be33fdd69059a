//! Data generated from the seed by a counter, and the digits.

use crate::Settings;
use crate::error::Error;
use sngd_core::features::Features;
use sngd_core::normals::fill_normals;
use sngd_core::philox::{Stream, at, uniform};
use sngd_core::table::{Response, ResponseKind, Table, TableRequest};
use std::path::PathBuf;

/// Random numbers for data, from streams that the samplers do not use: the key differs.
pub struct Dice {
    seed: u64,
    set: u32,
    next: u32,
}

impl Dice {
    /// The random numbers of data set `set`.
    pub fn new(seed: u64, set: u32) -> Dice {
        Dice {
            seed: seed ^ 0x5eed_da7a_0000_0000,
            set,
            next: 0,
        }
    }

    /// A uniform number in (0, 1).
    pub fn uniform(&mut self) -> f64 {
        self.next += 1;
        uniform(at(self.seed, Stream::Init, self.set, 0, self.next)[0])
    }

    /// `n` standard normals.
    pub fn normals(&mut self, n: usize) -> Vec<f64> {
        self.next += 1;
        let mut out = vec![0.0; n];
        fill_normals(&mut out, self.seed, Stream::Split, self.set, self.next);
        out
    }

    /// A Poisson count, drawn by inversion.
    pub fn poisson(&mut self, mean: f64) -> f64 {
        let u = self.uniform();
        let mut mass = (-mean).exp();
        let (mut sum, mut k) = (mass, 0.0);
        while u > sum && k < 1e4 {
            k += 1.0;
            mass *= mean / k;
            sum += mass;
        }
        k
    }
}

/// A table whose columns have generated names.
pub fn table(columns: &[Vec<f64>], response: Response) -> Table {
    let n = match &response {
        Response::Numbers(v) => v.len(),
        Response::Labels { index, .. } => index.len(),
    };
    Table::new(
        "experiment",
        (1..=columns.len()).map(|j| format!("x{j}")).collect(),
        Features::new(
            columns.len(),
            (0..n)
                .flat_map(|i| columns.iter().map(move |c| c[i]))
                .collect::<Vec<_>>(),
        ),
        response,
    )
}

/// Labels 0, 1, ... as a response.
pub fn labels(index: Vec<u32>, levels: usize) -> Response {
    Response::Labels {
        index,
        levels: (0..levels).map(|l| l.to_string()).collect(),
    }
}

/// `d` columns of standard normals, moved and scaled to mean 0 and mean square 1.
pub fn columns(dice: &mut Dice, n: usize, d: usize) -> Vec<Vec<f64>> {
    (0..d).map(|_| standardised(dice.normals(n))).collect()
}

/// Moves and scales a column to mean 0 and population sd 1.
pub fn standardised(mut v: Vec<f64>) -> Vec<f64> {
    let n = v.len() as f64;
    let mean = v.iter().sum::<f64>() / n;
    v.iter_mut().for_each(|x| *x -= mean);
    let sd = (v.iter().map(|x| x * x).sum::<f64>() / n).sqrt();
    v.iter_mut().for_each(|x| *x /= sd);
    v
}

/// The linear predictor a + Σ bⱼ·xᵢⱼ of row i.
pub fn linear(columns: &[Vec<f64>], a: f64, b: &[f64], i: usize) -> f64 {
    a + columns.iter().zip(b).map(|(c, b)| c[i] * b).sum::<f64>()
}

/// The logistic function 1/(1 + e^−x).
pub fn logistic(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// The digits: 64 pixels in [0, 1] per row, and the label of each row.
pub fn digits(settings: &Settings<'_>) -> Result<(Vec<Vec<f64>>, Vec<u32>), Error> {
    images(match &settings.digits {
        Some(path) => path.clone(),
        None => {
            let here = PathBuf::from("examples/digits.npz");
            let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/digits.npz");
            if here.is_file() { here } else { built.into() }
        }
    })
}

/// Reads images `X` and labels `y` from a table.
pub fn images(path: PathBuf) -> Result<(Vec<Vec<f64>>, Vec<u32>), Error> {
    if !path.is_file() {
        return Err(Error::NoDigits {
            path: path.display().to_string(),
        });
    }
    let read = sngd_store::read_table(
        &path,
        &TableRequest {
            response: "y".into(),
            response_kind: ResponseKind::Label,
            features: None,
            trials: None,
            trials_role: "trials",
            offset: None,
            weights: None,
            missing: Default::default(),
        },
    )?;
    let mut pixels = Vec::new();
    read.features.each_row(|row| pixels.push(row.to_vec()));
    match read.response {
        Response::Labels { index, .. } => Ok((pixels, index)),
        Response::Numbers(v) => Ok((pixels, v.iter().map(|&y| y as u32).collect())),
    }
}
