//! The test harness of sngd: reference posteriors that we did not write, and one way to drive either engine.
//!
//! Suites live in `tests/`; each runs over every engine that this machine has.

#![allow(clippy::print_stderr, reason = "a skipped suite must be heard")]

pub mod cases;
pub mod compare;
pub mod drive;
pub mod likelihoods;
pub mod refs;
pub mod small;
pub mod yacht;
