//! All suites of this crate in one program, so that what they share is compiled and linked once.

mod read_binary;
mod read_csv;
mod read_text;
mod replace;
mod trace;
