//! Benches of sngd
