//! The test harness of sngd: reference posteriors from other programs, and one way to run either engine.
//!
//! Suites are in `tests/`; each runs on every engine that this machine has.

#![allow(clippy::print_stderr, reason = "a skipped suite must be heard")]

pub mod cases;
pub mod compare;
pub mod drive;
pub mod likelihoods;
pub mod newcomers;
pub mod refs;
pub mod small;
pub mod yacht;
