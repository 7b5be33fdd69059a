//! Does an engine compute what it should? Known answers of the generator, a few steps of every kind of kernel compared with
//! the f64 engine, and a posterior that is known in closed form.

mod regimes;

use crate::builder::{Data, Model, Sngd};
use crate::device::Device;
use crate::error::Error;
use crate::sampler::{Draws, Sampler, Warmup};
use crate::vetted;
use serde::Serialize;
use sngd_core::config::Family;
use sngd_core::philox::{self, Stream};
use sngd_core::plan::Plan;
use sngd_core::prior::Prior;
use sngd_gpu::Gpu;
use std::time::Instant;

/// Result of one part.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TestResult {
    /// What was tested.
    pub name: String,
    /// Whether it passed.
    pub passed: bool,
    /// What was found, in a few words.
    pub detail: String,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// The self-test of one engine.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SelfTest {
    /// Engine and device that were tested.
    pub device: String,
    /// The generator against published vectors, steps of every kind of kernel against the f64 CPU engine, and a regression
    /// against its closed form.
    pub results: Vec<TestResult>,
    /// Wall time in seconds.
    pub seconds: f64,
}

impl SelfTest {
    /// Whether every part passed.
    pub fn passed(&self) -> bool {
        self.results.iter().all(|r| r.passed)
    }
}

/// The part that tests the generator.
const NUMBERS: &str = "random numbers";
const ROWS: usize = 64;
const SIGMA: f64 = 0.7;

/// What is tested.
enum Tested {
    Cpu,
    Gpu(Gpu),
}

fn told(name: &str, test: impl FnOnce() -> Result<(bool, String), Error>) -> TestResult {
    let began = Instant::now();
    let (passed, detail) = test().unwrap_or_else(|e| (false, e.to_string()));
    TestResult {
        name: name.into(),
        passed,
        detail,
        seconds: began.elapsed().as_secs_f64(),
    }
}

/// Runs all parts; a failure is a result, not an error.
pub fn self_test(device: &Device) -> SelfTest {
    let began = Instant::now();
    let tested = match device {
        Device::Cpu => Ok(Tested::Cpu),
        Device::Auto => Gpu::open(&sngd_gpu::DeviceSelector::Auto).map(Tested::Gpu),
        Device::Gpu(selector) => Gpu::open(selector).map(Tested::Gpu),
    };
    let results = match tested {
        Ok(tested) => {
            let mut results: Vec<TestResult> =
                part_names().map(|name| part(&tested, name)).collect();
            if let Tested::Gpu(gpu) = &tested {
                let passed = results.iter().filter(|r| r.passed);
                vetted::remember(gpu, passed.map(|r| r.name.as_str()));
            }
            // A device that has been given up would fail with the same words again.
            if results.iter().all(|r| r.passed) {
                results.push(told("posterior", || posterior(device)));
            }
            results
        }
        Err(e) => vec![told("device", || Err(e.into()))],
    };
    SelfTest {
        device: device.name(),
        results,
        seconds: began.elapsed().as_secs_f64(),
    }
}

/// Names of the parts that an engine's steps rely on.
fn part_names() -> impl Iterator<Item = &'static str> {
    std::iter::once(NUMBERS).chain(regimes::names())
}

/// Names of the parts that the steps of a plan rely on. Their random numbers are those of the f64 engine, or the steps differ.
pub(crate) fn parts_of(plan: &Plan) -> Vec<&'static str> {
    regimes::of(plan)
}

/// Tests one part on a device.
pub(crate) fn part_on(gpu: &Gpu, name: &str) -> TestResult {
    part(&Tested::Gpu(gpu.clone()), name)
}

fn part(tested: &Tested, name: &str) -> TestResult {
    told(name, || match name {
        NUMBERS => random_numbers(tested),
        regime => regimes::test(tested, regime),
    })
}

/// Philox against its published vectors, and on a device the noise it makes of them and a factorisation.
fn random_numbers(tested: &Tested) -> Result<(bool, String), Error> {
    let known = philox::philox([0; 4], [0; 2])
        == [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
        && philox::philox([u32::MAX; 4], [u32::MAX; 2])
            == [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd];
    if !known {
        return Ok((false, "Philox4x32-10 is wrong".into()));
    }
    let Tested::Gpu(gpu) = tested else {
        return Ok((true, "Philox4x32-10 as published".into()));
    };
    let checks = gpu.self_test()?;
    let detail: Vec<String> = checks
        .iter()
        .map(|c| format!("{} within {:.0e}", c.name, c.error))
        .collect();
    Ok((checks.iter().all(|c| c.passed()), detail.join(", ")))
}

/// Data of the closed form: `ROWS` rows of two features, and standard normals for a response.
fn rows() -> (Vec<f64>, Vec<f64>) {
    let mut z = vec![0.0f64; 3 * ROWS];
    philox::fill_normals(&mut z, 20, Stream::Split, 0, 0);
    let x = z[..2 * ROWS].to_vec();
    (x, z[2 * ROWS..].to_vec())
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
            test.results[0].detail.contains("no such device at all"),
            "{test:?}"
        );
    }
}
