//! All suites of this crate in one program, so that what they share is compiled and linked once.

mod bad_input;
mod common;
mod devices;
mod output_path;
mod own_likelihoods;
mod peers;
mod remedies;
mod reproduce;
mod responses;
mod resume;
mod row_columns;
mod runs;
mod verdicts;
