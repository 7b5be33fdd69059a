//! What the self-test tests, and how a part went.

use crate::error::Error;
use serde::Serialize;
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

/// What is tested.
pub(super) enum Tested {
    Cpu,
    Gpu(Gpu),
}

/// Runs a test; an error is a failure.
pub(super) fn timed(
    name: &str,
    test: impl FnOnce() -> Result<(bool, String), Error>,
) -> TestResult {
    let began = Instant::now();
    let (passed, detail) = test().unwrap_or_else(|e| (false, e.to_string()));
    TestResult {
        name: name.into(),
        passed,
        detail,
        seconds: began.elapsed().as_secs_f64(),
    }
}
