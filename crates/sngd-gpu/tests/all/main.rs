//! All suites of this crate in one program, so that what they share is compiled and linked once.

mod common;
mod engine;
mod held;
mod memory;
mod mode;
mod own_text;
mod parity;
mod parity_networks;
mod parity_row_columns;
mod stages;
