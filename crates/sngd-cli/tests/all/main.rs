//! All suites of this crate in one program, so that what they share is compiled and linked once.

mod bad_input;
mod common;
mod output_path;
mod peers;
mod reproduce;
mod row_columns;
mod runs;
