//! All suites of this crate in one program, so that what they share is compiled and linked once.

mod automatic;
mod calibration;
mod closed_forms;
mod corrections;
mod laws;
mod likelihoods;
mod limits;
mod networks;
mod newcomers;
mod oracle;
mod posteriors;
mod row_columns;
