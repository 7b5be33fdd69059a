//! The parts of the self-test that the steps of an engine rely on.

use super::regimes;
use super::tested::{TestResult, Tested, timed};
use crate::error::Error;
use sngd_core::philox;
use sngd_core::plan::Plan;
use sngd_gpu::Gpu;

/// The part that tests the generator.
const NUMBERS: &str = "random numbers";
/// Names of the parts that an engine's steps rely on.
pub(super) fn part_names() -> impl Iterator<Item = &'static str> {
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

pub(super) fn part(tested: &Tested, name: &str) -> TestResult {
    timed(name, || match name {
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
