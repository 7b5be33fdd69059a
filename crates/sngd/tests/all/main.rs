//! All suites of this crate in one program, so that what they share is compiled and linked once.

mod library;
mod predictions;
mod width;
