//! All suites of this crate in one program, so that what they share is compiled and linked once.

mod common;
mod functions;
mod link;
mod models;
mod random;
