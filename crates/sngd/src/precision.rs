//! Is single precision enough for a Metropolis test? It compares log densities over all rows, whose rounding must be small beside a nat.

use sngd_core::config::{Device, Precision, RunConfig};
use sngd_core::error::CheckError;
use sngd_core::plan::Plan;
use sngd_cpu::map::Mode;

/// Rounding of a log density, in nats, that biases no acceptance by more than a hundredth or so.
const ROUNDING: f64 = 0.05;

/// Chooses double precision, and says so, where the plan compares log densities that single precision rounds by more than
/// [`ROUNDING`]. A metric at the mode needs nothing: its steps sum differences from the mode.
///
/// # Errors
/// Such a run on a GPU.
pub(crate) fn settle(
    run: &mut RunConfig,
    plan: &Plan,
    mode: Option<&Mode>,
) -> Result<Option<String>, CheckError> {
    let Some(mode) = mode.filter(|_| plan.metropolis && run.precision == Precision::F32) else {
        return Ok(None);
    };
    let rounding = mode.cost.abs() * f64::from(f32::EPSILON);
    if rounding <= ROUNDING {
        return Ok(None);
    }
    if matches!(run.device, Device::Gpu(_)) {
        return Err(CheckError::key(
            "run.device",
            format!(
                "found \"{}\" beside method = \"mala\" with the metric at the state: its log densities of {:.1e} nats are rounded by {rounding:.2} in single precision, which decides its Metropolis test, expected double precision; set run.device = \"cpu\", or leave sampler.method and step_size out",
                run.device, mode.cost
            ),
        ));
    }
    run.precision = Precision::F64;
    Ok(Some(format!(
        "double precision, since log densities of {:.1e} nats are rounded by {rounding:.2} in single precision",
        mode.cost
    )))
}
