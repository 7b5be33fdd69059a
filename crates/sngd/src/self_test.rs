//! Does an engine compute what it should? Known answers of the generator, ten steps compared with the f64 engine, and a
//! posterior that is known in closed form.

use crate::builder::{Data, Model, Sngd};
use crate::device;
use crate::error::Error;
use crate::prepare::Prepared;
use crate::sampler::{Draws, Sampler, Warmup};
use serde::Serialize;
use sngd_core::config::{Device, Family, Precision};
use sngd_core::engine::Span;
use sngd_core::philox::{self, Stream};
use sngd_core::prior::Prior;
use std::time::Instant;

/// Result of one part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TestResult {
    /// Whether it passed.
    pub passed: bool,
    /// What was found, in a few words.
    pub detail: String,
}

/// The self-test of one engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelfTest {
    /// Engine and device that were tested.
    pub device: String,
    /// Philox against the published vectors.
    pub known_answers: TestResult,
    /// Ten steps against the f64 CPU engine: gradient, Fisher, Cholesky, noise.
    pub steps: TestResult,
    /// Means and sds of a linear regression against their closed form.
    pub posterior: TestResult,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl SelfTest {
    /// Whether every part passed.
    pub fn passed(&self) -> bool {
        self.known_answers.passed && self.steps.passed && self.posterior.passed
    }
}

const ROWS: usize = 64;
const SIGMA: f64 = 0.7;

fn told(outcome: Result<(bool, String), Error>) -> TestResult {
    match outcome {
        Ok((passed, detail)) => TestResult { passed, detail },
        Err(e) => TestResult {
            passed: false,
            detail: e.to_string(),
        },
    }
}

/// Runs the three parts; a failure is a result, not an error.
pub fn self_test(device: &Device) -> SelfTest {
    let began = Instant::now();
    let answers = philox::philox([0; 4], [0; 2])
        == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        && philox::philox([u32::MAX; 4], [u32::MAX; 2])
            == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd];
    let detail = if answers {
        "Philox4x32-10 as published"
    } else {
        "Philox4x32-10 is wrong"
    };
    SelfTest {
        device: device.to_string(),
        known_answers: TestResult {
            passed: answers,
            detail: detail.into(),
        },
        steps: told(steps(device)),
        posterior: told(posterior(device)),
        seconds: began.elapsed().as_secs_f64(),
    }
}

/// Data of the closed form: `ROWS` rows of two features, and standard normals for a response.
fn rows() -> (Vec<f64>, Vec<f64>) {
    let mut z = vec![0.0f64; 3 * ROWS];
    sngd_core::normals::fill_normals(&mut z, 20, Stream::Split, 0, 0);
    let x = z[..2 * ROWS].to_vec();
    (x, z[2 * ROWS..].to_vec())
}

fn advance(prepared: &Prepared, steps: u32) -> Result<Vec<f64>, Error> {
    let mut engine = device::open(prepared)?.engine;
    engine.enqueue(Span {
        first_step: 0,
        draws: steps + 1,
        thin: 1,
        warmup: false,
    })?;
    let block = engine.collect()?;
    let size = prepared.plan.chains * prepared.plan.p;
    Ok(block.omega[steps as usize * size..].to_vec())
}

fn steps(device: &Device) -> Result<(bool, String), Error> {
    let (x, z) = rows();
    let y = (0..ROWS)
        .map(|i| f64::from(u8::from(z[i] + x[2 * i] > 0.0)))
        .collect();
    let data = Data::new(x, ["a", "b"], y);
    let build = |device: Device, precision| {
        Sampler::builder(Model::linear(Family::Bernoulli), &data)
            .prior(Prior::Normal(0.0, 2.5))
            .method(Sngd::default().step_size(0.2).batch_size(48))
            .chains(4)
            .device(device)
            .precision(precision)
            .build()
    };
    let count = 10;
    let found = advance(build(device.clone(), Precision::F32)?.prepared(), count)?;
    let truth = advance(build(Device::Cpu, Precision::F64)?.prepared(), count)?;
    let worst = found
        .iter()
        .zip(&truth)
        .map(|(a, b)| (a - b).abs() / (1.0 + b.abs()))
        .fold(0.0, |w, d| {
            if d.is_nan() {
                f64::INFINITY
            } else {
                f64::max(w, d)
            }
        });
    Ok((
        worst < 1e-3,
        format!("{count} steps within {worst:.1e} of the f64 engine"),
    ))
}

fn posterior(device: &Device) -> Result<(bool, String), Error> {
    let (x, z) = rows();
    let y: Vec<f64> = (0..ROWS)
        .map(|i| 1.0 + 0.5 * x[2 * i] - x[2 * i + 1] + SIGMA * z[i])
        .collect();
    let data = Data::new(x.clone(), ["a", "b"], y.clone());
    let run = Sampler::builder(Model::linear(Family::Gaussian).scale(SIGMA), &data)
        .prior(Prior::Flat)
        .method(Sngd::default().step_size(0.5).full_batch())
        .chains(64)
        .device(device.clone())
        .build()?;
    let summary = run.sample(Warmup(50), Draws(100))?.summary();
    let (mean, sd) = least_squares(&x, &y);
    let mut worst = 0.0f64;
    for (i, row) in summary.rows.iter().enumerate() {
        let (m, s) = (
            (row.mean - mean[i]) / row.mcse_mean,
            (row.sd - sd[i]) / row.mcse_sd,
        );
        for d in [m, s] {
            worst = if d.is_nan() {
                f64::INFINITY
            } else {
                worst.max(d.abs())
            };
        }
    }
    // Six numbers at five standard errors: a false alarm in 300,000 runs.
    Ok((
        worst < 5.0,
        format!("means and sds within {worst:.1} standard errors"),
    ))
}

/// β̂ and its sds σ√diag((XᵀX)⁻¹) with an intercept, by the cofactors of a 3×3 matrix.
fn least_squares(x: &[f64], y: &[f64]) -> ([f64; 3], [f64; 3]) {
    let (mut a, mut b) = ([[0.0; 3]; 3], [0.0; 3]);
    for (row, y) in x.chunks(2).zip(y) {
        let r = [1.0, row[0], row[1]];
        for i in 0..3 {
            b[i] += r[i] * y;
            for j in 0..3 {
                a[i][j] += r[i] * r[j];
            }
        }
    }
    let cofactor = |i: usize, j: usize| {
        let (r, c) = ([(i + 1) % 3, (i + 2) % 3], [(j + 1) % 3, (j + 2) % 3]);
        a[r[0]][c[0]] * a[r[1]][c[1]] - a[r[0]][c[1]] * a[r[1]][c[0]]
    };
    let det: f64 = (0..3).map(|j| a[0][j] * cofactor(0, j)).sum();
    let inverse = |i: usize, j: usize| cofactor(j, i) / det;
    let mean = std::array::from_fn(|i| (0..3).map(|j| inverse(i, j) * b[j]).sum());
    let sd = std::array::from_fn(|i| SIGMA * inverse(i, i).sqrt());
    (mean, sd)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_engine_passes() {
        let test = self_test(&Device::Cpu);
        assert!(test.passed(), "{test:?}");
    }

    #[test]
    fn a_device_that_is_not_there_fails_in_words() {
        let test = self_test(&Device::parse("no such device at all"));
        assert!(!test.passed());
        assert!(
            test.steps.detail.contains("no such device at all"),
            "{test:?}"
        );
    }
}
